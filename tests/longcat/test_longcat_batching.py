"""What comes out does not depend on what else is computed: greedy tokens are exact, draws follow the seed."""

import random
from collections.abc import Sequence

import pytest

from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.core import EngineCore, EngineOptions
from longcat_eval.model_backend.longcat.engine_api import (
    GenerationRequest,
    RequestRefusedError,
    SamplingParams,
    TokenEvent,
)
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.random_weights import random_model

TINY = LiteConfig.tiny()
GREEDY = SamplingParams(temperature=0)
CARD = SamplingParams(0.7, top_k=4, top_p=0.95, repetition_penalty=1.06, seed=7)
NEW = 10


@pytest.fixture(scope="module")
def model() -> LongcatLite:
    return random_model(TINY, seed=1)


@pytest.fixture(scope="module")
def prompts() -> list[tuple[int, ...]]:
    """Of many lengths; some share a beginning, some are equal."""
    rng = random.Random(3)
    common = [rng.randrange(320) for _ in range(40)]
    found = [tuple(rng.randrange(320) for _ in range(rng.randrange(1, 70))) for _ in range(8)]
    found += [(*common, *(rng.randrange(320) for _ in range(n))) for n in (1, 5, 5, 20)]
    return [*found, found[-1]]


@pytest.fixture(scope="module")
def alone(model: LongcatLite, prompts: list[tuple[int, ...]]) -> list[list[int]]:
    """Greedy by the whole text at every token, without any cache."""
    return [greedy(model, prompt, NEW) for prompt in prompts]


