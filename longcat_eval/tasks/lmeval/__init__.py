"""The bridge to lm-evaluation-harness: its tasks through our engine, and our models for its users."""
