"""The one-question runner: what a model error does to an attempt."""

import pytest
from fake_context import FakeContext

from longcat_eval.protocols import ModelError
from longcat_eval.records import Outcome
from longcat_eval.runners.chat import ask_once


async def test_a_text_becomes_one_user_message() -> None:
    context = FakeContext("hello")
    transcript = await ask_once("hi", context)
    assert context.asked == [[{"role": "user", "content": "hi"}]]
    assert transcript.last is not None
    assert transcript.last.text == "hello"
    assert transcript.outcome is None


async def test_messages_are_sent_as_they_are() -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    context = FakeContext("ok")
    await ask_once(messages, context)
    assert context.asked == [messages]


@pytest.mark.parametrize("outcome", [Outcome.LENGTH_LIMIT, Outcome.REFUSED])
async def test_the_models_own_failure_ends_the_attempt(outcome: Outcome) -> None:
    transcript = await ask_once("hi", FakeContext(ModelError(outcome, "context", "too long")))
    assert (transcript.outcome, transcript.reason, transcript.error) == (outcome, "context", "too long")


async def test_a_failure_of_the_server_passes_through() -> None:
    with pytest.raises(ModelError):
        await ask_once("hi", FakeContext(ModelError(Outcome.ENDPOINT_ERROR, "http_500", "down")))
