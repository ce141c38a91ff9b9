"""Scores in the metadata of a model card: model-index in the front matter of README.md.

Source: huggingface/hub-docs, modelcard.md; huggingface_hub.EvalResult reads it back in the tests. The block
is replaced as text, because YAML that is read and written again loses comments and the language `no`.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from longcat_eval.errors import UsageError
from longcat_eval.reports.exports.hugging_face import LEADERBOARDS, note
from longcat_eval.reports.exports.output import Encoder, replacing
from longcat_eval.reports.exports.source import TOOL, Benchmark, Source

URL = "https://github.com/longcat-eval/longcat-eval"
TASK = {"type": "text-generation"}
KEY = "model-index"
FRONT_MATTER = re.compile(r"\A(\s*---[ \t]*\r?\n)(.*?)(^---[ \t]*(?:\r?\n|\Z))", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(
    rf"^(?:['\"])?{KEY}(?:['\"])?[ \t]*:.*?(?=^[^\s#-]|\Z)",
    re.DOTALL | re.MULTILINE,
)
LONGEST = 8 << 20
"""Bytes of a card at most."""


class Card(NamedTuple):
    """A card cut at its front matter: the text of that, what it says, and what stands around it."""

    before: str
    matter: str
    after: str
    data: dict[str, Any]


def export_model_index(source: Source, output: Path, encode: Encoder) -> list[Path]:
    """Put the scores into the card `output`; all else in it stays, and so do the results of others.

    Earlier scores of ours on the same dataset and metric are replaced; a card that is not there is made.
    `UsageError` for a card whose metadata cannot be read.
    """
    if output.suffix != ".md":
        raise UsageError(f"{output} should be a model card, such as README.md")
    ours = [result(source, each) for each in source.benchmarks if each.value is not None]
    if not ours:
        raise UsageError(f"{source.run.path} has no score to put into a card")
    card = read_card(output)
    index = _merged(output, card.data.get(KEY), ours, source.model_id.rpartition("/")[2])
    matter = _replaced(output, card, index)
    with replacing(output) as file:
        file.write(card.before.encode() + encode.clean(matter.encode()) + card.after.encode())
    return [output]


def read_card(path: Path) -> Card:
    """The card, or an empty one where there is none."""
    import yaml

    if not path.exists():
        return Card("---\n", "", "---\n", {})
    if path.stat().st_size > LONGEST:
        raise UsageError(f"{path} is no model card: it is larger than {LONGEST >> 20} MB")
    try:
        text = path.read_bytes().decode()
        found = FRONT_MATTER.match(text)
        data = yaml.safe_load(found[2]) if found else {}
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise _unreadable(path, " ".join(str(error).split())[:200]) from None
    if data is not None and not isinstance(data, dict):
        raise _unreadable(path, "it is no mapping")
    if found is None:
        return Card("---\n", "", f"---\n{text}", {})
    return Card(found[1], found[2], found[3] + text[found.end() :], data or {})


def result(source: Source, benchmark: Benchmark) -> dict[str, Any]:
    """One score as a result of a model-index, in percent."""
    ours, board = benchmark.result, LEADERBOARDS.get(benchmark.name)
    dataset: dict[str, Any] = {"name": benchmark.name}
    dataset["type"] = benchmark.hub_repo or (board.dataset if board else benchmark.name)
    if benchmark.hub_repo and benchmark.record.dataset.revision:
        dataset["revision"] = benchmark.record.dataset.revision
    metric = {
        "type": "accuracy" if ours.metric == "acc" else ours.metric,
        "value": round(ours.value or 0.0, 2),
        "name": ours.metric,
        "args": {"how": note(source, benchmark)},
    }
    return {"task": TASK, "dataset": dataset, "metrics": [metric], "source": {"name": TOOL, "url": URL}}


def _merged(path: Path, there: Any, ours: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The index with our results behind those that stand."""
    index = [] if there is None else there
    sound = isinstance(index, list) and all(
        isinstance(model, dict)
        and isinstance(model.get("results") or [], list)
        and all(isinstance(each, dict) for each in model.get("results") or [])
        for model in index
    )
    if not sound:
        raise _unreadable(path, f"its {KEY} is no list of models with results")
    first, *others = index or [{"name": name}]
    replaced = {_key(each) for each in ours}
    kept = [each for each in first.get("results") or [] if not (_is_ours(each) and _key(each) in replaced)]
    return [{**first, "results": [*kept, *ours]}, *others]


def _is_ours(result: dict[str, Any]) -> bool:
    source = result.get("source")
    return isinstance(source, dict) and source.get("name") == TOOL


def _key(result: dict[str, Any]) -> tuple[str, str]:
    """Benchmark and metrics."""
    dataset, metrics = result.get("dataset"), result.get("metrics")
    name = dataset.get("name") if isinstance(dataset, dict) else None
    types = [metric.get("type") for metric in metrics or [] if isinstance(metric, dict)]
    return str(name), str(types)


def _replaced(path: Path, card: Card, index: list[dict[str, Any]]) -> str:
    """The front matter with the new index; `UsageError` if anything else in it would change."""
    import yaml

    block = yaml.dump({KEY: index}, Dumper=_plain_dumper(), sort_keys=False, allow_unicode=True, width=100)
    rest = BLOCK.sub("", card.matter)
    rest += "" if not rest or rest.endswith("\n") else "\n"
    matter: str = rest + block
    try:
        after = yaml.safe_load(matter)
    except yaml.YAMLError:
        after = None
    if after != {**card.data, KEY: index}:
        raise _unreadable(path, f"its {KEY} cannot be told from what is around it; write it as a block")
    return matter


def _plain_dumper() -> Any:
    """A dumper that repeats what occurs twice, instead of anchors."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Plain


def _unreadable(path: Path, why: str) -> UsageError:
    return UsageError(f"the metadata of {path} cannot be read: {why}")
