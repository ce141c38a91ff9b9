"""SWE-bench: an agent gets a repository and an issue, and the project's tests say whether it is solved.

Jimenez et al. 2024, SWE-bench: Can Language Models Resolve Real-World GitHub Issues?, arXiv 2310.06770;
github.com/SWE-bench/SWE-bench (MIT). Judged by its own `swebench` 5; the agent loop is `runners/agent`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec
from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import AttemptContext, DataOptions, SandboxError
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Dataset,
    Message,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
    Wire,
)
from longcat_eval.runners.agent.episode import Episode, episode_record
from longcat_eval.runners.agent.limits import agent_limits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.runners.agent.profile import PROFILES
from longcat_eval.tasks.aggregation import aggregate_episodes
from longcat_eval.tasks.clock import Clock
from longcat_eval.tasks.datasets import DatasetSpec
from longcat_eval.tasks.swe import data, protocol
from longcat_eval.tasks.swe.gold import gold_messages
from longcat_eval.tasks.swe.grader import Grader
from longcat_eval.tasks.swe.grading import Grading
from longcat_eval.tasks.swe.images import built_image, no_image, read_build_record, start_from
from longcat_eval.tasks.swe.package import find_swebench
from longcat_eval.tasks.swe.patches import as_text, is_patch, touched_files, without_files
from longcat_eval.tasks.swe.predictions import Predictions, read_predictions
from longcat_eval.tasks.swe.repository import WORKDIR, prepare, work_tree_diff
from longcat_eval.tasks.swe.scoring import MEANS, score_attempt


class Patched(msgspec.Struct, frozen=True):
    """A patch and where it is from: submission, work_tree or predictions; `image_id` where an agent ran."""

    patch: bytes
    source: str
    image_id: str = ""


class SweTask:
    """One set of SWE-bench; implements `protocols.Task`, `protocols.Scaffolded` and `protocols.Stocked`."""

    agents = tuple(PROFILES)
    scripted: Mapping[str, str] = {}
    prompt_sources = ("own",)
    floors: Mapping[str, float] = {"null": 0.0}

    def __init__(self, spec: DatasetSpec, machine: protocol.Machine) -> None:
        self.name, self._spec, self._machine = spec.name, spec, machine
        self._predictions: Predictions | None = None
        self._grading: Grading | None = None
        self.use_agent(protocol.DEFAULT_AGENT)

    def use_agent(self, name: str, prompts: str = "own") -> None:
        """Choose the profile of the agent loop, whose prompts are our own."""
        self.profile = protocol.make_profile(name)
        self.protocol: TaskProtocol = protocol.agent_protocol(self.profile, self._machine)
        self.needs = frozenset({"chat"} if self.profile.fenced else {"chat", "tools"})

    @property
    def grading(self) -> Grading:
        """Runs and judges tests; made by `load`."""
        if self._grading is None:
            raise EnvironmentUnusableError(f"{self.name} has not been loaded")
        return self._grading

    def load(self, options: DataOptions) -> Dataset:
        """Return the instances; predictions to grade must be for some of them."""
        source = find_swebench()
        dataset = data.load_rows(self._spec, options)
        self.protocol = structs.replace(self.protocol, grader=str(source))
        if options.predictions is not None:
            known = [sample.id for sample in dataset.samples]
            self._predictions = read_predictions(options.predictions, known)
            self.protocol = protocol.graded_only(self.protocol, self._machine, self._predictions.sha256)
            self.needs = frozenset({"chat"})
        self._grading = Grading(Grader(source), protocol.grade_limits(self.protocol.limits))
        return dataset

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Return an agent that applies the gold patch and hands in."""
        return {"agent": gold_messages(sample.fields["patch"], self.profile.name)}

    def lacks(self, sample: Sample, has_image: Callable[[str], bool]) -> str:
        """Say how to get the instance's image, where neither the official one nor one built here is there."""
        official = sample.fields["image"]
        here = has_image(official) or has_image(built_image(sample.id))
        return "" if here else no_image(sample.id, official)

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Let the agent work on the issue, take its patch, and run the tests on that.

        Artifacts: `states` with the seconds since the start, `patch` (and `patch_lossless`), `patch_source`,
        `submission`, `work_tree`, `agent`, `start`, `image`, `image_id`; from the tests `eval_log`, `state`,
        `applied`, `network`, `rebased`, `seconds`, `left_out`, `kept_from` and `control`.
        """
        transcript = ctx.transcript()
        states = transcript.artifacts["states"] = list[list[str | float]]()
        clock = Clock(states)
        patched = await self._patch(sample, ctx, clock)
        clock.enter("patched")
        if patched is None:
            transcript.artifacts |= {"patch": "", "patch_source": "predictions", "state": "no_prediction"}
            return transcript
        text, lossless = as_text(patched.patch)
        transcript.artifacts |= {"patch": text, "patch_lossless": lossless, "patch_source": patched.source}
        tests = touched_files(sample.fields["test_patch"].encode())
        patch, left_out = without_files(patched.patch, tests)
        transcript.artifacts["left_out"] = left_out
        if not patch.strip():
            transcript.artifacts["state"] = "empty_patch"
            return transcript
        clock.enter("grading")
        graded = await self.grading.grade(ctx, sample, patch, patched.image_id)
        found = msgspec.to_builtins(graded.evaluation)
        transcript.artifacts["eval_log"] = found.pop("log", "")
        transcript.artifacts |= {"rebased": "", "out_of_memory": False, "seconds": 0.0, **found}
        transcript.artifacts |= {"kept_from": graded.kept_from, "control": graded.control}
        clock.enter("graded")
        return transcript

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Read the log again: 1 if all tests are as they should be, else 0."""
        return await score_attempt(self.grading.grader, sample, transcript, ctx)

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return acc (headline), the shares of each end, one mean per repository, and means of attempts."""
        return aggregate_episodes(rows, "acc", MEANS)

    async def rehearse(self, sample: Sample, ctx: AttemptContext) -> None:
        """Ask the first two messages of an agent, a typical step between them; predictions ask nothing."""
        if self._predictions is not None:
            return
        first = self.profile.instance(sample.fields["problem_statement"], WORKDIR)
        history: list[Wire] = [
            {"role": "system", "content": self.profile.system},
            {"role": "user", "content": first},
        ]
        step = [{"role": r, "content": " " * size} for r, size in protocol.TYPICAL_STEP.items()]
        for turn, messages in enumerate((history, [*history, *step])):
            await ctx.ask(messages, turn=turn, tools=self.profile.tools)

    async def _patch(self, sample: Sample, ctx: AttemptContext, clock: Clock) -> Patched | None:
        if self._predictions is None:
            clock.enter("agent_running")
            return await self._work(sample, ctx)
        patch = self._predictions.patches.get(sample.id)
        if sample.id not in self._predictions.patches:
            return None
        return Patched(patch or b"", "predictions")

    async def _work(self, sample: Sample, ctx: AttemptContext) -> Patched:
        """One episode of the agent; the difference of its work tree is taken whatever its end."""
        transcript, limits = ctx.transcript(), self.protocol.limits
        machine = protocol.agent_machine(limits)
        sandbox, image = await start_from(ctx.sandboxes, sample, kind="agent", **machine)
        try:
            record = await read_build_record(sandbox, sample)
            start = await prepare(sandbox, record.commit or sample.fields["base_commit"])
            transcript.artifacts |= {
                "image": image,
                "image_id": sandbox.image_id,
                "rebased": record.commit,
                "start": {"removed": start.removed, "pruned": start.pruned, "ahead": start.ahead},
            }
            first = self.profile.instance(sample.fields["problem_statement"], WORKDIR)
            episode = await run_agent(ctx, sandbox, self.profile, first, agent_limits(limits))
            tree, problem = b"", ""
            try:
                tree, problem = await work_tree_diff(sandbox, start.tree)
            except SandboxError as error:
                if error.reason not in ("disk_budget", "deadline"):
                    raise
                problem = str(error)
        finally:
            with suppress(SandboxError):
                await sandbox.stop()
        note_episode(transcript, episode, tree, problem)
        submission = episode.submission or b""
        if is_patch(submission):
            return Patched(submission, "submission", sandbox.image_id)
        return Patched(tree, "work_tree", sandbox.image_id)


def note_episode(transcript: Transcript, episode: Episode, tree: bytes, problem: str) -> None:
    """Put into the transcript how the agent ended and what it left."""
    transcript.outcome, transcript.reason = episode.outcome, episode.end
    agent: Wire = episode_record(episode)
    transcript.artifacts |= {
        "agent": agent,
        "submission": None if episode.submission is None else as_text(episode.submission)[0],
        "work_tree": as_text(tree)[0],
        "work_tree_problem": problem,
    }


def swe_bench_verified() -> SweTask:
    """500 issues of twelve Python projects, checked by people."""
    return SweTask(data.VERIFIED, protocol.SMALL)


def swe_bench_multilingual() -> SweTask:
    """300 issues in nine languages."""
    return SweTask(data.MULTILINGUAL, protocol.LARGE)


def swe_bench_lite() -> SweTask:
    """300 of the smaller issues of the first set."""
    return SweTask(data.LITE, protocol.SMALL)
