"""What goes where: contiguous layers per device, the embedding first, the head last, the tables by a policy.

The plan maximises the KV cache. A device that holds c layers and has f bytes left caches f / (c * KV per
layer) tokens, the model as many as its poorest device, and that minimum is made as large as it gets by a
search over (device, layers placed, tables placed), which is exact because layers are alike and so are
tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from longcat_eval.model_backend.longcat.budget import GIB, Place, Weights
from longcat_eval.model_backend.longcat.errors import PlacementError

TABLE_POLICIES = ("auto", "device", "split", "host", "mmap")
CPU, DISK, MMAP = "cpu", "disk", "mmap"
UNBOUNDED = 1 << 62


@dataclass(frozen=True)
class Item:
    """A line of the plan."""

    place: str
    what: str
    bytes: int


@dataclass(frozen=True)
class Plan:
    """Where every part lies; places are `cuda:i`, `cpu`, `disk`, and for tables also `mmap`.

    A layer on `cpu` or `disk` is computed by the CPU; on `disk` its weights are in a packed file that the
    kernel pages in. Tables on `mmap` are read from the checkpoint's own files.
    """

    weights: Weights
    places: tuple[Place, ...]
    embed: str
    layers: tuple[str, ...]
    head: str
    tables: tuple[str, ...]
    policy: str
    reserve: int

    @classmethod
    def single(cls, weights: Weights, place: str = CPU, tables: str | None = None) -> "Plan":
        """Everything in one place, without a look at its size; `tables` may lie elsewhere."""
        config = weights.config
        return cls(
            weights,
            (Place(place, None),),
            place,
            (place,) * config.num_layers,
            place,
            (tables or place,) * config.ngram_tables,
            "given",
            0,
        )

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every part with its bytes, place by place; parts of one kind in a row are one line."""
        lines = [Item(self.embed, "embed_tokens, post_projs", self.weights.embed)]
        sizes = self.weights.tables
        for place, first, last in runs(self.tables):
            lines.append(Item(place, f"n-gram tables {_span(first, last)}", sum(sizes[first : last + 1])))
        for place, first, last in runs(self.layers):
            lines.append(Item(place, f"layers {_span(first, last)}", (last - first + 1) * self.weights.layer))
        lines.append(Item(self.head, "norm, lm_head", self.weights.head))
        order = [place.name for place in self.places]
        order += [place for place in (CPU, DISK, MMAP) if place not in order]
        return tuple(sorted(lines, key=lambda item: order.index(item.place)))

    def used(self, place: str) -> int:
        """Bytes of weights in a place."""
        return sum(item.bytes for item in self.items if item.place == place)

    def free(self, place: Place) -> int | None:
        """Bytes left for KV in a place after weights and, on a GPU, the reserve; None where unbounded."""
        if place.capacity is None:
            return None
        return place.capacity - self.used(place.name) - (self.reserve if place.is_gpu else 0)

    def kv_tokens_on(self, place: Place) -> int | None:
        """Tokens that fit the KV cache of a place's own layers; None where it holds none or is unbounded."""
        own = self.layers.count(place.name)
        free = self.free(place)
        return None if not own or free is None else max(free, 0) // (own * self.weights.kv_per_layer)

    @property
    def kv_tokens(self) -> int | None:
        """Tokens that fit the KV cache of the whole model: the poorest place decides."""
        counts = [self.kv_tokens_on(place) for place in self.places]
        known = [count for count in counts if count is not None]
        return min(known) if known else None

    def describe(self) -> str:
        """One line for manifests."""
        parts = [f"{item.what} on {item.place}" for item in self.items]
        return "; ".join(parts)


def plan(
    weights: Weights,
    gpus: Sequence[Place],
    host: int,
    *,
    tables: str = "auto",
    disk: int | None = None,
    context: int = 32_768,
    reserve: int = 2 * GIB,
) -> Plan:
    """Place the model so that at least `context` tokens of KV fit, and as many as possible.

    `host` are bytes of host memory to use, `disk` those of an offload folder (None: no such tier).
    `reserve` is kept free on every GPU for the CUDA context, activations and the allocator's slack. Policy
    `auto` takes the first that holds of device, split, host, mmap; layers that no GPU holds go to the host,
    then to the disk.
    """
    if tables not in TABLE_POLICIES:
        raise PlacementError(f"--tables {tables}: there are {', '.join(TABLE_POLICIES)}")
    policies = ["device", "split", "host", "mmap"] if tables == "auto" else [tables]
    if not gpus:  # the host is the device then
        policies = list(dict.fromkeys("mmap" if policy == "mmap" else "host" for policy in policies))
    room = _Room(weights, list(gpus), host, disk, context, reserve)
    # Fast first: all layers on GPUs with any tables, then as many layers as fit.
    for on_gpu in range(weights.config.num_layers if gpus else 0, -1, -1):
        for policy in policies:
            found = _attempt(room, policy, on_gpu)
            if found is not None:
                return found
    raise PlacementError(_too_small(room, policies))


