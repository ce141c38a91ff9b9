"""How far an agent may go before its episode ends."""

from collections.abc import Mapping
from typing import NamedTuple


class AgentLimits(NamedTuple):
    """Bounds of one episode; 0 is no bound for `tokens`, `cost` and `seconds`.

    `steps` counts messages of the model, `tokens` sums prompt and completion of all of them, `cost` (US
    dollars) what the endpoint's price makes of them. `seconds` is the clock on the wall from the first
    request, waiting for a free slot included; `command_seconds` bounds one command. `output_chars` of an
    output are shown to the model, its beginning and its end. `format_errors` useless replies in a row end it.
    """

    steps: int = 250
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 4 * 3600.0
    command_seconds: float = 60.0
    output_chars: int = 10_000
    format_errors: int = 3


PROTOCOL_NAMES: Mapping[str, str] = {
    "max_steps": "steps",
    "max_tokens_total": "tokens",
    "max_cost": "cost",
    "max_seconds": "seconds",
    "command_seconds": "command_seconds",
    "output_chars": "output_chars",
    "format_errors": "format_errors",
}
"""The names of the bounds among the limits of a `TaskProtocol`."""


def agent_limits(limits: Mapping[str, float]) -> AgentLimits:
    """Return a protocol's limits as an agent's: defaults where it says nothing; other names are not ours."""
    types = AgentLimits.__annotations__
    given = {field: types[field](limits[name]) for name, field in PROTOCOL_NAMES.items() if name in limits}
    return AgentLimits(**given)


def protocol_limits(limits: AgentLimits) -> dict[str, float]:
    """Return an agent's limits as a protocol writes them, all of them."""
    return {name: float(getattr(limits, field)) for name, field in PROTOCOL_NAMES.items()}
