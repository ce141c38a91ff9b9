"""How a bridged task asks: the choices that change its prompts, and its requests as plain data."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from longcat_eval.records import Wire
from longcat_eval.tasks.lmeval.building import settled

Style = Literal["auto", "chat", "multiturn", "flat", "text"]
GENERATE, LIKELIHOOD, ROLLING = "generate_until", "loglikelihood", "loglikelihood_rolling"
DEFAULT_TOKENS = 256
"""What lm-eval's models generate at most where a task does not say."""
LIMIT_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
MOST_STOPS = 4
"""Stop strings that OpenAI's API takes."""


class BridgeOptions(NamedTuple):
    """The user's choices: where own tasks lie, examples in the prompt, its style, a system prompt.

    Style `chat` sends the examples and the question as one user message, `multiturn` each example as a turn,
    `flat` lm-eval's plain text as one user message, `text` has it continued without a chat template; `auto`
    is `chat` for what is generated. Texts that are scored are always plain. `unsafe` lets tasks run the
    model's code on this machine.
    """

    include: Path | None = None
    fewshot: int | None = None
    style: Style = "auto"
    system: str = ""
    unsafe: bool = False


class Chat(str):
    """Messages that went through lm-eval as text: a JSON list."""


class Ask(NamedTuple):
    """One request of a document: `messages` to answer or a `text` to continue, or the latter to score."""

    kind: str
    text: str = ""
    continuation: str = ""
    messages: tuple[Wire, ...] = ()
    stops: tuple[str, ...] = ()

    @property
    def rolling(self) -> bool:
        """Whether the whole text is scored."""
        return self.kind == ROLLING


def build_requests(task: Any, options: BridgeOptions) -> dict[int, list[Ask]]:
    """Return the requests of every document, by its number, as lm-eval builds them."""
    chat = task.OUTPUT_TYPE == GENERATE and options.style not in ("flat", "text")
    with settled():
        task.build_all_requests(
            system_instruction=options.system or None,
            apply_chat_template=chat,
            fewshot_as_multiturn=options.style == "multiturn",
            chat_template=_as_json if chat else None,
        )
    found: dict[int, list[Any]] = {}
    for instance in task.instances:
        found.setdefault(instance.doc_id, []).append(instance)
    as_text = options.style == "text"
    return {doc: [_ask(i, as_text) for i in sorted(each, key=lambda i: i.idx)] for doc, each in found.items()}


def _as_json(history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> Chat:
    return Chat(json.dumps(list(history), ensure_ascii=False))


def _ask(instance: Any, as_text: bool) -> Ask:
    arguments = instance.args
    if len(arguments) > 2:
        raise ValueError("it shows pictures or sound, which the bridge cannot send")
    text = arguments[0]
    if instance.request_type != GENERATE:
        continuation = str(arguments[1]) if len(arguments) > 1 else ""
        return Ask(instance.request_type, str(text), continuation)
    stops = stop_strings(arguments[1])
    if as_text:
        return Ask(GENERATE, str(text), stops=stops)
    if isinstance(text, Chat):
        return Ask(GENERATE, messages=tuple(json.loads(text)), stops=stops)
    return Ask(GENERATE, messages=({"role": "user", "content": str(text)},), stops=stops)


def stop_strings(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The strings that end a reply."""
    until = given.get("until") or ()
    return tuple(text for text in ([until] if isinstance(until, str) else until) if text)


def most_tokens(given: Mapping[str, Any]) -> int:
    """The completion limit that a task's definition asks for, in tokens."""
    return int(next((given[name] for name in LIMIT_NAMES if name in given), DEFAULT_TOKENS))


def cut(text: str, stops: Sequence[str]) -> str:
    """The text before the first stop string: servers are sent four at most, and some leave the string in."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def prompts_hash(requests: Mapping[int, Sequence[Ask]]) -> str:
    """sha256 over every request of every document."""
    kept = hashlib.sha256()
    for number in sorted(requests):
        kept.update(
            json.dumps([number, requests[number]], ensure_ascii=False).encode("utf-8", "surrogatepass")
        )
    return kept.hexdigest()
