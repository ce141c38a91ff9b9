"""From a checkpoint, or none, to a served model: weights placed, tokenizer read, engine running."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.model_backend.longcat.budget import Weights, free_disk, host_memory, present_gpus
from longcat_eval.model_backend.longcat.byte_tokenizer import ByteTokenizer
from longcat_eval.model_backend.longcat.config import LiteConfig
from longcat_eval.model_backend.longcat.local_options import LocalOptions
from longcat_eval.model_backend.longcat.placement import CPU, Plan, plan
from longcat_eval.model_backend.longcat.quant import Quantisation
from longcat_eval.model_backend.longcat.serving import ServedModel
from longcat_eval.model_backend.longcat.tokenizer import CheckpointTokenizer, Tokenizer

if TYPE_CHECKING:
    from longcat_eval.model_backend.longcat.loader import Progress
    from longcat_eval.model_backend.longcat.model import LongcatLite

DEFAULT_CONTEXT = 32_768


def open_served(
    folder: Path | None,
    options: LocalOptions,
    name: str,
    *,
    lenient_tools: bool = False,
    progress: "Progress | None" = None,
) -> ServedModel:
    """Load the checkpoint of a folder, or random weights of the shape `tiny`; its engine is to be closed.

    `progress` is told the tensors read and the tensors there are. Raises `CheckpointError`, `PlacementError`.
    """
    import torch

    from longcat_eval.model_backend.longcat.engine import LocalEngine

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    tokenizer = read_tokenizer(folder, options)
    placed = place(folder, options)
    model = load_weights(folder, placed, options, progress)
    engine = LocalEngine(
        model, tokenizer, max_context=options.context, max_batch=options.batch, kv_tokens=placed.kv_tokens
    )
    facts = {
        "computed": computed(folder, placed.weights, tokenizer, options),
        "placement": placed.describe(),
    }
    return ServedModel(name, engine, tokenizer, lenient_tools=lenient_tools, facts=facts)


def read_tokenizer(folder: Path | None, options: LocalOptions) -> Tokenizer:
    """The checkpoint's own, or that of bytes."""
    if folder is None:
        return ByteTokenizer()
    return CheckpointTokenizer(folder, fix_mistral_regex=options.fix_mistral_regex)


def place(folder: Path | None, options: LocalOptions) -> Plan:
    """What goes where on this machine; random weights are small and stay together."""
    config = LiteConfig.tiny() if folder is None else LiteConfig.read(folder)
    gpus = [] if options.gpus == "none" else present_gpus()
    dtype = options.dtype
    if dtype == "auto":
        dtype = config.dtype if gpus else "float32"
    quant = Quantisation(experts=options.quant, tables=options.quant_tables)  # type: ignore[arg-type]
    weights = Weights(config, dtype, quant)
    if folder is None:
        return Plan.single(weights, gpus[0].name if gpus else CPU)
    context = options.context or min(DEFAULT_CONTEXT, config.max_position_embeddings)
    disk = None if options.offload is None else free_disk(Path(options.offload))
    return plan(weights, gpus, host_memory(), tables=options.tables, context=context, disk=disk)


def load_weights(
    folder: Path | None, placed: Plan, options: LocalOptions, progress: "Progress | None" = None
) -> "LongcatLite":
    """The model with its weights in place."""
    from longcat_eval.model_backend.longcat.loader import load
    from longcat_eval.model_backend.longcat.random_weights import random_model

    if folder is None:
        return random_model(placed.weights.config, options.seed, placed=placed)
    offload = None if options.offload is None else Path(options.offload)
    return load(folder, placed, offload=offload, progress=progress)


def computed(
    folder: Path | None, weights: Weights, tokenizer: Tokenizer, options: LocalOptions
) -> dict[str, str]:
    """What a record has to say of the computation: two runs that differ in it are not the same model."""
    facts = {
        "weights": f"random (seed {options.seed}), every score is chance"
        if folder is None
        else _weights_of(folder),
        "dtype": weights.dtype,
        "quantisation": weights.quant.describe() or "none",
        "chat template": hashlib.sha256(tokenizer.template.encode()).hexdigest()[:12],
    }
    if options.fix_mistral_regex:
        facts["pre-tokenizer"] = "fix_mistral_regex"
    return facts | ({"tokenizer": tokenizer.remark} if tokenizer.remark else {})


def _weights_of(folder: Path) -> str:
    """The folder's name, and a hash of its configuration and of where every tensor lies in its files."""
    from longcat_eval.model_backend.longcat.shards import open_checkpoint

    checkpoint = open_checkpoint(folder)
    kept = hashlib.sha256((folder / "config.json").read_bytes())
    for name, stored in sorted(checkpoint.tensors.items()):
        kept.update(f"{name} {stored.dtype} {stored.shape} {stored.begin} {stored.end}\n".encode())
    block = checkpoint.block if checkpoint.scales else None
    fp8 = "" if block is None else f", FP8 in blocks of {block[0]}x{block[1]} multiplied out"
    return f"{folder.resolve().name} (tensors {kept.hexdigest()[:12]}{fp8})"
