"""What a checkpoint folder is, and every value in which it differs from what is known of LongCat-Flash-Lite.

The known values come from public ports and from arithmetic (docs/model.md); some of them nobody could read
in the original repository. So a deviation is told, with the evidence of the known value, and the
checkpoint's own counts.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from longcat_eval.model_backend.longcat.config import FIELDS, LITE_ROPE, LiteConfig, read_json
from longcat_eval.model_backend.longcat.errors import CheckpointError
from longcat_eval.model_backend.longcat.shards import Checkpoint, open_checkpoint
from longcat_eval.model_backend.longcat.variants import ALIASES, FIXED, canonical

EVIDENCE = {
    "lora_norm_eps": "transformers 4.57.6: the class default, not in config.json",
    "rope_scaling.original_max_position_embeddings": "derived: 327,680 / 10",
    "rope_scaling.mscale": "inferred",
    "rope_scaling.beta_fast": "inferred",
    "rope_scaling.beta_slow": "inferred",
    "pad_token_id": "inferred",
}
READ = "read in public ports"
# Fields that say nothing of the computation, or repeat what others say.
SILENT = [
    "architectures",
    "attention_dropout",
    "auto_map",
    "head_dim",
    "initializer_range",
    "model_type",
    "num_hidden_layers",
    "num_key_value_heads",
    "qk_head_dim",
    "quantization_config",
    "rope_parameters",
    "transformers_version",
    "use_cache",
]


@dataclass(frozen=True)
class Deviation:
    """A value that differs from the known one, or that the folder does not give."""

    field: str
    found: Any
    known: Any
    evidence: str

    def __str__(self) -> str:
        """One line."""
        said = "is not given, used is" if self.found is ABSENT else f"is {self.found!r}, known is"
        return f"{self.field} {said} {self.known!r} ({self.evidence})"


ABSENT = object()


@dataclass(frozen=True)
class Inspection:
    """All that a folder says; `problem` is why its weights cannot be loaded, if so."""

    folder: Path
    config: LiteConfig
    deviations: list[Deviation]
    unknown: dict[str, Any]
    special: dict[str, Any]
    template: str | None
    checkpoint: Checkpoint | None
    problem: str | None
    notes: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "folder": str(self.folder),
            "parameters": self.config.param_count(),
            "tensors": len(self.config.expected_tensors()),
            "kv_bytes_per_token": self.config.kv_layers * self.config.kv_width * 2,
            "rope": self.config.rope,
            "softmax_scale": self.config.softmax_scale,
            "special_ids": self.special,
            "chat_template_sha256": self.template,
            "files": _files(self.checkpoint) if self.checkpoint else None,
            "problem": self.problem,
            "deviations": [
                {
                    "field": one.field,
                    "found": None if one.found is ABSENT else one.found,
                    "given": one.found is not ABSENT,
                    "known": one.known,
                    "evidence": one.evidence,
                }
                for one in self.deviations
            ],
            "unknown_fields": self.unknown,
            "notes": self.notes,
        }


def inspect(path: str | Path) -> Inspection:
    """Read config, tokenizer files and headers; raises `CheckpointError` where it is another model."""
    folder = Path(path).expanduser()
    found = read_json(folder)
    config = LiteConfig.read(found)
    checkpoint, problem = None, None
    try:
        checkpoint = open_checkpoint(folder, config)
    except CheckpointError as error:
        problem = str(error)
    unknown = {name: value for name, value in found.items() if name not in KNOWN}
    template = chat_template(folder)
    notes = []
    if found.get("auto_map"):
        notes.append("auto_map names code of the repository; it is not executed")
    if checkpoint is not None and checkpoint.scales:
        notes.append(f"{len(checkpoint.scales):,} tensors are FP8 in blocks; loading multiplies them out")
    if not (folder / "tokenizer.json").is_file():
        notes.append("no tokenizer.json in the folder; serve and run need the checkpoint's")
    if template is None:
        notes.append("no chat template in the folder; longcat-eval's own is used, which is a reconstruction")
    return Inspection(
        folder,
        config,
        list(deviations(found, config)),
        unknown,
        special_ids(folder, config),
        None if template is None else hashlib.sha256(template.encode()).hexdigest(),
        checkpoint,
        problem,
        notes,
    )


def deviations(found: Mapping[str, Any], config: LiteConfig) -> Iterator[Deviation]:
    """What differs from the released shape, field by field; the rope's own fields one by one."""
    given, lite = canonical(found), LiteConfig.lite()
    for one in fields(LiteConfig):
        if one.name == "rope_scaling":
            yield from _rope_deviations(given, config)
            continue
        value, known = getattr(config, one.name), getattr(lite, one.name)
        evidence = EVIDENCE.get(one.name, READ)
        if value != known:
            yield Deviation(one.name, value, known, evidence)
        elif one.name not in given and one.name != "lora_norm_eps":
            yield Deviation(one.name, ABSENT, known, evidence)


def _rope_deviations(given: Mapping[str, Any], config: LiteConfig) -> Iterator[Deviation]:
    scaling = given.get("rope_scaling")
    if not scaling:
        yield Deviation("rope_scaling", scaling, LITE_ROPE, "mixed: ports disagree, the file decides")
        return
    resolved = config.rope
    for name, known in LITE_ROPE.items():
        evidence = EVIDENCE.get(f"rope_scaling.{name}", READ)
        value = resolved["type"] if name == "rope_type" else resolved.get(name)
        stated = name in scaling or (name == "rope_type" and "type" in scaling)
        if value != known:
            yield Deviation(f"rope_scaling.{name}", value, known, evidence)
        elif not stated:
            yield Deviation(f"rope_scaling.{name}", ABSENT, known, evidence)
    if config.rope["attention_factor"] != 1.0:
        yield Deviation("rope: factor on cos and sin", config.rope["attention_factor"], 1.0, "derived")


def special_ids(folder: Path, config: LiteConfig) -> dict[str, Any]:
    """The ids of config.json, what generation_config.json says of them, and the tokenizer's names."""
    ids: dict[str, Any] = {"bos": config.bos_token_id, "eos": config.eos_token_id, "pad": config.pad_token_id}
    generation = _json(folder / "generation_config.json")
    ids |= {
        f"generation_config.{name}": generation[name]
        for name in ("bos_token_id", "eos_token_id", "pad_token_id")
        if name in generation
    }
    tokenizer = _json(folder / "tokenizer_config.json")
    for name in ("bos_token", "eos_token", "pad_token"):
        token = tokenizer.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        if isinstance(content, str):
            ids[name] = content
    return ids


def chat_template(folder: Path) -> str | None:
    """The default chat template as Jinja text, where transformers looks for it."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        template = _json(folder / name).get("chat_template")
        if isinstance(template, str):
            return template
        if isinstance(template, list):
            named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
            default = named.get("default")
            if isinstance(default, str):
                return default
    return None


def _json(file: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where the file is missing or broken."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _files(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "shards": len(checkpoint.files),
        "bytes": checkpoint.bytes,
        "dtypes": dict(Counter(stored.dtype for stored in checkpoint.tensors.values())),
        "skipped_draft_tensors": checkpoint.skipped,
    }


KNOWN = {*FIELDS, *FIXED, *ALIASES, *SILENT}
