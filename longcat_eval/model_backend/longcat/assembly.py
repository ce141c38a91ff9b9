"""A model with memory where the plan says, to be filled tensor by tensor under the checkpoint's names."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.model import LongcatLite
from longcat_eval.model_backend.longcat.packing import Slot, packed_parameters, slots, table_names
from longcat_eval.model_backend.longcat.placement import DISK, Plan
from longcat_eval.model_backend.longcat.quant import quantise
from longcat_eval.model_backend.longcat.shards import Checkpoint
from longcat_eval.model_backend.longcat.storage import Storage
from longcat_eval.model_backend.longcat.table_store import TableStore


@dataclass
class Assembly:
    """A model whose memory is there; `write` puts a checkpoint's tensors into it."""

    model: LongcatLite
    store: TableStore
    parameters: dict[str, Tensor]
    places: dict[str, Slot]
    tables: dict[str, int]

    @classmethod
    def allocate(cls, placed: Plan, storage: Storage, checkpoint: Checkpoint | None = None) -> "Assembly":
        """Uninitialised memory for everything; raises `PlacementError` where it is not to be had."""
        weights = placed.weights
        config, dtype = weights.config, torch_dtype(weights.dtype)
        with torch.device("meta"):
            model = LongcatLite(config, dtype=dtype, quant=weights.quant)
        parameters = _materialise(model, placed, storage)
        store = TableStore.allocate(placed, storage, dtype, checkpoint)
        model.tables = store.tables()
        model.on_disk = frozenset(i for i, place in enumerate(placed.layers) if place == DISK)
        model.eval()
        tables = {name: i for i, name in enumerate(table_names(config))}
        return cls(model, store, parameters, slots(config), tables)

    def write(self, name: str, tensor: Tensor) -> None:
        """One tensor by its name in the checkpoint, quantised on the way where its place is int8."""
        if name in self.tables:
            self.store.fill(self.tables[name], tensor)
            return
        slot = self.places[name]
        target = self.parameters[slot.parameter][slot.index]
        if target.dtype == torch.int8:
            values, scale = quantise(tensor.to(target.device))
            target.copy_(values)
            self.parameters[slot.parameter + "_scale"][slot.index].copy_(scale)
            return
        target.copy_(tensor)


def torch_dtype(name: str) -> torch.dtype:
    """The type by its name in config.json."""
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise CheckpointError(f"config.json: dtype {name!r} is no type of torch")
    return found


def place_of(parameter: str, placed: Plan) -> str:
    """Where a parameter of the model lies."""
    if parameter.startswith("model.layers."):
        return placed.layers[int(parameter.split(".")[2])]
    return placed.head if parameter in ("lm_head.weight", "model.norm.weight") else placed.embed


def _materialise(model: nn.Module, placed: Plan, storage: Storage) -> dict[str, Tensor]:
    """Memory for every parameter and buffer, each in its place."""
    on_meta = dict(model.state_dict(keep_vars=True))
    expected = packed_parameters(placed.weights.config)
    strangers = {name for name in on_meta if not name.endswith("_scale")} ^ set(expected)
    if strangers:
        raise RuntimeError(f"model.py and packing.py disagree on {sorted(strangers)[:3]}")
    memory: dict[str, Tensor] = {}
    for name, tensor in on_meta.items():
        memory[name] = storage.empty(place_of(name, placed), tuple(tensor.shape), tensor.dtype, name)
        parent, leaf = model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        if isinstance(tensor, nn.Parameter):
            setattr(parent, leaf, nn.Parameter(memory[name], requires_grad=False))
        else:
            setattr(parent, leaf, memory[name])
    return memory
