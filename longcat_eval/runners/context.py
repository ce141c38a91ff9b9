"""The one place where an attempt meets its models: every request is built, seeded, sent and recorded here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.role import Role
from longcat_eval.protocols import ModelError, Sandboxes, Workers
from longcat_eval.records import (
    AttemptKey,
    Call,
    Completion,
    Outcome,
    Request,
    RequestMeta,
    TaskProtocol,
    Transcript,
    Wire,
)
from longcat_eval.runners.seeds import attempt_seed

ROLE_FAILURES = {"user": Outcome.SIMULATOR_ERROR, "judge": Outcome.JUDGE_ERROR}

RequestListener = Callable[[str, Request], None]


class NoSandboxes:
    """Stands where sandboxes would, in a process that has none."""

    async def start(self, image: str, **how: Any) -> Any:
        """Refuse."""
        raise EnvironmentUnusableError("sandboxes are not at hand here: use `longcat-eval run`")


class Context:
    """`protocols.AttemptContext` of one attempt."""

    def __init__(
        self,
        key: AttemptKey,
        roles: Mapping[str, Role],
        protocol: TaskProtocol,
        seed: int,
        workers: Workers,
        on_request: RequestListener,
        sandboxes: Sandboxes | None = None,
        deadline: float | None = None,
    ) -> None:
        self.key = key
        self.workers = workers
        self.sandboxes: Sandboxes = sandboxes or NoSandboxes()
        self.deadline = deadline
        self._roles, self._protocol, self.base_seed = roles, protocol, seed
        self._on_request = on_request
        self._transcript = Transcript(key)
        self._sent: dict[str, Wire] = {}

    async def ask(
        self,
        messages: Sequence[Wire],
        *,
        role: str = "agent",
        turn: int = 0,
        tools: Sequence[Wire] | None = None,
        prompt_tokens: int = 0,
        **overrides: Any,
    ) -> Completion:
        """Send one chat request as `role`; `overrides` win over the role's own settings."""
        settings = self._roles[role]
        request = settings.request(
            messages,
            RequestMeta(self.key, role, turn, self.deadline),
            seed=self.seed(turn),
            max_tokens=overrides.pop("max_tokens", self._protocol.max_tokens),
            tools=tools,
            prompt_tokens=prompt_tokens,
            overrides={**self._protocol.role_sampling.get(role, {}), **overrides},
        )
        sent = settings.sent(request)
        self._on_request(role, sent)
        try:
            completion = await settings.model.complete(request)
        except ModelError as error:
            if error.completion is not None:
                self._record(role, turn, sent.body, error.completion)
            error.outcome = ROLE_FAILURES.get(role, error.outcome)
            raise
        self._record(role, turn, sent.body, completion)
        return completion

    def context_length(self, role: str = "agent") -> int:
        """The context of that role's model in tokens, 0 where nobody told it."""
        return self._roles[role].context_length or 0

    def transcript(self) -> Transcript:
        """The transcript so far."""
        return self._transcript

    def seed(self, turn: int = 0) -> int:
        """The seed of this attempt's `turn`."""
        return attempt_seed(self.base_seed, self.key, turn)

    def _record(self, role: str, turn: int, body: Wire, completion: Completion) -> None:
        before = self._sent.get(role, {})
        self._sent[role] = body
        messages, known = body["messages"], before.get("messages", [])
        shared = len(known) if known and messages[: len(known)] == known else 0
        if shared:
            body = body | {"messages": messages[shared:]}
            if body.get("tools") == before.get("tools"):
                body.pop("tools", None)
        self._transcript.calls.append(Call(role, turn, body, completion, shared))
