"""Where the price of a role comes from, and what needs one."""

from collections.abc import Mapping

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.presets import load_presets
from longcat_eval.model_backend.resolve import ResolvedModel


def price_remedy(role: str) -> str:
    """How a user gives the price of a role: the agent's by a flag, the others' by a preset alone."""
    if role == "agent":
        return "give --set price.prompt=… --set price.completion=…, dollars per million tokens"
    presets = load_presets().presets.items()
    priced = ", ".join(name for name, preset in presets if preset.price and preset.kind == "endpoint")
    return f"its price can only come from a preset at its maker's own endpoint, as {priced} have one"


def require_prices(models: Mapping[str, ResolvedModel]) -> None:
    """Refuse --max-cost where a role has no price: attempts with it have no cost, and it would never stop."""
    for role, model in models.items():
        if not model.price_record:
            raise UsageError(
                f"--max-cost needs a price, and the {role}'s ({model.name}) is unknown: {price_remedy(role)}"
            )
