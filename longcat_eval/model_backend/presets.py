"""Recommended settings by model, each value with its source (presets.yaml)."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec

from longcat_eval.errors import UsageError, did_you_mean
from longcat_eval.model_backend.prices import Price

FILE = Path(__file__).with_name("presets.yaml")
MAY_BE_UNKNOWN = ("sampling", "context_length", "price")

T = TypeVar("T")


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a value was read, and when that was published or read."""

    title: str
    date: str

    def __str__(self) -> str:
        return f"{self.title} ({self.date})"


class Sourced(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """A value and the name of its source."""

    value: T
    source: str = msgspec.field(name="from")


class SourcedPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars per million tokens, and the name of their source."""

    prompt: float
    completion: float
    source: str = msgspec.field(name="from")
    cached_prompt: float | None = None

    @property
    def value(self) -> Price:
        """The price as endpoints use it."""
        return Price(self.prompt, self.completion, self.cached_prompt)


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model: what its maker recommends and what its server needs.

    `sampling` goes on the wire under these names, `extra_body` likewise; `unsupported` are fields the maker's
    own endpoint refuses; `max_tokens` caps completions; `tool_parser` None means the server parses calls.
    """

    label: str
    kind: Literal["endpoint", "embedded"] = "endpoint"
    hub_id: Sourced[str] | None = None
    served_name: Sourced[str] | None = None
    base_url: Sourced[str] | None = None
    api_key_env: Sourced[str] | None = None
    sampling: dict[str, Sourced[int | float]] = {}
    extra_body: Sourced[dict[str, Any]] | None = None
    unsupported: Sourced[tuple[str, ...]] | None = None
    context_length: Sourced[int] | None = None
    max_tokens: Sourced[int] | None = None
    tool_parser: Sourced[Literal["longcat_xml", "hermes", "none"]] | None = None
    price: SourcedPrice | None = None
    notes: dict[str, str] = {}

    @property
    def unknown(self) -> tuple[str, ...]:
        """The settings for which no source is known."""
        return tuple(name for name in MAY_BE_UNKNOWN if not getattr(self, name))

    def sourced(self) -> dict[str, Sourced[Any] | SourcedPrice]:
        """Every value that has a source, by setting; sampling parameters as `sampling.NAME`."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        values = {k: v for k, v in found.items() if isinstance(v, Sourced | SourcedPrice)}
        return values | {f"sampling.{name}": value for name, value in self.sampling.items()}


class Presets(msgspec.Struct, frozen=True):
    """The whole file."""

    sources: dict[str, Source]
    presets: dict[str, Preset]

    def find(self, name: str) -> str | None:
        """Return the preset a user means: by its name, or by the model's id on the hub, in any case."""
        word = name.casefold()
        if word in self.presets:
            return word
        by_id = {p.hub_id.value.casefold(): key for key, p in self.presets.items() if p.hub_id}
        return by_id.get(word)


@cache
def load_presets() -> Presets:
    """The presets of this version."""
    return read_presets(FILE)


def read_presets(path: Path) -> Presets:
    """Read a presets file; raises `UsageError` that names file, preset and field."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or content.keys() != {"sources", "presets"}:
        raise UsageError(f"{path} must hold `sources:` and `presets:` and nothing else")
    sources = _read_each(path, "source", content["sources"], Source)
    presets = _read_each(path, "preset", content["presets"], Preset)
    for name, preset in presets.items():
        for setting, sourced in preset.sourced().items():
            if sourced.source not in sources:
                hint = did_you_mean(sourced.source, sources)
                raise UsageError(
                    f"{path}: preset {name}: {setting} is from {sourced.source!r}, no known source{hint}"
                )
    return Presets(sources, presets)


S = TypeVar("S", Source, Preset)


def _read_each(path: Path, what: str, entries: Any, kind: type[S]) -> dict[str, S]:
    if not isinstance(entries, Mapping):
        raise UsageError(f"{path}: `{what}s:` must map names to {what}s")
    read = {}
    for name, entry in entries.items():
        try:
            read[str(name)] = msgspec.convert(entry, kind)
        except msgspec.ValidationError as error:
            raise UsageError(f"{path}: {what} {name}: {_explain(str(error))}") from None
    return read


def _explain(problem: str) -> str:
    """msgspec's words, with a suggestion where a field is unknown."""
    unknown = re.search(r"unknown field `([^`]+)`", problem)
    if unknown is None:
        return problem
    known = {*Preset.__struct_fields__, *Source.__struct_fields__, "value", "from", "prompt", "completion"}
    return problem + did_you_mean(unknown[1], known)
