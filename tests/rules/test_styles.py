"""Traces in sentences and on scratchpads: their text, and that the proofreader finds each falsified value."""

import re

import pytest

from megatron_rfft.rules import STYLES, Rule, RuleError, false_lines
from tests.rules.test_traces import COUNT, traced

SENTENCES = """\
1. Set result to 0.
2. While nums is not empty, repeat:
  2.1. Take the first item off nums and call it num.
  2.2. If num is greater than limit:
    2.2.1. Increase result by 1.
  2.3. Otherwise:
    2.3.1. Set limit to limit - num % 3.
3. Return result."""

IN_SENTENCES = """\
Start
nums = [7, 4]
limit = 5
1. Set result to 0.
2. While nums is not empty, repeat:
nums = [7, 4]
enter the loop
2.1. Take the first item off nums and call it num.
nums = [7, 4]
now, num = 7
now, nums = [4]
2.2. If num is greater than limit:
num = 7
limit = 5
that is, 7 > 5 = True
enter if
2.2.1. Increase result by 1.
result = 0
now, result = 0 + 1 = 1
2. While nums is not empty, repeat:
nums = [4]
enter the loop
2.1. Take the first item off nums and call it num.
nums = [4]
now, num = 4
now, nums = []
2.2. If num is greater than limit:
num = 4
limit = 5
that is, 4 > 5 = False
do not enter if
2.3. Otherwise:
2.3.1. Set limit to limit - num % 3.
limit = 5
num = 4
now, limit = 5 - 4 % 3 = 4
2. While nums is not empty, repeat:
nums = []
do not enter
3. Return result.
result = 1
So the answer is 1"""

ON_SCRATCHPAD = """\
nums = [7, 4], limit = 5, result = 0
nums = [4], limit = 5, result = 1
nums = [], limit = 4, result = 1
So the answer is 1"""


def test_text_of_both_styles():
    rule = Rule(COUNT)
    assert rule.sentences == SENTENCES
    assert rule.trace([7, 4], 5, style="sentences").text == IN_SENTENCES
    assert rule.trace([7, 4], 5, style="scratchpad").text == ON_SCRATCHPAD
    assert false_lines(rule, IN_SENTENCES, "sentences") == []
    assert false_lines(rule, ON_SCRATCHPAD, "scratchpad", [[7, 4], 5]) == []


def test_values_are_shown_without_code():
    body = "x = str((int(a[-1]) + b) % 10) + a\nif b > 5 and x[0] == '5' or not a:\n    d[x] = b\nc.append(b + 1)\n"
    text = traced(body + "return max(int(x), b)", "38", 7, [], {}, style="sentences").text
    assert "\nnow, x = str((int('8') + 7) % 10) + '38' = '5' + '38' = '538'\n" in text
    assert "\nthat is, 7 > 5 = True\nthat is, '5' == '5' = True\ntogether, True\ntogether, True\nenter if\n" in text
    assert "\nnow, d['538'] = 7\nnow, d = {'538': 7}\n" in text
    assert "\nthat is, 7 + 1 = 8\nnow, c = [8]\n" in text
    assert text.endswith("\nthat is, max(int('538'), 7) = 538\nSo the answer is 538")


def test_sentences_of_else_and_leaving():
    body = "while True:\n    a -= 1\n    if a % 2:\n        continue\n    elif a == 2:\n        break\n    else:\n"
    text = traced(body + "        pass\nreturn a", 5, style="sentences").text
    assert "1.3. Otherwise, if a equals 2:\na = 4\nthat is, 4 == 2 = False\ndo not enter if\n1.4. Otherwise:\n" in text
    assert "1.2.1. Go back to the test of 1.\n1. Without end, repeat:\nenter the loop\n1.1. Decrease a by 1.\n" in text
    assert "1.3.1. Leave the loop of 1.\n2. Return a.\na = 2\nSo the answer is 2" in text


