"""What random rules are made of: names, and templates of statements, tests and return values.

The fields of a template: ``{a}`` and ``{b}`` are the two lists; ``{x}`` and ``{y}`` items taken from them; ``{p}`` an
item that is no larger than the lists' items, or a remainder of one; ``{n}`` a sum and ``{out}`` a list that is built
up. ``{c}`` is a constant from 1 to 9, ``{d}`` from 2 to 9, ``{k}`` from 2 to 4, ``{r}`` 0 or 1, ``{t}`` a threshold and
``{m}`` a modulus. The groups differ in what they do to the lengths of the lists and to the sizes of numbers, and the
writer in ``random_rules`` relies on it. Templates are in canonical form (``subset.source_of``).
"""

# Names. The pools have no word in common, with each other, with Python or with the subset's builtins.
_LISTS = """
    left right first second red blue cards coins queue stack nums vals rows cols xs ys p q u v ants bees east west upper
    lower front back north south odds evens tasks jobs boxes bags inbox outbox list1
    list2 nums1 nums2 line_a line_b players guests apples pears beads stones hand deck train track data feed tokens
    digits
"""
_ITEM_NAMES = """
    x y z a b c d e f g h i j w cur head tail item top last one other value pick card coin new old big small num digit
    node gap step lead drawn taken
"""
_SUMS = "total score count acc points tally balance checksum n m k s t state level energy fuel steps weight"
_KEPT = "out result kept moved log picked seen trail found ans res output history path basket record collected done"
_VERBS = """
    weave merge sift shuffle blend drain walk fold pair mix trade match scan compare combine process sort_out play
    collect juggle roll zip_up deal serve balance_out measure explore visit thin_out settle
"""
_NOUNS = """
    lists items piles pairs queues values numbers sides halves rows_up decks streams lanes teams stacks parts shelves
    lines hands chains heaps bins groups trays
"""
LISTS, ITEMS, SUMS, KEPT = (tuple(pool.split()) for pool in (_LISTS, _ITEM_NAMES, _SUMS, _KEPT))
FUNCTIONS = tuple(f"{verb}_{noun}" for verb in _VERBS.split() for noun in _NOUNS.split())

# How many sums and how many kept lists a rule has, and what it starts a sum with.
RESULTS = ((1, 0), (1, 0), (2, 0), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1), (2, 1))
STARTS = (0, 0, 0, 1, 3, 5, 10)
CONSTANTS = {"c": range(1, 10), "d": range(2, 10), "k": range(2, 5), "r": range(2), "t": range(2, 21)}
MODULI = (5, 7, 9, 10, 10, 11, 13, 17, 20, 23, 50, 97, 100)
CONSTANTS["m"] = MODULI

