"""Fixtures of this area, from the module its tests also import from."""

from cli_fixtures import cli, endpoint

__all__ = ["cli", "endpoint"]
