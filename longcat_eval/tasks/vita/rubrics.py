"""The sliding-window judge: which rubrics of a task a dialogue meets, window by window.

Official: `vita/evaluator/evaluator_traj.py` (`calculate_reward`) of vitabench@96f3b85; He et al. 2025, arXiv
2509.26490, section 3.3. Windows have 10 messages and share 2 with the next; the judge sees each with the
state of every rubric so far, and sets it anew. All begin as not met.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from longcat_eval.protocols import AttemptContext
from longcat_eval.records import Wire
from longcat_eval.runners.judging import Judge, structured
from longcat_eval.tasks.vita.prompts import Prompts

WINDOW, OVERLAP = 10, 2
UNSEEN = "Not evaluated yet"
SPEAKERS = {"agent": "assistant", "user": "user", "env": "tool"}


class Rubric(msgspec.Struct):
    """One thing a dialogue must do, and what the judge says of it so far."""

    rubric: str
    justification: str = UNSEEN
    met: bool = False


class Line(msgspec.Struct, frozen=True):
    """What the judge says of one rubric; `justification` may be of any type, as nothing depends on it."""

    rubric_idx: str
    meet: bool | str = msgspec.field(name="meetExpectation")
    justification: Any = "No justification provided"


Said = dict[str, Line]
TRUTH = {"true": True, "false": False}
read_lines = structured(list[Line])
read_line = structured(Line)


def rubrics_of(raw: Wire) -> dict[str, Rubric]:
    """A task's rubrics by the names the judge knows them under: those of states first, each text once."""
    criteria = raw.get("evaluation_criteria") or {}
    texts = [
        text for state in criteria.get("expected_states") or () for text in state.get("state_rubrics") or ()
    ]
    texts += criteria.get("overall_rubrics") or ()
    return {f"rubric_{number}": Rubric(text) for number, text in enumerate(dict.fromkeys(texts))}


async def judge_dialogue(
    judge: Judge, ctx: AttemptContext, prompts: Prompts, raw: Wire, time: str, trajectory: Sequence[Wire]
) -> tuple[list[Rubric], int]:
    """Ask for every window in turn; return the rubrics as they stand then, and how many answers were unread.

    Raises `ModelError` (judge_error) where a window gets no readable answer.
    """
    rubrics, unread = rubrics_of(raw), 0
    windows = windows_of(trajectory)
    for number, (start, window) in enumerate(windows):
        system = prompts.judge.format(
            env_info={"system_time": time, "database": []},
            user_instruction=raw["instructions"],
            window_idx=number + 1,
            total_windows=len(windows),
        )
        shown = prompts.judge_input.format(
            window_content=window_text(window, start), current_rubrics_str=states_text(rubrics)
        )
        messages = [{"role": "system", "content": system}, {"role": "user", "content": shown}]
        said, nulls = await judge.verdict(ctx, messages, reader(rubrics), turn=number)
        unread += nulls
        for name, line in said.items():
            rubrics[name].justification, rubrics[name].met = str(line.justification), truth(line)
    return list(rubrics.values()), unread


def windows_of(trajectory: Sequence[Wire]) -> list[tuple[int, Sequence[Wire]]]:
    """The windows of a trajectory, each with the number of messages before it."""
    last = max(len(trajectory) - WINDOW, 0)
    step = WINDOW - OVERLAP
    starts = range(0, last + step, step) if last else range(1)
    return [(start, trajectory[start : start + WINDOW]) for start in starts]


def window_text(window: Sequence[Wire], start: int) -> str:
    """A window as the judge reads it: numbered over the whole dialogue, messages without text left out."""
    lines = []
    for number, entry in enumerate(window, start + 1):
        text = entry["content"] or ""
        if entry["from"] == "agent" and (calls := entry.get("calls")):
            made = ".".join(f"{call['name']}({_arguments(call['arguments'])})" for call in calls)
            text = f"{text} {made}" if text else made
        if text:
            lines.append(f"[{number}] {SPEAKERS[entry['from']]}: {text}")
    return "\n".join(lines)


def states_text(rubrics: Mapping[str, Rubric]) -> str:
    """The rubrics as the judge reads them."""
    states = [
        {
            "rubric_idx": name,
            "rubric": state.rubric,
            "justification": state.justification,
            "meetExpectation": state.met,
        }
        for name, state in rubrics.items()
    ]
    return json.dumps(states, ensure_ascii=False, indent=2)


def reader(rubrics: Mapping[str, Rubric]) -> Callable[[str], Said | None]:
    """A reader of the judge's answers about these rubrics: JSON, mended if need be, as the official one does.

    An answer must name at least one rubric, with true or false; `[]` changes nothing.
    """

    def read(text: str) -> Said | None:
        if text.strip() == "[]":
            return {}
        lines = read_lines(text) or _single(read_line(text)) or _mended(text)
        if any(truth(line) is None for line in lines):
            return None
        return {line.rubric_idx: line for line in lines if line.rubric_idx in rubrics} or None

    return read


def truth(line: Line) -> Any:
    """true or false as the judge wrote it, with or without quotes; None for anything else."""
    return line.meet if isinstance(line.meet, bool) else TRUTH.get(line.meet.strip().lower())


def _single(line: Line | None) -> list[Line]:
    return [] if line is None else [line]


def _mended(text: str) -> list[Line]:
    from json_repair import repair_json

    try:
        value = json.loads(repair_json(text))
        return msgspec.convert(value if isinstance(value, list) else [value], list[Line])
    except (ValueError, RecursionError, msgspec.ValidationError):
        return []


def _arguments(given: Any) -> str:
    """Arguments as the official code prints them: Python's form of every value."""
    if not isinstance(given, dict):
        return str(given)
    return ", ".join(f"{name}={value!r}" for name, value in given.items())
