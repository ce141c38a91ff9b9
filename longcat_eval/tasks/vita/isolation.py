"""What a simulation sees of VitaBench's registries: its own stores, products and places, and nobody else's.

The package keeps every object of an environment in class-wide dictionaries by the id of the thread
(`vita/data_model/thread_safe_base.py`), and the language in a module-wide variable: simulations that take
turns in one thread would read each other's. Here the simulation in whose name something runs stands in a
context variable, and gives the id and the language.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple

REGISTRIES = ("_global_instances", "_polymorphic_instances")


class Simulation(NamedTuple):
    """One simulation; `number` is below zero, because the ids of threads are above."""

    number: int
    language: str


_current: ContextVar[Simulation | None] = ContextVar("vita_simulation", default=None)
_numbers = count(-1, -1)


def begin(language: str) -> Simulation:
    """A new simulation, with nothing registered."""
    return Simulation(next(_numbers), language)


@contextmanager
def inside(simulation: Simulation) -> Iterator[None]:
    """Whatever the package does within happens in this simulation's name."""
    token = _current.set(simulation)
    try:
        yield
    finally:
        _current.reset(token)


def forget(simulation: Simulation, base: Any) -> None:
    """Drop what a simulation registered in `base` (`ThreadSafeBase`) and the classes below it."""
    for name in REGISTRIES:
        vars(base).get(name, {}).pop(simulation.number, None)
    for below in base.__subclasses__():
        forget(simulation, below)


def isolate(registries: Any, schemas: Any) -> None:
    """Put the context variable into the package's modules `thread_safe_base` and `schema_utils`."""
    registries.threading = SimpleNamespace(
        get_ident=_ident, Lock=threading.Lock, enumerate=threading.enumerate
    )
    official = schemas.get_global_language

    def language() -> Any:
        current = _current.get()
        return official() if current is None else current.language

    schemas.get_global_language = language


def _ident() -> int:
    current = _current.get()
    return threading.get_ident() if current is None else current.number
