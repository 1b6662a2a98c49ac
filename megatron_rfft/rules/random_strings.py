"""Random rules over one or two strings: loops that shorten them or count to a number, with one to three variables.

A rule is drawn with stand-ins for its names (``placeholders``), so that what is known of a line is known whatever the
names. It ends on all strings of its alphabet that are as long as its parameters ask for: each pass of its first loop
makes a string shorter or brings a counter nearer to its end, and a second loop counts a variable down.

``draw_string_rule`` writes any such rule. Whether it has something to teach, and is none of the held-out tasks' rules,
is judged by who knows these tasks (``megatron_rfft.tasks.random_strings``).
"""

from collections.abc import Sequence
from functools import cache
from random import Random

import msgspec

from megatron_rfft.rules import string_snippets as snippets
from megatron_rfft.rules.placeholders import ACCENTED

_NAMES = ACCENTED[:13]
FUNCTION, A, B, MARK, NUMBER, INDEX, X, Y, *STATES = _NAMES
SHAPES = ("scan", "count", "pair")
"""Loops over one string; loops that count to a number, over one string; loops over two strings."""
_INDENT = "    "
_CONSTANTS_OF = {
    name: [tuple(f"'{character}'" for character in characters) for characters in pools[1:4]]
    for name, pools in snippets.ALPHABETS.items()
}
_CONSTANTS = {name: tuple(map(str, values)) for name, values in snippets.CONSTANTS.items()}


class StringRule(msgspec.Struct, frozen=True, gc=False):
    """A rule as it is drawn: its canonical source with stand-ins for names, and what its arguments have to be."""

    source: str
    parameters: tuple[str, ...]
    """The stand-ins of the parameters in order."""
    alphabet: str
    stop: str | None
    """What the first string is searched for by the loop's test: a character, MARK, or None for nothing."""
    from_left: bool
    """The side from which the first string is read."""
    longest_count: int
    """How much larger than the first string's length NUMBER may be: -1 if a character has to be left."""
    alike: bool
    """Whether the loop goes on while the two strings agree."""

    @property
    def placeholders(self) -> list[str]:
        """The stand-ins of all names."""
        return [name for name in _NAMES if name in self.source]


def draw_string_rule(rng: Random, alphabet: str, shape: str) -> StringRule:
    """A rule over strings of one of ALPHABETS, of one of SHAPES; a pure function of ``rng``'s state."""
    return _Writer(rng, alphabet, shape).write()


