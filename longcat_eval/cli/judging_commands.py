"""Commands that go over verdicts again: `rescore`, and `arena-hard` over several models."""

from pathlib import Path
from typing import Annotated

import typer

from longcat_eval.cli.arguments import DataDir, Tau2Src, VitaSrc


def arena_hard(
    runs: Annotated[list[Path], typer.Argument(help="Run directories with verdicts of one judge.")],
    task: Annotated[str, typer.Option("--task", "-t", help="arena-hard-v2 or arena-hard-v2-creative.")] = (
        "arena-hard-v2"
    ),
    official: Annotated[
        Path | None,
        typer.Option(
            help="A folder arena-hard-v2.0 of the authors' data: its judged models stand there too."
        ),
    ] = None,
    judge: Annotated[str, typer.Option(help="Whose judgments of that folder.")] = "gpt-4.1",
    control: Annotated[
        str, typer.Option(help="Style that is controlled: length, markdown, or none.")
    ] = "length,markdown",
    format: Annotated[str, typer.Option("--format", "-f", help="text or json.")] = "text",
) -> None:
    """Standings of several models in Arena-Hard v2, with the official style control over all of them."""
    from longcat_eval.cli.arena import show_leaderboard

    raise typer.Exit(show_leaderboard(runs, task, official, judge, control, format))


def rescore(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="Only this task.")] = None,
    data_dir: DataDir = None,
    tau2_src: Tau2Src = None,
    vita_src: VitaSrc = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            envvar="LONGCAT_EVAL_DATASET", show_envvar=False, help="The file of rows that the run was given."
        ),
    ] = None,
    lm_eval_include: Annotated[
        Path | None,
        typer.Option(
            envvar="LONGCAT_EVAL_LM_EVAL_INCLUDE",
            show_envvar=False,
            help="The folder of task definitions that the run was given.",
        ),
    ] = None,
    lm_eval_unsafe_code: Annotated[
        bool, typer.Option("--lm-eval-unsafe-code", help="As in `run`: execute what the model wrote.")
    ] = False,
    judge_model: Annotated[str | None, typer.Option(help="Judge the answers by this model; with -o.")] = None,
    judge_base_url: Annotated[str | None, typer.Option(help="Its endpoint.")] = None,
    judge_api_key_env: Annotated[str | None, typer.Option(help="Variable with its key.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="One setting of one judge, as in `run`: scorer.model=NAME.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The directory of another judge's verdicts.")
    ] = None,
    concurrency: Annotated[str, typer.Option("--concurrency", "-c", help="auto or a number.")] = "auto",
    max_cost: Annotated[
        float | None, typer.Option(help="Stop cleanly when so many dollars are spent.")
    ] = None,
) -> None:
    """Judge the kept transcripts again with this version's graders, asking no model; or by another judge."""
    from longcat_eval.cli.rescore import rescore_run
    from longcat_eval.cli.role_settings import merged
    from longcat_eval.cli.settings import RunSettings

    settings = RunSettings(
        data_dir=data_dir,
        tau2_src=tau2_src,
        vita_src=vita_src,
        dataset=dataset,
        lm_eval_include=lm_eval_include,
        lm_eval_unsafe_code=lm_eval_unsafe_code,
        judge_model=judge_model,
        judge_base_url=judge_base_url,
        judge_api_key_env=judge_api_key_env,
        roles=merged({}, role or []),
        output=output,
        concurrency=concurrency,
        max_cost=max_cost,
    )
    raise typer.Exit(rescore_run(run, task or [], settings))
