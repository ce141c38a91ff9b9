"""What each part of the model weighs, byte by byte, and what a place can hold."""

import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import PlacementError
from longcat_eval.model_backend.longcat.packing import POST_PROJS, packed_parameters
from longcat_eval.model_backend.longcat.quant import NOT_QUANTISED, Quantisation

GIB = 1024**3
WIDTHS = {"bfloat16": 2, "float16": 2, "float32": 4}
# What a program can allocate of a card sold as N GB, in GiB per GB: 78 of an H100's 80, 138 of an H200's 141.
USABLE = 0.98
ROUTER = ".mlp.router."


@dataclass(frozen=True)
class Place:
    """Somewhere weights can lie: `cuda:0`, `cpu` or `disk`; a capacity of None is not bounded."""

    name: str
    capacity: int | None

    @property
    def is_gpu(self) -> bool:
        """Whether it computes with its own memory."""
        return self.name.startswith("cuda")


@dataclass(frozen=True)
class Weights:
    """The bytes of every part that is placed as one: embedding, layers, head, tables, and a token's KV."""

    config: LiteConfig
    dtype: str = "bfloat16"
    quant: Quantisation = NOT_QUANTISED

    @property
    def width(self) -> int:
        """Bytes of an element that is not quantised."""
        if self.dtype not in WIDTHS:
            raise PlacementError(f"no type {self.dtype!r} to compute in; there are {', '.join(WIDTHS)}")
        return WIDTHS[self.dtype]

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Bytes of every parameter of the model, scales of quantised ones included."""
        return {name: self._parameter(name, shape) for name, shape in packed_parameters(self.config).items()}

    def _parameter(self, name: str, shape: tuple[int, ...]) -> int:
        elements = math.prod(shape)
        if ".experts." in name and self.quant.experts == "int8":
            return elements + 4 * math.prod(shape[:-1])
        return elements * (4 if ROUTER in name else self.width)

    @property
    def embed(self) -> int:
        """Token embedding and n-gram projections; they lie together."""
        return self.parameters["model.embed_tokens.weight"] + self.parameters[POST_PROJS]

    @property
    def head(self) -> int:
        """Final norm and output matrix."""
        return self.parameters["model.norm.weight"] + self.parameters["lm_head.weight"]

    @cached_property
    def layer(self) -> int:
        """One logical layer; all are alike."""
        return sum(size for name, size in self.parameters.items() if name.startswith("model.layers.0."))

    @property
    def tables(self) -> tuple[int, ...]:
        """Each n-gram table."""
        row = self.config.ngram_dim + 4 if self.quant.tables == "int8" else self.config.ngram_dim * self.width
        return tuple(rows * row for rows in self.config.ngram_table_sizes)

    @property
    def kv_per_layer(self) -> int:
        """KV cache of one token in one logical layer (two attention sublayers)."""
        return 2 * self.config.kv_width * self.width

    @property
    def kv_token(self) -> int:
        """KV cache of one token in the whole model (32,256 bytes at the real shape in bfloat16)."""
        return self.config.num_layers * self.kv_per_layer

    @property
    def total(self) -> int:
        """All of it, without KV."""
        return self.embed + self.head + self.config.num_layers * self.layer + sum(self.tables)


def parse_gpus(text: str) -> list[Place]:
    """`2x80`, `80,24`, `1x141,2x78GiB`: cards by the GB they are sold with, or by the GiB they give."""
    places: list[Place] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(?:(\d+)\s*[x×*]\s*)?(\d+(?:\.\d+)?)\s*(gb|g|gib)?\s*", part, re.IGNORECASE)
        if not found or float(found[2]) <= 0 or found[1] == "0":
            raise PlacementError(f"--gpus {text}: {part.strip()!r} is not like 2x80 or 24 or 1x78GiB")
        share = 1.0 if (found[3] or "").lower() == "gib" else USABLE
        capacity = int(float(found[2]) * share * GIB)
        places += [Place("", capacity)] * int(found[1] or 1)
    if len(places) > 64:
        raise PlacementError(f"--gpus {text}: {len(places)} cards in one process are more than 64")
    return [Place(f"cuda:{i}", place.capacity) for i, place in enumerate(places)]


def present_gpus() -> list[Place]:
    """The cards of this machine with the memory that is free on each now; none without torch or CUDA."""
    try:
        import torch
    except ImportError:
        return []
    if not torch.cuda.is_available():
        return []
    return [Place(f"cuda:{i}", int(torch.cuda.mem_get_info(i)[0])) for i in range(torch.cuda.device_count())]


def host_memory() -> int:
    """Bytes that a new program may take on this machine: what is available, within a cgroup's limit."""
    available = 0
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
    except OSError:
        import os

        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _cgroup("memory.max", "memory/memory.limit_in_bytes")
    used = _cgroup("memory.current", "memory/memory.usage_in_bytes")
    if limit is not None and used is not None:
        available = min(available, max(limit - used, 0))
    return available


def free_disk(folder: Path) -> int:
    """Bytes that may still be written to a folder, which need not be there yet."""
    import shutil

    existing = folder.expanduser().absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def _cgroup(*names: str) -> int | None:
    for name in names:
        try:
            text = Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(text) if text.isdigit() else None
    return None
