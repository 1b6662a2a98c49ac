"""A task whose rule has other names in each example: ``add_int+rename``.

The instances and the wordings are those of the task itself; names are drawn from the example's place (task, split,
length, index). The rule is instrumented once, with stand-ins for its names.

``add_int+rename=0.5+random_names=0+names=12`` has settings: the share of examples that have other names, that of these
whose names are random strings, and how many names the variables of the rest have in all. A small vocabulary has few
names that are one token each.
"""

import ast
from random import Random

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import Rule
from megatron_rfft.rules.names import VARIABLES, draw_name
from megatron_rfft.rules.placeholders import YI, has_yi
from megatron_rfft.rules.renamed import RenamedRule
from megatron_rfft.rules.string_snippets import FUNCTIONS
from megatron_rfft.rules.subset import parse_rule, source_of
from megatron_rfft.tasks.instances import generator
from megatron_rfft.tasks.prompts import Problem
from megatron_rfft.tasks.random_tasks import RANDOM_NAMES, read_settings
from megatron_rfft.tasks.task import AnyTask, Task

SETTING = "rename"
NAMES = "names"
_RANDOM_NAMES = 0.25  # share of the renamed examples whose names are random strings


def renamed(name: str, settings: str = "") -> str:
    """The name of the task with this name whose examples have names of their own; ``settings`` as in 0.5+names=12."""
    return f"{name}+{SETTING}={settings}" if settings else f"{name}+{SETTING}"


class RenamedTask(AnyTask):
    """``task`` with other names in each example, as the settings in ``name`` say."""

    def __init__(self, name: str, task: Task) -> None:
        if has_yi(task.rule.source):
            raise UserError(f"task {task.name} has letters of the Yi script in its rule, which {SETTING} needs itself")
        self.task = task
        self.name = name
        self.family, self.role, self.version = task.family, task.role, task.version
        self.valid_lengths, self.file = task.valid_lengths, task.file
        self._rule, self._placeholders = with_placeholders(task.rule)
        settings = read_settings(name, (SETTING, RANDOM_NAMES, NAMES))
        self._share, self._random_names = settings[SETTING], settings.get(RANDOM_NAMES, _RANDOM_NAMES)
        if self._share > 1:
            raise UserError(f"task {name}: {SETTING} is {self._share:g}; give a share of the examples, 1 or less")
        self._names = _some_names(task, len(self._placeholders) - 1, settings.get(NAMES, len(VARIABLES)))

    @property
    def seed_name(self) -> str:
        return renamed(self.task.seed_name)

    def draw(self, split: str, length: int, index: int) -> tuple[Problem, Random]:
        problem, rng = self.task.draw(split, length, index)
        return self._with_names(problem, generator(self, split, length, index)), rng

    def draw_any(self, split: str, length: int, rng: Random) -> Problem:
        return self._with_names(self.task.draw_any(split, length, rng), rng)

    def look(self, split: str, length: int, index: int) -> tuple[int, bytes]:
        return self.task.look(split, length, index)

    def draw_kept(self, kept: bytes, split: str, length: int, index: int) -> Problem:
        problem = self.task.draw_kept(kept, split, length, index)
        return self._with_names(problem, generator(self, split, length, index))

    def _with_names(self, problem: Problem, rng: Random) -> Problem:
        if has_yi(repr(problem.arguments)):
            raise UserError(f"task {self.task.name} has an example in the Yi script, which {SETTING} needs itself")
        if self._share < 1 and rng.random() >= self._share:
            return problem
        function, *variables = self._placeholders
        at_random = rng.random() < self._random_names
        names = {function: draw_name(rng, FUNCTIONS, (), at_random)}
        for placeholder in variables:
            names[placeholder] = draw_name(rng, self._names, names.values(), at_random)
        return Problem(RenamedRule(self._rule, names), problem.arguments, problem.question)


def _some_names(task: Task, least: int, number: float) -> tuple[str, ...]:
    """So many of VARIABLES, of all kinds. Raises UserError if they are too few for the task, or not a whole number."""
    if not (least <= number <= len(VARIABLES) and number == int(number)):
        raise UserError(f"{NAMES} is {number:g}; {task.name} needs a whole number from {least} to {len(VARIABLES)}")
    count = int(number)
    return tuple(VARIABLES[place * len(VARIABLES) // count] for place in range(count))


def with_placeholders(rule: Rule) -> tuple[Rule, tuple[str, ...]]:
    """The rule with stand-ins for its names, and these: the function's, then the variables'."""
    function = parse_rule(rule.source)
    stores = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    variables = dict.fromkeys([*rule.parameters, *(node.id for node in stores)])
    places = dict(zip([*variables], YI[1:], strict=False))
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            node.id = places.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = places[node.arg]
    function.name = YI[0]
    return Rule(source_of(function), rule.step_limit), (YI[0], *places.values())
