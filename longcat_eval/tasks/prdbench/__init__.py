"""PRDBench: a whole project from its requirements, tested by its plan and marked by a judge."""
