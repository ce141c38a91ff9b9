"""Where each tensor of a checkpoint lies in the model: what is packed is written slice by slice.

The model's parameters are named as in the checkpoint, but for those that one kernel reads together: the
experts of a layer (`gate_up` [E, 2I, H], gate first, and `down` [E, H, I]) and the n-gram projections
(`model.ngram_embeddings.post_projs` [tables, H, d]). N-gram tables are no parameters (`ngram_tables.py`).
"""

from dataclasses import dataclass

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.names import Shape, checkpoint_tensors, table_name

POST_PROJS = "model.ngram_embeddings.post_projs"
Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class Slot:
    """A place in a parameter: `parameter[index]` has the shape of the checkpoint's tensor."""

    parameter: str
    index: Index = ()


def table_names(config: LiteConfig) -> list[str]:
    """The checkpoint's names of the n-gram tables, in their order."""
    return [table_name(i) for i in range(config.ngram_tables)]


def slots(config: LiteConfig) -> dict[str, Slot]:
    """Checkpoint name to place, for every tensor that is not an n-gram table."""
    tables = set(table_names(config))
    return {name: _slot(name, config) for name in checkpoint_tensors(config) if name not in tables}


def packed_parameters(config: LiteConfig) -> dict[str, Shape]:
    """The model's parameters and persistent buffers with their shapes."""
    shapes = checkpoint_tensors(config)
    hidden, inner, experts = config.hidden_size, config.expert_ffn_hidden_size, config.real_experts
    packed: dict[str, Shape] = {}
    for name, slot in slots(config).items():
        if slot.parameter == POST_PROJS:
            packed[POST_PROJS] = (config.ngram_tables, hidden, config.ngram_dim)
        elif slot.parameter.endswith(".experts.gate_up"):
            packed[slot.parameter] = (experts, 2 * inner, hidden)
        elif slot.parameter.endswith(".experts.down"):
            packed[slot.parameter] = (experts, hidden, inner)
        else:
            packed[slot.parameter] = shapes[name]
    return packed


def _slot(name: str, config: LiteConfig) -> Slot:
    if name.startswith(POST_PROJS):
        return Slot(POST_PROJS, (int(name.removeprefix(POST_PROJS).split(".")[1]),))
    if ".mlp.experts." not in name:
        return Slot(name)
    layer, rest = name.split(".mlp.experts.")
    expert, kind = int(rest.split(".")[0]), rest.split(".")[1]
    inner = config.expert_ffn_hidden_size
    if kind == "down_proj":
        return Slot(f"{layer}.mlp.experts.down", (expert,))
    rows = slice(0, inner) if kind == "gate_proj" else slice(inner, 2 * inner)
    return Slot(f"{layer}.mlp.experts.gate_up", (expert, rows))
