"""What can be wrong with a checkpoint or with the place it shall lie in."""

from longcat_eval.errors import EnvironmentUnusableError, UsageError


class CheckpointError(EnvironmentUnusableError):
    """A checkpoint that is not what is computed here: names the file or tensor, and what to do."""


class PlacementError(UsageError):
    """A plan that cannot hold: names the place that is too small, by how many bytes, and what would fit."""
