"""API keys that cannot be printed by accident."""

from collections.abc import Iterable

HIDDEN = "***"


class Secret:
    """A key whose str, repr and format show `***`; not a str, so no JSON encoder will write it either."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the key itself: for the header of a request and nothing else."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: pass the name of its environment variable instead")


def redact(text: str, secrets: Iterable[Secret | None]) -> str:
    """Return `text` with every occurrence of each secret replaced by `***` (servers echo keys in errors)."""
    for secret in secrets:
        if secret:
            text = text.replace(secret.reveal(), HIDDEN)
    return text
