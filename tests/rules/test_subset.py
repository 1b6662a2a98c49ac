"""What a rule may not contain: each refusal names the line and the fix."""

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import STYLES, Rule, RuleError, false_lines

REFUSED = {
    "y = [i for i in x]": "a list comprehension.*write `while xs:`",
    "y = {i for i in x}": "a set comprehension",
    "y = {i: 1 for i in x}": "a dict comprehension",
    "x.append(i for i in x)": "a generator expression",
    "y = lambda: 1": "a lambda",
    "for i in x: y = i": "a for loop.*pop",
    "while x: y = 1\n    else: y = 2": "else after while",
    "try: y = 1\n    except ValueError: y = 2": "try.*test for the case",
    "def g(): return 1": "a nested function",
    "class A: pass": "a class",
    "yield x": "a generator",
    "import os": "an import",
    "from os import path": "an import",
    "global x": "global",
    "with x: y = 1": "with",
    "del x[0]": "del.*pop",
    "raise x": "raise",
    "assert x": "assert",
    "y: int = 1": "annotated assignment",
    "y = z = 1": "assign on a line each",
    "y = 1 if x else 2": "conditional expression.*lines of their own",
    "y = (z := 1)": "assignment expression",
    "y = f'{x}'": "f-string",
    "y = [*x]": "starred",
    "y = {1, 2}": "a set",
    "y = {**x}": r"`\*\*` in a dict",
    "y = 0 < x < 2": "chained comparison.*a < b and b < c",
    "y = x is 1": "the comparison `is`.*write `==` or `!=`",
    "if x is not None: y = 1": "the comparison `is`",
    "y = x ** 2": "loop of multiplications",
    "x **= 2": "loop of multiplications",
    "y = sorted(x)": "`sorted`.*write the steps out",
    "y = sum(x)": "`sum`",
    "y = x.count(1)": "`x.count`.*append",
    "y = max(x)": "`max` of a list.*two values at a time",
    "y = int(x, 2)": "`int` with 2 arguments",
    "y = x.sort(key=1)": "keyword",
    "y = z": "the name 'z'.*an argument, a variable",
    "y = len": "the name 'len'",
    "len = 3\n    y = len(x)": "`len`",
    "y = x.real": "an attribute.*call one of the methods",
    "y = x.__class__": "an attribute",
    "y = __import__('os')": "`__import__`",
    "y = x[0]()": r"`x\[0\]`",
    "_y = 1": "the name '_y'.*start names with a letter",
    "x[0:1] = [2]": "assigning to a slice",
    "x[x.pop()] = 2": "a changing call in an assignment's target",
    "x[len(x)] = x.pop()": "an index of `x.len.x..` that its own line changes",
    "x[0], x[x[0]] = 1, 2": "an index of",
    "x[0] += x.pop(0)": "changes x twice, is outside the subset.*call the method on a line before",
    "x.y = 2": "assigning to `x.y`",
    "y = [1].pop()": "give the list a name",
    "x[:1].pop()": "give the list a name",
    "x[0]": "an expression that changes nothing",
    "x.isdigit()": "an expression that changes nothing",
    "y = b'1'": "the constant b'1'",
    "return": "return without a value",
    "match x:\n        case 1: y = 1": "match",
    "break": "`break` outside a loop.*in a loop's body",
    "if x: continue": "`continue` outside a loop",
    "x.append()": "`append` with 0 arguments.*give it 1",
    "x.insert(1)": "`insert` with 1 arguments.*give it 2",
    "y = x.get()": "`get` with 0 arguments.*give it 1 to 2",
    "y = x.upper(1)": "`upper` with 1 arguments.*give it 0",
    "x.shuffle()": "`x.shuffle`.*write the steps out",
    "now, y = 1, 2": "`now` as the first of several variables.*another name",
    "y = " + "1 + " * 120 + "x": "100 parts within each other.*on lines before",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refusals(line):
    source = f"def f(x):\n    a = 1\n    {line}\n    return x"
    with pytest.raises(RuleError, match=f"(?s)rule f, line [34]: .*{REFUSED[line]}"):
        Rule(source)


def nested(count: int) -> str:
    """A rule with so many loops within each other, each left in its first pass."""
    loops = "".join(f"{' ' * at}while True:\n" for at in range(1, count + 1))
    leaves = "".join(f"{' ' * at}break\n" for at in range(count + 1, 1, -1))
    return f"def f(x):\n{loops}{leaves} return x"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(x):\n    y = (\n    return x", "rule, line 2: .*fix the Python syntax"),
        ("x = 1", "line 1: a rule is exactly one function"),
        ("def f(x):\n    return x\ndef g(x):\n    return x", "line 3: a rule is exactly one function"),
        ("def f(x, y=1):\n    return x", "line 1: this signature"),
        ("def f(*x):\n    return x", "line 1: this signature"),
        ("def f():\n    return 1", "line 1: this signature"),
        ("@g\ndef f(x):\n    return x", "a decorator"),
        ("def f(x):\n    x = 1", "line 2: a rule without a last return"),
        ('def f(x):\n    """Only words."""', "without a last return"),
        ("def f(x, x):\n    return x", "line 1: two arguments called 'x'"),
        ("def f(x):\n    return 'a\0b'", "null bytes"),
        ("def f(x):\n    y = " + " + ".join(["x"] * 3000) + "\n    return y", "nested too deeply|within each other"),
        (nested(21), "line 22: a loop within 20 others.*one behind the other"),
    ],
)
def test_refused_shapes(source, message):
    with pytest.raises(RuleError, match=message):
        Rule(source)
    assert issubclass(RuleError, UserError)


def test_twenty_loops_and_many_elifs_are_traced():
    many = "".join(f"  elif x == {n}:\n    x = 0\n" for n in range(30))
    for source in (nested(20), f"def f(x):\n  if x == 50:\n    x = 1\n{many}  return x"):
        for style in STYLES:
            assert Rule(source).trace(50, style=style).answer == Rule(source).run(50)


def test_sorting_in_place_is_one_step():
    rule = Rule("def f(xs):\n    xs.sort()\n    return xs")
    for style in STYLES:
        trace = rule.trace([3, 1, 2], style=style)
        assert trace.answer == rule.run([3, 1, 2]) == [1, 2, 3]
        assert false_lines(rule, trace.text, style, ([3, 1, 2],)) == []


@pytest.mark.parametrize("arguments", [(), (1, 2)])
def test_a_wrong_number_of_arguments(arguments):
    rule = Rule("def f(x):\n    return x")
    for use in (rule.run, rule.trace):
        with pytest.raises(RuleError, match=f"rule f has 1 arguments, not {len(arguments)}; give one for each of x"):
            use(*arguments)


def test_a_builtins_name_may_be_a_variable():
    assert Rule("def f(x):\n    sum = 0\n    sum += x\n    return sum").run(3) == 3


def test_a_fault_that_only_shows_when_run():
    with pytest.raises(RuleError, match="line 2: TypeError: unhashable"):
        Rule("def f(x):\n    y = {[]: 1}\n    return y").trace(1)


def test_rules_see_only_the_builtins_of_the_subset():
    with pytest.raises(RuleError, match="open"):
        Rule("def f(x):\n    y = open(x)\n    return y")
