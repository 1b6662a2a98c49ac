"""Lines whose values change while they are evaluated: refused, or traced in Python's order."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.rules import STYLES, Rule, RuleError, false_lines
from megatron_rfft.rules.sharing import Sharing, lookup_tables
from megatron_rfft.rules.subset import parse_rule

REFUSED = {
    "return x in xs, xs.pop(0)": "`xs` with `xs.pop.0.`, which changes it, later on the same line",
    "zs = xs + ys + [xs.pop()]": "`xs` with `xs.pop..`",
    "n = (xs == ys) + xs.pop()": "`xs` with `xs.pop..`",
    "if (x in xs) == xs.pop(0): x = 1": "`xs` with `xs.pop.0.`",
    "x += str(xs) + str(xs.pop())": "`xs` with `xs.pop..`",
    "zs = xs\n    xs[len(xs) - 1] = zs.pop()": "`xs` with `zs.pop..`",
    "zs = xs\n    n = [zs, xs.pop()]": "`zs` with `xs.pop..`",
    "zs = xs\n    zs += [xs.pop()]": "`zs` with `xs.pop..`",
    "zs = xs\n    xs[0] += zs.pop(0)": "`xs` with `zs.pop.0.`",
    "zs = xs\n    xs[0], ys[zs[0]] = 1, 2": "an index of `ys.zs.0..` that another place of its line may change",
    "zs = [xs]\n    n = str(zs) + str(xs.pop())": "`zs` with `xs.pop..`",
    "xs[0].append(xs.pop(0))": "`xs` with `xs.pop.0.`",
    "zs = xs[0]\n    n = zs + [xs[0].pop()]": "`zs` with `xs.0..pop..`",
    "a, b = xs, xs.pop()": "`xs` with `xs.pop..`",
    "a = {x: xs, 1: xs.pop()}": "`xs` with `xs.pop..`",
    "while not (xs and x) + xs.pop(): x = 1": "`xs and x` with `xs.pop..`",
}
ALLOWED = {  # of x = 4, xs = [1, 2, 3, 4], ys = [7, 4]
    "return xs.pop() * 10 + xs.pop(0) - len(xs)": 39,
    "return {xs.pop(0): xs.pop(0), xs.pop(0): xs.pop(0)}": {1: 2, 3: 4},
    "x += xs.pop()\n    return x": 8,
    "if xs and x in xs and xs.pop() > 3: x = 1\n    return [x, xs]": [1, [1, 2, 3]],
    "ys.append(xs.pop())\n    return ys": [7, 4, 4],
    "n = xs.pop()\n    n = n + xs.pop()\n    return n": 7,
    "n, x = xs.pop(), xs\n    return [n, x]": [4, [1, 2, 3]],
    "ys.insert(len(ys), xs.pop())\n    return ys": [7, 4, 4],
    "return x in ys, xs.pop(0)": (True, 1),
    "zs = xs.copy()\n    n = zs + [xs.pop()]\n    return n": [1, 2, 3, 4, 4],
    "n = (xs or ys)[0] + xs.pop()\n    return n": 5,
    "if x and (ys.clear() or xs.pop()): x = xs\n    return x": [1, 2, 3],
    "zs = xs\n    zs[0] = xs.pop()\n    return zs": [4, 2, 3],
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_value_that_its_own_line_changes_is_refused(line):
    with pytest.raises(RuleError, match=f"rule f, line [23]: {REFUSED[line]}.*do one of the two on a line before"):
        Rule(f"def f(x, xs, ys):\n    {line}\n    return x")


@pytest.mark.parametrize("line", ["xs[0] = xs", "ys = xs\n    xs[0] = [1, ys]", "ys = [xs]\n    xs[x] = ys or x"])
def test_a_list_within_itself_is_refused(line):
    with pytest.raises(RuleError, match=r"rule f, line [23]: `xs.*which puts xs into itself.*store a copy"):
        Rule(f"def f(x, xs, ys):\n    {line}\n    return x")


@pytest.mark.parametrize("line", ALLOWED)
def test_other_lines_are_traced_in_the_order_of_python(line):
    rule = Rule(f"def f(x, xs, ys):\n    {line}")
    arguments = (4, [1, 2, 3, 4], [7, 4])
    assert rule.run(*arguments) == ALLOWED[line]
    for style in STYLES:
        trace = rule.trace(*arguments, style=style)
        assert trace.answer == ALLOWED[line]
        assert false_lines(rule, trace.text, style, arguments) == []


LEAVES = ["x", "1", "xs", "ys", "zs", "xs.pop()", "xs.pop(0)", "ys.pop()", "zs.pop()", "len(xs)", "zs[0]", "xs[0]"]
TESTS = ["x in xs", "xs == zs", "not ys", "len(zs) > 2", "(xs or zs)", "(ys and ys.pop(0))", "{xs.pop(): ys.pop()}"]
expression = st.deferred(
    lambda: st.one_of(
        st.sampled_from(LEAVES + TESTS),
        st.builds("({} + {})".format, expression, expression),
        st.builds("({} == {})".format, expression, expression),
        st.builds("[{}, {}]".format, expression, expression),
        st.builds("str({})".format, expression),
        st.builds("({} {} {})".format, expression, st.sampled_from(["and", "or"]), expression),
        st.builds("{{{}: {}, 2: {}}}".format, st.sampled_from(["x", "xs.pop()"]), expression, expression),
    )
)
START = ["zs = xs", "zs = [xs, ys]", "zs = ys.copy()", "zs = [xs[:], 3]", "zs = [ys][0]"]
statement = st.one_of(
    st.builds("n = {}".format, expression),
    st.builds("n, x = {}, {}".format, expression, expression),
    st.builds("zs.append({})".format, expression),
    st.builds("zs[{}] = {}".format, st.sampled_from(["0", "len(xs) - 1", "-1"]), expression),
    st.builds("if {}: x = zs[-1]".format, expression),
    st.sampled_from(["xs += ys", "ys = xs", "xs.insert(0, x)", "zs = xs + zs", "xs.reverse()", "x = len(zs)"]),
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.sampled_from(START), st.lists(statement, min_size=1, max_size=4))
def test_whatever_is_not_refused_is_traced_as_python_runs_it(start, statements):
    lines = ["def f(x, xs, ys):", "n = 0", start, *statements, "return [n, x, xs, ys, zs]"]
    arguments = (4, [1, 2, 3, 4, 5, 6], [7, 4, 5])
    try:
        rule = Rule("\n    ".join(lines))
    except RuleError:
        return
    try:
        answer = repr(rule.run(*arguments))
    except RuleError:
        for style in STYLES:
            with pytest.raises(RuleError):
                rule.trace(*arguments, style=style)
        return
    for style in STYLES:
        trace = rule.trace(*arguments, style=style)
        assert repr(trace.answer) == answer
        assert false_lines(rule, trace.text, style, arguments) == []


def test_a_list_takes_no_string_by_a_sum_that_python_refuses():
    rule = Rule("def f(xs, y):\n    xs += y\n    return xs")
    assert "now, xs = xs + y = [1] + [2] = [1, 2]" in rule.trace([1], [2]).text
    assert "now, xs = xs + y = 'a' + 'b' = 'ab'" in rule.trace("a", "b").text
    for style in ("full", "sentences"):
        with pytest.raises(
            RuleError, match=r"rule f, line 2: TypeError: `\+=` adds the str 'ab' to a list; write `extend`"
        ):
            rule.trace([1], "ab", style=style)


def tables_of(body: str) -> set[str]:
    return lookup_tables(parse_rule(f"def f(a, b):\n    t = [0, 0]\n    {body}\n    return t[0]"))


def test_a_table_that_changes_under_another_name_is_none():
    assert tables_of("b += a[0]") == {"a", "t"}
    assert tables_of("x = a[0]\n    x[0] += 1\n    b = a[0][0]") == {"t"}
    assert tables_of("x = a[0]\n    x.append(b)") == {"t"}
    assert tables_of("x = a[0]\n    y = [x]\n    y[0].append(b)") == {"t"}
    assert tables_of("x = a[0]\n    x += 'z'\n    b = x") == {"a", "t"}
    assert tables_of("x = a[0][:]\n    x.append(b)") == {"a", "t"}


def test_aliased_state_is_shown_whenever_it_is_read():
    rule = Rule(
        "def f(grid, r):\n    row = grid[r]\n    row[0] += 1\n    if grid[0][0] > 0:\n        r = 5\n    return r"
    )
    text = rule.trace([[0], [0]], 0).text
    assert "if grid[0][0] > 0:\ngrid = [[1], [0]]\ngrid[0][0] > 0 = 1 > 0 = True" in text


def test_what_variables_may_share():
    function = parse_rule("def f(a, b):\n  c = a\n  d = [b]\n  e, g = a.copy(), a[0]\n  d[0].append(a)\n  return a")
    sharing = Sharing(function)

    def shows(name: str, other: str) -> bool:
        """Whether a change of ``other`` may be seen in ``name``."""
        return bool(sharing.objects(ast.Name(other)) & sharing.reached([ast.Name(name)]))

    assert all(shows(*pair) for pair in ("ac", "ca", "db", "eg", "ba"))
    assert not any(shows(*pair) for pair in ("ea", "ae", "bd", "ab"))
