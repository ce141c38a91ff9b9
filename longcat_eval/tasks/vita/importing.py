"""Import the checkout of VitaBench, with simulations kept apart."""

import os
import sys
import threading
from importlib import import_module
from types import ModuleType, SimpleNamespace

from longcat_eval.tasks.path_import import PathPackage, import_package
from longcat_eval.tasks.vita.isolation import isolate
from longcat_eval.tasks.vita.source import TOOLKITS, VitaSource

EXTRA_MODULES = (
    *("loguru", "docstring_parser", "deepdiff", "dotenv", "addict", "toml"),
    *("thefuzz", "holidays", "json_repair"),
)
"""What the extra [vita] brings."""
MODULES = (
    "vita.environment.environment",
    *(f"vita.domains.{name}.environment" for name in TOOLKITS["cross-domain"]),
)
REGISTRY = "vita.registry"


def import_vita(source: VitaSource) -> None:
    """Make `import vita.…` give this checkout, with simulations kept apart (`isolation`).

    No model file of the user's is read: it may hold keys. Raises `EnvironmentUnusableError`.
    """
    package = PathPackage(
        name="vita",
        what="VitaBench",
        version=source.version,
        folder=source.package,
        modules=MODULES,
        extra="vita",
        extra_modules=EXTRA_MODULES,
        environment={"VITA_MODEL_CONFIG_PATH": os.devnull},
    )
    import_package(package)
    registries = import_module("vita.data_model.thread_safe_base")
    if registries.threading is threading:
        isolate(registries, import_module("vita.utils.schema_utils"))
        _lighten()


def _lighten() -> None:
    # Prompts are read once, by `read_prompts`: the package parses every YAML file for every environment.
    import_module("vita.environment.environment").__dict__["get_agent_policy"] = lambda language=None: ""
    # Merged environments look domains up here; the real module imports agents and an HTTP client.
    registry = ModuleType(REGISTRY)
    registry.__dict__["registry"] = SimpleNamespace(
        get_env_constructor=lambda name: import_module(f"vita.domains.{name}.environment").get_environment
    )
    sys.modules[REGISTRY] = registry
