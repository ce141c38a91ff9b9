"""How the image of an instance can be built from PyPI, and the pinned files that this takes."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.model_backend.wheels import PINS_FILE, Pins, download_pinned, sha256, wheels_for


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
            download_pinned(recipe.source, Path(scratch), ["--no-binary", ":all:"])
            download_pinned(recipe.packages, Path(scratch), wheels_for(recipe.python))
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
