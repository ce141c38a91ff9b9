"""How an attempt is driven, scheduled and kept."""
