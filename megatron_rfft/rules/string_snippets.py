"""What random rules over strings are made of: names, alphabets, and templates of statements, tests and results.

The fields of a template: ``{a}`` is a string that the loop shortens; ``{x}`` the character taken from it, ``{y}`` that
of the second string; ``{v}`` the variable that a statement is for; ``{u}`` another variable; ``{p}`` the parameter that
is a character. ``{c}`` is a character of the alphabet, ``{o}`` one in its middle, ``{z}`` one of very few, ``{g}`` a
group of them, ``{d}`` a number from 1 to 9, ``{e}`` from 1 to 5, ``{k}`` from 2 to 4, ``{m}`` a modulus, ``{r}`` 0 or
1. Templates are in canonical form (``subset.source_of``).
"""

from string import ascii_lowercase

# Names: no word of Python or of the builtins of the subset.
_TEXTS = """
    num text digits code word line number string chars data row seq letters s t first second left right pin serial key
    signal message track tape name input_text source bits symbols stream part top bottom
"""
_MARKS = "limit digit mark stop target sign letter symbol wanted end border edge goal divider ch c d"
_NUMBERS = "k n times position steps amount rounds places size moves shift turns passes width"
_INDEXES = "i j index place step at pos turn where ticks round_no seen_so_far"
_ITEMS = "x y z head cur current item char piece now_at e front tail one other taken"
_STATES = """
    result count total best last even flag value found state kept out ans answer score acc run streak longest previous
    hits extra left_over collected joined built picked marks points tally rest sum_so_far done odd good tmp res memory
"""
_VERBS = "solve rule scan walk check apply run_rule f g task read follow process measure look_through go_over handle"
_OBJECTS = "number digits text string word code row it all parts signs once input again places"
_ALONE = "solve rule scan walk check apply f g h task compute work fold sweep evaluate inspect trace_it method step_by"
TEXTS, MARKS, NUMBERS, INDEXES, ITEMS, STATES = (
    tuple(pool.split()) for pool in (_TEXTS, _MARKS, _NUMBERS, _INDEXES, _ITEMS, _STATES)
)
FUNCTIONS = (*_ALONE.split() * 4, *(f"{verb}_{noun}" for verb in _VERBS.split() for noun in _OBJECTS.split()))

# Alphabets: the characters; those that rules look for, that they compare by order, that they put into texts; groups.
ALPHABETS = {
    "digits": (
        *("0123456789", "01234567895555", "23456785", "019"),
        ("'02468'", "'13579'", "'05'", "'159'", "'2357'", "'789'", "'0123'"),
    ),
    "bits": ("01", "01", "01", "01", ()),
    "letters": (
        *(ascii_lowercase, "aeioubcdmnqstxz", "fhkmmpsu", "ax"),
        ("'aeiou'", "'abcdefg'", "'xyz'", "'aeioust'", "'mnop'"),
    ),
}
HAS_NUMBERS = frozenset({"digits", "bits"})  # alphabets whose characters `int` reads

CONSTANTS = {"d": range(1, 10), "e": range(1, 6), "m": (3, 5, 7, 9, 10, 10, 11, 20, 100), "r": (0, 1), "k": (2, 3, 4)}

# Kinds of variables: what they start with, and statements that give them a new value.
STARTS = {
    "count": ("0", "0", "0", "0", "1", "{d}"),
    "total": ("0", "0", "0", "{d}"),
    "last": ("''", "''", "{c}"),
    "most": ("{o}",),
    "kept": ("''",),
    "flag": ("True", "False"),
}
UPDATES = {
    "count": (*("{v} += 1",) * 6, "{v} = {v} + 1", "{v} = {v} + 1", "{v} -= 1", "{v} += 2", "{v} += {d}"),
    "total": (
        *("{v} += int({x})", "{v} += int({x})", "{v} = {v} + int({x})", "{v} -= int({x})"),
        *("{v} = ({v} + int({x})) % {m}", "{v} = ({v} * 2 + int({x})) % {m}"),
        *("{v} = max({v}, int({x}))", "{v} = abs({v} - int({x}))", "{v} += int({x}) * {k}", "{v} += int({x}) % {k}"),
    ),
    "last": ("{v} = {x}",),
    "most": (
        "if {x} > {v}:\n    {v} = {x}",
        "if {x} < {v}:\n    {v} = {x}",
        "{v} = max({v}, {x})",
        "{v} = min({x}, {v})",
    ),
    "kept": (
        *("{v} += {x}", "{v} += {x}", "{v} = {x} + {v}", "{v} = {x} + {v}", "{v} = {v} + {x}"),
        *("{v} = {x} + {v} + {x}", "{v} += {z} + {x}", "{v} += {x} + {x}"),
    ),
    "flag": ("{v} = not {v}",),
}
# The same for characters that are numbers, beside those above.
UPDATES_OF_NUMBERS = {
    "kept": ("{v} += str(9 - int({x}))", "{v} = str((int({x}) + {d}) % 10) + {v}", "{v} += str(int({x}) % {k})"),
}
# Under a test, and if it fails; "" for nothing.
BRANCHES = {
    "count": (
        *(("{v} += 1", ""),) * 8,
        *(("{v} += 1", "{v} -= 1"), ("{v} += 2", "{v} += 1"), ("{v} += 1", "{v} = 0"), ("{v} = 0", "{v} += 1")),
        *(("{v} = {v} + 1", ""), ("{v} -= 1", ""), ("{v} += {d}", "{v} += 1")),
    ),
    "total": (
        *(("{v} += int({x})", ""), ("{v} += int({x})", ""), ("{v} += int({x})", "{v} -= int({x})")),
        *(("{v} = {v} + int({x})", "{v} += 1"), ("{v} = int({x})", ""), ("{v} -= int({x})", "{v} += {d}")),
    ),
    "last": (("{v} = {x}", ""),),
    "most": (("{v} = {x}", ""),),
    "kept": (
        *(("{v} += {x}", ""), ("{v} += {x}", ""), ("{v} = {x} + {v}", ""), ("{v} += {x}", "{v} = {x} + {v}")),
        *(("{v} += {x}", "{v} += {z}"), ("{v} = ''", "{v} += {x}"), ("{v} += {z}", "{v} = {z} + {v}")),
        *(("{v} = {v}[1:]", "{v} += {x}"), ("{v} = {v} + {x}", ""), ("{v} = {v}[:-1]", "{v} += {x}")),
    ),
    "flag": (*(("{v} = not {v}", ""),) * 3, ("{v} = True", "{v} = False"), ("{v} = False", "{v} = True")),
}
# With the characters of two strings.
UPDATES_OF_TWO = {
    "last": ("{v} = {y}", "{v} = {x} + {y}", "{v} = max({x}, {y})"),
    "kept": (
        *("{v} += {x} + {y}", "{v} = {x} + {v} + {y}", "{v} = {y} + {x} + {v}", "{v} += {y}", "{v} = {y} + {v}"),
        *("{v} += max({x}, {y})", "{v} = min({y}, {x}) + {v}", "{v} += {x} + min({x}, {y})"),
    ),
}
UPDATES_OF_TWO_NUMBERS = {
    "total": (
        *("{v} += int({x}) + int({y})", "{v} += abs(int({x}) - int({y}))", "{v} += int({x}) - int({y})"),
        *("{v} = ({v} + int({x}) * int({y})) % {m}", "{v} += max(int({x}), int({y}))", "{v} += int({y})"),
    ),
    "kept": (
        *("{v} += str(abs(int({x}) - int({y})))", "{v} = str((int({x}) + int({y})) % {k}) + {v}"),
        *("{v} += str(int({x}) * int({y}) % 10)", "{v} += str((int({x}) + int({y}) + {d}) % 10)"),
    ),
}

