"""megatron-core's distributed optimizer, fixed where saving or resuming it loses numbers.

Found in 0.19.2; each is covered by the exact-resume tests.

Everywhere:

- a reshardable save drops the padding between buckets of a buffer, but reads parameters at offsets that count it: with
  more than one bucket (overlap, tied embeddings under pipeline parallelism) whose end is padded, all later parameters
  are saved shifted, and the last one's end as zeros. megatron-core only logs a warning.

Around torch.optim.Adam (no Transformer Engine, no apex):

- ``state_dict`` asserts on empty state when a checkpoint is loaded before the first step;
- loading fails on (or overwrites with a stale value) Adam's ``step``, which the sharded state does not carry;
- after loading, one ``step`` tensor is shared by all parameters and advances once per parameter: a silent drift;
- loading writes into leaf parameters outside ``no_grad``.
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch

from megatron.core.optimizer import distrib_optimizer


def install() -> None:
    """Fix DistributedOptimizer in place."""
    _keep_bucket_padding()
    if not distrib_optimizer.HAVE_APEX_OR_TE:
        _mend_torch_adam()


def _keep_bucket_padding() -> None:
    cls = distrib_optimizer.DistributedOptimizer
    original = cls.sharded_param_state_fully_reshardable

    def sharded_param_state_fully_reshardable(self, *args, **kwargs):
        with _padding_counted(self.buffers):
            return original(self, *args, **kwargs)

    cls.sharded_param_state_fully_reshardable = sharded_param_state_fully_reshardable


@contextlib.contextmanager
def _padding_counted(buffers: Sequence) -> Iterator[None]:
    """Within, every buffer and bucket calls its padding content: nothing is cut out, and offsets fit."""
    holders = [(buffer, buffer.numel) for buffer in buffers]
    holders += [(bucket, bucket.grad_data.numel()) for buffer in buffers for bucket in buffer.buckets]
    before = [holder.numel_unpadded for holder, _ in holders]
    for holder, numel in holders:
        holder.numel_unpadded = numel
    try:
        yield
    finally:
        for (holder, _), numel in zip(holders, before, strict=True):
            holder.numel_unpadded = numel


def _mend_torch_adam() -> None:
    cls = distrib_optimizer.DistributedOptimizer
    original_state_dict = cls.state_dict
    original_set_states = cls._set_main_param_and_optimizer_states
    original_load = cls.load_state_dict

    def state_dict(self):
        for group in self.optimizer.param_groups:
            for param in group["params"]:
                if not self.optimizer.state[param]:
                    moments = {key: torch.zeros_like(param) for key in ("exp_avg", "exp_avg_sq")}
                    self.optimizer.state[param] = {"step": torch.tensor(0.0), **moments}
        return original_state_dict(self)

    def set_states(self, model_param, tensors):
        group, index = self.model_param_group_index_map[model_param]
        main_param = self.optimizer.param_groups[group]["params"][index]
        step = self.optimizer.state[main_param].get("step")
        return original_set_states(self, model_param, {**tensors, "step": step})

    def load_state_dict(self, state):
        with torch.no_grad():
            original_load(self, state)
        for param_state in self.optimizer.state.values():
            if isinstance(param_state.get("step"), torch.Tensor):
                param_state["step"] = param_state["step"].clone()

    cls.state_dict = state_dict
    cls._set_main_param_and_optimizer_states = set_states
    cls.load_state_dict = load_state_dict
