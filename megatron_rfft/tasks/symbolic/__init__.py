"""Symbolic reasoning."""
