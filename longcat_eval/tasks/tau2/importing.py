"""Import one copy of τ²-Bench, and nothing else with it."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.path_import import PathPackage, import_package

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


def import_tau2(source: "Tau2Source") -> None:
    """Make `import tau2.…` give this source, with all that domains need already imported.

    Raises `EnvironmentUnusableError` where another `tau2` is imported already, or this one cannot be.
    """
    package = PathPackage(
        name="tau2",
        what="τ²-Bench",
        version=source.version,
        folder=source.package,
        modules=MODULES,
        extra="tau2",
        extra_modules=EXTRA_MODULES,
        environment={"TAU2_DATA_DIR": str(source.data.parent.resolve())},
        namesake="PyPI's tau2 is about magnetic relaxation",
    )
    import_package(package, lambda: _check_data_folder(source))


def _check_data_folder(source: "Tau2Source") -> None:
    folder = Path(import_module("tau2.utils.utils").DATA_DIR) / "tau2"
    if folder.resolve() != source.data.resolve():
        raise EnvironmentUnusableError(
            f"{source.version} reads its data from {folder}, not from {source.data}"
        )
