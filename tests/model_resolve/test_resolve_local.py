"""`local:` models: whose settings they have, before anything is loaded."""

import json
from pathlib import Path

import pytest

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend import resolve_local
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.resolve import ModelOptions, ResolvedModel, resolve_model


def resolved(model: str, **options: object) -> ResolvedModel:
    return resolve_model(ModelOptions(model=model, **options), env={})  # type: ignore[arg-type]


def checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LiteConfig.lite().to_json()))
    return folder


def test_tiny_says_that_its_weights_are_random() -> None:
    model = resolved("local:tiny", local={"seed": 3})
    assert (model.name, model.kind, model.served_name) == ("longcat-tiny", "local", "longcat-tiny")
    assert model.sampling == {"temperature": 0.7, "top_p": 0.95, "top_k": 4, "repetition_penalty": 1.06}
    assert "random weights (seed 3)" in " ".join(model.notes)
    assert (model.max_tokens, model.tool_parser) == (128, "none")
    assert model.price_record == {"prompt": 0.0, "completion": 0.0}
    assert model.context_length == LiteConfig.tiny().max_position_embeddings
    assert "loglikelihood" in model.capabilities


def test_a_checkpoint_has_the_cards_settings(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "LongCat-Flash-Lite")
    model = resolved(f"local:{folder}")
    assert (model.name, model.preset) == ("LongCat-Flash-Lite", "longcat-flash-lite")
    assert (model.context_length, model.max_tokens) == (262_144, None)
    assert model.weights == folder
    shorter = resolved(f"local:{folder}", local={"context": 9000}, tool_parser="longcat_xml")
    assert (shorter.context_length, shorter.tool_parser) == (9000, "longcat_xml")


def test_what_is_computed_differently_is_another_endpoint(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "m")
    plain = resolved(f"local:{folder}").endpoint
    assert resolved(f"local:{folder}").endpoint == plain
    assert resolved(f"local:{folder}", local={"threads": 2, "tables": "mmap"}).endpoint == plain
    assert resolved(f"local:{folder}", local={"quant": "int8"}).endpoint != plain
    (folder / "model-00001.safetensors").write_bytes(b"x")
    assert resolved(f"local:{folder}").endpoint != plain


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve_local, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentUnusableError, match=r"torch.*longcat-eval\[local\]"):
        resolved("local:tiny")
