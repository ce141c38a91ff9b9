"""The n-gram tables of a plan: memory for each block, its filling, and the object that the model asks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.errors import PlacementError
from longcat_eval.model_backend.longcat.ngram_tables import (
    DeviceTables,
    MmapTables,
    PinnedHostTables,
    Rows,
    SplitTables,
    Tables,
)
from longcat_eval.model_backend.longcat.packing import table_names
from longcat_eval.model_backend.longcat.placement import MMAP, Plan, runs
from longcat_eval.model_backend.longcat.quant import quantise
from longcat_eval.model_backend.longcat.shards import Checkpoint
from longcat_eval.model_backend.longcat.storage import Storage, mapped

if TYPE_CHECKING:
    import torch

CHUNK = 1 << 18  # rows quantised at a time: a quarter of a gigabyte in float32


@dataclass
class TableStore:
    """Blocks of consecutive tables by place, and where in its block each table lies."""

    config: LiteConfig
    plan: Plan
    storage: Storage
    dtype: "torch.dtype"
    blocks: list[tuple[str, Rows]]

    @classmethod
    def allocate(
        cls, plan: Plan, storage: Storage, dtype: "torch.dtype", checkpoint: Checkpoint | None
    ) -> "TableStore":
        """Memory for every table; those on `mmap` are the checkpoint's own and need none."""
        config = plan.weights.config
        names, sizes = table_names(config), config.ngram_table_sizes
        int8 = plan.weights.quant.tables == "int8"
        blocks: list[tuple[str, Rows]] = []
        for place, first, last in runs(plan.tables):
            if place == MMAP:
                assert checkpoint is not None, "tables without a checkpoint cannot be mapped"
                stored = {i: checkpoint.tensors[names[i]] for i in range(first, last + 1)}
                if any(names[i] in checkpoint.scales for i in stored):
                    raise PlacementError(
                        "the n-gram tables are FP8 in this checkpoint and cannot be read in place; give "
                        "--set local.tables=host"
                    )
                blocks += [(place, Rows(i, (sizes[i],), mapped(entry))) for i, entry in stored.items()]
                continue
            own = sizes[first : last + 1]
            blocks.append((place, cls._block(config, storage, place, first, own, dtype, int8)))
        return cls(config, plan, storage, dtype, blocks)

    @staticmethod
    def _block(
        config: LiteConfig,
        storage: Storage,
        place: str,
        first: int,
        sizes: tuple[int, ...],
        dtype: "torch.dtype",
        int8: bool,
    ) -> Rows:
        import torch

        rows, name = sum(sizes), f"n-gram tables from {first}"
        if not int8:
            return Rows(first, sizes, storage.empty(place, (rows, config.ngram_dim), dtype, name))
        block = storage.empty(place, (rows, config.ngram_dim), torch.int8, name)
        return Rows(first, sizes, block, storage.empty(place, (rows,), torch.float32, name + " scales"))

    def fill(self, table: int, rows: "torch.Tensor") -> None:
        """Write one table [M_i, d]; mapped ones are there already."""
        for place, block in self.blocks:
            own = table - block.first
            if place == MMAP or not 0 <= own < len(block.sizes):
                continue
            start = sum(block.sizes[:own])
            target = block.block[start : start + block.sizes[own]]
            if block.scales is None:
                target.copy_(rows)
                return
            scales = block.scales[start : start + block.sizes[own]]
            for begin in range(0, len(rows), CHUNK):
                part = slice(begin, begin + CHUNK)
                values, scale = quantise(rows[part].to(target.device))
                target[part].copy_(values)
                scales[part].copy_(scale)
            return

    def tables(self) -> Tables:
        """What the model asks for rows."""
        home = self.storage.device(self.plan.embed)
        parts: list[Tables] = []
        by_file = [rows for place, rows in self.blocks if place == MMAP]
        if by_file:
            return MmapTables(by_file, home, self.dtype)
        for _, rows in self.blocks:
            on_host = rows.block.device.type == "cpu" and home.type != "cpu"
            parts.append(
                PinnedHostTables([rows], home, self.dtype)
                if on_host
                else DeviceTables(rows, home, self.dtype)
            )
        return parts[0] if len(parts) == 1 else SplitTables(parts)
