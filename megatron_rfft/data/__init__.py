"""Tokenizers, Megatron indexed binaries with loss spans, packing, and the training data set."""