WORDS = {  # of one statement with a list xs, a string s, a dict d, a number n, a bool b and z, which may be anything
    "x = xs.pop(0)": "Take the first item off xs and call it x.",
    "x = xs.pop()": "Take the last item off xs and call it x.",
    "x = xs.pop(n)": "Take the item at index n out of xs and call it x.",
    "x, y = xs.pop()": "Take the last item off xs and call its parts x and y.",
    "x = d.pop('k')": "Take the value for 'k' out of d and call it x.",
    "xs.pop(0)": "Take the first item off xs and drop it.",
    "x, y = z": "Set x and y to the parts of z.",
    "n, m = m, n + m": "At the same time, set n to m and set m to n + m.",
    "xs[n], xs[0] = xs[0], z": "At the same time, set the item at index n of xs to the first item of xs "
    "and set the first item of xs to z.",
    "s = s[1:]": "Set s to s without its first character.",
    "s = s[:-2]": "Set s to s without its last 2 characters.",
    "s = s[1:-1] + s[::-1]": "Set s to (s without its first and its last character) followed by the reverse of s.",
    "s = s[n:2 * n]": "Set s to the part of s from index n to before index 2 * n.",
    "b = s[:2] < s[-2:]": "Set b to whether (the part of s before index 2) is less than "
    "(the part of s from its second-to-last element on).",
    "s = s[:1] + s[:3] + s[-1:]": "Set s to (the part of s before index 1) followed by (the first 3 characters of s) "
    "followed by (the part of s from its last element on).",
    "x = z[::2]": "Set x to the part of z in steps of 2.",
    "x = z[1]": "Set x to the second element of z.",
    "x = z[n]": "Set x to the entry for n in z.",
    "x = xs[-3]": "Set x to the third-to-last item of xs.",
    "n = int(s[-1]) * (n + 1)": "Set n to (the integer value of the last character of s) * (n + 1).",
    "n = -n - (n - 1)": "Set n to -n - (n - 1).",
    "s = str(n % 10) + s": "Set s to (the string form of (n % 10)) followed by s.",
    "n = max(n, len(xs), 2)": "Set n to the largest of n, the length of xs and 2.",
    "d[s] = d.get(s, 0) + 1": "Set the value for s in d to (the value for s in d, or 0 if absent) + 1.",
    "d[s] += 1": "Increase the value for s in d by 1.",
    "s += 'a'": "Add 'a' to the end of s.",
    "xs += [z]": "Add the items of [z] to the end of xs.",
    "n //= 2": "Divide n by 2 and round down.",
    "xs.insert(0, z)": "Insert z at the front of xs.",
    "xs.insert(n, n in xs)": "Insert (whether n is in xs) into xs at index n.",
    "xs.remove(n)": "Remove the first occurrence of n from xs.",
    "b = not b": "Set b to the opposite of b.",
    "b = not z": "Set b to the logical opposite of z.",
    "b = not xs or n < 3": "Set b to whether xs is empty or n is less than 3.",
    "x = z and n": "Set x to the logical and of z and n.",
    "b = s in d": "Set b to whether s is a key of d.",
    "b = not (b and (n or z))": "Set b to whether it is not true that "
    "(b is true and (n is not 0 or z counts as true)).",
    "b = not s[0].isalpha()": "Set b to whether the first character of s is not a letter.",
    "b = not s.isdigit()": "Set b to whether s does not consist of one or more digits.",
    "b = s.startswith('a', 1)": "Set b to the result of `s.startswith('a', 1)`.",
    "x = [s.upper(), {}]": "Set x to [the upper-case form of s, {}].",
}


@pytest.mark.parametrize("line", WORDS)
def test_words(line):
    head = ["def f(z, m):", "xs = [5]", "s = 'abc'", "d = {}", "n = 1", "b = True", line]
    assert Rule("\n    ".join([*head, "return xs"])).sentences.split("\n")[5] == f"6. {WORDS[line]}"


def test_kinds_come_from_uses_where_nothing_is_assigned():
    body = "    a.append(b - 1)\n    c += 'x'\n    d = d[1:]\n"
    rule = Rule(f"def f(a, b, c, d, e):\n  while a or b or c or d or e:\n{body}  return e")
    first = "1. While a is not empty or b is not 0 or c is not empty or d is not empty or e counts as true, repeat:"
    assert rule.sentences.split("\n")[0] == first


