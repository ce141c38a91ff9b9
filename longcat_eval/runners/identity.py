"""What must not change when a run is resumed, and how a change is shown."""

from collections.abc import Iterator, Set
from typing import Any

import msgspec

from longcat_eval.runners.manifest import Manifest

FREE_ROLE_FIELDS = ("endpoint", "origins", "notes", "price", "placement")
"""A server may move and prices may change between two starts of one run."""
FREE_TASK_FIELDS = ("floors",)
FREE_PROTOCOL_FIELDS = ("notes", "typical_tokens", "typical_requests", "typical_role_tokens", "role_models")
FREE_DATASET_FIELDS = ("source", "revision", "remark")
"""The hash says which data; the same rows may come from the hub or from a folder."""


def identity(manifest: Manifest) -> dict[str, Any]:
    """The part of a manifest that decides what is asked and how it is judged."""
    whole: dict[str, Any] = msgspec.to_builtins(manifest)
    for role in whole["roles"].values():
        _drop(role, FREE_ROLE_FIELDS)
    for task in whole["tasks"].values():
        _drop(task, FREE_TASK_FIELDS)
        _drop(task["protocol"], FREE_PROTOCOL_FIELDS)
        _drop(task["dataset"], FREE_DATASET_FIELDS)
    return {name: whole[name] for name in ("model", "roles", "tasks", "seed", "sample_ids")}


def differences(old: Manifest, new: Manifest) -> list[str]:
    """One line per setting that differs (`roles.agent.sampling.top_k: 4 -> 8`), in what both sides have."""
    before, after = identity(old), identity(new)
    for part in ("tasks", "roles"):
        both = before[part].keys() & after[part].keys()
        before[part], after[part] = _only(before[part], both), _only(after[part], both)
    before, after = dict(_flat("", before)), dict(_flat("", after))
    return [
        f"{name}: {_show(before.get(name))} -> {_show(after.get(name))}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _drop(record: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        record.pop(name, None)


def _only(whole: dict[str, Any], names: Set[str]) -> dict[str, Any]:
    return {name: part for name, part in whole.items() if name in names}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, inner)
    else:
        yield prefix, value


def _show(value: Any) -> str:
    return "(none)" if value is None else msgspec.json.encode(value).decode()
