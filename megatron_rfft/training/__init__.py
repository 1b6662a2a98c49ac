"""Training: configuration, the loop, callbacks, optimizer, checkpoints."""
