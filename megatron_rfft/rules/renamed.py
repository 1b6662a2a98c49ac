"""A rule under other names: run and traced with stand-ins, which get their names in the finished text."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from megatron_rfft.rules.placeholders import put_names
from megatron_rfft.rules.rule import Rule, Trace


class RenamedRule:
    """What ``Rule`` is to a source with names, of a rule whose names are stand-ins (``placeholders``).

    ``names`` has a name for each stand-in. Source, sentences and traces equal those of ``Rule`` made from the renamed
    source, character by character, and cost a few replacements instead of parsing and compiling.
    """

    def __init__(self, rule: Rule, names: Mapping[str, str]) -> None:
        self._rule = rule
        self._names = tuple(names.items())
        self.step_limit = rule.step_limit
        self.name: str = names[rule.name]
        self.parameters: tuple[str, ...] = tuple(names[parameter] for parameter in rule.parameters)

    @cached_property
    def source(self) -> str:
        """The canonical source under the names."""
        return put_names(self._rule.source, self._names)

    @cached_property
    def commented(self) -> str:
        """As ``Rule.commented``, under the names."""
        return put_names(self._rule.commented, self._names)

    @cached_property
    def sentences(self) -> str:
        """The rule in words under the names."""
        return put_names(self._rule.sentences, self._names)

    check_arguments = Rule.check_arguments

    def trace(self, *arguments: Any, style: str = "full") -> Trace:
        """As ``Rule.trace``."""
        trace = self._rule.trace(*arguments, style=style)
        return Trace(put_names(trace.text, self._names), trace.answer, trace.num_steps)

    def run(self, *arguments: Any) -> Any:
        """As ``Rule.run``."""
        return self._rule.run(*arguments)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same rule, under whatever names."""
        return isinstance(other, RenamedRule) and self._rule is other._rule

    def __hash__(self) -> int:
        return id(self._rule)

    def __repr__(self) -> str:
        return f"RenamedRule({self.name}({', '.join(self.parameters)}))"
