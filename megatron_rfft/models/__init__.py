"""Decoders of the families in common/families.py, from Hugging Face configs or from scratch, built on megatron-core."""
