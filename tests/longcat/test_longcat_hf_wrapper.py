"""transformers' habits over our model: loading, generating, batches, beams, devices."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from longcat_eval.errors import EnvironmentUnusableError, LongcatEvalError, UsageError
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.hf_cache import LatentCache
from longcat_eval.model_backend.longcat.hf_wrapper import (
    MODEL_TYPE,
    LongcatLiteForCausalLM,
    LongcatLiteHFConfig,
    register,
)
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.random_weights import random_model, write_checkpoint

EOS, PAD = 2, 3
PROMPTS = ([40, 77, EOS, 120, 130], [50, 51, 52, 53, 54, 55, 56, 57, 90])


@pytest.fixture(scope="module")
def lite() -> LongcatLite:
    return random_model(LiteConfig.tiny(), seed=1)


@pytest.fixture(scope="module")
def wrapped(lite: LongcatLite) -> LongcatLiteForCausalLM:
    return LongcatLiteForCausalLM(LongcatLiteHFConfig.of(lite.config), lite)


def greedy(lite: LongcatLite, prompt: list[int], count: int) -> list[int]:
    """The oracle: the whole text computed again for every token."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(lite.logits(tokens)[-1].argmax()))
        if tokens[-1] == EOS:
            break
    return tokens[len(prompt) :]


def batch(side: str = "left") -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, PROMPTS))
    ids, mask = torch.full((2, width), PAD), torch.zeros(2, width, dtype=torch.int64)
    for row, prompt in enumerate(PROMPTS):
        place = slice(width - len(prompt), width) if side == "left" else slice(0, len(prompt))
        ids[row, place], mask[row, place] = torch.tensor(prompt), 1
    return ids, mask


def test_forward_gives_the_models_logits(lite: LongcatLite, wrapped: LongcatLiteForCausalLM) -> None:
    for side in ("left", "right"):
        ids, mask = batch(side)
        logits = wrapped(ids, attention_mask=mask).logits
        for row, prompt in enumerate(PROMPTS):
            assert torch.allclose(logits[row, mask[row].bool()], lite.logits(prompt), atol=1e-5)
        assert not logits[0, ~mask[0].bool()].any()


def test_chunks_through_the_cache_are_the_whole(lite: LongcatLite, wrapped: LongcatLiteForCausalLM) -> None:
    prompt = [*PROMPTS[1], EOS, *PROMPTS[0]] * 8  # beyond a page
    whole = lite.logits(prompt)
    cache, found = None, []
    for begin in range(0, len(prompt), 7):
        out = wrapped(torch.tensor([prompt[begin : begin + 7]]), past_key_values=cache)
        cache, _ = out.past_key_values, found.append(out.logits[0])
    assert isinstance(cache, LatentCache)
    assert cache.get_seq_length() == len(prompt)
    assert torch.allclose(torch.cat(found), whole, atol=1e-5)
    cache.crop(20)
    again = wrapped(torch.tensor([prompt[20:40]]), past_key_values=cache, logits_to_keep=1)
    assert torch.allclose(again.logits[0, 0], whole[39], atol=1e-5)


def test_generate_is_greedy_decoding(lite: LongcatLite, wrapped: LongcatLiteForCausalLM) -> None:
    ids, mask = batch()
    out = wrapped.generate(ids, attention_mask=mask, max_new_tokens=16, do_sample=False)
    for row, prompt in enumerate(PROMPTS):
        said = out[row, ids.shape[1] :].tolist()
        expected = greedy(lite, prompt, 16)
        assert said[: len(expected)] == expected
        assert set(said[len(expected) :]) <= {PAD}


@pytest.mark.parametrize("how", [{"num_beams": 3}, {"num_beams": 4, "num_return_sequences": 2}])
def test_beams_carry_their_contexts(wrapped: LongcatLiteForCausalLM, how: dict[str, int]) -> None:
    ids, mask = batch()
    fixed = {"attention_mask": mask, "max_new_tokens": 10, "do_sample": False, **how}
    assert torch.equal(wrapped.generate(ids, **fixed), wrapped.generate(ids, use_cache=False, **fixed))


def test_sampling_repeats_with_the_cache_and_without(wrapped: LongcatLiteForCausalLM) -> None:
    ids, mask = batch()
    how = {"temperature": 0.7, "top_k": 4, "top_p": 0.95, "repetition_penalty": 1.06, "do_sample": True}
    said = []
    for use_cache in (True, False):
        torch.manual_seed(5)
        said.append(wrapped.generate(ids, attention_mask=mask, max_new_tokens=12, use_cache=use_cache, **how))
    assert torch.equal(*said)


