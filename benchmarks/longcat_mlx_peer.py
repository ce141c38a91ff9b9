"""Logits by mlx-lm's longcat_flash_ngram, in its own environment: JSON in, JSON out.

usage: python longcat_mlx_peer.py CHECKPOINT < pieces.json

In: a list of texts, each a list of pieces, each a list of ids. Out: per text the logits of all its tokens.
The two low-rank norms get the epsilon of the original (1e-6), which mlx-lm leaves at its default.
"""

import json
import sys
from pathlib import Path

import mlx.core as mx
from mlx_lm.models.longcat_flash_ngram import Model, ModelArgs


def loaded(folder: Path) -> Model:
    config = json.loads((folder / "config.json").read_text())
    model = Model(ModelArgs.from_dict(config | {"model_type": "longcat_flash_ngram"}))
    weights: dict[str, mx.array] = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= mx.load(str(file))
    model.load_weights(list(model.sanitize(weights).items()), strict=True)
    for layer in model.layers:
        for attention in layer.self_attn:
            attention.q_a_layernorm.eps = attention.kv_a_layernorm.eps = config["lora_norm_eps"]
    model.eval()
    return model


def logits(model: Model, pieces: list[list[int]]) -> list[list[float]]:
    cache = model.make_cache()
    rows: list[list[float]] = []
    for piece in pieces:
        rows += model(mx.array([piece]), cache=cache)[0].astype(mx.float32).tolist()
    return rows


def main() -> None:
    mx.set_default_device(mx.cpu)
    model = loaded(Path(sys.argv[1]))
    print(json.dumps([logits(model, pieces) for pieces in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
