"""An agent from a script, and sandboxes that say what a test wants: for tests of the agent loop."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from toy import NoWorkers

from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ExecResult, ModelError
from longcat_eval.records import (
    AttemptKey,
    Completion,
    Message,
    Request,
    TaskProtocol,
    ToolCall,
    Usage,
    Wire,
)
from longcat_eval.runners.agent.episode import Episode
from longcat_eval.runners.agent.limits import AgentLimits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.runners.agent.profile import PROFILES
from longcat_eval.runners.context import Context

WORKDIR = "/testbed"
KEY = AttemptKey("toy", "s")
PROTOCOL = TaskProtocol(name="t/1", repeats=1, metric="acc", max_tokens=1000, prompt_hash="", grader="")
SUBMIT_LINE = b"COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT\n"

Said = str | Message | Completion | ModelError | Callable[[Request], Any]


class ScriptedAgent:
    """Says one line after another, the last one for ever; a line may be a function or an exception."""

    name, capabilities = "scripted-agent", frozenset({"chat", "tools"})

    def __init__(self, lines: Sequence[Said]) -> None:
        self.lines = list(lines)
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Completion:
        self.requests.append(request)
        said = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if callable(said) and not isinstance(said, Exception):
            said = said(request)
            said = await said if hasattr(said, "__await__") else said
        if isinstance(said, ModelError):
            raise said
        if isinstance(said, Completion):
            return said
        message = Message("assistant", said) if isinstance(said, str) else said
        return Completion(message, "tool_calls" if message.tool_calls else "stop", Usage(100, 10), cost=0.25)

    async def close(self) -> None:
        pass

    def history(self, request: int = -1) -> list[Wire]:
        """The messages of one request."""
        messages: list[Wire] = self.requests[request].body["messages"]
        return messages


class FakeSandbox:
    """Answers commands with what `says` makes of them: bytes, an `ExecResult` or an exception."""

    image_id = "fake"

    def __init__(
        self, says: Callable[[str], bytes | ExecResult | Exception] = lambda command: b"ok\n"
    ) -> None:
        self.says = says
        self.commands: list[str] = []
        self.execs: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}

    async def exec(self, command: str, **how: Any) -> ExecResult:
        self.commands.append(command)
        self.execs.append(how)
        said = self.says(command)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, ExecResult) else ExecResult(0, said, False, False)

    async def put(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        self.files[path] = content

    async def get(self, path: str, *, max_bytes: int = 64 << 20) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]


def context(model: ScriptedAgent, protocol: TaskProtocol = PROTOCOL, **role: Any) -> Context:
    """The real context, with this model as the agent."""
    roles = {"agent": Role(model, "served", **role)}
    return Context(KEY, roles, protocol, 0, NoWorkers(), lambda *_: None)


def calls(*named: tuple[str, Any], text: str | None = None) -> Message:
    """An assistant message with tool calls; arguments that are no text become JSON."""
    made = tuple(
        ToolCall(f"c{i}", name, args if isinstance(args, str) else json.dumps(args))
        for i, (name, args) in enumerate(named)
    )
    return Message("assistant", text, tool_calls=made)


def bash(*commands: str) -> Message:
    """A message that calls `bash` once per command."""
    return calls(*(("bash", {"command": command}) for command in commands))


def fenced(command: str) -> str:
    """A reply of the profile `bash-text`."""
    return f"I run this.\n\n```bash\n{command}\n```\n"


def submitting(command: str) -> bytes:
    """A sandbox's answers: the command `submit` hands in, others print themselves."""
    return SUBMIT_LINE + b"diff --git a/x b/x\n" if command == "submit" else command.encode()[:100] + b"\n"


async def play(
    *lines: Said,
    profile: str = "bash",
    sandbox: Any = None,
    limits: Mapping[str, Any] | None = None,
    ctx: Context | None = None,
    workdir: str = WORKDIR,
) -> tuple[Episode, ScriptedAgent, Any]:
    """One episode of a scripted agent; returns it with the agent and the sandbox."""
    agent = ScriptedAgent(lines) if ctx is None else ctx._roles["agent"].model
    assert isinstance(agent, ScriptedAgent)
    sandbox = FakeSandbox(submitting) if sandbox is None else sandbox
    chosen = PROFILES[profile](workdir)
    bounds = AgentLimits(**({"steps": 40, "seconds": 60} | dict(limits or {})))
    first = chosen.instance("Mend it.", workdir)
    return await run_agent(ctx or context(agent), sandbox, chosen, first, bounds), agent, sandbox
