"""The files of a sharded safetensors checkpoint, checked before a byte of weights is read.

Format: 8 bytes little-endian header length, a JSON header name -> {dtype, shape, data_offsets}, then the
data (safetensors specification). The headers are read here, so that no torch is needed to inspect a
checkpoint, and so that a wrong file is named in one line instead of failing midway.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longcat_eval.model_backend.longcat.config import LiteConfig, read_json
from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.fp8 import SUFFIX, Block, block_size, take_scales
from longcat_eval.model_backend.longcat.names import SKIPPED_PREFIX, Shape

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LARGEST_HEADER = 100_000_000  # the format's own limit
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I8": 1, "U8": 1, "BOOL": 1}
FP8 = ("F8_E4M3", "F8_E5M2")
FLOATS = ("BF16", "F16", "F32")


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: `begin` and `end` count bytes from the start of the file."""

    name: str
    file: Path
    dtype: str
    shape: Shape
    begin: int
    end: int


@dataclass(frozen=True)
class Checkpoint:
    """A folder whose every tensor is the expected one; `tensors` leaves out the draft head.

    `scales` are those of tensors in FP8, by the tensor's name, each for a `block` of it.
    """

    folder: Path
    config: LiteConfig
    tensors: dict[str, Stored]
    skipped: int
    scales: dict[str, Stored] = field(default_factory=dict)
    block: Block | None = None

    @property
    def files(self) -> list[Path]:
        """The shards that hold tensors of the model, in name order."""
        return sorted({stored.file for stored in self.tensors.values()})

    @property
    def bytes(self) -> int:
        """Of all tensors of the model."""
        return sum(stored.end - stored.begin for stored in self.tensors.values())


def open_checkpoint(path: str | Path, config: LiteConfig | None = None) -> Checkpoint:
    """Read config, index and every header; refuse whatever is missing, extra, misshapen or cut short."""
    folder = Path(path).expanduser()
    config = config or LiteConfig.read(folder)
    stored = _stored(folder)
    kept = {name: entry for name, entry in stored.items() if not name.startswith(SKIPPED_PREFIX)}
    block = block_size(read_json(folder))
    scales = take_scales(kept, block)
    skipped = len(stored) - len(kept)
    kept = {name: entry for name, entry in kept.items() if not name.endswith(SUFFIX)}
    _check(folder, kept, config)
    return Checkpoint(folder, config, kept, skipped, scales, block)


def read_header(file: Path) -> dict[str, Stored]:
    """The tensors that a file holds; raises `CheckpointError` where its bytes are not all there."""
    again = "fetch this file again"
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if size < 8 or length > min(LARGEST_HEADER, size - 8):
                raise CheckpointError(f"{file} is no safetensors file or is cut short; {again}")
            header = json.loads(stream.read(length))
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing; {again}") from None
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None
    except ValueError:
        raise CheckpointError(f"{file} has a corrupt header; {again}") from None
    try:
        tensors = _entries(file, header, 8 + length)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CheckpointError(f"{file} has a corrupt header; {again}") from None
    end = max((entry.end for entry in tensors.values()), default=8 + length)
    if end != size:
        raise CheckpointError(f"{file} has {size:,} bytes where its header says {end:,}; {again}")
    return tensors


def _entries(file: Path, header: Mapping[str, Any], data: int) -> dict[str, Stored]:
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        shape = tuple(int(n) for n in entry["shape"])
        dtype = str(entry["dtype"])
        width = 1 if dtype in FP8 else WIDTHS[dtype]
        if begin < 0 or end - begin != math.prod(shape) * width:
            raise ValueError(name)
        tensors[name] = Stored(name, file, dtype, shape, data + begin, data + end)
    return tensors


def _stored(folder: Path) -> dict[str, Stored]:
    """Every tensor of the folder, by the index where there is one."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is no folder; name the folder of the checkpoint")
    index = folder / INDEX
    if not index.exists():
        if (folder / SINGLE).exists():
            return read_header(folder / SINGLE)
        raise CheckpointError(f"{folder} has neither {INDEX} nor {SINGLE}; fetch the whole checkpoint")
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = {str(name): str(file) for name, file in listed.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise CheckpointError(f"{index} is no index of safetensors; fetch this file again") from None
    found: dict[str, Stored] = {}
    for shard in sorted(set(names.values())):
        if Path(shard).name != shard:
            raise CheckpointError(f"{index} names {shard!r}, which is no file of this folder")
        for name, entry in read_header(folder / shard).items():
            if name in found:
                raise CheckpointError(
                    f"{name} is in {found[name].file.name} and in {shard}; fetch the checkpoint again"
                )
            found[name] = entry
    lost = sorted(name for name, file in names.items() if name not in found or found[name].file.name != file)
    if lost:
        where = folder / names[lost[0]]
        raise CheckpointError(f"{where} lacks {some(lost)}, which {INDEX} says it has; fetch this file again")
    return found


def _check(folder: Path, stored: Mapping[str, Stored], config: LiteConfig) -> None:
    expected = config.expected_tensors()
    missing = [name for name in expected if name not in stored]
    if missing:
        raise CheckpointError(f"{folder} lacks {some(missing)}; fetch the missing shards of the checkpoint")
    extra = sorted(set(stored) - set(expected))
    if extra:
        raise CheckpointError(
            f"{stored[extra[0]].file} holds {some(extra)}, which LongCat-Flash-Lite does not have; "
            "config.json and weights are not of the same model"
        )
    for name, shape in expected.items():
        entry = stored[name]
        if entry.shape != shape:
            raise CheckpointError(
                f"{entry.file}: {name} is {list(entry.shape)} where config.json makes it {list(shape)}; "
                "config.json and weights are not of the same model"
            )
        if entry.dtype not in (*FLOATS, *FP8):
            raise CheckpointError(
                f"{entry.file}: {name} is of type {entry.dtype}, not {' or '.join(FLOATS)}; "
                "take the bfloat16 checkpoint"
            )


def some(names: Iterable[str], shown: int = 3) -> str:
    """A few names and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - shown:,} more" if len(listed) > shown else ""
    kind = "tensor" if len(listed) == 1 else "tensors"
    return f"{kind} {', '.join(listed[:shown])}{more}"
