"""VitaBench: an agent serves a simulated customer of deliveries, shops and travel, with up to 66 tools.

He et al. 2025, VitaBench: Benchmarking LLM Agents with Versatile Interactive Tasks in Real-world
Applications, arXiv 2509.26490; github.com/meituan-longcat/vitabench (MIT). Turn semantics:
`runners/dialogue.py`; the judge: `rubrics.py`. Tools, tasks and prompts are those of the user's checkout.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial

import msgspec
from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import AttemptContext, DataOptions
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Dataset,
    Message,
    Outcome,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
    Wire,
)
from longcat_eval.runners.dialogue import MAX_STEPS, Dialogue, Rules, converse
from longcat_eval.runners.judging import NULLS, Judge
from longcat_eval.runners.participant import Participant
from longcat_eval.tasks.aggregation import aggregate_episodes
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.vita import protocol as official
from longcat_eval.tasks.vita.domain import Domain
from longcat_eval.tasks.vita.gold import gold_scripts, idle_scripts
from longcat_eval.tasks.vita.rubrics import Rubric, judge_dialogue, rubrics_of
from longcat_eval.tasks.vita.source import COMMIT, find_source, read_tasks

GRADER = "vita-sliding-window/1"
MEANS = ("steps", "tool_calls", "tool_errors", NULLS)


class VitaTask:
    """One domain in one language; implements `protocols.Task` and `protocols.Conversational`."""

    def __init__(self, name: str, domain: str, language: str, *, requests: Mapping[str, float]) -> None:
        self.name, self.domain_name, self.language = name, domain, language
        self.needs = frozenset({"chat", "tools"})
        self.floors: Mapping[str, float] = {}
        self.protocol = TaskProtocol(
            name=f"vitabench-2025-11-{language}",
            repeats=official.REPEATS,
            metric=f"avg@{official.REPEATS}",
            max_tokens=official.MAX_TOKENS,
            prompt_hash="",
            grader=GRADER,
            seed_rule="sha256(seed, task, sample, repeat, turn); agent and user: turn 0 throughout",
            roles=("agent", "user", "judge"),
            role_models={"user": official.USER_MODEL, "judge": official.JUDGE_MODEL},
            role_sampling=official.ROLE_SAMPLING,
            limits={"max_steps": official.MAX_STEPS, "resamples": official.RESAMPLES},
            notes=(f"the {language} tasks, tools and prompts", *official.NOTES),
            tools=True,
            typical_tokens=6_000,
            typical_requests=dict(requests),
        )
        self.judge = Judge()
        self._domain: Domain | None = None

    @property
    def domain(self) -> Domain:
        """The domain; loaded by `load`."""
        if self._domain is None:
            raise EnvironmentUnusableError(f"{self.name} has not been loaded")
        return self._domain

    def load(self, options: DataOptions) -> Dataset:
        """Return the domain's tasks; the prompt hash then covers the templates and the tools' schemas."""
        source = find_source(options)
        tasks = read_tasks(source, self.domain_name, self.language, options)
        if tasks.drift and not options.allow_drift:
            raise EnvironmentUnusableError(
                f"{self.name} from {tasks.place} is not the known version: {tasks.drift} differ. "
                f"`git checkout {COMMIT}` in it gets that; --allow-data-drift runs yours all the same and "
                "marks every report"
            )
        samples = [self._sample(raw) for raw in tasks.rows]
        if len({sample.id for sample in samples}) < len(samples):
            raise EnvironmentUnusableError(f"{self.name} from {tasks.place}: two tasks have the same id")
        self._domain = Domain(source, self.domain_name, self.language)
        prompts = self._domain.prompts
        tools = msgspec.json.encode(self._domain.agent_tools).decode()
        self.judge = Judge("judge", prompt_hash(prompts.judge, prompts.judge_input))
        self.protocol = structs.replace(
            self.protocol,
            prompt_hash=prompt_hash(prompts.agent, prompts.user, prompts.greeting, tools),
            judges={self.judge.role: self.judge.rules},
        )
        return Dataset(samples, tasks.place, None, tasks.sha256, tasks.drift, remark=official.EXPERIMENTAL)

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the gold orders as calls of the agent, and a judge who is content."""
        return gold_scripts(sample.fields)

    def idle(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return an agent that does nothing, a user who then gives up, and a judge who finds nothing done."""
        return idle_scripts(sample.fields)

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Hold one dialogue.

        Artifacts: `end`, `steps`, `errors` and `resampled` by role, `user_faults`, `orders` as they stand in
        the end, and the `trajectory`, every message and tool result in order.
        """
        domain, raw = self.domain, sample.fields
        agent = Participant("agent", [_system(domain.agent_prompt(raw))], domain.agent_tools)
        user = Participant("user", [_system(domain.user_prompt(raw))])
        user.hear(domain.prompts.greeting)
        with closing(domain.world(raw)) as world:
            dialogue = await converse(ctx, agent, user, world, self._rules(), ctx.seed())
            orders = world.orders()
        greeting: Wire = {"from": "agent", "content": domain.prompts.greeting}
        transcript = ctx.transcript()
        transcript.artifacts = {
            "end": dialogue.end,
            "steps": dialogue.steps,
            "errors": dialogue.errors,
            "resampled": {"agent": agent.resampled, "user": user.resampled},
            "user_faults": user.faults + dialogue.errors["user"],
            "orders": orders,
            "trajectory": [greeting, *dialogue.trajectory],
        }
        _mark(transcript, dialogue)
        return transcript

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return 1 if the judge finds every rubric met; 0 unjudged where neither side ended the dialogue.

        The artifact `rubrics` has the judge's last word on each.
        """
        artifacts, rubrics, unread = transcript.artifacts, list(rubrics_of(sample.fields).values()), 0
        judged = transcript.outcome is None
        if judged and rubrics:
            time = self.domain.time(sample.fields)
            rubrics, unread = await judge_dialogue(
                self.judge, ctx, self.domain.prompts, sample.fields, time, artifacts["trajectory"]
            )
        artifacts["rubrics"] = msgspec.to_builtins(rubrics)
        share = _share(rubrics) if judged else 0.0
        return Score(
            float(share == 1.0),
            transcript.outcome or Outcome.ANSWERED,
            artifacts["end"],
            metrics={
                "rubrics": share,
                "user_fault": float(artifacts["user_faults"] > 0),
                "steps": float(artifacts["steps"]),
                "tool_calls": float(sum(len(e.get("calls", ())) for e in artifacts["trajectory"])),
                "tool_errors": float(sum(artifacts["errors"].values())),
                NULLS: float(unread),
            },
        )

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return avg (headline), the mean share of rubrics met, and means of attempts."""
        return aggregate_episodes(rows, "avg", MEANS)

    def _sample(self, raw: Wire) -> Sample:
        try:
            name, needed = (
                str(raw["id"]),
                (raw["environment"]["time"], raw["instructions"], raw["user_scenario"]),
            )
        except (KeyError, TypeError) as error:
            raise EnvironmentUnusableError(f"{self.name}: a task has no {error}") from None
        if raw.get("message_history"):
            raise EnvironmentUnusableError(
                f"{self.name}: task {name} begins in the midst of a dialogue, which is not supported"
            )
        if not all(needed) or not rubrics_of(raw):
            raise EnvironmentUnusableError(f"{self.name}: task {name} has no time, instructions or rubrics")
        return Sample(name, raw)

    def _rules(self) -> Rules:
        limits = {name: int(value) for name, value in self.protocol.limits.items()}
        return Rules(limits["max_steps"], None, limits["resamples"], official.stop_of, frozenset({"agent"}))


def _system(text: str) -> Wire:
    return {"role": "system", "content": text}


def _share(rubrics: Sequence[Rubric]) -> float:
    return sum(rubric.met for rubric in rubrics) / len(rubrics)


def _mark(transcript: Transcript, dialogue: Dialogue) -> None:
    """Say on the transcript how the dialogue ended, where it was not one of its sides."""
    if dialogue.failure is not None:
        transcript.outcome, transcript.error = dialogue.failure.outcome, str(dialogue.failure)
    elif dialogue.end == MAX_STEPS:
        transcript.outcome = Outcome.AGENT_BUDGET
    transcript.reason = dialogue.end if transcript.outcome else ""


SINGLE = {"agent": 30, "user": 12, "judge": 9}
CROSS = {"agent": 45, "user": 16, "judge": 13}

vitabench = partial(VitaTask, "vitabench", "cross-domain", "chinese", requests=CROSS)
vitabench_delivery = partial(VitaTask, "vitabench-delivery", "delivery", "chinese", requests=SINGLE)
vitabench_instore = partial(VitaTask, "vitabench-instore", "instore", "chinese", requests=SINGLE)
vitabench_ota = partial(VitaTask, "vitabench-ota", "ota", "chinese", requests=SINGLE)
vitabench_en = partial(VitaTask, "vitabench-en", "cross-domain", "english", requests=CROSS)
vitabench_delivery_en = partial(VitaTask, "vitabench-delivery-en", "delivery", "english", requests=SINGLE)
vitabench_instore_en = partial(VitaTask, "vitabench-instore-en", "instore", "english", requests=SINGLE)
vitabench_ota_en = partial(VitaTask, "vitabench-ota-en", "ota", "english", requests=SINGLE)
