"""τ²-Bench: an agent serves a simulated customer by a policy, with tools on a database both can change.

Barres et al. 2025, τ²-Bench: Evaluating Conversational Agents in a Dual-Control Environment, arXiv
2506.07982; github.com/sierra-research/tau2-bench (MIT). Turn semantics: `runners/dialogue.py`; the verdict:
`grading.py`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

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
from longcat_eval.runners.dialogue import MAX_STEPS, TOO_MANY_ERRORS, Dialogue, Rules, converse
from longcat_eval.runners.participant import Participant
from longcat_eval.tasks.aggregation import aggregate_episodes
from longcat_eval.tasks.prompts import prompt_hash
from longcat_eval.tasks.tau2.domain import Domain
from longcat_eval.tasks.tau2.gold import gold_scripts, idle_scripts
from longcat_eval.tasks.tau2.grading import Grader, Verdict
from longcat_eval.tasks.tau2.protocol import BASE, FULL, IDLE_PASSES, NOTES, V0_2, stop_of, trial_seed
from longcat_eval.tasks.tau2.source import check_files, find_source

GRADER = "tau2-live-state/1"
USER_STOP = "user_stop"
LIMIT_ENDS = (MAX_STEPS, TOO_MANY_ERRORS)
MEANS = ("steps", "tool_calls", "tool_errors")


class Tau2Task:
    """One domain and split; implements `protocols.Task` and `protocols.Conversational`."""

    def __init__(self, name: str, domain: str, *, split: str = BASE, requests: Mapping[str, float]) -> None:
        self.name, self.domain_name, self.split = name, domain, split
        self.needs = frozenset({"chat", "tools"})
        self.floors: Mapping[str, float] = {}
        self.protocol = TaskProtocol(
            name=V0_2.name,
            repeats=V0_2.repeats,
            metric=f"avg@{V0_2.repeats}",
            max_tokens=V0_2.max_tokens,
            prompt_hash="",
            grader=GRADER,
            seed_rule="one per trial, both roles, every turn: randint(0, 1000000) of Random(300 + seed)",
            roles=("agent", "user"),
            role_models={"user": V0_2.user_model},
            role_sampling={"user": V0_2.user_sampling},
            limits={
                "max_steps": V0_2.max_steps,
                "max_errors": V0_2.max_errors,
                "resamples": V0_2.resamples,
            },
            notes=NOTES,
            tools=True,
            typical_tokens=2_500,
            typical_requests=dict(requests),
        )
        self._domain: Domain | None = None
        self._grader: Grader | None = None

    @property
    def domain(self) -> Domain:
        """The domain; loaded by `load`."""
        if self._domain is None:
            raise EnvironmentUnusableError(f"{self.name} has not been loaded")
        return self._domain

    @property
    def grader(self) -> Grader:
        """The judge of the domain's dialogues."""
        if self._grader is None:
            self._grader = Grader(self.domain)
        return self._grader

    def load(self, options: DataOptions) -> Dataset:
        """Return the tasks of the split; the prompt hash then covers policy, guidelines and tool schemas."""
        source = find_source(options)
        sha256, drift = check_files(source, self.domain_name)
        if drift and not options.allow_drift:
            raise EnvironmentUnusableError(
                f"{self.name} from {source.version} is not the known data: {drift}. "
                "--allow-data-drift runs it all the same and marks every report"
            )
        self._domain, self._grader = Domain(source, self.domain_name), None
        raw = self._domain.split(self.split)
        self._refuse_unjudged(raw)
        texts = (*self._domain.prompts, self._domain.policy, self._domain.guidelines)
        tools = msgspec.json.encode([self._domain.agent_tools, self._domain.user_tools]).decode()
        self.protocol = structs.replace(self.protocol, prompt_hash=prompt_hash(*texts, tools))
        passed = None if drift else IDLE_PASSES.get((self.domain_name, self.split))
        passed_by = {} if passed is None else {"null": passed}
        if passed is not None and self.split == BASE:
            passed_by["transfer"] = passed | transfer_passes(raw)
        return Dataset(
            [Sample(task["id"], task, group_of(task["id"])) for task in raw],
            source.version,
            None,
            sha256,
            drift,
            passed_by=passed_by,
        )

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return the gold actions as messages of agent and user."""
        return gold_scripts(sample.fields)

    def idle(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return an agent that does nothing, and a user who then gives up."""
        return idle_scripts()

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Hold one dialogue and judge the state it leaves.

        Artifacts: `end`, `steps`, `errors` and `resampled` by role, `faults` of the user, `verdict`, and the
        `trajectory`, every message and tool result in order.
        """
        domain, raw = self.domain, sample.fields
        world = domain.environment(raw)
        greeting = domain.prompts.greeting
        agent = Participant(
            "agent",
            [_system(domain.agent_prompt), {"role": "assistant", "content": greeting}],
            domain.agent_tools,
        )
        user = Participant("user", [_system(domain.user_prompt(raw))], domain.user_tools)
        user.hear(greeting)
        seed = trial_seed(ctx.base_seed, ctx.key.repeat)
        dialogue = await converse(ctx, agent, user, world, self._rules(), seed)
        trajectory: list[Wire] = [{"from": "agent", "content": greeting}, *dialogue.trajectory]
        verdict = self.grader.judge(raw, world, trajectory)
        transcript = ctx.transcript()
        transcript.artifacts = {
            "grader": GRADER,
            "end": dialogue.end,
            "steps": dialogue.steps,
            "errors": dialogue.errors,
            "resampled": {"agent": agent.resampled, "user": user.resampled},
            "user_faults": user.faults + dialogue.errors["user"],
            "verdict": msgspec.to_builtins(verdict),
            "trajectory": trajectory,
        }
        _mark(transcript, dialogue)
        return transcript

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Return the reward, 0 unless the user ended the dialogue; the reason is how it ended.

        A verdict of another version of the grader is made anew: the calls of the trajectory are run again.
        """
        artifacts = transcript.artifacts
        verdict = msgspec.convert(artifacts["verdict"], Verdict)
        if artifacts["grader"] != GRADER:
            verdict = self._judge_again(sample.fields, artifacts["trajectory"])
        stopped = artifacts["end"] == USER_STOP
        reward = verdict.reward if stopped else 0.0
        return Score(
            reward,
            transcript.outcome or Outcome.ANSWERED,
            artifacts["end"],
            metrics={
                **{kind.lower(): float(verdict.holds(kind)) for kind in verdict.basis},
                "gold_actions_done": verdict.actions_done / verdict.actions if verdict.actions else 1.0,
                "user_fault": float(artifacts["user_faults"] > 0),
                "premature_stop": float(reward == 0 and premature_stop(artifacts)),
                "steps": float(artifacts["steps"]),
                "tool_calls": float(sum(len(e.get("calls", ())) for e in artifacts["trajectory"])),
                "tool_errors": float(sum(artifacts["errors"].values())),
            },
        )

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return avg (headline), one mean per group where there are several, shares and means of attempts."""
        return aggregate_episodes(rows, "avg", MEANS)

    def _judge_again(self, raw: Wire, trajectory: Sequence[Wire]) -> Verdict:
        world = self.domain.environment(raw)
        for entry in trajectory:
            for call in entry.get("calls", ()):
                if isinstance(call["arguments"], dict):
                    world.call(entry["from"], call["name"], call["arguments"])
        return self.grader.judge(raw, world, trajectory)

    def _rules(self) -> Rules:
        limits = {name: int(value) for name, value in self.protocol.limits.items()}
        return Rules(limits["max_steps"], limits["max_errors"], limits["resamples"], stop_of)

    def _refuse_unjudged(self, tasks: Sequence[Wire]) -> None:
        bases = {
            kind for task in tasks for kind in (task["evaluation_criteria"] or {}).get("reward_basis") or ()
        }
        if unknown := sorted(bases - set(V0_2.bases)):
            raise EnvironmentUnusableError(
                f"{self.name}: its tasks are judged by {', '.join(unknown)}, which {V0_2.name} does not have:"
                " use the tasks of tau2 0.2 (`longcat-eval fetch tau2`)"
            )


def _system(text: str) -> Wire:
    return {"role": "system", "content": text}


def _mark(transcript: Transcript, dialogue: Dialogue) -> None:
    """Say on the transcript how the dialogue ended, where it was not one of its sides."""
    if dialogue.failure is not None:
        transcript.outcome, transcript.error = dialogue.failure.outcome, str(dialogue.failure)
    elif dialogue.end in LIMIT_ENDS:
        transcript.outcome = Outcome.AGENT_BUDGET
    transcript.reason = dialogue.end if transcript.outcome else ""


def premature_stop(artifacts: Mapping[str, Any]) -> bool:
    """Whether the user stopped in answer to a question of the agent, which then could not act on the answer.

    A sign, no proof (sierra-research/tau2-bench threads 182 and 297): the last text the user saw holds a
    question mark, and the user's last message is a stop and no transfer.
    """
    texts = [e for e in artifacts["trajectory"] if e["from"] in ("agent", "user") and not e.get("calls")]
    if artifacts["end"] != USER_STOP or len(texts) < 2:
        return False
    last, before = texts[-1], texts[-2]
    return "###STOP###" in last["content"] and before["from"] == "agent" and "?" in before["content"]


def transfer_passes(tasks: Sequence[Wire]) -> frozenset[str]:
    """The tasks that an agent passes which calls `transfer_to_human_agents` at once: those of telecom whose
    only gold action is that call; their assertions hold from the start.
    """
    passed = set()
    for task in tasks:
        criteria = task["evaluation_criteria"] or {}
        names = [action["name"] for action in criteria.get("actions") or ()]
        if "ACTION" in (criteria.get("reward_basis") or ()) and names == ["transfer_to_human_agents"]:
            passed.add(task["id"])
    return frozenset(passed)


def group_of(task: str) -> str:
    """The kind of issue that stands in front of a telecom task's id, else nothing."""
    return task[1:].partition("]")[0] if task.startswith("[") else ""


tau2_airline = partial(Tau2Task, "tau2-airline", "airline", requests={"agent": 14, "user": 7})
tau2_retail = partial(Tau2Task, "tau2-retail", "retail", requests={"agent": 15, "user": 7})
tau2_telecom = partial(Tau2Task, "tau2-telecom", "telecom", requests={"agent": 20, "user": 30})
tau2_telecom_full = partial(
    Tau2Task, "tau2-telecom-full", "telecom", split=FULL, requests={"agent": 20, "user": 30}
)
