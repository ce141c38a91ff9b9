"""The numbers others published, as printed, each with its source (published.yaml)."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from longcat_eval.errors import UsageError, did_you_mean

FILE = Path(__file__).with_name("published.yaml")
UNREPORTED = "-"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document; `date` is None where it is not known, `unknown` lists what it does not say of its runs."""

    title: str
    date: str | None = None
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.title} ({self.date or 'undated'})"


class PublishedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column; `header` holds the texts above the scores, `card` marks the card's own columns."""

    label: str
    aliases: tuple[str, ...] = ()
    card: bool = False
    header: dict[str, str] = {}


class MarkedText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A printed value whose source labels it with another metric than the row's."""

    text: str
    metric: str


class PublishedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A benchmark as the card spells it; `values` are texts by source and model, `items` its questions."""

    task: str
    label: str
    metric: str = ""
    items: int | None = None
    values: dict[str, dict[str, str | MarkedText]] = {}


class PublishedGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows under one heading, in print order."""

    name: str
    rows: tuple[PublishedRow, ...]
    card: bool = False


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    sources: dict[str, Source]
    models: dict[str, PublishedModel]
    header: dict[str, str]
    groups: tuple[PublishedGroup, ...]


class PublishedValue(NamedTuple):
    """One printed number: `text` without its mark, `mark` `*` or empty, `metric` as its source labels it."""

    text: str
    mark: str
    metric: str
    source: Source

    @property
    def reported(self) -> bool:
        """Whether the source prints a number at all."""
        return self.text != UNREPORTED


@cache
def load_published() -> Published:
    """Read published.yaml; unknown keys, sources and models in it are errors."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    published = msgspec.convert(yaml.load(FILE.read_text(encoding="utf-8"), Loader=loader), Published)
    for row in (row for group in published.groups for row in group.rows):
        for source, values in row.values.items():
            if source not in published.sources or values.keys() - published.models.keys():
                raise ValueError(f"{FILE.name}: {row.task} names an unknown source or model under {source}")
    return published


def published_value(row: PublishedRow, model: str) -> PublishedValue | None:
    """The value of one cell, or None where no source has one."""
    for source, values in row.values.items():
        if (cell := values.get(model)) is not None:
            text, metric = (cell, row.metric) if isinstance(cell, str) else (cell.text, cell.metric)
            mark = "*" if text.endswith("*") else ""
            return PublishedValue(text.removesuffix("*"), mark, metric, load_published().sources[source])
    return None


def column_names() -> dict[str, str]:
    """The full name of a column by every word for it, in lower case."""
    found: dict[str, str] = {}
    for name, model in load_published().models.items():
        found |= {word.casefold(): name for word in (name, model.label, *model.aliases)}
    return found


def find_models(names: Iterable[str]) -> list[str]:
    """Full names of the columns asked for, in that order and once each.

    A name is an alias, a preset or a label, in any case, or several with commas between. Raises `UsageError`.
    """
    models, known = load_published().models, column_names()
    found: dict[str, None] = {}
    for word in (part.strip() for text in names for part in text.split(",")):
        if not word:
            continue
        if word.casefold() not in known:
            short = ", ".join((*model.aliases, name)[0] for name, model in models.items())
            hint = did_you_mean(word.casefold(), known)
            raise UsageError(f"--compare: no published column {word!r}{hint}; known: {short}")
        found[known[word.casefold()]] = None
    return list(found)
