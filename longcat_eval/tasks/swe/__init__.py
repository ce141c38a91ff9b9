"""SWE-bench: an agent repairs a repository in a container, the repository's own tests judge."""