# Tests, in groups that are each as likely as the others.
TESTS = (("{x} == {c}", "{x} != {c}", "{x} == {c}"),)
TESTS_OF_ORDER = ("{x} > {o}", "{x} < {o}", "{x} >= {o}", "{x} <= {o}")
TESTS_OF_GROUPS = ("{x} in {g}", "{x} not in {g}")
TESTS_OF_NUMBERS = ("int({x}) % 2 == {r}", "int({x}) % 2 == {r}", "int({x}) % 3 == {r}", "int({x}) > {e}")
TESTS_OF_MARK = ("{x} == {p}", "{x} != {p}", "{x} > {p}", "{x} < {p}", "{x} == {p}", "{x} >= {p}")
TESTS_OF_ENDS = ("{a}[0] == {a}[-1]", "{a}[0] < {a}[-1]", "{a}[0] > {a}[-1]", "{a}[0] != {a}[-1]")
TESTS_OF_LENGTH = ("len({a}) % 2 == {r}", "len({a}) > {k}", "len({a}) % 3 == {r}")
TESTS_OF_TWO = ("{x} == {y}", "{x} != {y}", "{x} > {y}", "{x} < {y}", "{x} == {y}", "{x} == {z} or {y} == {z}")
TESTS_OF_TWO_NUMBERS = ("int({x}) + int({y}) > 9", "(int({x}) + int({y})) % 2 == {r}", "int({x}) > int({y}) + {e}")
TESTS_OF_KINDS = {
    "count": ("{u} % 2 == {r}", "{u} < {k}", "{u} > {k}", "{u} % 3 == {r}"),
    "total": ("{u} % 2 == {r}", "{u} > {e}", "{u} < {e}", "{u} % 3 == {r}"),
    "last": ("{x} == {u}", "{x} > {u}", "{x} != {u}", "{x} < {u}"),
    "most": ("{x} == {u}", "{x} > {u}", "{x} < {u}"),
    "kept": ("{x} in {u}", "{x} not in {u}", "len({u}) < {k}", "len({u}) % 2 == {r}", "not {u} or {x} != {u}[-1]"),
    "flag": ("{u}", "not {u}"),
}
# Tests joined to another one.
JOINED = ("{} or {x} == {z}", "{} and {x} != {z}", "{x} != {z} and {}", "{x} == {z} or {}")

# What a rule returns, for variables {v} and {w} of these kinds.
RESULTS = {
    "number": ("{v}",) * 6 + ("{v} % {m}", "{v} * {k}", "{v} + {d}", "{v} % 2 == 0", "str({v})"),
    "string": ("{v}",) * 9 + ("{v} + {z}", "{v} + {v}"),
    "flag": ("{v}", "{v}", "not {v}"),
    ("number", "number"): (
        "{v}, {w}",
        "{v}, {w}",
        "{v} + {w}",
        "{v} - {w}",
        "{v} > {w}",
        "abs({v} - {w})",
        "max({v}, {w})",
    ),
    ("string", "number"): ("{v}, {w}", "{w}, {v}", "{v} + str({w})", "str({w}) + {v}", "len({v}) + {w}"),
    ("string", "string"): ("{v}, {w}", "{v} + {w}", "{w} + {v}", "{v} == {w}", "{v} + {z} + {w}"),
    ("flag", "number"): ("{v}, {w}", "{w}, {v}", "{v} and {w} > {e}"),
    ("flag", "string"): ("{v}, {w}", "{w}, {v}"),
    ("flag", "flag"): ("{v}, {w}", "{v} == {w}", "{v} or {w}"),
}
KINDS_OF_RESULTS = {
    "count": "number",
    "total": "number",
    "last": "string",
    "most": "string",
    "kept": "string",
    "flag": "flag",
}
