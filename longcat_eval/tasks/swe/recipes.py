"""How the image of an instance can be built from PyPI, and the pinned files that this takes."""

import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import DOWNLOAD_TIMEOUT, pip_error, sha256

PINS_FILE = "pins.txt"
Pins = Mapping[str, list[str]]
"""`name==version` -> sha256 of each file of it that will do (one per kind of machine)."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release that stands for the project at the commits of `instances`, which are samples of `task`.

    `source` is its sdist, `packages` are the wheels of its environment for this version of `python`, `date`
    that of its commit.
    """

    task: str
    python: str
    instances: list[str]
    date: str
    source: Pins
    packages: Pins
    name: str = ""

    @property
    def release(self) -> str:
        """The release, as `name==version`."""
        return next(iter(self.source))


@cache
def recipes() -> dict[str, Recipe]:
    """All recipes by instance, from recipes.yaml."""
    import yaml

    raw = yaml.safe_load(Path(__file__).with_name("recipes.yaml").read_text(encoding="utf-8"))
    named = {name: msgspec.convert({**recipe, "name": name}, Recipe) for name, recipe in raw.items()}
    return {instance: recipe for recipe in named.values() for instance in recipe.instances}


def how_to_get(instance: str, image: str) -> str:
    """The commands that bring the image of an instance."""
    pull = f"`longcat-eval images pull {image}` gets the official one"
    recipe = recipes().get(instance)
    if recipe is None:
        return pull
    return f"{pull}, `longcat-eval images build --task {recipe.task} --sample-id {instance}` builds one"


def recipe_of(instance: str) -> Recipe:
    """The recipe for an instance; `EnvironmentUnusableError` where there is none, which is the rule."""
    found = recipes().get(instance)
    if found is None:
        raise EnvironmentUnusableError(
            f"{instance} cannot be built here: it wants the project's history and packages of its time. "
            f"`longcat-eval images pull` gets the official image; what can be built: {', '.join(recipes())}"
        )
    return found


def fetch_files(recipe: Recipe) -> list[Path]:
    """Return the checked sdist and wheels, downloaded once into the user's cache.

    The user's own pip fetches them, by hash. It looks into the sdist's metadata, for which it runs the
    release's own setup. Raises `EnvironmentUnusableError`.
    """
    from platformdirs import user_cache_path

    folder = user_cache_path("longcat-eval") / "swe-builds" / recipe.name
    if (found := _whole(recipe, folder)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
            _download(recipe.source, Path(scratch), ["--no-binary", ":all:"])
            _download(recipe.packages, Path(scratch), _wheels_for(recipe.python))
            for file in Path(scratch).iterdir():
                if file.name != PINS_FILE:
                    file.replace(folder / file.name)
    except OSError as error:
        raise EnvironmentUnusableError(
            f"cannot keep the files of {recipe.name} in {folder}: {error}"
        ) from None
    found = _whole(recipe, folder)
    if found is None:
        raise EnvironmentUnusableError(f"{folder} does not hold all files of {recipe.name}: remove it")
    return found


def _whole(recipe: Recipe, folder: Path) -> list[Path] | None:
    """The files in `folder` that the recipe knows, if there is one for each of its pins."""
    files = {sha256(path): path for path in sorted(folder.glob("*"))} if folder.is_dir() else {}
    pins = [*recipe.source.values(), *recipe.packages.values()]
    chosen = [next((files[known] for known in hashes if known in files), None) for hashes in pins]
    whole = [path for path in chosen if path is not None]
    return whole if len(whole) == len(pins) else None


def _wheels_for(python: str) -> list[str]:
    machine = platform.machine()
    return [
        *("--only-binary", ":all:", "--python-version", python, "--implementation", "cp"),
        *("--platform", f"manylinux2014_{machine}", "--platform", f"manylinux_2_17_{machine}"),
    ]


def _download(pins: Pins, folder: Path, how: list[str]) -> None:
    lines = [[name, *(f"--hash=sha256:{known}" for known in hashes)] for name, hashes in pins.items()]
    listed = folder / PINS_FILE
    listed.write_text("\n".join(map(" ".join, lines)), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--quiet", "--no-deps", "--require-hashes", "--dest", str(folder), *how, "-r", str(listed)]
    first = next(iter(pins))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentUnusableError(f"pip took over {DOWNLOAD_TIMEOUT:g} s for {first}") from None
    if done.returncode:
        raise EnvironmentUnusableError(
            f"pip cannot download {first} and its like ({pip_error(done.stderr)}); check network and index"
        )
