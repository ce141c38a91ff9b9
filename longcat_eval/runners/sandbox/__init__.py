"""Isolated machines for agents and graders, on Docker; safe by default."""
