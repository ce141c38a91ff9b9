"""The command line's front door: names, help texts and exit codes. Work is imported when a command runs."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from longcat_eval import __version__
from longcat_eval.cli.arguments import DataDir, Tau2Src, VitaSrc
from longcat_eval.cli.images import images_app
from longcat_eval.cli.judging_commands import arena_hard, rescore
from longcat_eval.cli.model import model_app
from longcat_eval.cli.options import with_run_settings
from longcat_eval.cli.sandbox import sandbox_app
from longcat_eval.cli.settings import Resolved
from longcat_eval.cli.terminal import visible
from longcat_eval.errors import ExitCode, LongcatEvalError, UsageError

app = typer.Typer(
    name="longcat-eval",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Every benchmark of a model card under one command, with scores that can be traced.",
)
tasks_app = typer.Typer(no_args_is_help=True, help="What can be run.")
models_app = typer.Typer(no_args_is_help=True, help="Model presets: recommended sampling and its sources.")
config_app = typer.Typer(no_args_is_help=True, help="Settings and where each comes from.")
cache_app = typer.Typer(no_args_is_help=True, help="The response cache.")
app.add_typer(tasks_app, name="tasks")
app.add_typer(models_app, name="models")
app.add_typer(config_app, name="config")
app.add_typer(cache_app, name="cache")
app.add_typer(images_app, name="images")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(model_app, name="model")

Runs = Annotated[
    list[Path] | None, typer.Argument(metavar="[RUN…]", help="Run directories; default: the latest.")
]
Compare = Annotated[
    str | None,
    typer.Option(
        help="Published columns (kimi,qwen3-next,gemini,longcat) and other tools' results "
        "(inspect:PATH, lm-eval:PATH, eee:PATH), comma separated."
    ),
]


def run(resolved: Resolved) -> None:
    """Evaluate a model on a suite or on single benchmarks; run the same command again to resume."""
    from longcat_eval.cli.run import execute

    raise typer.Exit(execute(resolved))


app.command("run")(with_run_settings(run))


@app.command()
def report(
    runs: Runs = None,
    compare: Compare = None,
    format: Annotated[
        str,
        typer.Option(
            "--format", "-f", help="table, md, csv, json, html, latex, or summary (JSON with every question)."
        ),
    ] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Let one row mix different protocols or data.")
    ] = False,
    embed_mb: Annotated[
        float | None, typer.Option(help="html: transcripts in the file, in MB at most; default 10.", min=0)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw scores and intervals to this .svg, .png or .pdf.")
    ] = None,
) -> None:
    """Print the card's table with our columns beside the published ones."""
    from longcat_eval.cli.report import show_report

    raise typer.Exit(show_report(runs or [], compare, format, output, allow_mixed, embed_mb, plot))


@app.command()
def diff(
    base: Annotated[str, typer.Argument(help="A run, a report in JSON, or card:longcat-flash-lite.")],
    candidate: Annotated[str, typer.Argument(help="The same for the other side.")],
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only this task.")] = None,
    show: Annotated[
        str | None, typer.Option(help="TASK/QUESTION: print both transcripts side by side.")
    ] = None,
    flips: Annotated[int, typer.Option(help="Questions listed per benchmark.", min=0)] = 10,
    format: Annotated[str, typer.Option("--format", "-f", help="text or json.")] = "text",
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Compare different protocols or data; told.")
    ] = False,
) -> None:
    """Compare two runs question by question: differences with intervals, fixed and broken questions."""
    from longcat_eval.cli.diff import show_diff

    raise typer.Exit(show_diff(base, candidate, task or [], show, flips, format, allow_mixed))


@app.command()
def gate(
    base: Annotated[str, typer.Argument(help="A run, a report in JSON, or card:longcat-flash-lite.")],
    candidate: Annotated[str, typer.Argument(help="The same for the candidate.")],
    policy: Annotated[
        Path | None, typer.Option(help="YAML of margins and tiers; default: the card's suite.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", help="text, json (one line), junit or github (Markdown).")
    ] = "text",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file as well.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Add to the step summary, and annotate; on GitHub.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 4 where a blocking benchmark is inconclusive.")
    ] = False,
) -> None:
    """Judge a candidate against a baseline by a policy: exit 1 regressed, 3 broken, 0 else; 4 by --strict."""
    from longcat_eval.cli.gate import Outputs, run_gate

    outputs = Outputs(format, output, junit, github)
    raise typer.Exit(run_gate(base, candidate, policy, outputs, strict))


