"""What two results of one benchmark must share beside protocol, prompts, grader and data."""

from collections.abc import Mapping
from typing import Any

import msgspec

from longcat_eval.records import Wire
from longcat_eval.runners.manifest import Manifest, RoleRecord

AGENT, NO_PARSER = "agent", "none"


def conditions(manifest: Manifest, task: str) -> dict[str, str]:
    """The other roles with what they were asked at, the limits, and with tools how their calls are read.

    `{"user": "gpt-4.1-2025-04-14 (temperature 0)", "max_steps": "200", "parser": "longcat_xml lenient"}`,
    a judge also with the start of its prompts' sha256;
    empty for a benchmark without other roles, limits and tools. The agent's sampling is its own.
    """
    protocol = manifest.tasks[task].protocol
    others = {
        name: manifest.roles[name] for name in protocol.roles if name in manifest.roles and name != AGENT
    }
    said = {}
    for name, role in others.items():
        first = manifest.first_requests.get(f"{task}/{name}")
        said[name] = _asked(role, protocol.role_sampling.get(name, {}), first)
        if name in protocol.judges:
            said[name] += f" by prompts {protocol.judges[name].prompt_hash[:12]}"
    said |= {name: text_of(value) for name, value in sorted(protocol.limits.items())}
    if protocol.tools:
        if (agent := manifest.roles.get(AGENT)) is not None:
            said["parser"] = _parser(agent)
        parsed = {name: role for name, role in others.items() if role.tool_parser != NO_PARSER}
        said |= {f"{name} parser": _parser(role) for name, role in parsed.items()}
    return said


def _asked(role: RoleRecord, fixed: Mapping[str, Any], first: Wire | None) -> str:
    """The model and its sampling as sent: the first body shows what an endpoint refuses and never got."""
    sampling = {**role.sampling, **fixed}
    if first is not None:
        sampling = {name: first[name] for name in sampling if name in first}
    shown = ", ".join(f"{name} {text_of(value)}" for name, value in sorted(sampling.items()))
    return f"{role.served_name or role.name} ({shown or 'server defaults'})"


def _parser(role: RoleRecord) -> str:
    return f"{role.tool_parser} lenient" if role.lenient_tools else role.tool_parser


def text_of(value: Any) -> str:
    """A setting as people write it: 0.0 is 0, 1000000.0 is 1000000, what is no number is JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.15g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
