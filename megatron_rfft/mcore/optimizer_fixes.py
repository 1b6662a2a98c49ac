"""megatron-core's distributed optimizer around torch.optim.Adam, fixed where resuming it loses numbers.

Found in 0.19.2, where neither Transformer Engine nor apex is installed; each is covered by the exact-resume tests.

- ``state_dict`` asserts on empty state when a checkpoint is loaded before the first step;
- after loading, one ``step`` tensor is shared by all parameters and advances once per parameter: a silent drift.
"""

import torch

from megatron.core.optimizer import distrib_optimizer


def install() -> None:
    """Fix DistributedOptimizer in place."""
    if distrib_optimizer.HAVE_APEX_OR_TE:
        return
    cls = distrib_optimizer.DistributedOptimizer
    original_state_dict = cls.state_dict
    original_load = cls.load_state_dict

    def state_dict(self):
        for group in self.optimizer.param_groups:
            for param in group["params"]:
                if not self.optimizer.state[param]:
                    moments = {key: torch.zeros_like(param) for key in ("exp_avg", "exp_avg_sq")}
                    self.optimizer.state[param] = {"step": torch.tensor(0.0), **moments}
        return original_state_dict(self)

    def load_state_dict(self, state):
        original_load(self, state)
        for param_state in self.optimizer.state.values():
            if isinstance(param_state.get("step"), torch.Tensor):
                param_state["step"] = param_state["step"].clone()

    cls.state_dict = state_dict
    cls.load_state_dict = load_state_dict
