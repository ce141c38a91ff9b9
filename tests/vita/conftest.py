"""The command line in one process, for runs on the stand-in."""

from cli_fixtures import cli, endpoint

__all__ = ["cli", "endpoint"]
