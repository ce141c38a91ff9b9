"""One attempt at a task: the developer at work, the plan run on a fresh machine, and perhaps a second round.

The two stages are the official ones: DEV, and DEBUG with the marks of the first round at hand.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from longcat_eval.protocols import AttemptContext, Sandbox, SandboxError
from longcat_eval.records import Transcript, Wire
from longcat_eval.runners.agent import episode as ends
from longcat_eval.runners.agent.edit_profile import EditProfile
from longcat_eval.runners.agent.episode import Episode, episode_record
from longcat_eval.runners.agent.limits import agent_limits
from longcat_eval.runners.agent.loop import run_agent
from longcat_eval.runners.sandbox.as_user import AsUser
from longcat_eval.tasks.clock import Clock
from longcat_eval.tasks.prdbench import prompts
from longcat_eval.tasks.prdbench.data import PrdTask
from longcat_eval.tasks.prdbench.image import DEVELOPER, HOW_TO_BUILD, PROJECT
from longcat_eval.tasks.prdbench.marks import Mark, mark_all
from longcat_eval.tasks.prdbench.protocol import EMPTY, ORACLE, machine
from longcat_eval.tasks.prdbench.replay import MetricRun, replay, replay_record
from longcat_eval.tasks.prdbench.tree import Tree, lay_out, reference_tree, take_tree, tree_record

DEBUG_TURNS = 500
"""Questions about the first of two rounds are numbered from here; the last round's from 0."""
REPORT = "reports/round1.json"
TRIES = 3
FINAL = frozenset({"image_missing", "image_unusable", "disk_full"})
"""Failures of a sandbox that another try cannot mend."""


@dataclass
class Trial:
    """An attempt under way; `agent` is one of `protocol.AGENTS`."""

    ctx: AttemptContext
    task: PrdTask
    agent: str
    image: str
    limits: dict[str, float]

    async def run(self) -> Transcript:
        """Go through the rounds; raises `SandboxError` and, in a second round, `ModelError`."""
        transcript, tree = self.ctx.transcript(), Tree()
        transcript.artifacts |= {"states": list[list[str | float]](), "rounds": list[Wire]()}
        clock = Clock(transcript.artifacts["states"])
        rounds = 1 + (int(self.limits["debug_rounds"]) if self.agent not in (ORACLE, EMPTY) else 0)
        marks: list[Mark] = []
        for number in range(rounds):
            clock.enter("developing" if number == 0 else "debugging")
            tree, episode = await self._develop(tree, marks, debug=number > 0)
            transcript.outcome, transcript.reason = ends.ENDS[episode.end], episode.end
            found: Wire = {"agent": episode_record(episode), "tree": tree_record(tree), "runs": []}
            if not tree.empty:
                clock.enter("testing")
                runs, found["image_id"] = await self._test(tree)
                found["runs"] = replay_record(runs)
                if number + 1 < rounds:
                    clock.enter("marking")
                    first = DEBUG_TURNS + number * len(self.task.plan)
                    marks = await mark_all(self.ctx, self.task.plan, runs, found["tree"], first)
                    found["marks"] = [mark._asdict() for mark in marks]
            transcript.artifacts["rounds"].append(found)
            if tree.empty:
                break
        clock.enter("tested")
        return transcript

    async def _develop(self, tree: Tree, marks: list[Mark], *, debug: bool) -> tuple[Tree, Episode]:
        if self.agent == EMPTY:
            return Tree(), Episode(end=ends.SUBMITTED)
        if self.agent == ORACLE:
            if self.task.reference is None:
                raise SandboxError(
                    "no_solution",
                    f"there is no reference solution of {self.task.id}: PRDBench publishes none "
                    "(a task of your own has it in its folder reference/)",
                )
            return reference_tree(self.task.reference), Episode(end=ends.SUBMITTED)
        files = {**self.task.files(), **(self._report(marks) if debug else {})}
        bounds = machine(self.limits, self.limits["max_seconds"] or 24 * 3_600.0)
        sandbox = await self._start("agent", bounds)
        try:
            await lay_out(sandbox, files, tree, read_only=True)
            episode = await self._work(sandbox, prompts.DEBUG if debug else prompts.DEVELOP)
            try:
                made = await take_tree(sandbox, self.task.files())
            except SandboxError as error:
                if error.reason not in ("disk_budget", "deadline"):
                    raise
                made = Tree(problem=str(error))
        finally:
            with suppress(SandboxError):
                await sandbox.stop()
        return made, episode

    async def _work(self, sandbox: Sandbox, first: str) -> Episode:
        """One episode; its messages are numbered on from those of the round before."""
        rounds = self.ctx.transcript().artifacts["rounds"]
        before = sum(one["agent"]["steps"] for one in rounds)
        limits = agent_limits(self.limits)
        limits = limits._replace(steps=limits.steps + before)
        episode = await run_agent(
            self.ctx, sandbox, EditProfile(PROJECT), first, limits, Episode(steps=before)
        )
        episode.steps -= before
        return episode

    async def _test(self, tree: Tree) -> tuple[list[MetricRun], str]:
        """Run the plan, on another machine where one is lost: the work of hours is not."""
        for tries_left in reversed(range(TRIES)):
            try:
                sandbox = await self._start("grade", machine(self.limits, self.limits["replay_seconds"]))
                try:
                    return await replay(sandbox, self.task, tree, self.limits), sandbox.image_id
                finally:
                    with suppress(SandboxError):
                        await sandbox.stop()
            except SandboxError as error:
                if error.reason in FINAL or not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _start(self, kind: str, bounds: Wire) -> Sandbox:
        try:
            started = await self.ctx.sandboxes.start(self.image, kind=kind, name=str(self.ctx.key), **bounds)
        except SandboxError as error:
            if error.reason != "image_missing":
                raise
            raise SandboxError(
                "image_missing", f"no image {self.image} on this machine: `{HOW_TO_BUILD}` builds it"
            ) from None
        return AsUser(started, DEVELOPER)

    def _report(self, marks: list[Mark]) -> Mapping[str, bytes]:
        """The marks of the round before, as the official reports have them."""
        entries = [
            {
                "metric": metric.name,
                "description": metric.description,
                "score": mark.points or 0,
                "explanation": mark.explanation,
            }
            for metric, mark in zip(self.task.plan, marks, strict=True)
        ]
        return {REPORT: msgspec.json.format(msgspec.json.encode(entries), indent=2)}
