"""Number formats of weights, by the names that commands and configs use."""

NUMBER_FORMATS = {"bf16": "bfloat16", "fp32": "float32"}
"""Each with the name that torch, Hugging Face and vLLM have for it."""
