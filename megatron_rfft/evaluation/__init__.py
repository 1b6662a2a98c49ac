"""How far a model generalizes in length: generation by vLLM or transformers, strict checking, metrics, report."""