@dataclass(frozen=True)
class _Room:
    weights: Weights
    gpus: list[Place]
    host: int
    disk: int | None
    context: int
    reserve: int


def _attempt(room: _Room, policy: str, on_gpu: int) -> Plan | None:
    """The best plan with exactly so many layers on GPUs, or None."""
    weights, config = room.weights, room.weights.config
    table_count = config.ngram_tables
    gpu_tables = table_count if policy in ("device", "split") else 0
    on_gpus = _fill(room, on_gpu, gpu_tables, whole=policy == "device") if room.gpus else []
    if on_gpus is None:
        return None
    layers = [name for name, count, _ in on_gpus for _ in range(count)]
    table_places = [name for name, _, count in on_gpus for _ in range(count)]
    host_left = room.host
    if not room.gpus:
        host_left -= weights.embed + weights.head
    if len(table_places) < table_count:
        table_places = [MMAP if policy == "mmap" else CPU] * table_count
        host_left -= sum(weights.tables) if policy != "mmap" else 0
    per_layer_kv = weights.kv_per_layer * room.context
    while len(layers) < config.num_layers and host_left >= weights.layer + per_layer_kv:
        layers.append(CPU)
        host_left -= weights.layer + per_layer_kv
    spilled = config.num_layers - len(layers)
    if spilled and (room.disk is None or room.disk < spilled * weights.layer):
        return None
    layers += [DISK] * spilled
    if host_left - spilled * per_layer_kv < 0:
        return None
    first, last = (room.gpus[0].name, room.gpus[-1].name) if room.gpus else (CPU, CPU)
    places = [*room.gpus, Place(CPU, room.host)]
    if DISK in layers:
        places.append(Place(DISK, room.disk))
    return Plan(weights, tuple(places), first, tuple(layers), last, tuple(table_places), policy, room.reserve)


Share = tuple[str, int, int]


def _fill(room: _Room, layers: int, tables: int, whole: bool) -> list[Share] | None:
    """Layers and tables of each GPU, in order, so that the poorest GPU caches the most tokens.

    `whole` keeps the tables together on the first GPU, beside the embedding that reads them.
    """
    weights = room.weights
    table = max(weights.tables)
    last = len(room.gpus) - 1
    # best[(layers, tables)] = (tokens of the poorest GPU so far, shares)
    best: dict[tuple[int, int], tuple[int, list[Share]]] = {(0, 0): (UNBOUNDED, [])}
    for i, gpu in enumerate(room.gpus):
        fixed = (weights.embed if i == 0 else 0) + (weights.head if i == last else 0) + room.reserve
        reached: dict[tuple[int, int], tuple[int, list[Share]]] = {}
        for (had_layers, had_tables), (poorest, shares) in best.items():
            for own_tables in _table_choices(tables - had_tables, i, whole):
                for own in range(layers - had_layers + 1):
                    left = (gpu.capacity or 0) - fixed - own * weights.layer - own_tables * table
                    tokens = left // (own * weights.kv_per_layer) if own else UNBOUNDED
                    if left < 0 or tokens < room.context:
                        break
                    key = (had_layers + own, had_tables + own_tables)
                    value = min(poorest, tokens)
                    if key not in reached or value > reached[key][0]:
                        reached[key] = (value, [*shares, (gpu.name, own, own_tables)])
        best = reached
    return best[(layers, tables)][1] if (layers, tables) in best else None


def _table_choices(left: int, gpu: int, whole: bool) -> Sequence[int]:
    if whole:
        return (left,) if gpu == 0 else (0,)
    return range(left + 1)


def _too_small(room: _Room, policies: list[str]) -> str:
    weights = room.weights
    have = " + ".join(f"{(gpu.capacity or 0) / GIB:.1f}" for gpu in room.gpus) or "none"
    backbone = weights.total - sum(weights.tables)
    hints = (
        ["int8 experts (--quant int8, in a run --set local.quant=int8)"]
        if weights.quant.experts == "none"
        else []
    )
    hints += ["--tables mmap"] if policies != ["mmap"] and "mmap" not in policies else []
    hints += ["a folder for a disk tier"] if room.disk is None else []
    hints += [f"a smaller --context than {room.context:,}"]
    return (
        f"the model does not fit: {backbone / GIB:.1f} GiB and {sum(weights.tables) / GIB:.1f} GiB of n-gram "
        f"tables, {room.context * weights.kv_token / GIB:.1f} GiB of KV for {room.context:,} tokens; "
        f"GPUs (GiB): {have}, host: {room.host / GIB:.1f} GiB; try {', '.join(hints)}"
    )


def runs(places: Sequence[str]) -> list[tuple[str, int, int]]:
    """Consecutive equal places as (place, first, last)."""
    runs: list[tuple[str, int, int]] = []
    for i, place in enumerate(places):
        if runs and runs[-1][0] == place:
            runs[-1] = (place, runs[-1][1], i)
        else:
            runs.append((place, i, i))
    return runs


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
