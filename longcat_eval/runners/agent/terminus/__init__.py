"""Terminus 1 and 2 of terminal-bench and harbor, in our own words and code: keys in, screens out."""
