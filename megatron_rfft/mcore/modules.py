"""Two modules for megatron-core's local (non-Transformer-Engine) layer spec.

The library's own refuse what we need: its torch norm refuses sequence parallelism, and its dot-product attention
refuses packed sequences and materializes the S x S scores.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from megatron_rfft.mcore.context import all_order, heads_to_tokens, tokens_to_heads

from megatron.core.transformer.module import MegatronModule


class RMSNorm(torch.nn.RMSNorm):
    """RMSNorm whose weight is marked so that its gradient is summed over tensor-parallel ranks under SP."""

    def __init__(self, config, hidden_size: int, eps: float = 1e-6, **kwargs):
        super().__init__(hidden_size, eps=eps, dtype=config.params_dtype)
        self.weight.sequence_parallel = config.sequence_parallel


class SDPAttention(MegatronModule):
    """Causal core attention by torch's scaled_dot_product_attention, document by document in packed sequences.

    Under context parallelism every rank attends with its share of the heads over all tokens (Jacobs et al. 2023,
    arXiv:2309.14509): that needs no kernel of its own.
    """

    def __init__(
        self,
        config,
        layer_number,
        attn_mask_type,
        attention_type,
        attention_dropout=None,
        softmax_scale=None,
        cp_comm_type=None,
        pg_collection=None,
        **kwargs,
    ):
        super().__init__(config=config)
        self.context_group = pg_collection.cp if config.context_parallel_size > 1 else None
        self.scale = softmax_scale or 1.0 / math.sqrt(config.kv_channels)
        self.dropout = config.attention_dropout if attention_dropout is None else attention_dropout

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask,
        attn_mask_type=None,
        attention_bias=None,
        packed_seq_params=None,
    ) -> Tensor:
        """Attend causally.

        Shapes: ``[tokens, heads, dim]`` with ``packed_seq_params``, else ``[sequence, batch, heads, dim]``; key and
        value may have fewer heads (grouped queries). Returns the input's leading dimensions and ``heads * dim``.
        """
        if packed_seq_params is None:
            output = self._attend(*(x.permute(1, 2, 0, 3) for x in (query, key, value)))
            output = output.permute(2, 0, 1, 3)
            return output.reshape(*output.shape[:2], -1)
        if self.context_group is None:
            return self._attend_documents(query, key, value, packed_seq_params.cu_seqlens_q).flatten(1)
        size = self.context_group.size()
        order = all_order(packed_seq_params.cu_seqlens_q, size)
        if key.size(1) % size:  # fewer key/value heads than ranks: each query head gets its own copy
            copies = query.size(1) // key.size(1)
            key, value = (x.repeat_interleave(copies, 1) for x in (key, value))
        query, key, value = (tokens_to_heads(x, order, self.context_group) for x in (query, key, value))
        output = self._attend_documents(query, key, value, packed_seq_params.cu_seqlens_q)
        return heads_to_tokens(output, order, self.context_group).flatten(1)

    def _attend_documents(self, query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor) -> Tensor:
        """``[tokens, heads, dim]`` in and out."""
        lengths = cu_seqlens.diff().tolist()
        outputs = []
        # split, not slices: the gradient of each slice would be as long as the whole sequence
        for document in zip(*(x.split(lengths) for x in (query, key, value)), strict=True):
            output = self._attend(*(x.transpose(0, 1).unsqueeze(0) for x in document))
            outputs.append(output[0].transpose(0, 1))
        return torch.cat(outputs)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """``[batch, heads, sequence, dim]`` in and out."""
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            is_causal=True,
            scale=self.scale,
            enable_gqa=key.size(1) != query.size(1),
            dropout_p=self.dropout if self.training else 0.0,
        )
