"""The one place where an attempt meets its models: every request is built, seeded, sent and recorded here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.text_scores import likelihood, scorer
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

AGENT = "agent"
SIMULATORS = ("user",)
"""All other roles are judges, whatever a task calls them."""

RequestListener = Callable[[str, Request], None]


def failure(role: str, outcome: Outcome) -> Outcome:
    """What a failure in this role makes of the attempt: only the agent's own may be its doing."""
    if role == AGENT:
        return outcome
    return Outcome.SIMULATOR_ERROR if role in SIMULATORS else Outcome.JUDGE_ERROR


def said_by_judges(kept: Transcript, protocol: TaskProtocol) -> dict[tuple[str, int], Call]:
    """What judges said in a kept attempt, by role and turn, with their whole requests.

    Unusable replies are none: they were paid for, and are asked for again.
    """
    said, before = dict[tuple[str, int], Call](), dict[str, Wire]()
    for call in kept.calls:
        if call.role not in protocol.judges:
            continue
        body = call.request
        if call.shared:
            first = before[call.role]
            body = {"tools": first["tools"], **body} if "tools" in first else dict(body)
            body["messages"] = [*first["messages"][: call.shared], *call.request["messages"]]
        before[call.role] = body
        if not call.unusable:
            said[call.role, call.turn] = structs.replace(call, request=body, shared=0)
    return said


def _again(kept: Transcript) -> Transcript:
    return structs.replace(kept, calls=[*kept.calls], artifacts=dict(kept.artifacts), unjudged="")


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
        *,
        tries: int = 1,
        kept: Transcript | None = None,
    ) -> None:
        self.key, self.tries = key, tries
        self.workers = workers
        self.sandboxes: Sandboxes = sandboxes or NoSandboxes()
        self.deadline = deadline
        self._roles, self._protocol, self.base_seed = roles, protocol, seed
        self._on_request = on_request
        self._transcript = _again(kept) if kept else Transcript(key)
        self._said = said_by_judges(kept, protocol) if kept else {}
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
        """Send one chat request as `role`; `overrides` win over the role's own settings.

        What a judge said to the very same request in the kept transcript is what it says again.
        """
        settings, rules = self._roles[role], self._protocol.judges.get(role)
        request = settings.request(
            messages,
            RequestMeta(self.key, role, turn, self.deadline),
            seed=self.seed(turn),
            max_tokens=overrides.pop("max_tokens", (rules or self._protocol).max_tokens),
            tools=tools,
            prompt_tokens=prompt_tokens,
            overrides={**self._protocol.role_sampling.get(role, {}), **overrides},
        )
        sent = settings.sent(request)
        said = self._said.get((role, turn))
        if said is not None and said.request == sent.body:
            return said.completion
        self._on_request(role, sent)
        try:
            completion = await settings.model.complete(request)
        except ModelError as error:
            if error.completion is not None:
                self._record(role, turn, sent.body, error.completion, unusable=True)
            error.outcome = failure(role, error.outcome)
            raise
        self._record(role, turn, sent.body, completion)
        return completion

    async def loglikelihood(self, context: str, continuation: str, *, turn: int = 0) -> tuple[float, bool]:
        """Ask the agent how likely `continuation` is after `context`.

        White space at the end of the context goes to the continuation: tokens begin with it, seldom end so.
        """
        text = context.rstrip()
        settings = self._roles[AGENT]
        meta = RequestMeta(self.key, AGENT, turn, self.deadline)
        request = settings.text_request(context + continuation, meta)
        self._on_request(AGENT, request)
        completion = await scorer(settings.model).loglikelihood(request, len(text))
        self._record(AGENT, turn, request.body, completion)
        return likelihood(completion)

    async def continue_text(
        self, prompt: str, *, turn: int = 0, max_tokens: int, **overrides: Any
    ) -> Completion:
        """Have the agent continue a text, without a chat template, at its own settings."""
        settings = self._roles[AGENT]
        meta = RequestMeta(self.key, AGENT, turn, self.deadline)
        request = settings.continuation(
            prompt, meta, seed=self.seed(turn), max_tokens=max_tokens, overrides=overrides
        )
        sent = settings.sent(request)
        self._on_request(AGENT, sent)
        completion = await settings.model.complete(request)
        self._record(AGENT, turn, sent.body, completion)
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

    def _record(
        self, role: str, turn: int, body: Wire, completion: Completion, *, unusable: bool = False
    ) -> None:
        before = self._sent.get(role, {})
        self._sent[role] = body
        messages, known = body.get("messages", []), before.get("messages", [])
        shared = len(known) if known and messages[: len(known)] == known else 0
        if "tools" in before and "tools" not in body:
            shared = 0
        if shared:
            body = body | {"messages": messages[shared:]}
            if body.get("tools") == before.get("tools"):
                body.pop("tools", None)
        self._transcript.calls.append(Call(role, turn, body, completion, shared, unusable))
