"""The command line's front door (commands are added by the modules beside it)."""


def main() -> None:
    """Run the command line."""
    raise SystemExit(2)
