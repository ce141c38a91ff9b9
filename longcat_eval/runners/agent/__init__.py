"""The agent loop: a model with tools in a sandbox, in one of several profiles."""
