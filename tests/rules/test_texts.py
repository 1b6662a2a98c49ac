"""Traces are the same with texts kept and without, however values change and under whatever name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.rules import STYLES, Rule, RuleError
from megatron_rfft.rules import rule as rule_module
from megatron_rfft.rules.code import compile_function
from megatron_rfft.rules.instrument import Instrumenter
from megatron_rfft.rules.styles import style_of
from megatron_rfft.rules.subset import parse_rule
from megatron_rfft.rules.texts import keep_texts
from tests.rules.test_random_programs import indented, programs

# Lists that are reached by several names, and in other lists and dicts.
SHARING = (
    *("ys = xs", "xs = ys", "xs, ys = ys, xs", "zs = [xs, ys]", "zs.append(xs)", "xs = zs[0]", "d = {'k': xs}"),
    *("zs[0].append(n)", "xs.append(n)", "ys.append(len(zs))", "xs += ys[:2]", "zs[0] = [n]", "ys = xs + [n]"),
    *("n += 1", "n = len(xs)", "n, ys = n + 1, xs", "d['k'] = ys", "ys = d.get('k', xs)", "zs = zs[:3]", "m = n"),
    *("n = xs.pop() if_any xs", "ys = zs.pop() if_any zs", "m = m * 2", "zs[-1] += [m]", "n, m = m, n", "m = 7"),
)


@st.composite
def sharing_blocks(draw, depth: int = 0, counter: str = "k") -> list[str]:
    lines: list[str] = []
    for place in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["simple", "simple", "simple", "if", "while"] if depth < 2 else ["simple"]))
        if kind == "simple":
            line, _, guard = draw(st.sampled_from(SHARING)).partition(" if_any ")
            lines += [f"if {guard}:", f"    {line}"] if guard else [line]
        elif kind == "if":
            below = sharing_blocks(depth + 1, f"{counter}{place}"), sharing_blocks(depth + 1, f"{counter}{place}e")
            lines += [f"if n % {draw(st.integers(2, 3))}:", *indented(draw(below[0]))]
            lines += ["else:", *indented(draw(below[1]))] if draw(st.booleans()) else []
        else:
            name = f"{counter}{place}"
            body = [f"{name} -= 1", *draw(sharing_blocks(depth + 1, name))]
            leave = draw(st.sampled_from(["", "break", "continue", "return xs"]))
            body += [f"if len(xs) > {draw(st.integers(1, 4))}:", f"    {leave}", "n += 1"] if leave else []
            lines += [f"{name} = {draw(st.integers(1, 3))}", f"while {name}:", *indented(body)]
    return lines


def traces(source: str, arguments: tuple, style: str) -> tuple[str, str]:
    """The trace with texts kept, and without; an error's message where there is one."""
    found = []
    for keeps in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not keeps:
                patch.setattr(rule_module, "keep_texts", lambda function, rule: None)
            try:
                found.append(Rule(source, step_limit=60).trace(*arguments, style=style).text)
            except RuleError as error:
                found.append(str(error))
    return tuple(found)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(sharing_blocks(), st.sampled_from(STYLES), st.integers(0, 5), st.lists(st.integers(-3, 30), max_size=4))
def test_lists_under_several_names(lines, style, n, xs):
    start = ["m = 1", "ys = [5]", "zs = [ys]", "d = {}"]
    source = "\n".join(["def program(n, xs):", *indented([*start, *lines, "return [n, m, xs, ys, zs, d]"])])
    try:
        Rule(source)
    except RuleError:  # a list within itself, or a value that its own line changes
        return
    kept, plain = traces(source, (n, xs), style)
    assert kept == plain


@settings(max_examples=60, deadline=None, derandomize=True)
@given(programs(), st.sampled_from(STYLES), st.integers(-5, 50), st.text("a7'\"\\=\n ", max_size=5))
def test_random_programs(source, style, n, s):
    kept, plain = traces(source, (n, s, [3, 1, 4]), style)
    assert kept == plain


def test_the_text_of_a_value_is_made_once():
    """Of a list that a loop shows at each test and changes in each pass: not at each place where it is shown."""
    made = []

    class Counted(list):
        def __repr__(self):
            made.append(len(self))
            return super().__repr__()

    source = "def f(xs):\n    n = 0\n    while xs:\n        n += xs[0]\n        xs.pop()\n    return n"
    function = parse_rule(source)
    traced = Instrumenter(function, style_of("full", function)).build()
    keep_texts(traced, function)
    written: list[str] = []
    compile_function(traced, "<rule>")(Counted([1, 2, 3]), written.append, 100)
    assert "".join(written) == Rule(source).trace([1, 2, 3]).text
    assert made == [3, 2, 1, 0]
    assert len(written) == 5  # the arguments, three passes, the return
