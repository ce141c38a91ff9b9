import re
from pathlib import Path
from typing import Any

import pytest

from longcat_eval.errors import EnvironmentUnusableError, LongcatEvalError, UsageError
from longcat_eval.model_backend.demo_model import cached_model
from longcat_eval.model_backend.prices import Price
from longcat_eval.model_backend.resolve import ModelOptions, ResolvedModel, resolve_model
from longcat_eval.model_backend.secrets import Secret

HERE = "http://127.0.0.1:8000/v1"
KEYS = {"OPENAI_API_KEY": "sk-openai-secret", "GEMINI_API_KEY": "AIza-gemini-secret"}


def resolved(env: dict[str, str] | None = None, role: str = "agent", **options: Any) -> ResolvedModel:
    return resolve_model(ModelOptions(**options), role=role, env=env or {})


def test_nothing_said_is_the_embedded_model() -> None:
    model = resolved()
    assert (model.kind, model.name, model.preset) == ("embedded", *["smollm2-135m-instruct"] * 2)
    assert model.served_name == "smollm2-135m-instruct"
    assert model.tool_parser == "hermes"
    assert model.context_length == 8192
    assert model.max_tokens is not None
    assert model.sampling["repeat_penalty"] == 1.0
    assert "repetition_penalty" not in model.sampling
    assert not re.search(r":\d", model.endpoint)  # a port would differ on resume
    assert "downloaded first" in model.notes[0]
    cached_model().parent.mkdir(parents=True)
    cached_model().touch()
    assert resolved().notes == ()


def test_openai_base_url_alone_is_an_endpoint() -> None:
    model = resolved({"OPENAI_BASE_URL": HERE + "/", "OPENAI_API_KEY": "sk-1"})
    assert (model.kind, model.base_url, model.served_name) == ("endpoint", HERE, None)
    assert model.name == "127.0.0.1:8000"
    assert model.api_key == Secret("sk-1")
    assert model.origins["endpoint"] == "env OPENAI_BASE_URL"


def test_a_preset_at_a_base_url() -> None:
    model = resolved(model="longcat-flash-lite", base_url=HERE, origins={"base_url": "flag"})
    assert (model.name, model.preset, model.kind) == ("longcat-flash-lite", "longcat-flash-lite", "endpoint")
    assert model.served_name == "meituan-longcat/LongCat-Flash-Lite"
    assert model.sampling == {"temperature": 0.7, "top_p": 0.95, "top_k": 4, "repetition_penalty": 1.06}
    assert model.tool_parser == "longcat_xml"
    assert model.context_length == 262144
    assert model.max_tokens is None
    assert model.price is None
    assert model.price_record is None
    assert model.origins["endpoint"] == "flag"
    assert "model card meituan-longcat/LongCat-Flash-Lite" in model.origins["sampling.top_k"]
    assert model.notes == ()


def test_what_was_said_wins_and_says_where_from() -> None:
    model = resolved(
        model="longcat-flash-lite",
        base_url=HERE,
        served_model_name="lite-step-12000",
        sampling={"temperature": 0.0, "top_k": None, "min_p": 0.1},
        context_length=32768,
        max_tokens=4096,
        tool_parser="none",
        price={"prompt": 1.0, "completion": 2.5},
        extra_body={"chat_template_kwargs": {"x": 1}},
        origins={"sampling.temperature": "flag", "context_length": "file a.yaml"},
    )
    assert model.sampling == {"temperature": 0.0, "top_p": 0.95, "repetition_penalty": 1.06, "min_p": 0.1}
    assert model.served_name == "lite-step-12000"
    assert (model.context_length, model.max_tokens, model.tool_parser) == (32768, 4096, "none")
    assert model.extra_body == {"chat_template_kwargs": {"x": 1}}
    assert model.price == Price(1.0, 2.5)
    assert model.price_record == {"prompt": 1.0, "completion": 2.5}
    assert model.origins["sampling.temperature"] == "flag"
    assert model.origins["sampling.min_p"] == "given"
    assert model.origins["context_length"] == "file a.yaml"


def test_a_bare_name_sends_no_sampling_and_says_so() -> None:
    model = resolved(model="my-checkpoint", base_url=HERE)
    assert (model.name, model.served_name, model.preset) == ("my-checkpoint", "my-checkpoint", None)
    assert model.sampling == {}
    (note,) = model.notes
    assert "no sampling parameter is sent" in note


