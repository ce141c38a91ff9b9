"""`--role NAME.FIELD=VALUE`: what is said about the model of one role, the judges' above all."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.model_backend import urls
from longcat_eval.protocols import Task

AGENT = "agent"
PLAIN = (
    "model",
    "base_url",
    "api_key_env",
    "served_model_name",
    "max_tokens",
    "context_length",
    "tool_parser",
)
MAPS = ("sampling", "extra_body", "price")

Roles = dict[str, dict[str, Any]]


def parse_role(text: str) -> tuple[str, str, str, Any]:
    """Read one `judge.sampling.temperature=0`: role, field, the name in a field that has several, value.

    The value is YAML, so numbers, true and null mean themselves.
    """
    import yaml

    path, equals, raw = text.partition("=")
    role, _, rest = path.partition(".")
    name, _, key = rest.partition(".")
    if not equals or not role or not name or (name in MAPS) != bool(key):
        fields = ", ".join([*PLAIN, *(f"{each}.…" for each in MAPS)])
        hint = did_you_mean(name, [*PLAIN, *MAPS]) if name not in MAPS else ""
        raise UsageError(f"--role {text!r} is not ROLE.FIELD=VALUE{hint}; the fields are {fields}")
    check_field(role, name)
    try:
        return role, name, key, yaml.safe_load(raw)
    except yaml.YAMLError:
        return role, name, key, raw


def check_field(role: str, name: str) -> None:
    """Refuse a field that roles do not have, and the agent, which has flags of its own."""
    if role == AGENT:
        raise UsageError("the agent is set by --model, --base-url and --set; --role is for the others")
    if name not in (*PLAIN, *MAPS):
        key = " (keys never go into settings; api_key_env names the variable that holds one)"
        hint = key if "key" in name else did_you_mean(name, [*PLAIN, *MAPS])
        raise UsageError(f"a role has no {name!r}{hint}; it has {', '.join([*PLAIN, *MAPS])}")


def merged(roles: Mapping[str, Any], lines: Sequence[str]) -> Roles:
    """The roles of a settings file with the command line's lines over them."""
    if not isinstance(roles, Mapping) or not all(isinstance(said, Mapping) for said in roles.values()):
        raise UsageError("roles wants `ROLE: {field: value}`, such as `judge: {model: gpt-4.1}`")
    found: Roles = {role: dict(said) for role, said in roles.items()}
    for role, said in found.items():
        for name, value in said.items():
            check_field(role, name)
            if (name in MAPS) != isinstance(value, Mapping):
                raise UsageError(f"roles.{role}.{name} is {value!r}: {_wanted(name)}")
    for role, name, key, value in map(parse_role, lines):
        said = found.setdefault(role, {})
        said[name] = {**said.get(name, {}), key: value} if key else value
    return found


def _wanted(name: str) -> str:
    return "it wants `name: value` lines" if name in MAPS else "it is one value"


def free_sampling(tasks: Sequence[Task], roles: Mapping[str, Mapping[str, Any]]) -> None:
    """What the user says of a role's sampling and limit stands instead of what a protocol fixes for it.

    The protocol then says so, and results under it are no longer the same as under its own.
    """
    for task in tasks:
        fixed = task.protocol.role_sampling
        free = {
            role: {name: value for name, value in own.items() if name not in roles[role].get("sampling", {})}
            if role in roles
            else own
            for role, own in fixed.items()
        }
        judges = {
            role: structs.replace(rules, max_tokens=roles.get(role, {}).get("max_tokens", rules.max_tokens))
            for role, rules in task.protocol.judges.items()
        }
        task.protocol = structs.replace(task.protocol, role_sampling=free, judges=judges)


def public_line(text: str) -> str:
    """A `--role` line as it may be recorded: without keys within an address."""
    path, equals, value = text.partition("=")
    return f"{path}={urls.identity(value)}" if equals and path.endswith(".base_url") else text


def public_roles(roles: Mapping[str, Mapping[str, Any]]) -> Roles:
    """What is said of roles, without addresses, which may hold secrets."""
    return {role: {k: v for k, v in said.items() if k != "base_url"} for role, said in roles.items()}
