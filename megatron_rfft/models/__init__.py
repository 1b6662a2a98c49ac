"""Qwen2-style models, from Hugging Face configs or small ones from scratch, built on megatron-core."""