def greedy(model: LongcatLite, prompt: Sequence[int], new: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(new):
        tokens.append(int(model.logits(tokens)[-1].argmax()))
    return tokens[len(prompt) :]


def core(model: LongcatLite, **options: int | bool) -> EngineCore:
    return EngineCore(model, ByteTokenizer(), EngineOptions(pack=False, **options))  # type: ignore[arg-type]


def drawn(events: list[TokenEvent], choice: int = 0) -> list[int]:
    return [event.token_id for event in events if event.choice == choice and not event.prompt]


OPTIONS: dict[str, dict[str, int | bool]] = {
    "all at once": {},
    "one by one": {"max_running": 1},
    "small steps": {"step_tokens": 13},
    "two side by side": {"max_running": 2, "step_tokens": 5, "page_size": 1},
    "no sharing": {"share_prefixes": False},
    "hardly any pages": {"kv_tokens": 112, "page_size": 4},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_greedy_tokens_are_exact_however_they_are_batched(
    model: LongcatLite,
    prompts: list[tuple[int, ...]],
    alone: list[list[int]],
    options: dict[str, int | bool],
) -> None:
    engine = core(model, **options)
    events = engine.run([GenerationRequest(prompt, NEW, GREEDY) for prompt in prompts])
    assert [drawn(each) for each in events] == alone
    assert engine.cache.pool.free == engine.cache.pool.pages, "every page came back"
    if options.get("kv_tokens"):
        assert engine.metrics.preemptions > 0
    if not options or "kv_tokens" in options:
        assert all(each[-1].finish_reason == "length" for each in events)


def test_requests_that_come_later_join_those_under_way(
    model: LongcatLite, prompts: list[tuple[int, ...]], alone: list[list[int]]
) -> None:
    engine = core(model, step_tokens=50)
    events: list[list[TokenEvent]] = [[] for _ in prompts]
    waiting = list(zip(prompts, events, strict=True))
    more = True
    while more or waiting:
        if waiting:
            prompt, sink = waiting.pop()
            engine.add(GenerationRequest(prompt, NEW, GREEDY), sink.append)
        more = engine.step()
    assert [drawn(each) for each in events] == alone


def test_the_second_prompt_of_a_kind_is_read_from_the_cache(
    model: LongcatLite, prompts: list[tuple[int, ...]], alone: list[list[int]]
) -> None:
    engine = core(model)
    longest = max(range(len(prompts)), key=lambda i: len(prompts[i]))
    for _ in range(2):
        (events,) = engine.run([GenerationRequest(prompts[longest], NEW, GREEDY)])
        assert drawn(events) == alone[longest]
    assert engine.metrics.cached_prompt_tokens == (len(prompts[longest]) - 1) // 16 * 16


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_a_seed_draws_the_same_tokens_in_any_company(
    model: LongcatLite, prompts: list[tuple[int, ...]], options: dict[str, int | bool]
) -> None:
    asked = [GenerationRequest(prompt, NEW, CARD, n=3) for prompt in prompts[-3:]]
    expected = [core(model).run([request])[0] for request in asked]
    found = core(model, **options).run(asked)
    for one, other in zip(expected, found, strict=True):
        for choice in range(3):
            assert drawn(one, choice) == drawn(other, choice)
    assert len({tuple(drawn(expected[0], choice)) for choice in range(3)}) > 1, "choices differ"


def test_without_a_seed_two_requests_differ(model: LongcatLite) -> None:
    asked = GenerationRequest((5, 6), 20)
    one, other = core(model).run([asked, asked])
    assert drawn(one) != drawn(other)


def test_a_cancelled_request_leaves_nothing_behind(model: LongcatLite) -> None:
    engine = core(model)
    kept: list[TokenEvent] = []
    lost: list[TokenEvent] = []
    engine.add(GenerationRequest((5, 6, 7), 6, GREEDY), kept.append)
    request = engine.add(GenerationRequest((8, 9), 50, GREEDY, n=2), lost.append)
    engine.step()
    engine.step()
    engine.cancel(request)
    engine.cancel(request)
    count = len(lost)
    while engine.step():
        pass
    assert len(lost) == count
    assert drawn(kept) == greedy(model, [5, 6, 7], 6)
    assert (engine.metrics.cancelled, engine.metrics.kv_pages_used) == (1, 0)


def test_stop_ids_end_a_choice_and_give_no_text(model: LongcatLite) -> None:
    tokens = greedy(model, [50, 60], 8)
    request = GenerationRequest((50, 60), 8, GREEDY, stop_ids=frozenset({tokens[4]}))
    (events,) = core(model).run([request])
    assert drawn(events) == tokens[: tokens.index(tokens[4]) + 1]
    assert events[-1].finish_reason == "stop"
    whole = ByteTokenizer().decode(tokens[: tokens.index(tokens[4])])
    assert "".join(event.text for event in events) == whole


def test_logprobs_are_those_of_the_raw_distribution(model: LongcatLite) -> None:
    prompt = (40, 41, 42)
    (events,) = core(model).run([GenerationRequest(prompt, 5, CARD, logprobs=3)])
    tokens = [*prompt, *drawn(events)]
    expected = model.logits(tokens).log_softmax(-1)
    for at, event in enumerate(events, len(prompt)):
        row = expected[at - 1]
        assert event.logprob == pytest.approx(float(row[event.token_id]), abs=1e-4)
        assert [token for token, _ in event.top_logprobs] == row.topk(3).indices.tolist()


@pytest.mark.parametrize("step_tokens", [3, 512])
def test_an_echoed_prompt_is_scored_in_chunks_too(model: LongcatLite, step_tokens: int) -> None:
    prompt = tuple(range(100, 120))
    engine = core(model, step_tokens=step_tokens)
    for new in (0, 2):
        request = GenerationRequest(prompt, new, GREEDY, logprobs=2, echo=True)
        (events,) = engine.run([request])
        assert tuple(event.token_id for event in events if event.prompt) == prompt
        assert [event.prompt for event in events] == [True] * 20 + [False] * new
        assert events[-1].finish_reason == "length"
        assert events[0].logprob is None
        assert not events[0].top_logprobs
        expected = model.logits(prompt).log_softmax(-1)
        for at in range(1, 20):
            assert events[at].logprob == pytest.approx(float(expected[at - 1, prompt[at]]), abs=1e-4)
            assert len(events[at].top_logprobs) == 2
    plain = core(model).run([GenerationRequest(prompt, 2, GREEDY, echo=True, n=2)])[0]
    assert tuple(event.token_id for event in plain if event.prompt) == prompt
    assert drawn(plain) == drawn(plain, 1) == greedy(model, prompt, 2)


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (GenerationRequest((), 5), "prompt is empty"),
        (GenerationRequest((320,), 5), "token id 320"),
        (GenerationRequest((-1,), 5), "token id -1"),
        (GenerationRequest((5,), 0), "at least one new token"),
        (GenerationRequest((5,), 0, n=2, echo=True), "several choices"),
        (GenerationRequest((5,) * 60, 5), "context of 64"),
    ],
)
def test_what_can_never_be_answered_is_refused(
    model: LongcatLite, request_: GenerationRequest, what: str
) -> None:
    with pytest.raises(RequestRefusedError, match=what):
        core(model, kv_tokens=64).run([request_])
