"""From a patch to a judged test run: kept ones are used again, lost containers are tried again.

Where a log holds no results for a reason that swebench calls the environment's, the tests are run once
without any patch: if these have results, the patch is the reason after all.
"""

import asyncio
import hashlib
from collections import defaultdict
from typing import NamedTuple

from longcat_eval.protocols import AttemptContext, SandboxError, WorkerError
from longcat_eval.records import Sample
from longcat_eval.tasks.swe.evaluation import APPLY_FAILED, RAN, Evaluation, Limits, evaluate
from longcat_eval.tasks.swe.grader import Grader
from longcat_eval.tasks.swe.kept_grades import grade_key, keep, look_up

TRIES = 3
FINAL = frozenset({"image_missing", "image_unusable", "disk_full"})
"""Failures of a sandbox that another try cannot mend."""


class Graded(NamedTuple):
    """A test run; `kept_from` tells when an equal one was made that stands for it.

    `definite`: the same would come out again. `control` is whether the tests have results without the patch,
    which is asked only where they have none with it.
    """

    evaluation: Evaluation
    kept_from: str = ""
    definite: bool = False
    control: bool | None = None


class Grading:
    """Grades the patches of one task; equal ones in turn, so that the second finds the first's result."""

    def __init__(self, grader: Grader, limits: Limits) -> None:
        self.grader, self.limits = grader, limits
        self._busy: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def grade(self, ctx: AttemptContext, sample: Sample, patch: bytes, image_id: str = "") -> Graded:
        """Run the tests of an instance on a patch; `image_id` is that of its image, where it is known.

        Raises `SandboxError`, and `WorkerError` where `swebench` fails by itself.
        """
        script = await self.grader.eval_script(sample, ctx.workers)
        async with self._busy[f"{sample.id} {hashlib.sha256(patch).hexdigest()}"]:
            graded = await self._run(ctx, sample, script, patch, image_id)
            if graded.kept_from:
                return graded
            graded = await self._with_control(ctx, sample, script, graded)
            if graded.definite:
                keep(self._key(sample, script, patch, graded.evaluation.image_id), graded.evaluation)
        return graded

    async def _run(
        self, ctx: AttemptContext, sample: Sample, script: str, patch: bytes, image_id: str
    ) -> Graded:
        found: list[str] = []

        def known(image: str) -> Evaluation | None:
            kept = look_up(self._key(sample, script, patch, image))
            if kept is None:
                return None
            found.append(kept.time)
            return kept.evaluation

        evaluation = known(image_id) if image_id else None
        for again in range(TRIES):
            if evaluation is not None:
                break
            try:
                evaluation = await evaluate(ctx.sandboxes, sample, script, patch, self.limits, known)
            except SandboxError as error:
                if error.reason in FINAL or again == TRIES - 1:
                    raise
        assert evaluation is not None
        return Graded(evaluation, found[0], definite=True) if found else Graded(evaluation)

    async def _with_control(self, ctx: AttemptContext, sample: Sample, script: str, graded: Graded) -> Graded:
        """See whether another run of the same would say the same."""
        evaluation = graded.evaluation
        if evaluation.state == APPLY_FAILED:
            return graded._replace(definite=True)
        if evaluation.state != RAN:
            return graded
        try:
            verdict = await self.grader.verdict(sample, evaluation.log, ctx.workers)
            if verdict.ran or not verdict.environment:
                return graded._replace(definite=True)
            control = await self._run(ctx, sample, script, b"", evaluation.image_id)
            without = await self.grader.verdict(sample, control.evaluation.log, ctx.workers)
        except WorkerError as error:
            if error.reason == "error":
                raise
            return graded  # a log that cannot be read within the limits is for `score` to judge
        return graded._replace(definite=without.ran, control=without.ran)

    def _key(self, sample: Sample, script: str, patch: bytes, image_id: str) -> str:
        return grade_key(sample, script, patch, image_id, self.grader.source.version, self.limits)