# One item leaves {a}, which has one; {x} becomes no larger than an item (TAKE_GROWN: it may).
TAKE = (
    *("{x} = {a}.pop(0)", "{x} = {a}.pop(0)", "{x} = {a}.pop(0)", "{x} = {a}.pop()", "{x} = {a}.pop()"),
    *("{x} = {a}.pop(len({a}) // 2)", "{x} = {a}.pop(0) % {m}"),
    *("{x} = {a}[0]\n{a} = {a}[1:]", "{x} = {a}[-1]\n{a} = {a}[:-1]"),
)
TAKE_GROWN = ("{x} = {a}.pop(0) + {c}", "{x} = {a}.pop() + {c}", "{x} = {a}.pop() * {k}")
# One item leaves each list; both have one.
TAKE_BOTH = ("{x}, {y} = {a}.pop(0), {b}.pop(0)", "{x}, {y} = {a}.pop(), {b}.pop()", "{x}, {y} = {a}.pop(0), {b}.pop()")
TAKE_SUM = (
    "{x} = {a}.pop(0) + {b}.pop(0)",
    "{x} = {a}.pop() + {b}.pop()",
    "{x} = {a}.pop(0) - {b}.pop()",
    "{x} = {a}.pop() * {b}.pop() % {m}",
    "{x} = max({a}.pop(0), {b}.pop(0))",
    "{x} = abs({a}.pop() - {b}.pop(0))",
)
# An item leaves {b}, which has one, for {a}.
MOVE = ("{a}.append({b}.pop(0))", "{a}.append({b}.pop())", "{a}.insert(0, {b}.pop())", "{a}.insert({k}, {b}.pop(0))")
# One item comes into {a}.
PUSH = (
    "{a}.append({p})",
    "{a}.append({p})",
    "{a}.insert(0, {p})",
    "{a}.insert({k}, {p})",
    "{a}.append({c})",
    "{a}.insert(0, {t})",
    "{a}.append(({x} + {y}) % {m})",
    "{a}.append(abs({x} - {y}) % {m})",
    "{a} = [{p}] + {a}",
    "{a} = {a} + [{p}]",
    "{a} += [{p}]",
)
# So many items leave {a}, or all that it has.
DROP = {
    1: ("{a} = {a}[1:]", "{a} = {a}[:-1]"),
    2: ("{a} = {a}[2:]", "{a} = {a}[:-2]", "{a} = {a}[1:-1]"),
    3: ("{a} = {a}[3:]", "{a} = {a}[:-3]", "{a} = {a}[2:-1]"),
}
# One item leaves {a} and two leave {b}, or all.
DROP_BOTH = (
    *("{a}, {b} = {a}[1:], {b}[2:]", "{a}, {b} = {a}[:-1], {b}[2:]", "{a}, {b} = {a}[1:], {b}[1:-1]"),
    *("{a} = {a}[1:]\n{b} = {b}[:-2]", "{b} = {b}[2:]\n{a} = {a}[:-1]"),
)
# One item leaves {a}, which has one, and is not kept.
POP = ("{a}.pop()", "{a}.pop(0)")
# An item of {b}, which has one, comes into {a}, too.
COPY = ("{a}.append({b}[-1])", "{a}.insert(0, {b}[0])", "{a} = {b}[:1] + {a}", "{a} += {b}[-1:]")
# An item leaves {a} under a test of it; {a} has one. The same for two lists that both have one.
POP_IF = (
    *("if {a}[0] % 2 == {r}:\n    {a}.pop(0)", "if {a}[0] > {t}:\n    {a}.pop(0)", "if {a}[0] < {t}:\n    {a}.pop(0)"),
    *("if {a}[-1] % 2 == {r}:\n    {a}.pop()", "if len({a}) > len({b}):\n    {b}.insert(0, {a}.pop())"),
)
POP_IF_BOTH = (
    *("if {a}[0] > {b}[0]:\n    {a}.pop(0)", "if {a}[-1] < {b}[-1]:\n    {a}.pop()"),
    "if {a}[0] == {b}[-1]:\n    {a}.pop(0)",
)
# Items leave {a} if there are enough.
GUARDS = ("if {a}:", "if len({a}) > {k}:", "if len({a}) > len({b}):")
GUARDED = ("{x} = {a}.pop(0)", "{x} = {a}.pop()", "{a}.pop()", "{a}.pop(0)", "{a} = {a}[1:]")
GUARDED_SUM = ("{n} += {a}.pop()", "{n} += {a}.pop(0) % {m}", "{n} -= {a}.pop()", "{n} = ({n} + {a}.pop(0)) % {m}")
GUARDED_KEPT = ("{out}.append({a}.pop(0))", "{out}.append({a}.pop())", "{out}.insert(0, {a}.pop())")

# The lengths stay.
ADD = ("{a}[0] += {c}", "{a}[-1] += {c}", "{a}[0] = {a}[0] + {c}")  # {a} has an item
ARRANGE = ("{a}.sort()", "{a}.reverse()", "{a} = {a}[::-1]", "{a} = {a}[1:] + {a}[:1]", "{a} = {a}[-1:] + {a}[:-1]")
ARRANGE_KEPT = ("{out}.sort()", "{out}.reverse()", "{out} = {out}[::-1]", "{out} = {out}[1:] + {out}[:1]")
SWAP = "{a}, {b} = {b}, {a}"
# {x} may become larger than the items of the lists; or does not.
ITEM_GROWN = (
    *("{x} += {c}", "{x} = {x} + {c}", "{x} -= {c}", "{x} = {x} * {k}", "{x} = {x} + {y}", "{x} += {y}"),
    *("{x} = {x} - {y}", "{x} = abs({x} - {y})", "{x} = {x} * {k} + {c}"),
)
ITEM = (
    *("{x} = ({x} * {d} + {c}) % {m}", "{x} = ({x} + {y}) % {m}", "{x} = {x} // {k}", "{x} = ({x} + {c}) % {m}"),
    *("{x} %= {m}", "{x} = {x} * {y} % {m}"),
)
ITEM_SWAP = "{x}, {y} = {y}, {x}"
# A sum that depends on an item; one that counts.
SUM = (
    *("{n} += {p}", "{n} += {p}", "{n} = {n} + {p}", "{n} -= {p}", "{n} += {x} % {m}", "{n} = abs({n} - {p})"),
    *("{n} = ({n} + {x}) % {m}", "{n} = ({n} * {d} + {x}) % {m}", "{n} = ({n} + {x} * {y}) % {m}"),
    *("{n} = ({n} + abs({x} - {y})) % {m}", "{n} += max({p}, {c})", "{n} += min({p}, {t})"),
)
COUNT = ("{n} += 1", "{n} += 1", "{n} += {c}", "{n} -= {c}", "{n} += len({a})", "{n} += {x} % {m}", "{n} += {p}")
# A kept list gets one item or two, which depend on an item; or a constant.
KEEP = (
    *("{out}.append({x})", "{out}.append({x})", "{out}.insert(0, {x})", "{out}.append({x} + {y})"),
    *("{out}.append(abs({x} - {y}))", "{out}.append({x} % {m})", "{out}.append(max({x}, {y}))", "{out} += [{x}]"),
    *("{out}.append(min({x}, {y}))", "{out} = [{x}] + {out}", "{out}.insert({k}, {p})", "{out} += [{x}, {y}]"),
)
KEEP_MORE = ("{out}.append({c})", "{out} += {a}[:1]", "{out}.append(len({a}))", "{out}.append({x})", "{out} += [{p}]")

