"""A gate before a rule's traces are used: its answer while it is traced is that of the plain function."""

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import Rule
from megatron_rfft.tasks.instances import Arguments


def prove_rule(rule: Rule, arguments: Arguments, style: str = "full") -> None:
    """Trace the rule and run it. Raises UserError if it answers differently, RuleError if it fails."""
    traced, plain = rule.trace(*arguments, style=style).answer, rule.run(*arguments)
    if repr(traced) != repr(plain):
        raise UserError(
            f"rule {rule.name} answers {traced!r:.100} in a trace and {plain!r:.100} when it is run, on "
            f"{arguments!r:.200}; write its lines in simpler steps"
        )
