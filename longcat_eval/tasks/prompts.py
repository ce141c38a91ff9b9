"""Small helpers for prompts: the hash that names their exact text."""

import hashlib


def prompt_hash(*templates: str) -> str:
    """Return sha256 over prompt templates, in order, each ended by a zero byte."""
    return hashlib.sha256("".join(f"{text}\0" for text in templates).encode()).hexdigest()
