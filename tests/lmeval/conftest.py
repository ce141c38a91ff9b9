"""The fixtures of tests of the bridge, under their own names."""

from cli_fixtures import cli, endpoint
from lmeval_tasks import ours, stock

__all__ = ["cli", "endpoint", "ours", "stock"]
