import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat_eval.errors import EnvironmentUnusableError, UsageError
from longcat_eval.model_backend.keys import KeyOwner, choose_key, looks_like_key, same_origin
from longcat_eval.model_backend.secrets import Secret

OPENAI = KeyOwner("OPENAI_API_KEY", "https://api.openai.com/v1")
ENV = {"OPENAI_API_KEY": "sk-openai-secret", "MY_KEY": " mine \n", "EMPTY": ""}
FLAG = "--api-key-env"


def test_a_named_variable_goes_anywhere() -> None:
    chosen = choose_key("http://somewhere:8000/v1", "MY_KEY", (OPENAI,), ENV, FLAG)
    assert chosen.key == Secret("mine")
    assert chosen.origin == "env MY_KEY"


def test_the_openai_key_goes_to_openai() -> None:
    assert choose_key(OPENAI.base_url, None, (OPENAI,), ENV, FLAG).key == Secret("sk-openai-secret")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com",
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "http://localhost:8000/v1",
        "https://api.openai.com@evil.example/v1",
    ],
)
def test_the_openai_key_goes_nowhere_else(elsewhere: str) -> None:
    chosen = choose_key(elsewhere, None, (OPENAI,), {"OPENAI_API_KEY": "sk-openai-secret"}, FLAG)
    assert chosen.key is None
    assert FLAG in chosen.note
    assert "api.openai.com" in chosen.note
    assert "sk-openai-secret" not in chosen.note


def test_without_a_key_nothing_is_said() -> None:
    assert choose_key("http://localhost:8000/v1", None, (OPENAI,), {}, FLAG) == (None, "none", "")


def test_openai_without_its_key_is_refused() -> None:
    with pytest.raises(EnvironmentUnusableError, match="OPENAI_API_KEY"):
        choose_key(OPENAI.base_url, None, (OPENAI,), {}, FLAG)


@pytest.mark.parametrize(("name", "state"), [("NO_SUCH_VARIABLE", "not set"), ("EMPTY", "empty")])
def test_a_missing_variable_is_named(name: str, state: str) -> None:
    with pytest.raises(EnvironmentUnusableError, match=f"{name} is {state}"):
        choose_key("http://h/v1", name, (OPENAI,), ENV, "--judge-api-key-env")


KEYS = [
    "sk-proj-abcdefghij",
    "hf_ABCdefGHIjklMNOpqrSTUvwx",
    "AIzaSyA1234567890abcdefghijklmnopqrstu",
    "0123456789abcdef0123456789abcdef",
    "a0123456789abcdef0123456789abcdef",
    "Xk7Qp2Lm9Rt4Vw8Zb1Nc6",
    "two words",
    "",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_place_of_a_name_is_not_repeated(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_key("http://h/v1", key, (OPENAI,), ENV, FLAG)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "MY_TEAMS_SECOND_LONGCAT_API_KEY_2026", "key", "k2"])
def test_ordinary_names_are_taken_for_names(name: str) -> None:
    assert not looks_like_key(name)


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=60))
def test_upper_case_names_without_digits_are_never_keys(name: str) -> None:
    assert not looks_like_key(name)


@given(st.from_regex(r"sk-[A-Za-z0-9_-]{8,80}", fullmatch=True))
def test_openai_keys_are_always_recognised(key: str) -> None:
    assert looks_like_key(key)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/v1", "https://H:443/other", True),
        ("http://h:80", "http://h/x", True),
        ("http://h", "https://h", False),
        ("http://h:8000", "http://h:8001", False),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    assert same_origin(one, other) is same
