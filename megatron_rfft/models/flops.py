"""Model FLOPs of a training step: what the mathematics asks for, whatever the hardware does on top.

Forward, a matrix of ``m x n`` costs ``2 m n`` for each token that passes it. Causal attention within a document of
``n`` tokens compares ``n (n + 1) / 2`` pairs, each ``4 x`` the width of all heads (queries with keys, weights with
values). The
backward pass costs twice the forward pass. Left out: padding, recomputation, norms, softmax, rotary positions.
"""

import numpy as np

from megatron_rfft.models.config import ModelConfig


def matmul_parameters(model: ModelConfig) -> int:
    """Weights that every token is multiplied with: all matrices of the layers and the output matrix, not the lookup."""
    geometry = model.geometry
    return model.num_layers * geometry.layer_weights + (geometry.output_layer or geometry.embedding).num_weights


def training_flops(model: ModelConfig, document_lengths: np.ndarray) -> float:
    """Floating-point operations of forward and backward over documents of the given lengths in tokens."""
    lengths = np.asarray(document_lengths, np.float64)
    pairs = float((lengths * (lengths + 1) / 2).sum())
    return 3 * (2 * matmul_parameters(model) * float(lengths.sum()) + 4 * model.num_layers * model.query_size * pairs)
