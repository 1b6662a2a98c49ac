"""Number processing on strings of digits."""
