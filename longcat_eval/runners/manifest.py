"""manifest.json: what was run, with what, from where. No secret ever enters it (DESIGN §4)."""

from typing import Any

import msgspec

from longcat_eval.records import TaskProtocol, Wire

FORMAT = 1


class RoleRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One model of the run: `origins` says for each setting where its value came from.

    `computed` says of a model computed here from which weights and how, `placement` on what.
    """

    name: str
    kind: str
    preset: str | None = None
    served_name: str | None = None
    endpoint: str = ""
    sampling: dict[str, Any] = {}
    context_length: int | None = None
    max_tokens: int | None = None
    tool_parser: str = "none"
    lenient_tools: bool = False
    computed: dict[str, str] = {}
    placement: str = ""
    price: dict[str, float] | None = None
    origins: dict[str, str] = {}
    notes: tuple[str, ...] = ()


class DatasetRecord(msgspec.Struct, kw_only=True):
    """Which items were asked: canonical hash over all rows, before any selection."""

    source: str
    revision: str | None
    sha256: str
    items: int
    drift: str = ""
    remark: str = ""


class TaskRecord(msgspec.Struct, kw_only=True):
    """One benchmark of the run: `selected` samples times `repeats` are expected; `subset` marks --limit."""

    protocol: TaskProtocol
    dataset: DatasetRecord
    selected: int
    repeats: int
    subset: bool = False
    floors: dict[str, float] = {}


class Invocation(msgspec.Struct, kw_only=True):
    """One start of `run` in this directory; settings that may change between starts live here."""

    started: str
    argv: list[str]
    version: str
    python: str
    packages: dict[str, str]
    git_commit: str | None
    git_dirty: bool | None
    host: str
    settings: dict[str, Any]


class Manifest(msgspec.Struct, kw_only=True):
    """Everything about a run but its attempts. `not_run` names suite members left out, with the remedy."""

    format: int = FORMAT
    model: str
    suite: str | None
    seed: int
    roles: dict[str, RoleRecord]
    tasks: dict[str, TaskRecord]
    not_run: dict[str, str] = {}
    sample_ids: list[str] = []
    shard: str | None = None
    first_requests: dict[str, Wire] = {}
    invocations: list[Invocation] = []