class _Writer:
    """Writes one rule; each method that writes statements returns their lines."""

    def __init__(self, rng: Random, alphabet: str, shape: str) -> None:
        self.rng = rng
        self.alphabet, self.shape = alphabet, shape
        self.constants, self.middle, self.few = _CONSTANTS_OF[alphabet]
        self.groups = snippets.ALPHABETS[alphabet][4]
        self.given: dict[str, str] = {}
        self.has_numbers = alphabet in snippets.HAS_NUMBERS
        self.parameters = [A, B] if shape == "pair" else [A, NUMBER] if shape == "count" else [A]
        self.kinds: dict[str, str] = {}  # of the state variables
        self.starts: list[str] = []
        self.from_left = rng.random() < 0.65
        self.ends, self.cut = ("[0]", "[1:]") if self.from_left else ("[-1]", "[:-1]")
        self.x, self.y = A + self.ends, B + self.ends
        self.stop: str | None = None
        self.longest_count = -1
        self.alike = False
        self.depends = {A, B, f"{A}{self.ends}"}  # what depends on the characters, not on the lengths alone
        self.left_over: list[str] = []  # strings of which something may be left behind the loop

    def write(self) -> StringRule:
        for _ in range(self.rng.choice((1, 1, 1, 2, 2, 2, 2, 3, 3))):
            self.new_state()
        loop = getattr(self, self.shape)()
        after = self.after()
        if len(self.parameters) > 1 and self.rng.random() < 0.2:
            self.parameters.reverse()
        header = f"def {FUNCTION}({', '.join(self.parameters)}):"
        source = f"\n{_INDENT}".join([header, *self.starts, *loop, *after])
        parameters, side = tuple(self.parameters), self.from_left
        return StringRule(source, parameters, self.alphabet, self.stop, side, self.longest_count, self.alike)

    def new_state(self, *kinds: str) -> str:
        """A variable of one of these kinds, or of any, that starts before the loop."""
        if not kinds:
            kinds = _STATE_KINDS[self.has_numbers]
        for _ in range(3):
            kind = self.rng.choice(kinds)
            if kind not in self.kinds.values():
                break
        name = STATES[len(self.kinds)]
        self.kinds[name] = kind
        self.starts.append(f"{name} = {self.fill(self.rng.choice(snippets.STARTS[kind]), {})}")
        return name

    # Loops

    def scan(self) -> list[str]:
        rng = self.rng
        form = rng.random()
        if form < 0.55:
            head = f"while {A}:"
        elif form < 0.65:
            head = f"while len({A}) > 1:"
            self.left_over.append(A)
        elif form < 0.72:
            self.parameters.append(NUMBER)
            head = f"while len({A}) > {NUMBER}:"
            self.left_over.append(A)
        else:
            head = self.search()
        return [head, *_indented(self.pass_over(rng.random() < 0.35))]

    def search(self) -> str:
        """A loop that ends early, at a character."""
        self.depends.update(STATES)
        self.left_over.append(A)
        if self.rng.random() < 0.6:
            self.need_mark()
            self.stop, shown = MARK, MARK
        else:
            shown = self.draw("c")
            self.stop = shown[1]
        return f"while {A} and {self.x} != {shown}:"

    def count(self) -> list[str]:
        rng = self.rng
        form = rng.random()
        if form < 0.55:
            self.starts.insert(rng.randrange(len(self.starts) + 1), f"{INDEX} = 0")
            head, step = f"while {INDEX} < {NUMBER}:", rng.choice((f"{INDEX} += 1",) * 4 + (f"{INDEX} = {INDEX} + 1",))
        else:
            head, step = rng.choice((f"while {NUMBER}:", f"while {NUMBER} > 0:")), f"{NUMBER} -= 1"
        body = self.pass_over(rng.random() < 0.3)
        body.insert(rng.choice(_places(body)), step)
        if rng.random() < 0.15 and f"{A} = {A}{self.cut}" in body:  # the characters come round again
            other = "[:1]" if self.from_left else "[-1:]"
            turned = f"{A}{self.cut} + {A}{other}" if self.from_left else f"{A}{other} + {A}{self.cut}"
            body[body.index(f"{A} = {A}{self.cut}")] = f"{A} = {turned}"
        self.left_over += [A, A]
        if rng.random() < 0.4:
            self.left_over.append(f"{A}{self.ends}")
        return [head, *_indented(body)]

    def pair(self) -> list[str]:
        rng = self.rng
        form = rng.random()
        if form < 0.15:
            return self.merge()
        if form < 0.5:
            self.left_over += [A, B]
            head = f"while {A} and {B}:"
            if rng.random() < 0.2:
                self.alike = True
                self.depends.update(STATES)
                head = f"while {A} and {B} and {self.x} == {self.y}:"
            return [head, *_indented(self.pass_over(rng.random() < 0.4))]
        if form < 0.6:
            self.left_over.append(B)
            guarded = (B,)
            head = f"while {A}:"
        else:
            guarded = (A, B)
            head = f"while {A} or {B}:"
        lines = []
        for text, item in ((A, X), (B, Y)):
            taken = [f"{item} = {text}{self.ends}", f"{text} = {text}{self.cut}"]
            lines += taken if text not in guarded else [f"{item} = {self.draw('c')}", f"if {text}:", *_indented(taken)]
        self.x, self.y = X, Y
        return [head, *_indented([*lines, *self.updates()])]

    def merge(self) -> list[str]:
        """Each pass takes from one of the two strings."""
        self.depends.update(STATES)
        self.left_over += [A, B]
        kept = self.new_state("kept", "count", "last")
        test = self.test(of_two=True)
        ways = []
        for text, item in ((A, self.x), (B, self.y)):
            update = self.fill(self.rng.choice(snippets.UPDATES[self.kinds[kept]]), {"v": kept, "x": item})
            ways.append(_indented([update, f"{text} = {text}{self.cut}"]))
        others = [line for name in list(self.kinds)[:-1] if self.rng.random() < 0.7 for line in self.update(name)]
        return [f"while {A} and {B}:", *_indented([*others, f"if {test}:", *ways[0], "else:", *ways[1]])]

    def pass_over(self, takes: bool) -> list[str]:
        """One pass: a statement or two a variable, and the strings cut; first the characters, if it ``takes``."""
        texts = [A, B] if self.shape == "pair" else [A]
        cuts = [f"{text} = {text}{self.cut}" for text in texts]
        if takes:
            first = [f"{item} = {text}{self.ends}" for text, item in zip(texts, (X, Y), strict=False)]
            self.x, self.y = X, Y
            return [*first, *cuts, *self.updates()]
        lines = self.updates()
        end = len(lines)
        while end and self.rng.random() < 0.3 and lines[end - 1][0] != " " and A not in lines[end - 1]:
            if B in lines[end - 1] or lines[end - 1] == "else:":
                break
            end -= 1  # a statement that needs no character may stand behind
        if len(cuts) == 1 and self.rng.random() < 0.04:  # from either side
            ways = [_indented([f"{A} = {A}{cut}"]) for cut in ("[1:]", "[:-1]")]
            cuts = [f"if {self.test()}:", *ways[0], "else:", *ways[1]]
            return [*lines, *cuts]
        return [*lines[:end], *cuts, *lines[end:]]

    # Statements

    def updates(self) -> list[str]:
        names = list(self.kinds)
        self.rng.shuffle(names)
        lines = [line for name in names for line in self.update(name)]
        if self.rng.random() < 0.08:
            leave = "break" if self.rng.random() < 0.5 else f"return {self.rng.choice(names)}"
            lines += [f"if {self.test()}:", _INDENT + leave]
            self.depends.update(names)
        elif len(names) == 1 and self.rng.random() < 0.12:
            lines += self.update(names[0])
        return lines

    def update(self, name: str) -> list[str]:
        rng, kind = self.rng, self.kinds[name]
        given = {"v": name}
        by_itself = 0.8 if kind == "most" else 0.0 if len(self.kinds) == 1 and kind in ("count", "flag") else 0.45
        if rng.random() < (0.45 if name in self.depends else by_itself):
            if kind not in ("count", "flag"):
                self.depends.add(name)
            return self.fill(
                rng.choice(rng.choice(_plain_updates(kind, self.has_numbers, self.shape == "pair"))), given
            ).split("\n")
        self.depends.add(name)
        one, other = rng.choice(snippets.BRANCHES[kind])
        lines = [f"if {self.test(name)}:", _INDENT + self.fill(one, given)]
        return [*lines, "else:", _INDENT + self.fill(other, given)] if other else lines

    def test(self, name: str = "", of_two: bool = False) -> str:
        """A test that the statement for ``name`` stands under, perhaps two of them joined."""
        test = self.one_test(name, of_two)
        if self.rng.random() < 0.06 and " or " not in test and " and " not in test and "'" not in test:
            joined = self.rng.choice(snippets.JOINED)
            return self.fill(joined.replace("{}", test), {})
        return test

    def one_test(self, name: str, of_two: bool) -> str:
        rng, is_pair = self.rng, self.shape == "pair"
        if not is_pair and len(self.parameters) == 1 and rng.random() < 0.35:
            self.need_mark()
        has_ends = self.shape != "count" and self.x != X
        groups = _tests(self.alphabet, is_pair, of_two, MARK in self.parameters, has_ends)
        others = [other for other in self.kinds if other != name]
        fields = {}
        if rng.random() < 0.25:
            other = name if name and (not others or rng.random() < 0.4) else rng.choice(others or [""])
            if other:
                groups, fields["u"] = (snippets.TESTS_OF_KINDS[self.kinds[other]],), other
        return self.fill(rng.choice(rng.choice(groups)), fields)

    def need_mark(self) -> None:
        if MARK not in self.parameters:
            self.parameters.append(MARK)

    # Behind the loop

    def after(self) -> list[str]:
        """A second loop perhaps, and the return."""
        rng, lines = self.rng, []
        counts = [n for n, kind in self.kinds.items() if kind == "count"]
        if counts and rng.random() < 0.12:
            count = rng.choice(counts)
            kept = next((name for name, kind in self.kinds.items() if kind == "kept"), None) or self.new_state("kept")
            added = self.fill(rng.choice(("{v} += {c}", "{v} = {c} + {v}")), {"v": kept})
            lines = [f"while {count} > 0:", *_indented([added, f"{count} -= 1"])]
            self.kinds = {kept: "kept"}
            if count in self.depends:
                self.depends.add(kept)
        elif len(self.kinds) > 1 and rng.random() < 0.05:
            first, second = rng.sample(list(self.kinds), 2)
            lines = [f"if {self.fill(_LAST_TESTS[self.kinds[first]], {'v': first})}:", f"{_INDENT}return {second}"]
        return [*lines, f"return {self.result()}"]

    def result(self) -> str:
        rng = self.rng
        kinds = {name: snippets.KINDS_OF_RESULTS[kind] for name, kind in self.kinds.items()}
        if self.left_over and rng.random() < (0.5 if self.shape == "count" else 0.2):
            left = rng.choice(self.left_over)
            if rng.random() < 0.5:
                return left
            kinds[left] = "string"
        names = list(kinds)
        rng.shuffle(names)
        names.sort(
            key=lambda name: name not in self.depends
        )  # an answer that is the length in other words is none to ask for
        if len(names) > 1 and rng.random() < 0.5:
            for first, second in ((names[0], names[1]), (names[1], names[0])):
                templates = snippets.RESULTS.get((kinds[first], kinds[second]))
                if templates:
                    return self.fill(rng.choice(templates), {"v": first, "w": second})
        return self.fill(rng.choice(snippets.RESULTS[kinds[names[0]]]), {"v": names[0]})

    # Templates

    def fill(self, template: str, given: dict[str, str]) -> str:
        """The template with its fields, each given or drawn when it is asked for."""
        self.given = given
        return template.format_map(self)

    def __getitem__(self, name: str) -> str:
        return self.given[name] if name in self.given else self.draw(name)

    def draw(self, name: str) -> str:
        if name == "x":
            return self.x
        if name == "c":
            return self.rng.choice(self.constants)
        if name in _CONSTANTS:
            return self.rng.choice(_CONSTANTS[name])
        if name == "o":
            return self.rng.choice(self.middle)
        if name == "z":
            return self.rng.choice(self.few)
        if name == "g":
            return self.rng.choice(self.groups)
        return {"a": A, "b": B, "y": self.y, "p": MARK}[name]


