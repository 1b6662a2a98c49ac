"""The taskset for verifiers: ``PYTHONPATH=examples/rl vf-eval rule_following``, which finds it by this file's name."""

from megatron_rfft.environments.verifiers import RuleFollowingEnv, RuleFollowingTaskset

__all__ = ["RuleFollowingEnv", "RuleFollowingTaskset"]
