import json
import pickle

import msgspec
import pytest

from longcat_eval.model_backend.secrets import Secret, redact

KEY = "sk-abc-123"


def test_no_way_of_printing_shows_the_value() -> None:
    secret = Secret(KEY)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>5}",
        "{}".format(*[secret]),
        str({"k": secret}),
    ]
    assert not any(KEY in text for text in shown)
    assert secret.reveal() == KEY


@pytest.mark.parametrize("encode", [json.dumps, msgspec.json.encode, pickle.dumps])
def test_no_encoder_writes_it(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(TypeError):
        encode({"key": Secret(KEY)})


def test_redact_replaces_each_secret_and_ignores_empty_ones() -> None:
    text = redact(f"bad key {KEY}, {KEY} and tok", [Secret(KEY), None, Secret(""), Secret("tok")])
    assert text == "bad key ***, *** and ***"


def test_equality_is_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")
