"""Our models for users of lm-eval: importing this module registers the model `longcat` there.

    longcat-eval lm-eval run --model longcat --model_args model=local:tiny --tasks arc_easy
    lm_eval.simple_evaluate(model="longcat", model_args={"model": "longcat-flash-lite", "base_url": "http://…/v1"})

lm-eval 0.4.13 asks each repeat with one constant seed and loses a run at its first failed request. Here every
repeat has a seed of its own, and with `cache=FILE` what was answered is answered again.
"""

import asyncio
import atexit
import json
import sys
import threading
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import lm_eval.models  # registers lm-eval's own: a registry that is not empty is believed to have them
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from longcat_eval.cli.roles import agent_options, innermost, open_role
from longcat_eval.cli.run import attempts_at_once
from longcat_eval.cli.settings import FIELDS, resolve
from longcat_eval.errors import EnvironmentUnusableError, UsageError, did_you_mean
from longcat_eval.model_backend.resolve import resolve_model
from longcat_eval.model_backend.role import Role
from longcat_eval.model_backend.text_scores import likelihood, scorer
from longcat_eval.protocols import ModelError
from longcat_eval.records import AttemptKey, RequestMeta, Wire
from longcat_eval.runners.seeds import attempt_seed
from longcat_eval.tasks.lmeval.prompting import MOST_STOPS, Chat, cut, most_tokens, stop_strings
from longcat_eval.tasks.replies import visible_text

__all__ = ["LongcatLM", "main"]

Result = TypeVar("Result")
SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)


