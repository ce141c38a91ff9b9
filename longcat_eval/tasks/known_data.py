"""Which copies of a benchmark are known to be good, and the hash by which a copy is recognised."""

import hashlib
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from longcat_eval.records import Sample

_FILE = Path(__file__).with_name("known_data.yaml")


class KnownData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A known-good copy; `sha256` is null where only the commit is known (see `pins`)."""

    source: str
    revision: str | None
    items: int
    sha256: str | None


@cache
def known_data() -> dict[str, list[KnownData]]:
    """Return the known-good copies by task name, from known_data.yaml."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    raw = yaml.load(_FILE.read_text(encoding="utf-8"), Loader=loader)
    return msgspec.convert(raw, dict[str, list[KnownData]])


def canonical_hash(samples: Sequence[Sample]) -> str:
    """Return sha256 over the samples, one line of JSON each, in the order of their ids.

    A line is the object of id, group and fields with sorted keys, no spaces and text in Unicode NFC: copies
    that differ in file format, order or serialisation hash alike, copies that differ in one character do
    not.
    """
    encode = msgspec.json.Encoder(order="deterministic").encode
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda s: s.id):
        row = {"fields": sample.fields, "group": sample.group, "id": sample.id}
        line = encode(row)
        if not line.isascii() and not unicodedata.is_normalized("NFC", line.decode()):
            line = encode(_nfc(row))
        digest.update(line + b"\n")
    return digest.hexdigest()


def _nfc(value: Any) -> Any:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [_nfc(item) for item in value]
    if isinstance(value, dict):
        return {_nfc(key): _nfc(item) for key, item in value.items()}
    return value
