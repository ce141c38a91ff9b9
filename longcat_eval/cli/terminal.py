"""Text of models and servers on a terminal: what would steer the terminal is shown, not obeyed."""

CONTROLS = {c: 0x2400 + c for c in range(32) if c not in (9, 10)} | {127: 0x2421}
CONTROLS |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def visible(text: str) -> str:
    """The text with control characters as their Unicode pictures; tab and newline stay."""
    return text.translate(CONTROLS)
