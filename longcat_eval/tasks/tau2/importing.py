"""Import one copy of τ²-Bench, and nothing else with it."""

import codecs
import locale
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.errors import EnvironmentUnusableError

if TYPE_CHECKING:
    from longcat_eval.tasks.tau2.source import Tau2Source

EXTRA_MODULES = ("loguru", "docstring_parser", "deepdiff", "dotenv", "addict", "toml")
"""What the extra [tau2] brings."""

MODULES = (
    *(f"tau2.domains.{name}.environment" for name in ("airline", "retail", "telecom", "mock")),
    "tau2.environment.environment",
    "tau2.data_model.tasks",
    "tau2.data_model.message",
)
_IMPORTING = threading.Lock()


def import_tau2(source: "Tau2Source") -> None:
    """Make `import tau2.…` give this source, with all that domains need already imported.

    Nothing but `tau2` in `sys.modules` changes: not `sys.path`, not the environment; the package reads no
    .env and logs nothing. Raises `EnvironmentUnusableError` where another `tau2` is imported already, or this
    one cannot be.
    """
    with _IMPORTING:
        _refuse_another(source)
        _refuse_locale()
        before = set(sys.modules)
        try:
            with warnings.catch_warnings(), _quiet(source):
                warnings.simplefilter("ignore")
                _put_package(source)
                for name in MODULES:
                    import_module(name)
                _check_data_folder(source)
        except Exception as error:
            _forget(before)
            if isinstance(error, EnvironmentUnusableError):
                raise
            raise EnvironmentUnusableError(_why(source, error)) from None


def _refuse_locale() -> None:
    """The package opens its policies in the locale's encoding, and they are UTF-8."""
    encoding = locale.getpreferredencoding(False)
    if codecs.lookup(encoding).name != "utf-8":
        raise EnvironmentUnusableError(
            f"tau2 reads its files in the locale's encoding, which is {encoding} here: set PYTHONUTF8=1"
        )


def _put_package(source: "Tau2Source") -> None:
    """Put the top-level package into `sys.modules` without running its __init__.

    Upstream's from 1.0 on imports its whole runner there (pandas, litellm); sub-packages need only the path.
    """
    if "tau2" in sys.modules:
        return
    invalidate_caches()  # the folder may have been unpacked by this very process
    spec = PathFinder.find_spec("tau2", [str(source.package.resolve())])
    if spec is None:
        raise ImportError(f"there is no tau2 in {source.package}")
    sys.modules["tau2"] = module_from_spec(spec)


def _refuse_another(source: "Tau2Source") -> None:
    module = sys.modules.get("tau2")
    if module is None:
        return
    folders = [Path(path) for path in getattr(module, "__path__", ())]
    if (source.package / "tau2").resolve() in [folder.resolve() for folder in folders]:
        return
    where = folders[0] if folders else getattr(module, "__file__", None) or "an unknown place"
    if not any((folder / "domains").is_dir() for folder in folders):
        raise EnvironmentUnusableError(
            f"a package tau2 that is not τ²-Bench is imported already, from {where} (PyPI's tau2 is about "
            "magnetic relaxation): pip uninstall tau2"
        )
    raise EnvironmentUnusableError(
        f"tau2 is imported already, from {where}, and {source.version} was asked for: a process can hold one"
    )


@contextmanager
def _quiet(source: "Tau2Source") -> Iterator[None]:
    """While it is imported: no .env is read, the data folder is the source's; from then on, no log lines."""
    from loguru import logger

    logger.disable("tau2")
    own = {"PYTHON_DOTENV_DISABLED": "1", "TAU2_DATA_DIR": str(source.data.parent.resolve())}
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


def _check_data_folder(source: "Tau2Source") -> None:
    folder = Path(import_module("tau2.utils.utils").DATA_DIR) / "tau2"
    if folder.resolve() != source.data.resolve():
        raise EnvironmentUnusableError(
            f"{source.version} reads its data from {folder}, not from {source.data}"
        )


def _forget(before: set[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tau2" and name not in before]:
        del sys.modules[name]


def _why(source: "Tau2Source", error: Exception) -> str:
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing in EXTRA_MODULES:
        return f"τ²-Bench needs the module {missing}: pip install 'longcat-eval[tau2]'"
    if missing and missing != "tau2":
        return f"{source.version} needs the module {missing}, which is not in longcat-eval[tau2]: install it"
    here = ".".join(map(str, sys.version_info[:2]))
    wanted = _requires_python(source)
    asks = f"; it asks for Python {wanted}" if wanted else ""
    text = " ".join(str(error).split())
    return f"{source.version} cannot be imported by Python {here} ({type(error).__name__}: {text}){asks}"


def _requires_python(source: "Tau2Source") -> str:
    import tomllib

    try:
        about = tomllib.loads((source.package.parent / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(about.get("project", {}).get("requires-python", ""))
