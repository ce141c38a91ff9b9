"""How a model is computed here: what `--set local.…` and the flags of `serve` choose."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from longcat_eval.errors import UsageError, did_you_mean

TINY = "tiny"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "dtype": ("auto", "bfloat16", "float16", "float32"),
    "quant": ("none", "int8"),
    "quant_tables": ("none", "int8"),
    "tables": ("auto", "device", "split", "host", "mmap"),
    "gpus": ("auto", "none"),
}
FREE = ("tables", "gpus", "offload", "threads", "context", "batch")
"""Where and how fast it is computed; what is computed is the same."""


@dataclass(frozen=True)
class LocalOptions:
    """Choices for a local model; each may be left as it is.

    `dtype` auto is config.json's on GPUs and float32 on a CPU. `quant` is for the
    routed experts, `quant_tables` for the rows of the n-gram tables. `tables` says where those lie, `gpus`
    none keeps away from cards that are there. `context` (tokens) bounds prompt and completion together,
    `batch` the sequences computed side by side, `threads` the CPU's. `offload` is a folder on disk for the
    layers that neither GPUs nor host hold. `seed` draws random weights (`tiny`). `fix_mistral_regex` puts
    transformers' corrected pre-tokenizer in the place of the tokenizer's own, as LongCat-Next's card does.
    """

    dtype: str = "auto"
    quant: str = "none"
    quant_tables: str = "none"
    tables: str = "auto"
    gpus: str = "auto"
    context: int | None = None
    batch: int | None = None
    offload: str | None = None
    threads: int | None = None
    seed: int = 0
    fix_mistral_regex: bool = False

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "LocalOptions":
        """Check what was said; raises `UsageError`."""
        names = [f.name for f in fields(cls)]
        for name, value in said.items():
            if name not in names:
                raise UsageError(f"no setting local.{name}{did_you_mean(name, names)}: {', '.join(names)}")
            known = CHOICES.get(name)
            if known is not None and value not in known:
                hint = did_you_mean(str(value), known)
                raise UsageError(f"local.{name} is {value!r}{hint}: it is one of {', '.join(known)}")
            if name == "fix_mistral_regex":
                if not isinstance(value, bool):
                    raise UsageError(f"local.{name} is {value!r}: it must be true or false")
            elif name == "offload":
                if not isinstance(value, str) or not value:
                    raise UsageError(f"local.offload is {value!r}: it must be a folder")
            elif known is None and not _is_count(name, value):
                raise UsageError(f"local.{name} is {value!r}: it must be a whole number above 0")
        return cls(**said)

    @property
    def computed(self) -> dict[str, Any]:
        """The choices that change what comes out."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in FREE}


def _is_count(name: str, value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (whole and value >= (0 if name == "seed" else 1))
