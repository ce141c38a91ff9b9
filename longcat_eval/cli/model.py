"""`longcat-eval model`: what a checkpoint is, and where its parts would lie."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longcat_eval.cli.terminal import visible

if TYPE_CHECKING:
    from longcat_eval.model_backend.longcat.inspect import Inspection
    from longcat_eval.model_backend.longcat.placement import Plan

model_app = typer.Typer(no_args_is_help=True, help="The local LongCat-Flash-Lite: checkpoints and placement.")
GIB = 1 << 30
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@model_app.command("inspect")
def inspect_model(
    path: Annotated[Path, typer.Argument(help="The folder of a checkpoint.")],
    as_json: Json = False,
) -> None:
    """Print a checkpoint's rope, special ids, template hash, files, and each deviation from what is known."""
    from longcat_eval.errors import ExitCode
    from longcat_eval.model_backend.longcat.inspect import inspect

    found = inspect(path)
    if as_json:
        typer.echo(json.dumps(found.facts(), indent=2, ensure_ascii=False, default=str))
    else:
        _print_inspection(found)
    raise typer.Exit(ExitCode.ENVIRONMENT if found.problem else ExitCode.OK)


@model_app.command("plan")
def plan_model(
    model: Annotated[str, typer.Argument(help="A checkpoint's folder, or the shape: lite, tiny.")] = "lite",
    gpus: Annotated[
        str | None,
        typer.Option(help="Cards by GB, such as 2x80 or 141,24 or 1x78GiB, or none; default: those present."),
    ] = None,
    host: Annotated[
        float | None, typer.Option(help="GiB of host memory to use; default: what is available here.")
    ] = None,
    disk: Annotated[
        float | None, typer.Option(help="GiB of an offload folder; default: no disk tier.")
    ] = None,
    tables: Annotated[
        str, typer.Option(help="Where the n-gram tables lie: auto, device, split, host or mmap.")
    ] = "auto",
    quant: Annotated[str, typer.Option(help="The routed experts: none or int8.")] = "none",
    quant_tables: Annotated[str, typer.Option(help="The rows of the n-gram tables: none or int8.")] = "none",
    dtype: Annotated[str | None, typer.Option(help="bfloat16, float16 or float32.")] = None,
    context: Annotated[
        int, typer.Option(help="Tokens of KV cache that must fit, all sequences together.")
    ] = 32_768,
    reserve: Annotated[
        float, typer.Option(help="GiB kept free on each GPU for activations and the CUDA context.")
    ] = 2.0,
    as_json: Json = False,
) -> None:
    """Print byte by byte which part of the model goes where, and how many tokens its KV cache then holds."""
    from longcat_eval.errors import UsageError
    from longcat_eval.model_backend.longcat.budget import Weights, host_memory, parse_gpus, present_gpus
    from longcat_eval.model_backend.longcat.config import LiteConfig
    from longcat_eval.model_backend.longcat.placement import plan
    from longcat_eval.model_backend.longcat.quant import Quantisation

    for flag, value in (("--quant", quant), ("--quant-tables", quant_tables)):
        if value not in ("none", "int8"):
            raise UsageError(f"{flag} {value}: it is none or int8")
    if context < 1 or reserve < 0 or (host or 0) < 0 or (disk or 0) < 0:
        raise UsageError("--context must be at least 1, and --reserve, --host and --disk not below 0")
    config = LiteConfig.preset(model) if model in ("lite", "tiny") else LiteConfig.read(model)
    weights = Weights(config, dtype or config.dtype, Quantisation(quant, quant_tables))  # type: ignore[arg-type]
    places = [] if gpus == "none" else present_gpus() if gpus is None else parse_gpus(gpus)
    host_bytes = host_memory() if host is None else int(host * GIB)
    disk_bytes = None if disk is None else int(disk * GIB)
    found = plan(
        weights,
        places,
        host_bytes,
        tables=tables,
        disk=disk_bytes,
        context=context,
        reserve=int(reserve * GIB),
    )
    if as_json:
        typer.echo(json.dumps(plan_facts(found), indent=2))
    else:
        _print_plan(found, described=gpus is not None)


