"""Terminals in sandboxes: what an agent that types keys and reads a screen works on."""
