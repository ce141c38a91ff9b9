"""Results of other tools as columns of a table; docs/interop.md says what is known of them."""