_PARITY = (
    "if {x} % 2 == {r}:",
    "if {x} % 2 == {r}:",
    "if ({x} + {y}) % 2 == {r}:",
    "if {x} % {k} == {r}:",
    "if {x} % 3 != {r}:",
)
_THRESHOLD = ("if {x} > {t}:", "if {x} > {t}:", "if {x} < {t}:", "if {x} <= {t}:", "if {x} + {y} > {t}:")
_ITEMS = ("if {x} > {y}:", "if {x} <= {y}:", "if {x} + {c} > {y}:", "if {x} % {m} > {y} % {m}:", "if {x} * {k} > {y}:")
_TWO = ("if {x} > {t} and {y} % 2 == {r}:", "if {x} % 2 == {r} or {y} > {t}:", "if {x} > {c} and {x} < 1{c}:")
_LENGTHS = (
    "if len({a}) > len({b}):",
    "if len({a}) % 2 == {r}:",
    "if len({a}) > {k}:",
    "if len({a}) <= len({b}):",
    "if {x} in {a}:",
)
_ENDS = (
    "if {a} and {x} > {a}[0]:",
    "if {a} and {a}[-1] % 2 == {r}:",
    "if {a} and {a}[0] <= {t}:",
    "if {a} and {x} < {a}[-1]:",
)
# Groups of tests, each as likely as the others.
TESTS = (_PARITY, _PARITY, _THRESHOLD, _THRESHOLD, _ITEMS, _ITEMS, _TWO, _LENGTHS, _ENDS)
TESTS_SUM = (
    ("if {n} % 2 == {r}:", "if {n} > {t}:", "if {n} % {k} == {r}:", "if {n} < {t} * {k}:", "if {x} > {n} % {m}:"),
)
TESTS_KEPT = (
    (
        "if {x} not in {out}:",
        "if not {out} or {x} > {out}[-1]:",
        "if len({out}) % 2 == {r}:",
        "if {out} and {out}[0] < {x}:",
    ),
)
# Leave the loop.
LEAVE = ("if {x} == {t}:\n    break", "if {x} + {y} == {t}:\n    break", "if {x} % 20 == {c}:\n    break")

RETURNS = {  # by the number of sums and of kept lists
    (1, 0): (
        "{n}",
        "{n}",
        "{n} + len({a})",
        "{n}, len({a})",
        "[{n}, len({a}), len({b})]",
        "{n}, {a} + {b}",
        "[{n}] + {a}",
    ),
    (2, 0): (
        "{n}, {n2}",
        "{n}, {n2}",
        "[{n}, {n2}]",
        "{n} + {n2}",
        "{n} * 2 - {n2}",
        "abs({n} - {n2})",
        "[{n2}, {n}] + {b}",
    ),
    (0, 1): (
        "{out}",
        "{out}",
        "{out} + {a}",
        "{out} + {b} + {a}",
        "{out}, len({a})",
        "{out}[::-1]",
        "{a} + {b} + {out}",
    ),
    (1, 1): ("{out}, {n}", "{n}, {out}", "{out} + [{n}]", "[{n}] + {out}", "{n} + len({out})", "{n}, {out} + {a}"),
    (2, 1): ("[{n}, {n2}] + {out}", "{out}, {n} + {n2}", "{n} - {n2}, {out}", "{out} + [{n2}, {n}]"),
}