@app.command()
def view(
    runs: Runs = None,
    compare: Compare = None,
    allow_mixed: Annotated[
        bool, typer.Option("--allow-mixed", help="Let one row mix different protocols or data.")
    ] = False,
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the default browser.")] = False,
) -> None:
    """Serve the report to a browser on this machine, with every transcript, and as a run grows."""
    from longcat_eval.cli.view import view_runs

    raise typer.Exit(view_runs(runs or [], compare, allow_mixed, port, open_browser))


app.command("arena-hard")(arena_hard)
app.command()(rescore)


@app.command()
def merge(
    output: Annotated[Path, typer.Argument(help="The directory to make.")],
    parts: Annotated[list[Path], typer.Argument(help="The shards' run directories.")],
) -> None:
    """Lay the shards of one run side by side in one directory."""
    from longcat_eval.cli.merge import merge_runs

    raise typer.Exit(merge_runs(output, parts))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file or folder to write.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="inspect (.eval logs), inspect-json, lm-eval, eee (Every Eval Ever), hf (.eval_results), "
            "model-index (a model card), parquet, or swebench: predictions.",
        ),
    ] = "swebench",
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only this task.")] = None,
    repeat: Annotated[
        int | None, typer.Option(help="swebench: the repeat to export; default 0.", min=0)
    ] = None,
    no_texts: Annotated[
        bool, typer.Option("--no-texts", help="Scores alone: no questions, no replies.")
    ] = False,
    model_id: Annotated[
        str | None, typer.Option(help="The model's name on the Hugging Face hub: organisation/name.")
    ] = None,
    organization: Annotated[str | None, typer.Option(help="eee: who ran the evaluation.")] = None,
    relationship: Annotated[
        str | None,
        typer.Option(help="eee: theirs to the model: first_party, third_party, collaborative or other."),
    ] = None,
) -> None:
    """Write a run in another tool's format: Inspect, lm-eval, Every Eval Ever, Hugging Face, parquet."""
    from longcat_eval.cli.export import ExportOptions, export_run

    options = ExportOptions(tuple(task or ()), repeat, not no_texts, model_id, organization, relationship)
    raise typer.Exit(export_run(run, format, output, options))


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    sample: Annotated[str | None, typer.Argument(help="Task/sample, or a part of it.")] = None,
    repeat: Annotated[int | None, typer.Option(help="Only this repeat.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only this outcome, such as no_answer.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many transcripts.")] = 3,
    artifact: Annotated[
        str | None, typer.Option(help="This artifact alone, whole: the tests' log, the agent's steps.")
    ] = None,
) -> None:
    """Print transcripts as they happened: requests, replies, extraction and verdict."""
    from longcat_eval.cli.show import show_transcripts

    raise typer.Exit(show_transcripts(run, sample, repeat, outcome, limit, artifact))


@app.command()
def fetch(
    what: Annotated[
        list[str], typer.Argument(help="Task names, a suite, tau2, swebench, punkt or demo-model.")
    ],
    data_dir: DataDir = None,
    tau2_src: Tau2Src = None,
    vita_src: VitaSrc = None,
) -> None:
    """Download and check data now, so that later runs need no network."""
    from longcat_eval.cli.fetch import fetch_all

    raise typer.Exit(fetch_all(what, data_dir, tau2_src, vita_src))