def plan_facts(found: "Plan") -> dict[str, Any]:
    """A plan for machines."""
    places = {place.name: place for place in found.places}
    return {
        "dtype": found.weights.dtype,
        "quantisation": found.weights.quant.describe() or None,
        "tables": found.policy,
        "items": [{"place": one.place, "what": one.what, "bytes": one.bytes} for one in found.items],
        "total_bytes": found.weights.total,
        "kv_bytes_per_token": found.weights.kv_token,
        "kv_tokens": found.kv_tokens,
        "places": {
            name: {
                "capacity": place.capacity,
                "used": found.used(name),
                "free_for_kv": found.free(place),
                "kv_tokens": found.kv_tokens_on(place),
            }
            for name, place in places.items()
        },
    }


def _print_plan(found: "Plan", *, described: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("place", "what"):
        table.add_column(column)
    for column in ("bytes", "GiB"):
        table.add_column(column, justify="right")
    for one in found.items:
        table.add_row(one.place, one.what, f"{one.bytes:,}", f"{one.bytes / GIB:.2f}")
    table.add_row("all", "weights", f"{found.weights.total:,}", f"{found.weights.total / GIB:.2f}")
    Console(highlight=False).print(table)
    typer.echo()
    for place in found.places:
        free = found.free(place)
        if not found.used(place.name) or place.capacity is None or free is None:
            continue
        kept = f", {found.reserve / GIB:.1f} kept for activations" if place.is_gpu else ""
        tokens = found.kv_tokens_on(place)
        cache = "" if tokens is None else f" = {tokens:,} tokens of its layers"
        typer.echo(
            f"{place.name}: {place.capacity / GIB:.1f} GiB, "
            f"weights {found.used(place.name) / GIB:.1f}{kept}, left {free / GIB:.1f}{cache}"
        )
    quantised = found.weights.quant.describe()
    typer.echo(
        f"type {found.weights.dtype}{', ' + quantised if quantised else ''}; n-gram tables: {found.policy}"
    )
    tokens = found.kv_tokens
    if tokens is not None:
        longest = found.weights.config.max_position_embeddings
        typer.echo(
            f"KV cache: {found.weights.kv_token:,} bytes per token, {tokens:,} tokens "
            f"({tokens / longest:.1f} sequences of {longest:,})"
        )
    gpus = [place for place in found.places if place.is_gpu]
    if not gpus:
        typer.echo(
            "no GPU: the CPU computes everything" + ("" if described else "; describe some by --gpus 2x80")
        )


def _print_inspection(found: "Inspection") -> None:
    facts = found.facts()
    typer.echo(f"{visible(str(found.folder))}: LongCat-Flash-Lite architecture")
    typer.echo(f"parameters: {facts['parameters']:,} in {facts['tensors']:,} tensors")
    files = facts["files"]
    if files:
        kinds = ", ".join(f"{count:,} {dtype}" for dtype, count in files["dtypes"].items())
        skipped = files["skipped_draft_tensors"]
        draft = f", {skipped} of the draft head left out" if skipped else ""
        typer.echo(f"files: {files['shards']} shards, {_size(files['bytes'])}, {kinds}{draft}: complete")
    typer.echo("rope: " + ", ".join(f"{name} {value}" for name, value in facts["rope"].items()))
    typer.echo(f"softmax scale: {facts['softmax_scale']:.8f}")
    typer.echo(
        "special ids: " + visible(", ".join(f"{name} {value}" for name, value in found.special.items()))
    )
    typer.echo(f"chat template: {found.template[:12] if found.template else 'none'}")
    for note in found.notes:
        typer.echo(f"note: {note}")
    for name, value in found.unknown.items():
        typer.echo(
            f"warn: config.json: {visible(f'{name} is {value!r}')} and is not known here; it is not used"
        )
    for one in found.deviations:
        typer.echo(f"warn: {visible(str(one))}")
    if not found.deviations:
        typer.echo("no deviation from the known values")
    if found.problem:
        typer.echo(f"fail: {visible(found.problem)}")


def _size(count: int) -> str:
    """Bytes in the unit that shows them."""
    return f"{count / GIB:.2f} GiB" if count >= GIB else f"{count / (1 << 20):.2f} MiB"
