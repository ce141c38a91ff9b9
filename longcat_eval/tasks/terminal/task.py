"""TerminalBench: an agent at a terminal does a task on a machine, and the task's tests look at the result.

terminal-bench 1.x (Apache-2.0, the tasks of the card: core 0.1.1) and its successor's format, harbor
(Apache-2.0, Terminal-Bench 2). The agents are `agents`, one attempt is `trial`.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.protocols import AttemptContext, DataOptions, SandboxError, Sandboxes
from longcat_eval.records import (
    Aggregate,
    AttemptRow,
    Dataset,
    Message,
    Sample,
    Score,
    TaskProtocol,
    Transcript,
)
from longcat_eval.runners.sandbox.compose_cli import check_compose
from longcat_eval.tasks.aggregation import aggregate_episodes
from longcat_eval.tasks.terminal import agents
from longcat_eval.tasks.terminal.allow_list import Findings, coverage, known_here, read_findings
from longcat_eval.tasks.terminal.loader import Loaded, load_terminal
from longcat_eval.tasks.terminal.machine import Images, Ready, groups_of
from longcat_eval.tasks.terminal.protocol import terminal_protocol
from longcat_eval.tasks.terminal.records import TerminalTask
from longcat_eval.tasks.terminal.scan import scan
from longcat_eval.tasks.terminal.scoring import MEANS, score_attempt
from longcat_eval.tasks.terminal.trial import Trial


class TerminalBench:
    """One data set of terminal tasks; implements `protocols.Task`, `Scaffolded` and `Stocked`."""

    name = "terminal-bench"
    agents = agents.AGENTS
    scripted: Mapping[str, str] = {"scripted/oracle": "oracle", "scripted/null": "empty"}
    prompt_sources = ("own", "installed", "terminal-bench", "harbor")
    floors: Mapping[str, float] = {"null": 0.0}

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._images = Images({})
        self._processors = asyncio.Semaphore(os.cpu_count() or 1)
        self.use_agent(agents.DEFAULT)

    def use_agent(self, name: str, prompts: str = "own") -> None:
        """Choose the agent, and whose prompts it has."""
        self.agent = agents.make_agent(name, prompts)
        self.protocol: TaskProtocol = terminal_protocol(self.agent)
        self.needs = frozenset({"chat", "tools"} if self.agent.tools else {"chat"})

    def load(self, options: DataOptions) -> Dataset:
        """Return the tasks as samples; ids without a body here stay, and their attempts say so."""
        if options.compose == "cli":
            asyncio.run(check_compose())
        self._loaded = load_terminal(options)
        self._images = Images(options.base_images, by_compose=options.compose == "cli")
        remark = coverage((s.id for s in self._loaded.dataset.samples), self.known_here(read_findings()))
        return structs.replace(self._loaded.dataset, remark=remark)

    def known_here(self, findings: Findings) -> Findings:
        """Of what `doctor` found on this machine, what holds for the loaded tasks."""
        return known_here(self._loaded.tasks if self._loaded else {}, findings)

    def scanned(self, sample: Sample) -> Mapping[str, Sequence[str]]:
        """What a look at the task's files tells before it runs, by kind; nothing where they are not here."""
        task = self._loaded.tasks.get(sample.id) if self._loaded else None
        return {} if task is None else scan(task).facts()

    def reference(self, sample: Sample, repeat: int) -> Mapping[str, Sequence[Message]]:
        """Nothing to say: the agent `oracle` does the task."""
        return {}

    def task_of(self, sample: Sample) -> TerminalTask:
        """The task of a sample; `SandboxError` where its body is not here or this version cannot run it."""
        if self._loaded is None:
            raise EnvironmentUnusableError(f"{self.name} has not been loaded")
        task = self._loaded.tasks.get(sample.id)
        if task is None:
            remedy = (
                "get the bodies with `longcat-eval fetch terminal-bench`, or give their folder with --dataset"
            )
            raise SandboxError("task_missing", f"{sample.id} is only known by name here; {remedy}")
        native = () if task.compose is None or self._images.by_compose else task.compose.problems
        if problems := [*task.problems, *native]:
            raise SandboxError("task_unsupported", f"{sample.id}: {'; '.join(problems)}")
        return task

    def lacks(self, sample: Sample, has_image: Callable[[str], bool]) -> str:
        """Say why a task cannot run here; images are no matter, since they are built."""
        try:
            self.task_of(sample)
        except SandboxError as error:
            return str(error)
        return ""

    async def build(self, sample: Sample, sandboxes: Sandboxes) -> Ready:
        """Build a task's images, those of separate tests too; `SandboxError`."""
        task = self.task_of(sample)
        tests = [service for step in task.steps for service in step.verifier.services]
        return await self._images.of(groups_of(sandboxes), task, [*task.services, *tests])

    async def attempt(self, sample: Sample, ctx: AttemptContext) -> Transcript:
        """Let the agent work on the task's machine and run the tests there.

        Artifacts: `states` with the seconds since the start; `agents` and `tested`, one entry per step;
        `images`, `image_ids` and `stand_ins`; `format`, `digest`, `final_only`; `outside_seconds`, which are
        neither the agent's nor the tests'; and `control` where the tests ran without the agent too.
        """
        task, limits = self.task_of(sample), self.protocol.limits
        return await Trial(ctx, task, self.agent, self._images, limits, self._processors).run()

    async def score(self, sample: Sample, transcript: Transcript, ctx: AttemptContext) -> Score:
        """Read logs and reward files again."""
        return score_attempt(transcript)

    def aggregate(self, rows: Sequence[AttemptRow]) -> Aggregate:
        """Return acc (headline), the same by difficulty, the share without verdict, and means of attempts."""
        return aggregate_episodes(rows, "acc", MEANS)

    async def rehearse(self, sample: Sample, ctx: AttemptContext) -> None:
        """Ask the first message of an agent, and a typical step later."""
        opening = list(self.agent.opening(str(sample.fields["instruction"])))
        if opening:
            step = [{"role": "assistant", "content": " " * 900}, {"role": "user", "content": " " * 2_500}]
            for turn, messages in enumerate((opening, [*opening, *step])):
                await ctx.ask(messages, turn=turn, tools=self.agent.tools or None)


def terminal_bench() -> TerminalBench:
    """The tasks of terminal-bench-core 0.1.1, or those of a folder."""
    return TerminalBench()
