"""Scores for a model's repository on the Hugging Face hub: .eval_results/*.yaml.

Source: huggingface/hub-docs, docs/hub/eval-results.md and eval_results.yaml; task ids as the benchmarks' own
leaderboards use them, read in the .eval_results of public model repositories (2026).
"""

from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import UsageError
from longcat_eval.reports import texts
from longcat_eval.reports.exports.output import Encoder, file_name, replacing
from longcat_eval.reports.exports.source import TOOL, Benchmark, Source

FOLDER = ".eval_results"


class Leaderboard(NamedTuple):
    """A dataset on the hub that is registered as a benchmark, and the id of its task."""

    dataset: str
    task: str


LEADERBOARDS = {
    "gpqa-diamond": Leaderboard("Idavidrein/gpqa", "diamond"),
    "mmlu-pro": Leaderboard("TIGER-Lab/MMLU-Pro", "mmlu_pro"),
    "swe-bench-verified": Leaderboard("SWE-bench/SWE-bench_Verified", "swe_bench_%_resolved"),
}
"""Only these of our tasks are known to have one; the hub refuses files that name others."""


def export_eval_results(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """Write a file per benchmark into `output`/.eval_results, `output` being a checkout of the model's repo.

    `UsageError` where no benchmark of the run has a leaderboard, or one has been asked in part only.
    """
    chosen = [each for each in source.benchmarks if each.name in LEADERBOARDS and each.value is not None]
    if not chosen:
        raise UsageError(
            f"{source.run.path} has no result of a benchmark with a leaderboard on the hub "
            f"({', '.join(LEADERBOARDS)}); --format model-index takes any"
        )
    if partial := [each.name for each in chosen if each.result.subset or each.result.drift]:
        raise UsageError(
            f"{partial[0]} was asked in part or on other data, which a leaderboard cannot show; "
            f"choose others with --task, or use --format model-index"
        )
    folder = output if output.name == FOLDER else output / FOLDER
    made = []
    for benchmark in chosen:
        path = folder / f"{file_name(benchmark.name)}.yaml"
        with replacing(path) as file:
            file.write(encode.clean(_yaml([entry(source, benchmark)])))
        made.append(path)
    return made


def entry(source: Source, benchmark: Benchmark) -> dict[str, Any]:
    """One result; the value is in percent, as on the leaderboards."""
    board = LEADERBOARDS[benchmark.name]
    dataset: dict[str, Any] = {"id": board.dataset, "task_id": board.task}
    if benchmark.hub_repo == board.dataset and benchmark.record.dataset.revision:
        dataset["revision"] = benchmark.record.dataset.revision
    return {
        "dataset": dataset,
        "value": round(benchmark.result.value or 0.0, 2),
        "date": source.started[:10],
        "notes": note(source, benchmark),
    }


def note(source: Source, benchmark: Benchmark) -> str:
    """How the score was made, in a line: metric, counts, interval, coverage, protocol, sampling, tool."""
    result = benchmark.result
    sampling = ", ".join(f"{name} {value:g}" for name, value in source.sampling.items() if _number(value))
    parts = [
        f"{result.metric} {texts.ratio(result)}",
        f"95 % interval {texts.interval(result)}" if texts.interval(result) else "",
        texts.incomplete(result),
        f"{result.n} of {result.items} questions" if result.subset else "",
        f"other data: {result.drift}" if result.drift else "",
        f"protocol {result.protocol}",
        ", ".join(map(" ".join, result.conditions.items())),
        sampling,
        f"{TOOL} {source.version}",
    ]
    return "; ".join(filter(None, parts))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _yaml(entries: list[dict[str, Any]]) -> bytes:
    import yaml

    text: str = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    return text.encode()
