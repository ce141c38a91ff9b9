"""A run in the formats of other tools; docs/interop.md says what each keeps and loses."""
