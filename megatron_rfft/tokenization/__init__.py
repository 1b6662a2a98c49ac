"""Tokenizers, and the data sets that they make of corpora and of foreign files."""
