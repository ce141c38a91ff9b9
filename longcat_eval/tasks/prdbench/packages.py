"""What PRDBench's image has installed: a declared set of packages for one Python, by version and hash.

The benchmark declares none: its tasks name theirs in prose. The set is what requirements, plans and tests of
the 50 tasks name (tasks that want torch or tensorflow do without), and what that needs.
"""

from collections.abc import Collection
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import PINS_FILE, Pins, download_pinned, sha256, wheels_for

PYTHON = "3.11"
GLIBC = ("2_24", "2_27", "2_28")
"""Debian 10 has 2.28."""
LIGHT = ("iniconfig", "packaging", "pip", "pluggy", "pygments", "pytest")


class Packages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pins of wheels, and of source distributions where there is no wheel."""

    wheels: Pins
    sources: Pins

    def only(self, names: Collection[str]) -> "Packages":
        """Those of these names, for an image that does less."""
        chosen = {pin: hashes for pin, hashes in self.wheels.items() if pin.partition("==")[0] in names}
        return Packages(chosen, {})


@cache
def declared() -> Packages:
    """The whole set, from packages.yaml."""
    import yaml

    text = Path(__file__).with_name("packages.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), Packages)


def fetch_packages(packages: Packages) -> list[Path]:
    """Return their files, downloaded once into the user's cache by the user's own pip, checked.

    The whole set is 340 MB. Raises `EnvironmentUnusableError`.
    """
    from platformdirs import user_cache_path

    folder = user_cache_path("longcat-eval") / "prdbench-packages"
    pins = {**packages.wheels, **packages.sources}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = pins.keys() - _there(folder, pins).keys()
        with TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
            for wanted, how in (
                (packages.wheels, wheels_for(PYTHON, *GLIBC)),
                (packages.sources, ["--no-binary", ":all:"]),
            ):
                if chosen := {pin: hashes for pin, hashes in wanted.items() if pin in missing}:
                    download_pinned(chosen, Path(scratch), how)
            for file in Path(scratch).iterdir():
                if file.name != PINS_FILE:
                    file.replace(folder / file.name)
    except OSError as error:
        raise EnvironmentUnusableError(f"cannot keep packages in {folder}: {error}") from None
    found = _there(folder, pins)
    if found.keys() != pins.keys():
        raise EnvironmentUnusableError(
            f"{folder} lacks {', '.join(sorted(pins.keys() - found.keys())[:5])}: remove it and try again"
        )
    return list(found.values())


def _there(folder: Path, pins: Pins) -> dict[str, Path]:
    """The files in the folder by pin."""
    files = {sha256(path): path for path in folder.glob("*") if path.is_file()}
    known = {pin: [files[one] for one in hashes if one in files] for pin, hashes in pins.items()}
    return {pin: paths[0] for pin, paths in known.items() if paths}
