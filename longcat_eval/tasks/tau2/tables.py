"""Databases that many simulations share: an entry is copied when a simulation first asks for it by key."""

import json
from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any, Generic, TypeVar

import msgspec

Entry = TypeVar("Entry")

encode = msgspec.json.Encoder().encode
decode = msgspec.json.decode


def canonical(value: Any) -> str:
    """The JSON text that tau2 hashes: keys sorted, what JSON has not by `str` (`utils.get_dict_hash`)."""
    return json.dumps(value, sort_keys=True, default=str)


def dumped(entry: Any) -> Any:
    """A pydantic object as plain data; values of a wrong type, which tools let in, pass unremarked."""
    return entry.model_dump(warnings=False)


class Shared(Generic[Entry]):
    """One table as parsed: JSON text by key, and the objects that readers may look at but never change."""

    def __init__(self, rows: dict[str, Any], validate: Callable[[Any], Entry]) -> None:
        self.rows = {key: encode(row) for key, row in rows.items()}
        self._validate = validate
        self._seen: dict[str, Entry] = {}
        self._texts: dict[str, str] = {}

    def fresh(self, key: str) -> Entry:
        """A new object of its own."""
        return self._validate(decode(self.rows[key]))

    def seen(self, key: str) -> Entry:
        """The shared object."""
        if key not in self._seen:
            self._seen[key] = self.fresh(key)
        return self._seen[key]

    def text(self, key: str) -> str:
        """The canonical text of an entry as it was at first."""
        if key not in self._texts:
            self._texts[key] = canonical(dumped(self.seen(key)))
        return self._texts[key]


class Table(MutableMapping[str, Entry]):
    """A simulation's view of a shared table.

    `[key]` gives an object that is this simulation's own, `values()` and `items()` shared ones where it has
    none. That is sound as long as tools change only what they took by key, which is so for the tools of
    tau2-bench 0.2 (read, and held by comparing the shared table before and after in the tests).
    """

    def __init__(self, shared: Shared[Entry]) -> None:
        self._shared = shared
        self._own: dict[str, Entry] = {}
        self._gone: set[str] = set()

    def __getitem__(self, key: str) -> Entry:
        own = self._own.get(key)
        if own is not None:
            return own
        if key in self._gone:
            raise KeyError(key)
        own = self._own[key] = self._shared.fresh(key)
        return own

    def __setitem__(self, key: str, entry: Entry) -> None:
        self._own[key] = entry
        self._gone.discard(key)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._own.pop(key, None)
        self._gone.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._own or (key in self._shared.rows and key not in self._gone)

    def __iter__(self) -> Iterator[str]:
        known = self._shared.rows
        yield from (key for key in known if key not in self._gone)
        yield from (key for key in self._own if key not in known)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def look(self, key: str) -> Entry:
        """An object to look at only."""
        own = self._own.get(key)
        return self._shared.seen(key) if own is None else own

    def values(self) -> ValuesView[Entry]:
        """The entries, to look at only."""
        return _Values(self)

    def items(self) -> ItemsView[str, Entry]:
        """Keys and entries, to look at only."""
        return _Items(self)

    def changes(self) -> dict[str, str]:
        """Canonical text by key of every entry that differs from the shared one, empty where it is gone."""
        known = self._shared.rows
        changed = {key: "" for key in self._gone if key in known}
        for key, entry in self._own.items():
            text = canonical(dumped(entry))
            if key not in known or text != self._shared.text(key):
                changed[key] = text
        return changed


class _Values(ValuesView[Entry]):
    _mapping: Table[Entry]

    def __iter__(self) -> Iterator[Entry]:
        return map(self._mapping.look, self._mapping)


class _Items(ItemsView[str, Entry]):
    _mapping: Table[Entry]

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return ((key, self._mapping.look(key)) for key in self._mapping)
