"""A tiny sharded checkpoint with random weights, and ways to spoil one."""

import json
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longcat_eval.model_backend.longcat.config import LiteConfig

if TYPE_CHECKING:
    from torch import Tensor

SHARDS = [f"model-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)]
INDEX = "model.safetensors.index.json"


@cache
def _written(root: Path) -> Path:
    from longcat_eval.model_backend.longcat.loader import random_model, write_checkpoint

    folder = root / "tiny"
    write_checkpoint(random_model(LiteConfig.tiny(), seed=1), folder)
    return folder


def copy_of_tiny(root: Path, to: Path) -> Path:
    """A copy to spoil of the checkpoint that is written once below `root`."""
    shutil.copytree(_written(root), to)
    return to


def edit_config(folder: Path, changes: Mapping[str, Any]) -> None:
    """Change fields of config.json; `...` removes one."""
    file = folder / "config.json"
    found = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in found.items() if value is not ...}))


def edit_shard(folder: Path, shard: str, change: "Callable[[dict[str, Tensor]], object]") -> None:
    """Change the tensors of a shard in place, and the index with it."""
    from safetensors.torch import load_file, save_file

    before = load_file(folder / shard)
    tensors = {name: tensor.clone() for name, tensor in before.items()}
    change(tensors)
    save_file(tensors, folder / shard)
    index = json.loads((folder / INDEX).read_text())
    for name in before:
        del index["weight_map"][name]
    index["weight_map"] |= dict.fromkeys(tensors, shard)
    (folder / INDEX).write_text(json.dumps(index))


def shard_of(folder: Path, name: str) -> str:
    """The file that holds a tensor."""
    found: str = json.loads((folder / INDEX).read_text())["weight_map"][name]
    return found
