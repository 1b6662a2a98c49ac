"""The machines around a run: what they need and what works on them."""
