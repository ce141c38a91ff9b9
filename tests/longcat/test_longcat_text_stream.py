"""Text is shown as soon as it is certain and never taken back, wherever tokens begin and end."""

from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.text_stream import TextStream

TOKENIZER = ByteTokenizer()


def shown(text: str, stops: list[str]) -> tuple[str, bool]:
    """Byte by byte through the stream, until it stops."""
    stream = TextStream(TOKENIZER, stops)
    parts = []
    for token in TOKENIZER.encode(text):
        parts.append(stream.push(token))
        if stream.stopped:
            break
    parts.append(stream.finish())
    return "".join(parts), stream.stopped


@given(st.text("abé漢", max_size=30), st.lists(st.text("abé漢", min_size=1, max_size=4), max_size=3))
def test_text_ends_before_the_first_complete_stop_string(text: str, stops: list[str]) -> None:
    complete = [at + len(stop) for stop in stops for at in [text.find(stop)] if at >= 0]
    if not complete:
        assert shown(text, stops) == (text, False)
        return
    # what is read when the first of them is complete decides, and of two that end there the longer one
    read = text[: min(complete)]
    assert shown(text, stops) == (read[: min(at for stop in stops if (at := read.find(stop)) >= 0)], True)


@given(st.lists(st.integers(0, 319), max_size=20))
def test_any_ids_give_the_text_that_decoding_gives(tokens: list[int]) -> None:
    stream = TextStream(TOKENIZER)
    parts = [stream.push(token) for token in tokens]
    assert "".join(parts) + stream.finish() == TOKENIZER.decode(tokens)


def test_half_a_character_waits() -> None:
    stream = TextStream(TOKENIZER)
    first, second = TOKENIZER.encode("é")
    assert stream.push(first) == ""
    assert stream.push(second) == "é"


def test_what_may_become_a_stop_string_waits() -> None:
    stream = TextStream(TOKENIZER, ["\n\nUser"])
    parts = [stream.push(token) for token in TOKENIZER.encode("hi\n\nUs!")]
    assert parts == ["h", "i", "", "", "", "", "\n\nUs!"]


def test_without_a_tokenizer_there_is_no_text() -> None:
    stream = TextStream(None, ["a"])
    assert stream.push(129) + stream.finish() == ""
