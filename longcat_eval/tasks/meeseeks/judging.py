"""One reply judged: parts are cut out, rules and the scorer decide, and what depends on a failure fails.

Order and meaning are those of `src_code/process_corresponding_parts.py` and `process_evaluation.py` of
Meeseeks. A part is cut out when the first rule asks for it: nothing is asked whose verdict is settled.
"""

import re
from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

import msgspec

from longcat_eval.protocols import AttemptContext, WorkerError
from longcat_eval.runners.judging import Judge
from longcat_eval.tasks.meeseeks.items import CODE, FIELD, Item, SubQuestion
from longcat_eval.tasks.meeseeks.prompts import Prompts
from longcat_eval.tasks.meeseeks.rules import SCHEMA
from longcat_eval.tasks.prompts import prompt_hash

EXTRACTOR, SCORER = "extractor", "scorer"
MAX_TOKENS = 8_096
"""Of a judge's reply, as the official code asks for."""
SECONDS = 60.0
"""Of a rule, a schema or a program; the first call in a worker reads dictionaries."""
WHOLE = "ALL"
_PACKAGE = "longcat_eval.tasks.meeseeks"
_VERDICT = re.compile("判断[:：]\\s*([是否])")


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """The verdict on one sub-question, or on one field of a JSON schema; `by` is who gave it."""

    point: int
    passed: bool
    by: str
    why: str
    tags: list[str]
    field: str = ""


def judges_of(prompts: Prompts) -> dict[str, Judge]:
    """The two judges by role, whose rules hold the hash of their prompts."""
    cutting = prompt_hash(
        prompts.single, prompts.multi, prompts.program_single, prompts.program_multi, WHOLE, CODE, FIELD
    )
    return {
        EXTRACTOR: Judge(EXTRACTOR, cutting, max_tokens=MAX_TOKENS),
        SCORER: Judge(SCORER, prompt_hash(prompts.scorer), max_tokens=MAX_TOKENS),
    }