@register_model("longcat")
class LongcatLM(LM):  # type: ignore[misc]  # lm-eval is not typed
    """Any model of `longcat-eval run`, by the same settings: model, base_url, seed, cache, sampling.top_k, …

    Without --apply_chat_template a text is continued as it is by a local model, and is one user message to an
    endpoint, unless `text` says otherwise: many have no POST /completions. What a task says of sampling is
    obeyed (greedy by default), the rest is the preset's.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        batch_size: Any = None,
        max_batch_size: Any = None,
        device: Any = None,
        text: bool | None = None,
        **settings: Any,
    ) -> None:
        """Open the model; `pretrained` is another word for `model`, batches and devices mean nothing here.

        Raises `UsageError` and `EnvironmentUnusableError`, as the command line would end with.
        """
        super().__init__()
        if pretrained is not None:
            settings = {"model": pretrained, **settings}
        resolved = resolve(_given(settings), None)
        self._settings = resolved.settings
        self._resolved = resolve_model(agent_options(resolved.settings, resolved.origins))
        self._text = self._resolved.kind == "local" if text is None else bool(text)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="longcat-lm")
        self._thread.start()
        try:
            self._role: Role = self._wait(open_role(self._resolved, resolved.settings, lambda key: {}))
        except BaseException:
            self._stop()
            raise
        self._gate = asyncio.Semaphore(attempts_at_once(resolved.settings, [], self._resolved))
        atexit.register(self._at_exit)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answer every request; one that stands there k times in a row is k draws with a seed each."""
        told = Counter[int]()  # lm-eval lists one object once per repeat
        numbered = []
        for request in requests:
            numbered.append((request, told[id(request)]))
            told[id(request)] += 1
        return self._all(self._generate(request, repeat) for request, repeat in numbered)

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """How likely each continuation is after its context, and whether greedy decoding gives it."""
        self._must_score()
        return self._all(self._score(request, *request.args[:2]) for request in requests)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """How likely each whole text is."""
        self._must_score()
        scored = self._all(self._score(request, "", request.args[0]) for request in requests)
        return [total for total, _ in scored]

    @property
    def tokenizer_name(self) -> str:
        """Tells caches of prompts which template wrote them."""
        return f"longcat-eval {self._resolved.endpoint or self._resolved.name}"

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The template of a local model, for the record; that of a server is its own business."""
        served = getattr(innermost(self._role.model), "served", None)
        return served.tokenizer.template if served is not None and chat_template else ""

    def apply_chat_template(self, chat_history: Sequence[Wire], add_generation_prompt: bool = True) -> Chat:
        """The messages as they are: the model's side puts them into the template."""
        return Chat(json.dumps(list(chat_history), ensure_ascii=False))

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval writes down of the model."""
        facts = getattr(innermost(self._role.model), "facts", {})
        return {
            "model_name": self._role.served_name,
            "endpoint": self._resolved.endpoint,
            "sampling": dict(self._resolved.sampling),
            "computed": dict(facts.get("computed", {})),
        }

    def close(self) -> None:
        """Close the model and end its thread; safe to call more than once."""
        if self._loop.is_running():
            atexit.unregister(self._at_exit)
            self._wait(self._role.model.close())
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _at_exit(self) -> None:
        """A server of ours must not outlive the interpreter; threads of a local engine end with it."""
        with suppress(RuntimeError):
            self.close()

    async def _generate(self, request: Any, repeat: int) -> str:
        context, given = request.args[0], dict(request.args[1])
        stops = stop_strings(given)
        overrides = {name: given[name] for name in SAMPLING if name in given}
        if not given.get("do_sample", overrides.get("temperature", 0) != 0):
            overrides["temperature"] = 0
        if stops:
            overrides["stop"] = list(stops[:MOST_STOPS])
        meta = self._meta(request, repeat)
        seed, most = attempt_seed(self._settings.seed, meta.key, meta.turn), most_tokens(given)
        if isinstance(context, Chat) or not self._text:
            said = messages_of(context)
            body = self._role.request(said, meta, seed=seed, max_tokens=most, overrides=overrides)
        else:
            body = self._role.continuation(context, meta, seed=seed, max_tokens=most, overrides=overrides)
        try:
            done = await self._role.model.complete(body)
        except ModelError as error:
            if error.outcome.valid:  # refused, or no room left: the model's own doing
                return ""
            raise
        return cut(visible_text(done.text), stops)

    async def _score(self, request: Any, context: str, continuation: str) -> tuple[float, bool]:
        if isinstance(context, Chat):
            context = self._written(context)
        body = self._role.text_request(context + continuation, self._meta(request, 0))
        return likelihood(await scorer(self._role.model).loglikelihood(body, len(context.rstrip())))

    def _written(self, context: Chat) -> str:
        served = getattr(innermost(self._role.model), "served", None)
        if served is None:
            raise UsageError(
                "the chat template of a server is not known here: score texts without --apply_chat_template"
            )
        messages = json.loads(context)
        prefilled = messages and messages[-1]["role"] == "assistant"
        written: str = served.tokenizer.chat_text(messages, generate=not prefilled)
        return written

    def _meta(self, request: Any, repeat: int) -> RequestMeta:
        key = AttemptKey(f"lm-eval:{request.task_name}", str(request.doc_id), repeat)
        return RequestMeta(key, turn=int(request.idx or 0))

    def _must_score(self) -> None:
        if "loglikelihood" not in self._role.model.capabilities:
            raise EnvironmentUnusableError(f"{self._resolved.name} gives no log-likelihoods")

    def _all(self, asked: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
        """Every result in order; where some fail, the others are waited for (a cache keeps them) first."""

        async def one(work: Coroutine[Any, Any, Result]) -> Result:
            async with self._gate:
                return await work

        async def together() -> list[Result | BaseException]:
            return await asyncio.gather(*map(one, asked), return_exceptions=True)

        ends = self._wait(together())
        failed = [end for end in ends if isinstance(end, BaseException)]
        if failed:
            kept = "" if self._settings.cache else "; with cache=FILE the others would be kept"
            if not isinstance(failed[0], ModelError):
                raise failed[0]
            raise EnvironmentUnusableError(f"{len(failed)} of {len(ends)} requests failed: {failed[0]}{kept}")
        return [end for end in ends if not isinstance(end, BaseException)]

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def messages_of(context: str) -> list[Wire]:
    """The messages of a request: those of the chat template, or the text as one user message."""
    if isinstance(context, Chat):
        messages: list[Wire] = json.loads(context)
        return messages
    return [{"role": "user", "content": context}]


def _given(settings: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """Arguments as settings of `run`: `sampling.top_k=4` and the like go the way of --set."""
    given: dict[str, tuple[Any, str]] = {}
    nested = []
    for name, value in settings.items():
        if "." in name:
            nested.append(f"{name}={json.dumps(value)}")
        elif name not in FIELDS:
            raise UsageError(f"model_args: unknown setting {name!r}{did_you_mean(name, FIELDS)}")
        else:
            kind = str if name in ("concurrency", "model", "max_time") else None
            value = Path(value) if name == "cache" and value else value
            given[name] = (kind(value) if kind and value is not None else value, "model_args")
    if nested:
        given["set"] = (nested, "model_args")
    return given


def main(arguments: Sequence[str]) -> None:
    """Run lm-eval's own command line with the model `longcat` known to it."""
    from lm_eval.__main__ import cli_evaluate

    assert lm_eval.models
    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()
