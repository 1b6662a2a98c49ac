"""Rules: a short Python function becomes a traced function that executes it and writes each step down."""

from megatron_rfft.rules.instrument import ANSWER_PREFIX
from megatron_rfft.rules.proofread import false_lines
from megatron_rfft.rules.rule import Rule, StepLimitError, Trace, copy_value
from megatron_rfft.rules.styles import STYLES
from megatron_rfft.rules.subset import RuleError

__all__ = ["ANSWER_PREFIX", "STYLES", "Rule", "RuleError", "StepLimitError", "Trace", "copy_value", "false_lines"]
