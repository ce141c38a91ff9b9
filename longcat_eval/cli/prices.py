"""Where the price of a role comes from, and what needs one."""

from collections.abc import Mapping

from longcat_eval.errors import UsageError
from longcat_eval.model_backend.resolve import ResolvedModel


def price_remedy(role: str) -> str:
    """How a user gives the price of a role."""
    start = "--set " if role == "agent" else f"--role {role}."
    return f"give {start}price.prompt=… {start}price.completion=…, dollars per million tokens"


def require_prices(models: Mapping[str, ResolvedModel]) -> None:
    """Refuse --max-cost where a role has no price: attempts with it have no cost, and it would never stop."""
    for role, model in models.items():
        if not model.price_record:
            raise UsageError(
                f"--max-cost needs a price, and the {role}'s ({model.name}) is unknown: {price_remedy(role)}"
            )
