"""Logical reasoning."""
