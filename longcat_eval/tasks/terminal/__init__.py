"""TerminalBench: tasks in containers, done through a terminal and judged by their own tests."""
