"""The machines around a run."""
