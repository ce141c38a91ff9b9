"""Memory for weights: on a device, on the host, in a file that the kernel pages, or the checkpoint's own."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.model_backend.longcat.errors import PlacementError
from longcat_eval.model_backend.longcat.placement import DISK
from longcat_eval.model_backend.longcat.shards import Stored

if TYPE_CHECKING:
    import torch

DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


class Storage:
    """Where each place of a plan really is; `emulate` says which device stands for a place."""

    def __init__(self, offload: Path | None = None, emulate: Mapping[str, str] | None = None) -> None:
        self.offload, self.emulate = offload, dict(emulate or {})

    def device(self, place: str) -> "torch.device":
        """The device that computes what lies in a place."""
        import torch

        name = self.emulate.get(place, place)
        return torch.device(name if name.startswith("cuda") else "cpu")

    def empty(self, place: str, shape: tuple[int, ...], dtype: "torch.dtype", name: str) -> "torch.Tensor":
        """Uninitialised memory in a place; raises `PlacementError` where there is not enough."""
        import torch

        try:
            if place == DISK:
                return self._file(shape, dtype, name)
            return torch.empty(shape, dtype=dtype, device=self.device(place))
        except (torch.OutOfMemoryError, RuntimeError, OSError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PlacementError(
                f"no room for {name} {list(shape)} on {place}: {first}; "
                "`longcat-eval model plan` shows what fits where"
            ) from error

    def _file(self, shape: tuple[int, ...], dtype: "torch.dtype", name: str) -> "torch.Tensor":
        import torch

        if self.offload is None:
            raise PlacementError(
                f"the plan puts {name} on disk, and no folder is given for it; give --set local.offload=DIR"
            )
        self.offload.mkdir(parents=True, exist_ok=True)
        file = self.offload / f"{name}.weights"
        count = int(torch.Size(shape).numel())
        tensor = torch.from_file(str(file), shared=True, size=count, dtype=dtype)
        file.unlink()  # the mapping keeps the bytes; nothing is left behind when the process ends
        return tensor.view(shape)


def mapped(stored: Stored) -> "torch.Tensor":
    """A tensor that is the checkpoint's own bytes, read page by page when touched; it must not be written."""
    import torch

    with stored.file.open("rb") as stream:
        # A private map, because torch warns of buffers that cannot be written.
        whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    whole.madvise(mmap.MADV_RANDOM)
    dtype: torch.dtype = getattr(torch, DTYPES[stored.dtype])
    count = int(torch.Size(stored.shape).numel())
    return torch.frombuffer(whole, dtype=dtype, count=count, offset=stored.begin).view(stored.shape)