class Judging:
    """The judging of one reply; `nulls` counts the judges' replies that could not be read."""

    def __init__(self, item: Item, reply: str, prompts: Prompts, ctx: AttemptContext) -> None:
        self.item, self.reply, self.prompts, self.ctx = item, reply, prompts, ctx
        self.nulls = 0
        self._judges = judges_of(prompts)
        self._parts: dict[str, list[str] | None] = {}

    async def run(self) -> list[Found]:
        """Return the verdicts in the order of the sub-questions, fields of a schema in its place."""
        found: dict[int, list[Found]] = {}
        for place in self.item.in_order():
            found[place] = await self._judge(place, found)
        return [one for place in sorted(found) for one in found[place]]

    def questions(self) -> Iterator[tuple[str, int, str]]:
        """Yield (role, turn, prompt) of all that may be asked: no sub-question failed."""
        for place, point in enumerate(self.item.points):
            if point.rule is None:
                yield SCORER, place, self._scorer_prompt(point)
        for key in {point.part for point in self.item.points if point.rule and point.part}:
            if not self.item.parts[key].startswith(FIELD):
                yield EXTRACTOR, self._turn(key), self._extractor_prompt(key)

    async def _judge(self, place: int, before: Mapping[int, list[Found]]) -> list[Found]:
        point = self.item.points[place]
        failed = [i for i in self.item.needs(place) if not all(one.passed for one in before[i])]
        if failed:
            why = f"sub-question {', '.join(str(self.item.points[i].point) for i in failed)} failed"
            return [Found(point.point, False, "dependency", why, list(point.tags))]
        if point.rule is None:
            return [await self._scored(point, place)]
        if point.rule.startswith(SCHEMA):
            return await self._by_schema(point)
        return [await self._by_rule(point, point.rule)]

    async def _scored(self, point: SubQuestion, turn: int) -> Found:
        verdict = await self._judges[SCORER].ask(
            self.ctx, self._scorer_prompt(point), read_yes_no, turn=turn, final=True
        )
        self.nulls += verdict.nulls
        why = "unreadable" if verdict.value is None else " ".join(verdict.text.split())[:300]
        return Found(point.point, bool(verdict.value), SCORER, why, list(point.tags))

    async def _by_rule(self, point: SubQuestion, rule: str) -> Found:
        parts = await self._part(point.part or "")
        if parts is None:
            return Found(point.point, False, "rule", "the part could not be cut out", list(point.tags))
        passed, why = await self._call("rules:judge", (False, "the rule took too long"), rule, parts)
        return Found(point.point, passed, "rule", why, list(point.tags))

    async def _by_schema(self, point: SubQuestion) -> list[Found]:
        timeout = [("", False, "the schema took too long", list(point.tags))]
        schema = self.item.json_schema
        fields = await self._call("json_reply:verdicts", timeout, schema, self.reply)
        return [Found(point.point, passed, "schema", why, tags, name) for name, passed, why, tags in fields]

    async def _part(self, key: str) -> list[str] | None:
        if key not in self._parts:
            self._parts[key] = await self._cut(key, self.item.parts[key])
        return self._parts[key]

    async def _cut(self, key: str, wanted: str) -> list[str] | None:
        if wanted.startswith(FIELD):
            text = await self._call(
                "json_reply:field_text", None, self.reply, wanted.partition(":")[2].strip()
            )
            return None if text is None else [text]
        judge, prompt, turn = self._judges[EXTRACTOR], self._extractor_prompt(key), self._turn(key)
        if not self._wants_program(key):
            texts = await judge.ask(self.ctx, prompt, self._read_parts, turn=turn, final=True)
            self.nulls += texts.nulls
            return texts.value
        program = await judge.ask(self.ctx, prompt, read_program, turn=turn, final=True)
        self.nulls += program.nulls
        if program.value is None:
            return None
        parts: list[str] | None
        parts, _ = await self._call("code_runner:extract", (None, ""), program.value, self.reply)
        self.nulls += parts is None
        return parts

    def _turn(self, key: str) -> int:
        return list(self.item.parts).index(key)

    def _wants_program(self, key: str) -> bool:
        return CODE in self.item.parts[key] and bool(self.prompts.program_multi)

    def _extractor_prompt(self, key: str) -> str:
        prompts, wanted = self.prompts, self.item.parts[key].replace(CODE, "")
        if self._wants_program(key):
            template = prompts.program_single if self.item.single else prompts.program_multi
            return template.format(model_response=self.reply.replace("\n", ""), instruction=wanted)
        template = prompts.single if self.item.single else prompts.multi
        return template.format(
            input_instruction=self.item.question, model_response=self.reply, extraction_prompt=wanted
        )

    def _scorer_prompt(self, point: SubQuestion) -> str:
        return self.prompts.scorer.format(
            input=self.item.question, output=self.reply, question=point.question
        )

    def _read_parts(self, text: str) -> list[str] | None:
        return read_parts(text, self.reply)

    async def _call(self, function: str, at_limit: Any, *arguments: Any) -> Any:
        """Run in a worker; `at_limit` stands for what breaks a limit there, a broken worker is our error."""
        try:
            return await self.ctx.workers.call(f"{_PACKAGE}.{function}", *arguments, seconds=SECONDS)
        except WorkerError as error:
            if error.reason == "error":
                raise
            return at_limit


def read_yes_no(text: str) -> bool | None:
    """Return the first `判断：是` or `判断：否` of a scorer's reply; None if there is none."""
    found = _VERDICT.search(text)
    return None if found is None else found[1] == "是"


def read_parts(text: str, reply: str) -> list[str] | None:
    """Return the list of texts in an extractor's reply, mended if it is torn; None if there is none.

    ALL is the whole of `reply`. (The official code reads a bare ALL as nothing, which passes most rules.)
    """
    import json_repair

    if text.strip().strip("\"'[]` ") == WHOLE:
        return [reply]
    value = json_repair.loads(text)
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        return None
    return value


def read_program(text: str) -> str | None:
    """Return an extractor's program as it stands; None if its function is not in it."""
    return text if "def extract_info_list" in text else None


def mean_score(found: list[Found]) -> float:
    """Return the mean over tags of the share of verdicts with that tag that passed.

    `calculate_final_score` of `src_code/final_stats.py`.
    """
    by_tag: dict[str, list[float]] = {}
    for one in found:
        for tag in one.tags:
            by_tag.setdefault(tag, []).append(float(one.passed))
    return fmean(map(fmean, by_tag.values())) if by_tag else 0.0
