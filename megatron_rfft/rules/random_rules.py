"""Random synthetic rules: a loop over two lists with about eight random list operations, for 1-shot training.

Every rule ends on every two lists of integers, and without an index error, by construction. While a rule is written,
``_Lengths`` keeps what is certain about the lists at that place of the loop's body: how many items each has at least,
and by how much the length of both together has changed since the pass began, at most. A pass begins with an item in
each list; a statement that takes an item is written only where one is certain to be there (or under a test), and one
that adds an item only where the change stays below zero. So each pass makes the lists together shorter, and a rule
makes fewer passes than it is given items.

Numbers stay small in the same way: what goes back into the lists is an item as it was, a constant or a remainder, and
what is summed over the passes is small likewise.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial, reduce
from random import Random

from megatron_rfft.rules import random_snippets as snippets
from megatron_rfft.rules.placeholders import ACCENTED, put_names
from megatron_rfft.rules.random_names import random_name
from megatron_rfft.rules.rule import Rule

LARGEST_ITEMS = (9, 9, 20, 50)  # in random arguments
_SIZES = (5, 6, 6, 7, 7, 8, 8)  # statements in the loop, with nested ones and each `if`
_INDENT = "    "
_FUNCTION, *_NAMES = ACCENTED[:8]
_LISTS, _ITEMS, _SUMS, _KEPT = _NAMES[:2], _NAMES[2:4], _NAMES[4:6], _NAMES[6]


def random_rule(rng: Random) -> Rule:
    """A rule that maps two lists of integers to a list, a number or a pair of them; a pure function of ``rng``'s state.

    It ends on all such lists, the empty ones too, in fewer passes than they have items together.
    """
    return Rule(random_source(rng))


def random_source(rng: Random) -> str:
    """The source of ``random_rule``, for where the source is enough: several times faster than making the rule."""
    source, names = draw_list_rule(rng)
    return put_names(source, names.items())


def draw_list_rule(rng: Random, random_names: float = 0.0) -> tuple[str, dict[str, str]]:
    """The source of a rule with stand-ins for its names, and a name for each; ``random_names`` is the share of rules
    whose names are random strings.
    """
    names = dict(zip(_LISTS, rng.sample(snippets.LISTS, 2), strict=True))
    names |= zip(_ITEMS, rng.sample(snippets.ITEMS, 2), strict=True)
    names |= zip(_SUMS, rng.sample(snippets.SUMS, 2), strict=True)
    names |= {_FUNCTION: rng.choice(snippets.FUNCTIONS), _KEPT: rng.choice(snippets.KEPT)}
    if rng.random() < random_names:
        drawn: dict[str, str] = {}
        for stand_in in names:
            drawn[stand_in] = random_name(rng, drawn.values())
        names = drawn
    return _Writer(rng).write(), names


def random_arguments(rng: Random, length: int) -> tuple[list[int], list[int]]:
    """Two lists of numbers from 0 to 50 at most; the longer one has ``length``, the other at least half of that."""
    largest = rng.choice(LARGEST_ITEMS)
    lengths = [length, rng.randint((length + 1) // 2, length)]
    rng.shuffle(lengths)
    first, second = ([rng.randint(0, largest) for _ in range(number)] for number in lengths)
    return first, second


class _Lengths:
    """What is certain about the two lists at a place of the loop's body, for four ways a pass may begin.

    Each case is [least length of the first list, of the second, change of both together at most, its limit]. The case
    in which each list has one item proves that a rule ends; the others, with nine in one or both, keep traces short.
    """

    _START = ((1, 1, 0, -1), (1, 9, 0, -2), (9, 1, 0, -2), (9, 9, 0, -4))

    def __init__(self, cases: Iterable[Iterable[int]] = _START) -> None:
        self.cases = [list(case) for case in cases]

    def has_item(self, which: int) -> bool:
        return self.cases[0][which] > 0

    def may_add(self) -> bool:
        """Whether a pass makes the lists shorter by enough even with one more item."""
        return all(change < limit for _, _, change, limit in self.cases)

    def add(self, which: int) -> None:
        for case in self.cases:
            case[which] += 1
            case[2] += 1

    def drop(self, which: int, amount: int) -> None:
        """So many items less, or all that there are."""
        for case in self.cases:
            certain = min(amount, case[which])
            case[which] -= certain
            case[2] -= certain

    def may_drop(self, which: int) -> None:
        """One item less, or none."""
        for case in self.cases:
            case[which] = max(0, case[which] - 1)

    def swap(self) -> None:
        for case in self.cases:
            case[:2] = case[1], case[0]

    def either(self, other: "_Lengths") -> "_Lengths":
        """What is certain where one of the two holds."""
        pairs = zip(self.cases, other.cases, strict=True)
        return _Lengths((min(a, d), min(b, e), max(c, f), limit) for (a, b, c, limit), (d, e, f, _) in pairs)


class _Fields(dict):
    """The fields of one template, each drawn when the template first asks for it."""

    def __init__(self, draw: Callable[["_Fields", str], str], given: dict[str, str]) -> None:
        super().__init__(given)
        self.draw = draw

    def __missing__(self, name: str) -> str:
        value = self[name] = self.draw(self, name)
        return value


class _Writer:
    """Writes one rule from first to last line; each method that writes statements returns their lines."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lists = list(_LISTS)
        self.unused_items = list(_ITEMS)
        num_sums, num_kept = rng.choice(snippets.RESULTS)
        self.sums = list(_SUMS[:num_sums])
        self.kept = [_KEPT] * num_kept
        self.items: list[str] = []  # variables that are certain to have a value
        self.grown: list[str] = []  # those that may be larger than what the lists hold
        self.growths = 0  # how often one was made larger: each may multiply it by 4
        self.lengths = _Lengths()
        self.used: set[str] = set()  # statements and tests so far
        self.size = 0

    def write(self) -> str:
        rng = self.rng
        header = f"def {_FUNCTION}({', '.join(self.lists)}):"
        start = [f"{name} = {rng.choice(snippets.STARTS)}" for name in self.sums] + [
            f"{name} = []" for name in self.kept
        ]
        loop = [f"while {self.lists[0]} and {self.lists[1]}:", *_indented(self.body(rng.choice(_SIZES)))]
        results = dict(zip(("n", "n2"), self.sums, strict=False))
        back = self.fill(rng.choice(snippets.RETURNS[len(self.sums), len(self.kept)]), results)
        return "\n".join([header, *_indented([*start, *loop, f"return {back}"])])

    def body(self, size: int) -> list[str]:
        """About ``size`` statements: an opening that takes items, then each that is due, with others in between."""
        lines = self.opening()
        # Every result depends on the items in each pass: otherwise too many answers would be constants.
        due: list[Callable[[], list[str]]] = [partial(self.put, snippets.SUM, n=name) for name in self.sums]
        due += [partial(self.put, snippets.KEEP, out=name) for name in self.kept]
        due.append(self.rng.choice((self.drop_both, self.drop_both, partial(self.drop, 2), partial(self.drop, 3))))
        if self.rng.random() < 0.8:
            due.append(partial(self.branch, self.rng.choice((2, 3, 3, 4))))
        self.rng.shuffle(due)
        while due or self.size < size:
            room = size - self.size - len(due)
            if due and (room <= 0 or self.rng.random() < 0.3):
                lines += due.pop()()
            elif room >= 2 and self.rng.random() < 0.5:
                lines += self.branch(room)
            else:
                lines += self.simple()
        if self.rng.random() < 0.06:
            lines += self.put(snippets.LEAVE)
        return lines

    # Statements that change the lists' lengths

    def opening(self) -> list[str]:
        """Take two items: later statements work with them, and one of these may add an item again."""
        lines = []
        if self.rng.random() < 0.2:
            lines += self.rng.choice((self.arrange, self.move))()
        form = self.rng.random()
        which = self.rng.randrange(2)
        if form < 0.3 and self.lengths.has_item(0) and self.lengths.has_item(1):
            both = form < 0.17
            x, y = self.new_item(), self.new_item() if both else ""
            lines += self.put(snippets.TAKE_BOTH if both else snippets.TAKE_SUM, which, x=x, y=y)
            self.grown += [] if both else [x]
            self.lengths.drop(0, 1)
            self.lengths.drop(1, 1)
        else:
            for place in (which, 1 - which):
                lines += self.take(place if self.lengths.has_item(place) else 1 - place)
        return lines

    def new_item(self) -> str:
        self.items.append(self.unused_items.pop())
        return self.items[-1]

    def take(self, which: int) -> list[str]:
        item = self.new_item()
        grows = self.rng.random() < 0.2
        self.grown += [item] if grows else []
        self.lengths.drop(which, 1)
        return self.put(snippets.TAKE_GROWN if grows else snippets.TAKE, which, x=item)

    def move(self) -> list[str]:
        source = self.rng.choice([which for which in (0, 1) if self.lengths.has_item(which)])
        self.lengths.drop(source, 1)
        self.lengths.add(1 - source)
        return self.put(snippets.MOVE, 1 - source)

    def push(self) -> list[str]:
        which = self.rng.randrange(2)
        self.lengths.add(which)
        return self.put(snippets.PUSH, which)

    def drop(self, amount: int = 0) -> list[str]:
        which = self.rng.randrange(2)
        amount = amount or self.rng.choice(tuple(snippets.DROP))
        self.lengths.drop(which, amount)
        return self.put(snippets.DROP[amount], which)

    def drop_both(self) -> list[str]:
        which = self.rng.randrange(2)
        self.lengths.drop(which, 1)
        self.lengths.drop(1 - which, 2)
        return self.put(snippets.DROP_BOTH, which)

    def take_if_any(self) -> list[str]:
        """Under a test of the length; what is certain stays certain, but for one item that may be gone."""
        which = self.rng.randrange(2)
        self.lengths.may_drop(which)
        guard = self.put(snippets.GUARDS, which)
        taken = snippets.GUARDED + snippets.GUARDED_SUM * bool(self.sums) + snippets.GUARDED_KEPT * bool(self.kept)
        return [*guard, *_indented(self.put(taken, which))]

    def change_end(self) -> list[str]:
        """Something at the end of a list that has an item."""
        which = self.rng.choice([which for which in (0, 1) if self.lengths.has_item(which)])
        kind = self.rng.random()
        if kind < 0.3:
            return self.put(snippets.ADD, which)
        if kind < 0.5 and self.lengths.may_add():
            self.lengths.add(1 - which)
            return self.put(snippets.COPY, 1 - which)
        if kind < 0.65:
            self.lengths.drop(which, 1)
            return self.put(snippets.POP, which)
        both = self.lengths.has_item(1 - which) and kind < 0.82
        self.lengths.may_drop(which)
        return self.put(snippets.POP_IF_BOTH if both else snippets.POP_IF, which)

    def arrange(self) -> list[str]:
        """Another order, or the two lists swapped."""
        kind = self.rng.random()
        if kind < 0.35:
            self.lengths.swap()
            return self.put((snippets.SWAP,))
        return self.put(snippets.ARRANGE_KEPT if kind < 0.5 and self.kept else snippets.ARRANGE)

    # Statements that don't

    def change_item(self) -> list[str]:
        """Another value for an item."""
        item = self.rng.choice(self.items)
        if len(self.items) == 2 and self.rng.random() < 0.12:
            self.grown += self.items if self.grown else []
            return self.put((snippets.ITEM_SWAP,))
        if self.growths == 3 or self.rng.random() < 0.3:
            return self.put(snippets.ITEM, x=item)
        self.growths += 1
        self.grown.append(item)
        return self.put(snippets.ITEM_GROWN, x=item)

    def simple(self) -> list[str]:
        """One statement, or an ``if`` that takes an item."""
        kinds: dict[Callable[[], list[str]], int] = {self.change_item: 22, self.arrange: 8, self.drop: 4}
        kinds[self.take_if_any] = 5
        if self.sums:
            kinds[partial(self.put, snippets.SUM)] = 16
            kinds[partial(self.put, snippets.COUNT)] = 8
        if self.kept:
            kinds[partial(self.put, snippets.KEEP)] = 14
            kinds[partial(self.put, snippets.KEEP_MORE)] = 6
        if self.lengths.has_item(0) or self.lengths.has_item(1):
            kinds[self.move] = 5
            kinds[self.change_end] = 16
        if self.lengths.may_add():
            kinds[self.push] = 20
        return self.rng.choices(list(kinds), list(kinds.values()))[0]()

    def branch(self, room: int, is_nested: bool = False) -> list[str]:
        """An ``if`` of about ``room`` statements at most, some with ``else`` and some with ``elif``."""
        num_arms = min(self.rng.choices((1, 2, 3), (40, 45, 15))[0], room - 1)
        lines: list[str] = []
        before, after = self.lengths, []
        for arm in range(num_arms):
            is_else = 0 < arm == num_arms - 1
            test = [] if is_else else self.put(self.tests())
            self.lengths = _Lengths(before.cases)
            body = self.arm((room - 1) // num_arms, is_nested)
            after.append(self.lengths)
            if is_else and _is_one_if(body):
                lines += ["el" + body[0], *body[1:]]  # as the canonical source has it
            else:
                header = "else:" if is_else else "el" * (arm > 0) + test[0]
                lines += [header, *_indented(body)]
        if num_arms == 1:
            after.append(before)
        self.lengths = reduce(_Lengths.either, after)
        return lines

    def arm(self, room: int, is_nested: bool) -> list[str]:
        if room >= 2 and not is_nested and self.rng.random() < 0.35:
            return self.branch(room, is_nested=True)
        return [*self.simple(), *(self.simple() if room >= 2 and self.rng.random() < 0.35 else [])]

    def tests(self) -> tuple[str, ...]:
        groups = snippets.TESTS + snippets.TESTS_SUM * bool(self.sums) + snippets.TESTS_KEPT * bool(self.kept)
        return self.rng.choice(groups)

    # Templates

    def put(self, templates: Sequence[str], which: int | None = None, **given: str) -> list[str]:
        """One of the templates, filled in; ``{a}`` is the list ``which`` if given. No text comes twice if avoidable."""
        if which is not None:
            given |= {"a": self.lists[which], "b": self.lists[1 - which]}
        for _ in range(4):
            text = self.fill(self.rng.choice(templates), given)
            if text not in self.used:
                break
        self.used.add(text)
        lines = text.split("\n")
        self.size += len(lines)
        return lines

    def fill(self, template: str, given: dict[str, str]) -> str:
        return template.format_map(_Fields(self.draw, given))

    def draw(self, fields: dict[str, str], name: str) -> str:
        rng = self.rng
        if name in snippets.CONSTANTS:
            return str(rng.choice(snippets.CONSTANTS[name]))
        if name == "a":
            return rng.choice(self.lists)
        if name == "b":
            return self.lists[1 - self.lists.index(fields["a"])]
        if name == "y":  # with one item, what else there is for a number
            others = [item for item in self.items if item != fields["x"]]
            return others[0] if others else f"len({rng.choice(self.lists)})"
        if name == "p":
            item = rng.choice(self.items)
            return f"{item} % {rng.choice(snippets.MODULI)}" if item in self.grown else item
        pool = {"x": self.items, "n": self.sums, "out": self.kept}[name]
        return rng.choice(pool)


def _is_one_if(lines: list[str]) -> bool:
    return lines[0].startswith("if ") and all(line.startswith((_INDENT, "elif ", "else:")) for line in lines[1:])


def _indented(lines: list[str]) -> list[str]:
    return [_INDENT + line for line in lines]
