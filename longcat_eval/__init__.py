"""longcat-eval: every benchmark of a model card under one command, with scores that can be traced."""

__version__ = "0.1.0"