def test_a_loss(lite: LongcatLite, wrapped: LongcatLiteForCausalLM) -> None:
    ids = torch.tensor([PROMPTS[1]])
    loss = wrapped(ids, labels=ids).loss
    expected = torch.nn.functional.cross_entropy(lite.logits(PROMPTS[1])[:-1], ids[0, 1:])
    assert torch.allclose(loss, expected, atol=1e-5)


@pytest.mark.parametrize(
    "device_map",
    [
        None,
        "cpu",
        "auto",
        torch.device("cpu"),
        {"": "cpu"},
        {"model.layers.1": "cpu", "model": "cpu", "lm_head": "cpu"},
    ],
)
def test_a_checkpoint_goes_and_comes_back(
    lite: LongcatLite, wrapped: LongcatLiteForCausalLM, tmp_path: Path, device_map: object
) -> None:
    write_checkpoint(lite, tmp_path)
    loaded = LongcatLiteForCausalLM.from_pretrained(tmp_path, device_map=device_map, dtype=torch.float32)
    assert torch.equal(loaded(torch.tensor([PROMPTS[1]])).logits[0], lite.logits(PROMPTS[1]))
    assert set(loaded.hf_device_map.values()) == {"cpu"}
    assert (loaded.dtype, loaded.device) == (torch.float32, torch.device("cpu"))


def test_saved_models_are_known_to_auto_classes(wrapped: LongcatLiteForCausalLM, tmp_path: Path) -> None:
    register()
    register()
    wrapped.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == MODEL_TYPE
    config = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, LongcatLiteHFConfig)
    assert config.lite == wrapped.lite.config
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert isinstance(loaded, LongcatLiteForCausalLM)
    ids = torch.tensor([PROMPTS[0]])
    assert torch.equal(loaded(ids).logits, wrapped(ids).logits)


def test_refusals(wrapped: LongcatLiteForCausalLM, tmp_path: Path) -> None:
    ids = torch.tensor([PROMPTS[0]])
    with pytest.raises(ValueError, match="inputs_embeds"):
        wrapped(inputs_embeds=torch.zeros(1, 2, 96))
    with pytest.raises(ValueError, match="output_attentions"):
        wrapped(ids, output_attentions=True)
    with pytest.raises(ValueError, match="LatentCache"):
        wrapped(ids, past_key_values=())
    with pytest.raises(EnvironmentUnusableError, match="does not exist"):
        LongcatLiteForCausalLM.from_pretrained(tmp_path / "none")
    write_checkpoint(wrapped.lite, tmp_path)
    for options, said in (
        ({"trust_remote_code": True}, "trust_remote_code"),
        ({"load_in_4bit": True}, "load_in_4bit"),
        ({"device_map": {"lm_head": "cpu"}}, "model.layers.0"),
        ({"dtype": "int4"}, "int4"),
    ):
        with pytest.raises(LongcatEvalError, match=said):
            LongcatLiteForCausalLM.from_pretrained(tmp_path, **options)
    with pytest.raises(UsageError):
        LongcatLiteForCausalLM.from_pretrained(tmp_path, "extra")


def test_drafted_tokens_are_rolled_back(lite: LongcatLite, wrapped: LongcatLiteForCausalLM) -> None:
    prompt = [60, 61, 62, 63, 60, 61, 62, 63, 60, 61]  # drafts are looked up in it and mostly wrong
    plain = wrapped.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False)
    looked_up = wrapped.generate(
        torch.tensor([prompt]), max_new_tokens=20, do_sample=False, prompt_lookup_num_tokens=4
    )
    assert torch.equal(plain, looked_up)
    assert plain[0, len(prompt) :].tolist() == greedy(lite, prompt, 20)


def test_several_continuations_share_a_prompt(wrapped: LongcatLiteForCausalLM) -> None:
    ids, mask = batch()
    out = wrapped.generate(
        ids, attention_mask=mask, max_new_tokens=8, do_sample=True, top_k=0, num_return_sequences=3, seed=2
    )
    assert out.shape[0] == 6
    assert len({tuple(row) for row in out.tolist()}) == 6
    first = wrapped.generate(torch.tensor([PROMPTS[1]]), max_new_tokens=8, do_sample=True, top_k=0, seed=2)
    assert out[3].tolist() == first[0].tolist()
