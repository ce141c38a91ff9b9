"""The tokenizer and the chat template of a checkpoint folder."""

from pathlib import Path

import pytest
from asking import ask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from longcat_tokenizers import write_tokenizer

from longcat_eval.model_backend.longcat.byte_tokenizer import MARKERS, ByteTokenizer
from longcat_eval.model_backend.longcat.chat import for_template
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.random_weights import random_model, write_checkpoint
from longcat_eval.model_backend.longcat.tokenizer import CheckpointTokenizer
from longcat_eval.model_backend.resolve import ModelOptions, open_model, resolve_model

TEMPLATE = (
    "{{ bos_token }}{% if tools %}<longcat_tool_declare>{{ tools | tojson }}</longcat_tool_declare>"
    "{% endif %}{% for m in messages %}<longcat_{{ m.role }}>{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }};"
    "{% endfor %}{% endfor %}{% endfor %}{% if add_generation_prompt %}<longcat_assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(made)
    return made


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> CheckpointTokenizer:
    return CheckpointTokenizer(folder)


def test_ids_and_markers(tokenizer: CheckpointTokenizer) -> None:
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (1, 2, 3)
    assert tokenizer.special_ids == ByteTokenizer.special_ids
    assert tokenizer.vocab_size == LiteConfig.tiny().vocab_size
    ids = tokenizer.encode("<longcat_user>the<longcat_tool_call>x</longcat_s>")
    assert tokenizer.decode(ids) == "the<longcat_tool_call>x"
    assert tokenizer.decode(ids, skip_special=False) == "<longcat_user>the<longcat_tool_call>x</longcat_s>"
    assert tokenizer.eos_id not in tokenizer.encode("</longcat_s>", allow_special=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.sampled_from([*MARKERS, "th", "é", "😀", " ", "\n", "a"]) | st.text(max_size=3)))
def test_the_bytes_of_tokens_are_the_text(tokenizer: CheckpointTokenizer, parts: list[str]) -> None:
    text = "".join(parts).encode("utf-8", "replace").decode()
    ids = tokenizer.encode(text)
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()
    assert tokenizer.decode(ids, skip_special=False) == text


def test_the_checkpoints_own_template_is_used(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, TEMPLATE)
    tokenizer = CheckpointTokenizer(tmp_path)
    assert (tokenizer.template, tokenizer.remark) == (TEMPLATE, "")
    call = {"id": "a", "function": {"name": "f", "arguments": '{"x": 1}'}}
    messages = for_template([{"role": "assistant", "content": "hm", "tool_calls": [call]}])
    text = tokenizer.chat_text(messages)
    assert text == "<longcat_bos><longcat_assistant>hmx=1;<longcat_assistant>"
    assert tokenizer.chat_ids(messages) == tokenizer.encode(text)


def test_without_a_template_ours_is_used_and_it_is_told(tokenizer: CheckpointTokenizer) -> None:
    messages = for_template([{"role": "user", "content": "the"}])
    assert tokenizer.chat_text(messages) == "<longcat_user>the<longcat_assistant>"
    assert tokenizer.chat_ids(messages) == tokenizer.encode("<longcat_user>the<longcat_assistant>")
    assert "no chat template" in tokenizer.remark


def test_folders_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        CheckpointTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        CheckpointTokenizer(tmp_path)


async def test_a_checkpoint_answers_as_the_model_it_was_made_from(tmp_path: Path) -> None:
    folder = tmp_path / "LongCat-Flash-Lite"
    write_checkpoint(random_model(LiteConfig.tiny(), seed=0), folder)
    write_tokenizer(folder, TEMPLATE)
    chosen = {"gpus": "none", "context": 2048}
    said = {}
    for how in ("auto", "host", "mmap"):
        options = ModelOptions(model=f"local:{folder}", local=chosen | {"tables": how})
        model = await open_model(resolve_model(options, env={}))
        done = await model.complete(ask("the", temperature=0.0, max_tokens=12))
        said[how] = done.text
        facts = getattr(model, "facts")  # noqa: B009 - of the local model only
        await model.close()
        assert facts["computed"]["weights"].startswith("LongCat-Flash-Lite (tensors ")
        assert "random" not in str(facts)
    assert len(set(said.values())) == 1
    assert done.served_model == "LongCat-Flash-Lite"
    quantised = ModelOptions(
        model=f"local:{folder}", local=chosen | {"quant": "int8", "fix_mistral_regex": True}
    )
    model = await open_model(resolve_model(quantised, env={}))
    facts = getattr(model, "facts")  # noqa: B009
    assert facts["computed"]["quantisation"].startswith("int8 experts")
    assert facts["computed"]["pre-tokenizer"] == "fix_mistral_regex"
    assert (await model.complete(ask("the", temperature=0.0, max_tokens=3))).usage.completion_tokens
    await model.close()
