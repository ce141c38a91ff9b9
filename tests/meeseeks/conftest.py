"""The fixtures of tests of Meeseeks."""

from cli_fixtures import cli, endpoint

__all__ = ["cli", "endpoint"]