@app.command(
    "lm-eval",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def lm_eval_command(ctx: typer.Context) -> None:
    """Run lm-eval's own command line with our models: lm-eval run --model longcat --model_args model=…"""
    from longcat_eval.cli.lm_eval_model import main as hand_over

    hand_over(ctx.args)


@app.command("serve")
def serve_command(
    model: Annotated[str, typer.Option("--model", "-m", help="local:PATH (a checkpoint) or local:tiny.")],
    host: Annotated[
        str, typer.Option(help="Where to listen; others than loopback need a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 8000,
    api_key_env: Annotated[
        str | None, typer.Option(help="Name of the variable with the key that clients must send.")
    ] = None,
    served_model_name: Annotated[str | None, typer.Option(help="The model's name for clients.")] = None,
    lenient_tools: Annotated[
        bool, typer.Option("--lenient-tools", help="Accept malformed tool calls of known kinds; told.")
    ] = False,
    dtype: Annotated[str, typer.Option(help="auto, bfloat16, float16 or float32.")] = "auto",
    quant: Annotated[str, typer.Option(help="none, or int8 for the experts.")] = "none",
    quant_tables: Annotated[str, typer.Option(help="none, or int8 for the n-gram tables.")] = "none",
    tables: Annotated[
        str, typer.Option(help="Where the n-gram tables lie: auto, device, split, host or mmap.")
    ] = "auto",
    gpus: Annotated[str, typer.Option(help="auto: those present; none: the CPU.")] = "auto",
    context: Annotated[int | None, typer.Option(help="Tokens of prompt and completion at most.")] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences computed side by side at most.")] = None,
    offload: Annotated[str | None, typer.Option(help="A folder on disk for layers that fit nowhere.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the CPU.")] = None,
    fix_mistral_regex: Annotated[
        bool, typer.Option("--fix-mistral-regex", help="transformers' corrected pre-tokenizer; recorded.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the random weights of local:tiny.")] = 0,
) -> None:
    """Serve a local LongCat-Flash-Lite to OpenAI clients on this machine."""
    from longcat_eval.cli.serve import ServeOptions, serve

    local = {
        "dtype": dtype,
        "quant": quant,
        "quant_tables": quant_tables,
        "tables": tables,
        "gpus": gpus,
        "context": context,
        "batch": batch,
        "offload": offload,
        "threads": threads,
        "seed": seed,
        "fix_mistral_regex": fix_mistral_regex,
    }
    options = ServeOptions(model, host, port, api_key_env, served_model_name, lenient_tools, local)
    raise typer.Exit(serve(options))


def doctor(
    resolved: Resolved,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Instead let gold replies and none at all answer every installed benchmark, and compare the "
            "scores with those that they must have.",
        ),
    ] = False,
    format: Annotated[
        str, typer.Option("--format", "-f", help="With --calibrate: text or json.", show_default=False)
    ] = "text",
) -> None:
    """Check endpoint, settings on the wire, data, disk and extras; each line ok, warn or fail."""
    if calibrate:
        from longcat_eval.cli.calibrate import calibrate_benchmarks

        raise typer.Exit(calibrate_benchmarks(resolved, format))
    if format != "text":
        raise UsageError(f"--format {format} goes with --calibrate")
    from longcat_eval.cli.run import check_health

    raise typer.Exit(check_health(resolved))


app.command("doctor")(with_run_settings(doctor))


def config_show(resolved: Resolved) -> None:
    """Print every setting of `run` with its value and where it comes from."""
    from longcat_eval.cli.listing import show_config

    show_config(resolved)


config_app.command("show")(with_run_settings(config_show))


@tasks_app.command("list")
def tasks_list() -> None:
    """List benchmarks and suites."""
    from longcat_eval.cli.listing import list_tasks

    list_tasks()


@tasks_app.command("show")
def tasks_show(name: str) -> None:
    """Print a benchmark's protocol and floors."""
    from longcat_eval.cli.listing import show_task

    show_task(name)


@models_app.command("list")
def models_list() -> None:
    """List the presets."""
    from longcat_eval.cli.listing import list_models

    list_models()


@models_app.command("show")
def models_show(name: str) -> None:
    """Print a preset with the source of every value."""
    from longcat_eval.cli.listing import show_model

    show_model(name)


@cache_app.command("stats")
def cache_stats(path: Path) -> None:
    """Count what a response cache holds."""
    from longcat_eval.cli.listing import show_cache

    show_cache(path)


@cache_app.command("prune")
def cache_prune(
    path: Path, older_than_days: Annotated[float, typer.Option(help="Age in days.")] = 30.0
) -> None:
    """Drop old entries of a response cache."""
    from longcat_eval.cli.listing import prune

    prune(path, older_than_days)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"longcat-eval {__version__}")
        raise typer.Exit


@app.callback()
def _front(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Every benchmark of a model card under one command, with scores that can be traced."""


def main() -> None:
    """Run the command line; every expected error is one line on stderr and its own exit code."""
    try:
        app()
    except LongcatEvalError as error:
        if os.environ.get("LONGCAT_EVAL_DEBUG"):
            raise
        sys.stderr.write(visible(f"longcat-eval: {error}\n"))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("longcat-eval: interrupted\n")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.OK)
