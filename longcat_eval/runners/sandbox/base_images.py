"""Which image stands behind a name in a Dockerfile: a mapped one, local, a stand-in, or the registry's."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from longcat_eval.errors import UsageError
from longcat_eval.protocols import SandboxError

STAND_IN_REPOSITORY = "longcat-eval/stand-in"
STAND_IN_LABEL = "lceval.stand-in"
"""On a stand-in, and by inheritance on every image built on one; its value is the stand-in's tag."""

Origin = Literal["mapped", "local", "stand-in", "pulled"]


class Base(NamedTuple):
    """The image taken for `reference`, and how it was found.

    `workdir` is to be set on it where it differs from the original's. `environment` is None where it is not
    known; `user` and `shell` are the image's own.
    """

    reference: str
    name: str
    id: str = ""
    origin: Origin = "local"
    workdir: str = ""
    environment: Mapping[str, str] | None = None
    user: str = ""
    shell: tuple[str, ...] = ()
    stand_in: str = ""


class StandIn(NamedTuple):
    """A stand-in by its tag, and the folder that the original works in where that is not /app."""

    tag: str
    workdir: str

    @property
    def image(self) -> str:
        """Its name."""
        return f"{STAND_IN_REPOSITORY}:{self.tag}"


def parse_map(entries: Sequence[str]) -> dict[str, str]:
    """`from=to` entries of `--base-image-map`; both sides may end in `*`, which stands for the same."""
    found = {}
    for entry in entries:
        source, equals, target = entry.partition("=")
        if not equals or not source or not target or target.count("*") > source.count("*"):
            raise UsageError(f"{entry!r} maps no image: give FROM=TO, such as 'ghcr.io/*=mirror.local/*'")
        found[source] = target
    return found


def mapped(reference: str, base_map: Mapping[str, str]) -> str | None:
    """The image wanted for `reference`: by an exact entry, else by the longest prefix before a `*`."""
    if reference in base_map:
        return base_map[reference]
    prefixes = [source for source in base_map if source.endswith("*") and reference.startswith(source[:-1])]
    if not prefixes:
        return None
    source = max(prefixes, key=len)
    target = base_map[source]
    return target[:-1] + reference[len(source) - 1 :] if target.endswith("*") else target


def plain_name(reference: str) -> str:
    """A reference without the registry that is meant without one, and with its tag."""
    name = re.sub(r"^((index\.)?docker\.io/)?(library/)?", "", reference)
    last = name.partition("@")[0].rpartition("/")[2]
    return name if ":" in last or "@" in name else f"{name}:latest"


@lru_cache(maxsize=1)
def _table() -> list[dict[str, str]]:
    import yaml

    text = Path(__file__).with_name("stand_ins.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, str]] = yaml.safe_load(text)
    return rows


def stand_in_for(reference: str) -> StandIn | None:
    """The stand-in of that image's family, whether it was built or not; None for other families."""
    for row in _table():
        if found := re.fullmatch(row["names"], plain_name(reference)):
            parts = found.groupdict()
            minor = parts.get("minor") or f"3.{parts.get('part')}"
            return StandIn(row["stand_in"].format(minor=minor), row.get("workdir", ""))
    return None


def resolve_bases(
    api: Any, references: Sequence[str], base_map: Mapping[str, str], *, pull: bool = True
) -> dict[str, Base]:
    """Find the image for each reference, in this order: the user's map, a local image of that name, a
    stand-in that is here, the registry's. A name mapped to itself is never replaced by a stand-in.

    Raises `SandboxError` (`image_missing`, naming all three remedies) where none can be had.
    """
    found = {}
    for reference in references:
        target = mapped(reference, base_map)
        name = target or reference
        stand_in = None if target is not None else stand_in_for(reference)
        about = inspect(api, name)
        if about is not None:
            found[reference] = _base(reference, name, about, "mapped" if target else "local")
        elif stand_in is not None and (about := inspect(api, stand_in.image)) is not None:
            found[reference] = _base(reference, stand_in.image, about, "stand-in", stand_in.workdir)
        elif pull:
            about = _pull(api, reference, name, stand_in)
            found[reference] = _base(reference, name, about, "mapped" if target else "pulled")
    return found


def _pull(api: Any, reference: str, name: str, stand_in: StandIn | None) -> Mapping[str, Any]:
    from longcat_eval.runners.sandbox.image_store import daemon_id, note_built, pull_once

    refused = pull_once(api, name)
    about = inspect(api, name)
    if about is not None:
        note_built(api, daemon_id(api), name)
        return about
    remedy = f"map it to one that is here with --base-image-map {reference}=IMAGE"
    if stand_in is not None:
        remedy += f", or make a stand-in with: longcat-eval images build --stand-in {stand_in.tag}"
    raise SandboxError(
        "image_missing", f"no base image {name}, and it cannot be pulled ({refused}): {remedy}"
    )


def inspect(api: Any, name: str) -> Mapping[str, Any] | None:
    """What the daemon says of a local image; None if there is none of that name."""
    from docker.errors import ImageNotFound

    try:
        about: Mapping[str, Any] = api.inspect_image(name)
    except ImageNotFound:
        return None
    return about


def _base(reference: str, name: str, about: Mapping[str, Any], origin: Origin, workdir: str = "") -> Base:
    config = about.get("Config") or {}
    variables = (entry.partition("=") for entry in config.get("Env") or [])
    return Base(
        reference=reference,
        name=name,
        id=str(about["Id"]),
        origin=origin,
        workdir=workdir if workdir != (config.get("WorkingDir") or "/") else "",
        environment={key: value for key, _, value in variables},
        user=str(config.get("User") or ""),
        shell=tuple(config.get("Shell") or ()),
        stand_in=str((config.get("Labels") or {}).get(STAND_IN_LABEL) or ""),
    )


def notes(bases: Mapping[str, Base]) -> dict[str, str]:
    """For results: which bases were not the named ones, and what was taken instead."""
    return {
        base.reference: base.name + (f" (stand-in {base.stand_in})" if base.stand_in else "")
        for base in bases.values()
        if base.stand_in or base.name != base.reference
    }
