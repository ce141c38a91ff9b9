"""Import one copy of a benchmark that is a Python package, from a folder, and nothing else with it.

`sys.path` and the environment stay as they are: `sys.modules` alone says which copy a process has.
"""

import codecs
import contextlib
import io
import locale
import os
import sys
import threading
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import NamedTuple

from longcat_eval.errors import EnvironmentUnusableError

_IMPORTING = threading.Lock()


class PathPackage(NamedTuple):
    """A package `name` in `folder`, of which `modules` are needed.

    `what` is the benchmark's name and `version` this copy's, as errors say them; `extra` is our extra that
    brings `extra_modules`; `environment` holds while it is imported; `namesake` says
    what an unrelated package of the same name is about.
    """

    name: str
    what: str
    version: str
    folder: Path
    modules: tuple[str, ...]
    extra: str
    extra_modules: tuple[str, ...]
    environment: Mapping[str, str] = {}
    namesake: str = ""


def import_package(package: PathPackage, check: Callable[[], None] = lambda: None) -> None:
    """Make `import NAME.…` give this copy, with the modules named already imported; then run `check`.

    It reads no .env, prints nothing and logs nothing. Raises `EnvironmentUnusableError` where another copy is
    imported already, or this one cannot be; then nothing of it is left.
    """
    with _IMPORTING:
        _refuse_another(package)
        _refuse_locale(package)
        before = set(sys.modules)
        try:
            with warnings.catch_warnings(), _quiet(package), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                _put_package(package)
                for name in package.modules:
                    import_module(name)
                check()
        except Exception as error:
            _forget(package, before)
            if isinstance(error, EnvironmentUnusableError):
                raise
            raise EnvironmentUnusableError(_why(package, error)) from None


def _refuse_locale(package: PathPackage) -> None:
    """Such packages open their texts in the locale's encoding, and they are UTF-8."""
    encoding = locale.getpreferredencoding(False)
    if codecs.lookup(encoding).name != "utf-8":
        raise EnvironmentUnusableError(
            f"{package.name} reads its files in the locale's encoding, which is {encoding} here: "
            "set PYTHONUTF8=1"
        )


def _put_package(package: PathPackage) -> None:
    """Put the top-level package into `sys.modules` without running its __init__.

    An __init__ may import a whole runner (pandas, an LLM client); sub-packages need only the path.
    """
    if package.name in sys.modules:
        return
    invalidate_caches()  # the folder may have been unpacked by this very process
    spec = PathFinder.find_spec(package.name, [str(package.folder.resolve())])
    if spec is None:
        raise ImportError(f"there is no {package.name} in {package.folder}")
    sys.modules[package.name] = module_from_spec(spec)


def _refuse_another(package: PathPackage) -> None:
    module = sys.modules.get(package.name)
    if module is None:
        return
    folders = [Path(path) for path in getattr(module, "__path__", ())]
    if (package.folder / package.name).resolve() in [folder.resolve() for folder in folders]:
        return
    where = folders[0] if folders else getattr(module, "__file__", None) or "an unknown place"
    if not any((folder / "domains").is_dir() for folder in folders):
        raise EnvironmentUnusableError(
            f"a package {package.name} that is not {package.what} is imported already, from {where}"
            f"{package.namesake and f' ({package.namesake})'}: pip uninstall {package.name}"
        )
    raise EnvironmentUnusableError(
        f"{package.name} is imported already, from {where}, and {package.version} was asked for: "
        "a process can hold one"
    )


@contextmanager
def _quiet(package: PathPackage) -> Iterator[None]:
    """No .env is read and the package's own variables are set while it is imported; it never logs a line."""
    from loguru import logger

    logger.disable(package.name)
    own = {"PYTHON_DOTENV_DISABLED": "1", **package.environment}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _forget(package: PathPackage, before: set[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
        if name not in before:
            del sys.modules[name]


def _why(package: PathPackage, error: Exception) -> str:
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing in package.extra_modules:
        return f"{package.what} needs the module {missing}: pip install 'longcat-eval[{package.extra}]'"
    if missing and missing != package.name:
        return (
            f"{package.version} needs the module {missing}, which is not in longcat-eval[{package.extra}]: "
            "install it"
        )
    here = ".".join(map(str, sys.version_info[:2]))
    wanted = _requires_python(package)
    asks = f"; it asks for Python {wanted}" if wanted else ""
    text = " ".join(str(error).split())
    return f"{package.version} cannot be imported by Python {here} ({type(error).__name__}: {text}){asks}"


def _requires_python(package: PathPackage) -> str:
    try:
        about = tomllib.loads((package.folder.parent / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(about.get("project", {}).get("requires-python", ""))
