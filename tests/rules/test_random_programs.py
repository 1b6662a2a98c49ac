"""Random programs that terminate: the traced answer is the plain one, and every printed line is true."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.rules import STYLES, Rule, RuleError, false_lines

INTS = ("a", "b", "n")
LISTS = ("xs", "ys")

number = st.deferred(
    lambda: st.one_of(
        st.integers(-9, 99).map(str),
        st.sampled_from(INTS),
        st.sampled_from(["len(xs)", "len(s)", "d.get(a, 3)", "d.get(n, b)"]),
        st.builds("({} {} {})".format, number, st.sampled_from("+-"), number),
        st.builds("({} * {}) % 97".format, number, number),
        st.builds("{} {} {}".format, number, st.sampled_from(["//", "%"]), st.sampled_from(["3", "(-4)", "10"])),
        st.builds("{}({}, {})".format, st.sampled_from(["max", "min"]), number, number),
        st.builds("{}({})".format, st.sampled_from(["abs", "-", "int"]), number),
        st.builds("int(str(abs({})))".format, number),
    )
)
comparison = st.builds("{} {} {}".format, number, st.sampled_from(["<", "<=", "==", "!=", ">"]), number)
truth = st.deferred(
    lambda: st.one_of(
        comparison,
        st.sampled_from(
            ["xs", "ys", "not s", "s.isdigit()", "a in xs", "n not in ys", "(xs and xs[0] > 2)", "s == '7'"]
        ),
        st.builds("({} {} {})".format, truth, st.sampled_from(["and", "or"]), truth),
        st.builds("not {}".format, truth),
    )
)
simple = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(INTS), number),
    st.builds("{} {}= {}".format, st.sampled_from(INTS), st.sampled_from("+-"), number),
    st.builds("a, b = b, {}".format, number),
    st.builds("flag = {}".format, truth),
    st.builds("{}.append({})".format, st.sampled_from(LISTS), number),
    st.builds("d[{} % 3] = {}".format, number, number),
    st.builds("s = str({}) + s[1:]".format, number),
    st.sampled_from(["s += 'z'", "s = s[::-1].upper()", "xs.insert(0, a)", "ys += [n, a]", "ys = ys + xs", "pass"]),
    st.sampled_from(
        ["e[a] = [b, s]", "d[a] = d.get(a, 0)", "xs.reverse()", "ys = [a, [b], {'k': n}]", "b = 0", 's = "\'"']
    ),
)
CONSUMING = (
    "a = xs.pop(0)",
    "b = xs.pop() * 2 - len(xs)",
    "ys.append(xs.pop())",
    "n += xs.pop()",
    "a, b = xs.pop(), n",
)


def indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


@st.composite
def blocks(draw, depth: int = 0, counter: str = "k") -> list[str]:
    lines: list[str] = []
    for number_of_statement in range(draw(st.integers(1, 3))):
        kind = draw(
            st.sampled_from(["simple", "simple", "consume", "if", "while"] if depth < 2 else ["simple", "consume"])
        )
        inner = counter + str(number_of_statement)
        if kind == "simple":
            lines.append(draw(simple))
        elif kind == "consume":
            lines += ["if xs:", *indented([draw(st.sampled_from(CONSUMING))])]
        elif kind == "if":
            lines += [f"if {draw(truth)}:", *indented(draw(blocks(depth + 1, inner)))]
            if draw(st.booleans()):
                lines += [f"elif {draw(truth)}:", *indented(draw(blocks(depth + 1, inner + "e")))]
            if draw(st.booleans()):
                lines += ["else:", *indented(draw(blocks(depth + 1, inner + "f")))]
        else:
            also = draw(st.one_of(st.just(""), truth.map(" and {}".format)))
            body = [f"{inner} -= 1", *draw(blocks(depth + 1, inner))]
            leave = draw(st.sampled_from(["", "", "break", "continue", "return [a, b]"]))
            if leave:
                body += [f"if {draw(truth)}:", f"    {leave}", "a += 1"]
            lines += [f"{inner} = {draw(st.integers(0, 3))}", f"while {inner} > 0{also}:", *indented(body)]
    return lines


@st.composite
def programs(draw) -> str:
    body = [
        "a = 1",
        "b = 2",
        "ys = []",
        "d = {}",
        "e = {}",
        "flag = False",
        *draw(blocks()),
        "return [a, b, n, s, xs, ys, d, e, flag]",
    ]
    return "\n".join(["def program(n, s, xs):", *indented(body)])


@settings(max_examples=120, deadline=None, derandomize=True)
@given(programs(), st.integers(-5, 50), st.text("a7'\"\\=\n ", max_size=5), st.lists(st.integers(-9, 30), max_size=5))
def test_random_programs(source, n, s, xs):
    rule = Rule(source)
    assert Rule(rule.source).source == rule.source
    assert len({line.strip() for line in rule.sentences.split("\n")}) == len(rule.source.split("\n")) - 1
    try:
        plain = repr(rule.run(n, s, xs))
    except RuleError as error:  # then the trace has to fail at the same line for the same reason
        for style in STYLES:
            with pytest.raises(RuleError, match=re.escape(str(error))):
                rule.trace(n, s, xs, style=style)
        return
    for style in STYLES:
        trace = rule.trace(n, s, xs, style=style)
        assert repr(trace.answer) == plain
        assert trace.text.endswith(f"So the answer is {plain}")
        assert false_lines(rule, trace.text, style, (n, s, xs)) == []
