"""The rows of the n-gram tables, wherever they lie: on a device, in host memory, or in the checkpoint.

Half of the model's parameters are rows of which a token reads twelve, so they need not be on the GPU: 6 KiB
per token travel instead. Every kind answers `gather(ids [T, tables]) -> [T, tables, d]` on the embedding's
device.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from longcat_eval.model_backend.longcat.quant import dequantise

if TYPE_CHECKING:
    import torch


class Tables(Protocol):
    """What the model asks; `ids` may lie on any device, on the host for tables that lie there."""

    def gather(self, ids: "torch.Tensor") -> "torch.Tensor":
        """[T, tables] int64 to [T, tables, d] on the embedding's device."""
        ...

    def prefetch(self, ids: "torch.Tensor") -> None:
        """Begin to gather for ids that the next call will ask for: the prompt's next chunk."""
        ...

    def close(self) -> None:
        """Let go of threads and files."""
        ...


@dataclass
class Rows:
    """Consecutive tables [first, first + len(sizes)) as one block of rows; int8 rows have a scale each."""

    first: int
    sizes: tuple[int, ...]
    block: "torch.Tensor"  # [sum of sizes, d]
    scales: "torch.Tensor | None" = None  # [sum of sizes] float32

    def __post_init__(self) -> None:
        """Where each table begins in the block."""
        import torch

        starts = [sum(self.sizes[:i]) for i in range(len(self.sizes))]
        self.starts = torch.tensor(starts, device=self.block.device)

    def pick(self, ids: "torch.Tensor", dtype: "torch.dtype") -> "torch.Tensor":
        """[T, tables] (all the model's) to [T, own tables, d], where the block lies."""
        own = self.flat(ids)
        rows = self.block.index_select(0, own)
        if self.scales is not None:
            rows = dequantise(rows, self.scales.index_select(0, own), dtype)
        return rows.to(dtype).view(len(ids), len(self.sizes), -1)

    def flat(self, ids: "torch.Tensor") -> "torch.Tensor":
        """Row numbers in the block, [T * own tables]."""
        own = ids[:, self.first : self.first + len(self.sizes)].to(self.block.device)
        return (own + self.starts).reshape(-1)


class DeviceTables:
    """Rows on the embedding's own device or on another one; the fastest, and nothing is to prefetch."""

    def __init__(self, rows: Rows, device: "torch.device", dtype: "torch.dtype") -> None:
        self.rows, self.device, self.dtype = rows, device, dtype

    def gather(self, ids: "torch.Tensor") -> "torch.Tensor":
        """[T, tables] to [T, own tables, d]."""
        return self.rows.pick(ids, self.dtype).to(self.device, non_blocking=True)

    def prefetch(self, ids: "torch.Tensor") -> None:
        """Nothing: the rows are where they are needed."""

    def close(self) -> None:
        """Nothing to let go of."""


class PinnedHostTables:
    """Rows in host memory: picked on the host, sent through pinned memory while the device computes.

    Only what travels is pinned: the blocks may take up most of the host's memory, and a pinned allocation is
    rounded up to a power of two.
    """

    def __init__(self, rows: Sequence[Rows], device: "torch.device", dtype: "torch.dtype") -> None:
        self.rows, self.device, self.dtype = list(rows), device, dtype
        self._ahead = _Ahead(self._pick)

    def gather(self, ids: "torch.Tensor") -> "torch.Tensor":
        """[T, tables] to [T, own tables, d]; what was prefetched is taken."""
        return self._ahead.take(ids).to(self.device, non_blocking=True)

    def prefetch(self, ids: "torch.Tensor") -> None:
        """Pick on a worker thread."""
        self._ahead.begin(ids)

    def close(self) -> None:
        """End the worker thread."""
        self._ahead.close()

    def _pick(self, ids: "torch.Tensor") -> "torch.Tensor":
        import torch

        blocks = [rows.pick(ids, self.dtype) for rows in self.rows]
        picked = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)
        return picked.pin_memory() if self.device.type == "cuda" else picked


class MmapTables(PinnedHostTables):
    """Rows read from the checkpoint's own files as they are asked for: no memory of their own, a local disk.

    The kernel's page cache is the only cache: the frequent n-grams stay in it, and a row cache in Python
    would cost more than a page that is there.
    """


class SplitTables:
    """Several blocks side by side: the tables in their order, each block where it lies."""

    def __init__(self, parts: Sequence[Tables]) -> None:
        self.parts = list(parts)

    def gather(self, ids: "torch.Tensor") -> "torch.Tensor":
        """[T, tables] to [T, tables, d]."""
        import torch

        return torch.cat([part.gather(ids) for part in self.parts], dim=1)

    def prefetch(self, ids: "torch.Tensor") -> None:
        """Each block its own."""
        for part in self.parts:
            part.prefetch(ids)

    def close(self) -> None:
        """Each block's own."""
        for part in self.parts:
            part.close()


class _Ahead:
    """Work begun for ids that will be asked for, found again by the ids themselves; at most `depth` kept."""

    def __init__(self, work: "Pick", depth: int = 4) -> None:
        self._work, self._depth = work, depth
        self._pool: ThreadPoolExecutor | None = None
        self._begun: dict[bytes, Future[torch.Tensor]] = {}
        self._lock = threading.Lock()

    def begin(self, ids: "torch.Tensor") -> None:
        host = ids.cpu()
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="ngram-tables")
            while len(self._begun) >= self._depth:
                self._begun.pop(next(iter(self._begun))).cancel()
            self._begun[_key(host)] = self._pool.submit(self._work, host)

    def take(self, ids: "torch.Tensor") -> "torch.Tensor":
        host = ids.cpu()
        begun = None
        if self._begun:
            with self._lock:
                begun = self._begun.pop(_key(host), None)
        return self._work(host) if begun is None else begun.result()

    def close(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
            self._begun.clear()
        if pool is not None:
            pool.shutdown(cancel_futures=True)


class Pick(Protocol):
    """Ids to rows, on the host."""

    def __call__(self, ids: "torch.Tensor") -> "torch.Tensor":
        """[T, tables] to [T, own tables, d]."""
        ...


def _key(ids: "torch.Tensor") -> bytes:
    return bytes(ids.contiguous().numpy())
