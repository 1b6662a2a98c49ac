"""Checks of the whole training path on one machine: numbers, kernels, speed, memory, resume; each one function."""
