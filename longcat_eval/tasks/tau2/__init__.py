"""τ²-Bench: an agent and a simulated customer, both with tools, on one database."""
