"""A model with random weights, and the checkpoint of a small one: for tests, benchmarks and `local:tiny`.

Such a model is true in shape and speed and knows nothing; every table says so.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from longcat_eval.model_backend.longcat.assembly import Assembly
from longcat_eval.model_backend.longcat.budget import Weights
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.names import Shape, checkpoint_tensors
from longcat_eval.model_backend.longcat.packing import slots, table_names
from longcat_eval.model_backend.longcat.placement import Plan
from longcat_eval.model_backend.longcat.shards import INDEX
from longcat_eval.model_backend.longcat.storage import Storage

# Elements on a CPU beyond which a drawn stretch is repeated: drawing the real tables would take minutes.
DRAWN_ON_CPU = 1 << 28
TYPICAL_INT8 = 73.0  # the root mean square of int8 values drawn evenly


def random_model(
    config: LiteConfig,
    seed: int = 0,
    dtype: str | torch.dtype = torch.float32,
    placed: Plan | None = None,
    storage: Storage | None = None,
) -> LongcatLite:
    """A model of the config's shape; on one kind of device a seed always gives the same weights.

    Matrices keep the size of what they multiply, so that activations stay near 1 through all layers. `placed`
    decides types where it is given; by default everything is on the CPU.
    """
    name = str(dtype).removeprefix("torch.")
    placed = placed or Plan.single(Weights(config, name))
    assembly = Assembly.allocate(placed, storage or Storage())
    for parameter, memory in assembly.parameters.items():
        if not parameter.endswith("_scale"):
            _fill(parameter, memory, seed)
        else:
            inputs = assembly.parameters[parameter.removesuffix("_scale")].shape[-1]
            memory.fill_(1 / (TYPICAL_INT8 * math.sqrt(inputs)))
    for _, rows in assembly.store.blocks:
        _fill(f"tables from {rows.first}", rows.block, seed)
        if rows.scales is not None:
            rows.scales.fill_(1 / TYPICAL_INT8)
    return assembly.model


def _fill(name: str, memory: Tensor, seed: int) -> None:
    """Draw a parameter in place, by a generator of its own; a huge one on a CPU repeats what was drawn."""
    # The CPU's generator sees 32 bits of a seed only.
    own = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big")
    generator = torch.Generator(memory.device).manual_seed(own)
    if memory.device.type != "cpu" or memory.numel() <= DRAWN_ON_CPU:
        _draw(name, memory, generator)
        return
    rows = memory.view(-1, memory.shape[-1])
    drawn = rows[: max(DRAWN_ON_CPU // memory.shape[-1], 1)]
    _draw(name, drawn, generator)
    for begin in range(len(drawn), len(rows), len(drawn)):
        stretch = rows[begin : begin + len(drawn)]
        stretch.copy_(drawn[: len(stretch)])


def _draw(name: str, memory: Tensor, generator: torch.Generator) -> None:
    if memory.dtype == torch.int8:
        memory.random_(-127, 128, generator=generator)
    elif name.endswith("correction_bias"):
        memory.normal_(0, 0.01, generator=generator)
    elif memory.dim() == 1:
        memory.normal_(1, 0.1, generator=generator)
    elif "embed_tokens" in name or name.startswith("tables"):
        memory.normal_(0, 1, generator=generator)
    else:
        memory.normal_(0, 1 / math.sqrt(memory.shape[-1]), generator=generator)


def write_checkpoint(model: LongcatLite, path: str | Path, shards: int = 3) -> None:
    """Write a model as a sharded checkpoint with the released names; for small models, before `pack`.

    Raises `CheckpointError` where the model's weights are quantised.
    """
    from safetensors.torch import save_file

    if model.quant.describe():
        raise CheckpointError("a quantised model is not written; write the one it was made from")
    folder, config = Path(path), model.config
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(_tensors(model))
    size = sum(tensor.nbytes for tensor in tensors.values())
    weight_map: dict[str, str] = {}
    parts: list[dict[str, Tensor]] = [{} for _ in range(shards)]
    written = 0
    for name, tensor in tensors.items():
        part = min(written * shards // size, shards - 1)
        parts[part][name] = tensor
        weight_map[name] = f"model-{part + 1:05d}-of-{shards:05d}.safetensors"
        written += tensor.nbytes
    for i, part_tensors in enumerate(parts):
        file = folder / f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        save_file(part_tensors, file, metadata={"format": "pt"})
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
    kind = {"dtype": str(model.dtype).removeprefix("torch.")}
    described = json.dumps({**config.to_json(), **kind}, indent=1)
    (folder / "config.json").write_text(described, encoding="utf-8")


def _tensors(model: LongcatLite) -> Iterator[tuple[str, Tensor]]:
    """Every tensor under its name in the checkpoint, on the host."""
    parameters: dict[str, Tensor] = dict(model.state_dict())
    places, tables = slots(model.config), {name: i for i, name in enumerate(table_names(model.config))}
    for name, shape in checkpoint_tensors(model.config).items():
        if name in tables:
            yield name, _table(model, tables[name], shape)
        else:
            slot = places[name]
            yield (
                name,
                parameters[slot.parameter][slot.index].to("cpu").clone(memory_format=torch.contiguous_format),
            )


def _table(model: LongcatLite, table: int, shape: Shape, chunk: int = 4096) -> Tensor:
    """A whole n-gram table, asked for as a token would."""
    if model.tables is None:
        raise CheckpointError("the model has no n-gram tables; use random_model or load")
    parts = []
    for begin in range(0, shape[0], chunk):
        rows = torch.arange(begin, min(begin + chunk, shape[0]))
        ids = torch.zeros(len(rows), model.config.ngram_tables, dtype=torch.int64)
        ids[:, table] = rows
        parts.append(model.tables.gather(ids)[:, table].to("cpu"))
    return torch.cat(parts).contiguous()
