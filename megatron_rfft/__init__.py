"""Meta rule-following fine-tuning at Megatron scale: rules -> traces -> Megatron binaries -> training -> vLLM."""

__version__ = "0.1.0"
