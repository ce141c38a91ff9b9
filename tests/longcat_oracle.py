"""The backbone as transformers 4.57.6 has it, with the weights of a model of ours."""

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.packing import slots
from longcat_eval.model_backend.longcat.step import Piece, Step

NOT_IN_TREE = ("ngram", "emb_", "lora_norm_eps", "dtype")


def in_tree(model: LongcatLite) -> Any:
    """`LongcatFlashForCausalLM` in float32 on the CPU; made before the model is packed."""
    from transformers import LongcatFlashConfig, LongcatFlashForCausalLM

    config = model.config
    fields = {k: v for k, v in asdict(config).items() if not k.startswith(NOT_IN_TREE)}
    fields["rope_scaling"] = dict(config.rope_scaling) if config.rope_scaling else None
    theirs = LongcatFlashForCausalLM(
        LongcatFlashConfig(**fields, head_dim=config.qk_rope_head_dim, attention_dropout=0.0)
    ).eval()
    own, state = model.state_dict(), theirs.state_dict()
    known = {name: slot for name, slot in slots(config).items() if "post_projs" not in name}
    assert set(state) == set(known)
    with torch.no_grad():
        for name, slot in known.items():
            state[name].copy_(own[slot.parameter][slot.index])
    return theirs


def in_tree_logits(theirs: Any, model: LongcatLite, tokens: list[int]) -> Tensor:
    """[T, vocabulary]: their backbone over our embedding, which has the n-grams that theirs lacks."""
    step = Step.of([Piece(tokens, 0, [0], (), "all")], model.hasher, page_size=len(tokens))
    with torch.no_grad():
        logits: Tensor = theirs(inputs_embeds=model.embed(step).clone().unsqueeze(0)).logits[0]
    return logits