def test_a_scratchpad_shows_what_is_certainly_assigned():
    body = (
        "if a:\n    x = 1\n    y = 2\nelse:\n    x = 3\nwhile a:\n    a -= 1\n    y = x\n    z = 0\n    while z < 1:\n"
    )
    text = traced(body + "        z += 1\n        x += 1\nreturn x", 2, style="scratchpad").text
    assert text.split("\n") == [
        *("a = 2, x = 1", "x = 1, z = 0", "x = 2, z = 1", "a = 1, x = 2", "x = 2, z = 0", "x = 3, z = 1"),
        *("a = 0, x = 3", "So the answer is 3"),
    ]


def test_a_scratchpad_without_loops_shows_what_was_assigned():
    body = "x = len(a)\ny = x * 2\nif y > 4:\n    return y\nz = a.pop()\nreturn a.pop()"
    assert traced(body, [5, 6], style="scratchpad").text == "a = [5], x = 2, y = 4, z = 6\nSo the answer is 5"
    assert traced(body, [5, 6, 7], style="scratchpad").text == "a = [5, 6, 7], x = 3, y = 6\nSo the answer is 6"
    assert traced("return a + 1", 2, style="scratchpad").text == "So the answer is 3"


def falsified(text: str, most_stages: int):
    """The text with one number changed, for each number in a line that shows values (with so many ``=`` at most)."""
    at = 0
    for line in text.split("\n"):
        if not re.match(r"\d+\.", line) and line.count(" = ") <= most_stages:
            for found in re.finditer(r"\d+", line):
                start, end = at + found.start(), at + found.end()
                yield text[:start] + str(int(found.group()) + 1) + text[end:]
        at += len(line) + 1


@pytest.mark.parametrize("style", STYLES)
def test_each_changed_value_is_found(style):
    rule = Rule(COUNT)
    # In full, `num > limit = 8 > 5 = True` passes: Python finds it true as well, though not of the rule's values.
    most_stages = 1 if style == "full" else 9
    for text in falsified(rule.trace([7, 4], 5, style=style).text, most_stages):
        assert false_lines(rule, text, style, [[7, 4], 5]) != [], text


@pytest.mark.parametrize("style", ["blocks", "sentences", "scratchpad"])
def test_each_missing_doubled_or_swapped_line_is_found(style):
    rule = Rule(COUNT)
    lines = rule.trace([7, 4], 5, style=style).text.split("\n")
    for at, line in enumerate(lines):
        assert false_lines(rule, "\n".join([*lines[:at], *lines[at + 1 :]]), style, [[7, 4], 5]) != []
        assert false_lines(rule, "\n".join([*lines[:at], line, *lines[at:]]), style, [[7, 4], 5]) != []
        assert false_lines(rule, "\n".join([*lines[: at + 1], "and so on", *lines[at + 1 :]]), style, [[7, 4], 5]) != []
    assert false_lines(rule, "", style, [[7, 4], 5]) != []


def test_another_sentence_is_found():
    text = IN_SENTENCES.replace("2.2.1. Increase result by 1.", "2.2.1. Decrease result by 1.")
    problem = "line 17: '2.2.1. Decrease result by 1.' should be '2.2.1. Increase result by 1.'"
    assert false_lines(Rule(COUNT), text, "sentences") == [problem]


def test_arguments_of_false_lines():
    rule = Rule(COUNT)
    assert "the argument limit is 4" in false_lines(rule, IN_SENTENCES, "sentences", [[7, 4], 4])
    assert "the argument limit is 4" in false_lines(rule, rule.trace([7, 4], 5).text, "full", [[7, 4], 4])
    assert false_lines(rule, ON_SCRATCHPAD, "scratchpad", [[7, 4], 4]) != []
    with pytest.raises(RuleError, match=r"does not show its arguments; give them as false_lines"):
        false_lines(rule, ON_SCRATCHPAD, "scratchpad")
    with pytest.raises(RuleError, match="has 2 arguments, not 1; give one for each of nums, limit"):
        false_lines(rule, ON_SCRATCHPAD, "scratchpad", [[7, 4]])
    with pytest.raises(RuleError, match="'short' is unknown"):
        false_lines(rule, ON_SCRATCHPAD, "short")


def test_proofreading_ends_where_the_rule_does_not():
    rule = Rule("def f(a):\n    while True:\n        pass\n    return a", step_limit=20)
    assert false_lines(rule, "So the answer is 1", "scratchpad", [1]) != []
    assert false_lines(rule, "Start\na = 1\n1. Without end, repeat:", "sentences") != []