def test_a_near_miss_of_a_preset_is_pointed_out() -> None:
    (note,) = resolved(model="longcat-flash-light", base_url=HERE).notes
    assert "did you mean 'longcat-flash-lite'" in note


def test_a_hub_id_brings_its_preset() -> None:
    model = resolved(model="Qwen/Qwen3-Next-80B-A3B-Instruct", base_url=HERE)
    assert model.preset == "qwen3-next-80b-a3b-instruct"
    assert model.sampling["top_k"] == 20
    assert "qwen3-next-80b-a3b-instruct" in model.notes[0]


def test_only_a_base_url_leaves_the_name_to_the_server() -> None:
    model = resolved(base_url=HERE)
    assert (model.served_name, model.preset, model.name) == (None, None, "127.0.0.1:8000")


def test_gemini_at_its_own_endpoint() -> None:
    model = resolved(KEYS, model="gemini-2.5-flash-lite")
    assert model.base_url == "https://generativelanguage.googleapis.com/v1beta/openai"
    assert model.api_key == Secret("AIza-gemini-secret")
    assert "seed" in model.unsupported
    assert any("seed" in note for note in model.notes)
    assert model.price == Price(0.10, 0.40)


def test_gemini_is_not_moved_by_openai_base_url() -> None:
    model = resolved(KEYS | {"OPENAI_BASE_URL": HERE}, model="gemini-2.5-flash-lite")
    assert "googleapis" in model.base_url
    assert model.api_key == Secret("AIza-gemini-secret")


def test_gemini_behind_a_gateway_gets_no_key_and_no_price() -> None:
    model = resolved(KEYS, model="gemini-2.5-flash-lite", base_url="https://gateway.example/v1")
    assert (model.api_key, model.price, model.unsupported) == (None, None, ())
    assert any("GEMINI_API_KEY" in note for note in model.notes)


def test_gpt_at_openai_and_at_openai_base_url() -> None:
    here = resolved(KEYS, model="gpt-4.1")
    assert here.base_url == "https://api.openai.com/v1"
    assert here.api_key == Secret("sk-openai-secret")
    assert here.price is not None
    there = resolved(KEYS | {"OPENAI_BASE_URL": HERE}, model="gpt-4.1")
    assert there.base_url == HERE
    assert there.api_key == Secret("sk-openai-secret")
    assert there.price is None


def test_openai_slash_name() -> None:
    model = resolved(KEYS, model="openai/gpt-4.1")
    assert (model.preset, model.served_name) == ("gpt-4.1", "gpt-4.1")
    other = resolved(KEYS, model="openai/gpt-4o-2024-11-20")
    assert (other.preset, other.served_name, other.name) == (None, *["gpt-4o-2024-11-20"] * 2)
    assert other.base_url == "https://api.openai.com/v1"
    moved = resolved(KEYS | {"OPENAI_BASE_URL": HERE}, model="openai/some")
    assert (moved.base_url, moved.served_name) == (HERE, "some")


def test_a_hub_id_of_openai_at_a_base_url_keeps_its_name() -> None:
    model = resolved(model="openai/gpt-oss-120b", base_url=HERE)
    assert model.served_name == "openai/gpt-oss-120b"


def test_a_key_is_withheld_from_another_host() -> None:
    model = resolved(KEYS, model="longcat-flash-lite", base_url=HERE)
    assert model.api_key is None
    assert any("--api-key-env" in note for note in model.notes)
    named = resolved(KEYS, model="longcat-flash-lite", base_url=HERE, api_key_env="OPENAI_API_KEY")
    assert named.api_key == Secret("sk-openai-secret")
    assert named.notes == ()


def test_an_authorization_header_stands_for_a_key() -> None:
    model = resolved(model="gpt-4.1", headers={"Authorization": "Bearer abc"})
    assert model.api_key is None
    assert model.origins["api_key"] == "header"


def test_no_secret_in_any_text() -> None:
    model = resolved(
        KEYS,
        model="x",
        base_url="https://h.example/v1?api-version=1&sig=sig-secret",
        api_key_env="OPENAI_API_KEY",
        headers={"X-Token": "header-secret"},
    )
    for text in (repr(model), str(model), model.endpoint, repr(model.origins), repr(model.notes)):
        assert "secret" not in text


