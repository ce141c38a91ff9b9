"""PRDBench: a developer makes a whole project from its requirements; its test plan is run, a judge marks it.

Fu et al. 2026, Automatically Benchmarking LLM Code Agents through Agent-driven Annotation and Evaluation,
arXiv 2510.24358; github.com/AGI-Eval-Official/PRDBench (MIT by its README), commit 050bbcb.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.protocols import AttemptContext, DataOptions
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
from longcat_eval.runners.agent.edit_profile import EditProfile
from longcat_eval.runners.judging import NEXT_TRY
from longcat_eval.runners.sandbox.base_images import mapped
from longcat_eval.tasks.aggregation import aggregate_episodes
from longcat_eval.tasks.prdbench import prompts
from longcat_eval.tasks.prdbench.data import Loaded, load_tasks
from longcat_eval.tasks.prdbench.image import HOW_TO_BUILD, PROJECT, image_name
from longcat_eval.tasks.prdbench.marks import FULL, JUDGE
from longcat_eval.tasks.prdbench.protocol import AGENTS, EMPTY, ORACLE, prd_protocol
from longcat_eval.tasks.prdbench.scoring import MEANS, score_attempt
from longcat_eval.tasks.prdbench.trial import Trial
from longcat_eval.tasks.prdbench.unpassable import remark

MOST_DEBUG_ROUNDS = 1


class PrdBench:
    """The tasks of PRDBench, or others in its format.

    Implements `protocols.Task`, `Scaffolded`, `Stocked` and `Conversational`.
    """

    name = "prdbench"
    agents = AGENTS
    scripted: Mapping[str, str] = {"scripted/oracle": ORACLE, "scripted/null": EMPTY}
    prompt_sources = ("own",)
    floors: Mapping[str, float] = {"null": 0.0}

    def __init__(self) -> None:
        self.image = image_name()
        self._loaded: Loaded | None = None
        self.use_agent(AGENTS[0])

    def use_agent(self, name: str, prompts: str = "own") -> None:
        """Choose the developer: the profile edit, or who needs no model."""
        self.agent = name
        self.protocol: TaskProtocol = prd_protocol(name)
        self.needs = frozenset({"chat", "tools"} if self.protocol.tools else {"chat"})

    def load(self, options: DataOptions) -> Dataset:
        """Return the tasks; another image than the declared one is `--base-image-map`'s."""
        rounds = self.protocol.limits["debug_rounds"]
        if rounds not in range(MOST_DEBUG_ROUNDS + 1):
            raise UsageError(f"limits.debug_rounds={rounds:g}: PRDBench has one DEBUG round or none")
        image = mapped(image_name(), options.base_images)
        if image is not None:
            name = prd_protocol(self.agent, image).name
            self.image, self.protocol = image, structs.replace(self.protocol, name=name)
        self._loaded = load_tasks(options)
        return structs.replace(self._loaded.dataset, remark=remark(self._loaded.tasks))

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """A judge that has seen everything work, and the agent `oracle` where the task has a solution."""
        judge = {JUDGE.role: [_said(FULL, "it works as expected")] * NEXT_TRY}
        if self._loaded is None or self._loaded.tasks[sample.id].reference is None:
            return judge
        return {"agent": [Message("assistant", "The solution is put in its place.")], **judge}

    def idle(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """A judge that sees nothing."""
        return {JUDGE.role: [_said(0, "there is nothing")] * NEXT_TRY}

    def lacks(self, sample: Sample, has_image: Callable[[str], bool]) -> str:
        """Say how to build the image where it is not there."""
        if has_image(self.image):
            return ""
        return f"no image {self.image} on this machine: `{HOW_TO_BUILD}` builds it"

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Let the developer work, and run the plan on a fresh machine.

        Artifacts: `states` with the seconds since the start, and `rounds`, each with `agent`, `tree` (the
        files made), `runs` (one per metric of the plan: commands with what could be seen, files), `image_id`,
        and, where another round follows, its `marks`.
        """
        if self._loaded is None:
            raise EnvironmentUnusableError(f"{self.name} has not been loaded")
        task = self._loaded.tasks[sample.id]
        return await Trial(ctx, task, self.agent, self.image, self.protocol.limits).run()

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Mark what was recorded: unit tests by how they ended, the rest by the judge."""
        return await score_attempt(sample, transcript, ctx)

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return strict (headline) and official_like, shares by kind of metric, and means of attempts."""
        return aggregate_episodes(rows, "strict", MEANS)

    async def rehearse(self, sample: Sample, ctx: AttemptContext) -> None:
        """Ask the first message of a developer, a typical step later, and a judge about a usual metric."""
        if self.protocol.tools:
            profile = EditProfile(PROJECT)
            opening: list[Wire] = [
                {"role": "system", "content": profile.system},
                {"role": "user", "content": prompts.DEVELOP},
            ]
            step = [{"role": "assistant", "content": " " * 1_500}, {"role": "user", "content": " " * 1_500}]
            for turn, messages in enumerate((opening, [*opening, *step])):
                await ctx.ask(messages, turn=turn, tools=profile.tools)
        await ctx.ask([{"role": "user", "content": " " * 5_000}], role=JUDGE.role)


def _said(points: int, why: str) -> Message:
    return Message("assistant", f'{{"score": {points}, "explanation": "{why}"}}')


def prdbench() -> PrdBench:
    """The 50 tasks of PRDBench, or those of a folder."""
    return PrdBench()
