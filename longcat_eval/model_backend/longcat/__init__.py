"""LongCat-Flash-Lite, computed here: the local reference implementation and its server."""
