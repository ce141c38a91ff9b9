"""COLLIE: text under constraints on its characters, words, sentences and paragraphs."""