_COUNT_OFTEN = ("count", "count", "count", "last", "last", "most", "kept", "kept", "flag")
_STATE_KINDS = (_COUNT_OFTEN, (*_COUNT_OFTEN, "total", "total", "total"))


@cache
def _plain_updates(kind: str, has_numbers: bool, is_pair: bool) -> tuple[Sequence[str], ...]:
    """Groups of statements without a test, each as likely as the others."""
    groups = [snippets.UPDATES[kind]]
    if has_numbers and kind in snippets.UPDATES_OF_NUMBERS:
        groups.append(snippets.UPDATES_OF_NUMBERS[kind])
    if is_pair:
        two = [snippets.UPDATES_OF_TWO] + [snippets.UPDATES_OF_TWO_NUMBERS] * has_numbers
        groups += [table[kind] for table in two if kind in table] * 2
    return tuple(groups)


@cache
def _tests(alphabet: str, is_pair: bool, of_two: bool, has_mark: bool, has_ends: bool) -> tuple[Sequence[str], ...]:
    """Groups of tests, each as likely as the others; ``of_two``: those of two characters alone."""
    has_numbers = alphabet in snippets.HAS_NUMBERS
    two = [snippets.TESTS_OF_TWO] * 3 + [snippets.TESTS_OF_TWO_NUMBERS] * has_numbers
    if of_two:
        return tuple(two)
    groups = [*snippets.TESTS]
    if snippets.ALPHABETS[alphabet][4]:
        groups += [snippets.TESTS_OF_GROUPS, snippets.TESTS_OF_ORDER, snippets.TESTS_OF_ORDER]
    groups += [snippets.TESTS_OF_NUMBERS] * has_numbers
    groups += two if is_pair else [snippets.TESTS_OF_MARK] * 4 if has_mark else []
    groups += [snippets.TESTS_OF_LENGTH, snippets.TESTS_OF_ENDS] * has_ends
    return tuple(groups)


_LAST_TESTS = {
    **dict.fromkeys(("count", "total"), "{v} > {k}"),
    **dict.fromkeys(("last", "most"), "{v} == {c}"),
    "kept": "len({v}) > {k}",
    "flag": "{v}",
}


def _places(body: list[str]) -> list[int]:
    """Where a statement may stand between those of ``body``."""
    return [place for place in range(len(body) + 1) if place == len(body) or not body[place].startswith((" ", "else:"))]


def _indented(lines: Sequence[str]) -> list[str]:
    return [_INDENT + line for line in lines]
