"""Fixtures of this area, from the module its tests also import from."""

from cli_fixtures import cli

__all__ = ["cli"]
