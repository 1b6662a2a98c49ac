"""megatron-core's distributed optimizer around torch.optim.Adam (no Transformer Engine, no apex): resume, mended.

Found in 0.19.2, on CPU and GPU alike; each is covered by the exact-resume tests:

- ``state_dict`` asserts on empty state when a checkpoint is loaded before the first step;
- loading fails on (or overwrites with a stale value) Adam's ``step``, which the sharded state does not carry;
- after loading, one ``step`` tensor is shared by all parameters and advances once per parameter: a silent drift;
- loading writes into leaf parameters outside ``no_grad``.
"""

import torch
from megatron.core.optimizer import distrib_optimizer


def install() -> None:
    """Mend DistributedOptimizer in place; does nothing where Transformer Engine or apex provides Adam."""
    if distrib_optimizer.HAVE_APEX_OR_TE:
        return
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
