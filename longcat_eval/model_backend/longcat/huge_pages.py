"""Memory for weights in pages of 2 MB, where the system has them on request (Linux, madvise).

With pages of 4 KB a core that streams weights waits for addresses as long as for bytes: a product of one row
was measured 1.3 to 1.5 times as fast from huge ones.
"""

import mmap
from contextlib import suppress

import torch
from torch import Tensor

PAGE = 1 << 21
CHUNK = 32 * PAGE
ALIGNMENT = 64


class Arena:
    """Tensors side by side in large chunks; what is kept lives as long as any tensor of its chunk."""

    def __init__(self) -> None:
        self._chunk = torch.empty(0, dtype=torch.uint8)
        self._used = 0

    def keep(self, tensor: Tensor) -> Tensor:
        """A contiguous copy of a CPU tensor."""
        if self._used + tensor.nbytes > len(self._chunk):
            size = max(CHUNK, -(-tensor.nbytes // PAGE) * PAGE)
            self._chunk, self._used = torch.frombuffer(_pages(size), dtype=torch.uint8), 0
        kept = self._chunk[self._used : self._used + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        self._used += -(-tensor.nbytes // ALIGNMENT) * ALIGNMENT
        return kept.copy_(tensor)


def _pages(size: int) -> mmap.mmap:
    private = getattr(mmap, "MAP_PRIVATE", None)  # shared memory, the default, gets no huge pages
    pages = (
        mmap.mmap(-1, size) if private is None else mmap.mmap(-1, size, flags=private | mmap.MAP_ANONYMOUS)
    )
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is not None:
        with suppress(OSError):  # a kernel without them: ordinary pages do
            pages.madvise(advice)
    return pages