@pytest.mark.parametrize("role", ["agent", "judge"])
def test_errors_name_the_flag_of_the_role(role: str) -> None:
    flag = {"agent": "--base-url", "judge": "--judge-base-url"}[role]
    with pytest.raises(UsageError, match=f"{flag} http"):
        resolved(role=role, model="longcat-flash-lite")


ERRORS: dict[str, tuple[dict[str, Any], dict[str, str], type[LongcatEvalError], str]] = {
    "unknown name": ({"model": "qwen3-next-80b-a3b"}, {}, UsageError, "did you mean 'qwen3-next-80b"),
    "local": ({"model": "local:/x"}, {}, EnvironmentUnusableError, "/x does not exist"),
    "local without a folder": ({"model": "local:"}, {}, UsageError, "folder of a checkpoint"),
    "local with a URL": ({"model": "local:tiny", "base_url": "http://h/v1"}, {}, UsageError, "--base-url"),
    "local setting": (
        {"model": "local:tiny", "local": {"dtpye": "x"}},
        {},
        UsageError,
        "did you mean 'dtype'",
    ),
    "local value": ({"model": "local:tiny", "local": {"quant": "int4"}}, {}, UsageError, "one of none, int8"),
    "local count": ({"model": "local:tiny", "local": {"batch": 0}}, {}, UsageError, "whole number above 0"),
    "local elsewhere": (
        {"model": "gpt-4.1", "local": {"batch": 2}},
        {},
        UsageError,
        "for --model local:PATH",
    ),
    "no key for OpenAI": ({"model": "gpt-4.1"}, {}, EnvironmentUnusableError, "OPENAI_API_KEY"),
    "no key for Gemini": ({"model": "gemini-2.5-flash-lite"}, {}, EnvironmentUnusableError, "GEMINI_API_KEY"),
    "ftp": ({"model": "x", "base_url": "ftp://h/v1"}, {}, UsageError, "http"),
    "no scheme": ({"base_url": "localhost:8000"}, {}, UsageError, "http"),
    "bad OPENAI_BASE_URL": ({"model": "x"}, {"OPENAI_BASE_URL": "nonsense"}, UsageError, "nonsense"),
    "script with address": ({"model": "scripted/null", "base_url": HERE}, {}, UsageError, "--base-url"),
    "unknown script": ({"model": "scripted/orcale"}, {}, UsageError, "did you mean 'oracle'"),
    "sampling typo": ({"sampling": {"temprature": 1}}, {}, UsageError, "did you mean 'temperature'"),
    "sampling text": ({"sampling": {"top_k": "four"}}, {}, UsageError, "sampling.top_k is 'four'"),
    "sampling bool": ({"sampling": {"top_p": True}}, {}, UsageError, "must be a number"),
    "refused field": (
        {"model": "gemini-2.5-flash-lite", "sampling": {"top_k": 4}},
        KEYS,
        UsageError,
        "refuses top_k",
    ),
    "context of nothing": ({"context_length": 0}, {}, UsageError, "context_length is 0"),
    "max_tokens as text": ({"max_tokens": "many"}, {}, UsageError, "max_tokens is 'many'"),
    "half a price": ({"price": {"prompt": 1.0}}, {}, UsageError, "price.completion"),
    "unknown price": ({"price": {"prompt": 1, "completion": 1, "image": 1}}, {}, UsageError, "price.prompt"),
    "negative price": ({"price": {"prompt": -1, "completion": 1}}, {}, UsageError, "0 or more"),
    "absent weights": ({}, {"LONGCAT_EVAL_DEMO_MODEL": "/no/such.gguf"}, EnvironmentUnusableError, "no file"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_one_clear_line(case: str) -> None:
    options, env, kind, words = ERRORS[case]
    with pytest.raises(kind) as caught:
        resolved(env, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_other_weights_are_another_model(tmp_path: Path) -> None:
    weights = tmp_path / "My-7B.gguf"
    weights.touch()
    model = resolved({"LONGCAT_EVAL_DEMO_MODEL": str(weights)})
    assert (model.name, model.served_name, model.weights) == ("My-7B", "My-7B", weights)
    assert "My-7B.gguf" in model.notes[0]


def test_scripted_models() -> None:
    for name in ("scripted/oracle", "scripted/null"):
        model = resolved(model=name, sampling={"temperature": 1.0}, max_tokens=9)
        assert (model.name, model.kind, model.served_name, model.endpoint) == (name, "scripted", name, "")
        assert model.sampling == {"temperature": 1.0}
        assert model.max_tokens == 9
