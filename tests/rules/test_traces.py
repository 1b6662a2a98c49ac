"""The grammar of traces, on small rules whose text is written out here."""

import pytest

from megatron_rfft.rules import STYLES, Rule, RuleError, StepLimitError, false_lines

COUNT = """
def count_big(nums, limit):
    result = 0
    while nums:
        num = nums.pop(0)
        if num > limit:
            result += 1
        else:
            limit = limit - num % 3
    return result
"""

FULL = """\
1. Initialize
nums = [7, 4]
limit = 5
result = 0
2. Main loop
while nums:
nums = [7, 4]
enter the loop
2.1 One iteration
num = nums.pop(0)
nums = [7, 4]
now, num = nums.pop(0) = 7
now, nums = [4]
if num > limit:
num = 7
limit = 5
num > limit = 7 > 5 = True
enter if
result += 1
result = 0
now, result = result + 1 = 0 + 1 = 1
while nums:
nums = [4]
enter the loop
2.1 One iteration
num = nums.pop(0)
nums = [4]
now, num = nums.pop(0) = 4
now, nums = []
if num > limit:
num = 4
limit = 5
num > limit = 4 > 5 = False
do not enter if
else:
limit = limit - num % 3
limit = 5
num = 4
now, limit = limit - num % 3 = 5 - 4 % 3 = 4
while nums:
nums = []
do not enter
3. Return
return result
result = 1
So the answer is 1"""

LEAN = """\
1. Initialize
nums = [7, 4]
limit = 5
result = 0
2. Main loop
while nums:
nums = [7, 4]
enter the loop
2.1 One iteration
num = nums.pop(0)
now, num = 7
if num > limit:
enter if
result += 1
result = 0
now, result = 1
while nums:
nums = [4]
enter the loop
2.1 One iteration
num = nums.pop(0)
now, num = 4
if num > limit:
do not enter if
else:
limit = limit - num % 3
now, limit = 4
while nums:
nums = []
do not enter
3. Return
return result
result = 1
So the answer is 1"""


def traced(body: str, *arguments, style: str = "full"):
    """Trace a rule with the given body and parameters a, b, ...; check every line and the plain answer on the way."""
    parameters = ", ".join("abcdef"[: len(arguments)])
    rule = Rule(f"def rule({parameters}):\n" + "".join(f"    {line}\n" for line in body.strip("\n").split("\n")))
    trace = rule.trace(*arguments, style=style)
    assert false_lines(rule, trace.text, style, arguments) == []
    assert repr(trace.answer) == repr(rule.run(*arguments))
    return trace


def test_full_and_lean_text():
    rule = Rule(COUNT)
    assert rule.trace([7, 4], 5).text == FULL
    assert rule.trace([7, 4], 5, style="lean").text == LEAN
    assert (rule.name, rule.parameters) == ("count_big", ("nums", "limit"))
    assert rule.trace([7, 4], 5).num_steps == 2


def test_source_is_canonical():
    rule = Rule('def f(a: str) -> int:\n    """Doc."""\n    # why\n    x = "q"; y = (len( a ))\n    return y  # end')
    assert rule.source == "def f(a):\n    x = 'q'\n    y = len(a)\n    return y"
    assert Rule(rule.source).source == rule.source


def test_arguments_of_the_caller_stay():
    pairs, table = [["a", 1], ["b", 2]], {"k": [1]}
    body = "x = a.pop(0)\nx.append(3)\nb['k'].append(4)\nreturn x"
    assert traced(body, pairs, table).answer == ["a", 1, 3]
    assert (pairs, table) == ([["a", 1], ["b", 2]], {"k": [1]})


def test_each_subexpression_is_evaluated_once():
    text = traced("x = a.pop() * 10 + a.pop(0) - len(a)\nreturn x + len(a)", [1, 2, 3, 4]).text
    assert "now, x = a.pop() * 10 + a.pop(0) - len(a) = 4 * 10 + 1 - 2 = 39\nnow, a = [2, 3]" in text
    assert text.endswith("x + len(a) = 39 + 2 = 41\nSo the answer is 41")


def test_stages_of_a_chain():
    text = traced("x = str((int(a[-1]) + b) % 10) + a\nreturn max(int(x), b)", "38", 7).text
    assert "now, x = str((int(a[-1]) + b) % 10) + a = str((int('8') + 7) % 10) + '38' = '5' + '38' = '538'" in text
    assert "max(int(x), b) = max(int('538'), 7) = 538" in text


def test_negative_numbers_stay_true():
    assert "now, x = a - b * -a = -2 - -3 * --2 = 4" in traced("x = a - b * -a\nreturn x", -2, -3).text


@pytest.mark.parametrize(
    ("a", "lines"),
    [
        (5, "a > 3 = 5 > 3 = True\nb[0] == 1 = 1 == 1 = True\na > 3 and b[0] == 1 = True\nenter if"),
        (2, "a > 3 = 2 > 3 = False\na > 3 and b[0] == 1 = False\ndo not enter if"),
    ],
)
def test_unevaluated_operands_are_not_printed(a, lines):
    assert lines in traced("if a > 3 and b[0] == 1:\n    a = 0\nreturn a", a, [1]).text


def test_an_operand_that_would_fail_is_skipped():
    assert "[0]" not in traced("x = a and a[0] > 1\nreturn x", []).text.replace("a[0]", "").replace("[]", "")
    assert traced("x = not a or a[0] > 1\nreturn x", []).answer is True


def test_changing_calls_in_operands_and_tests():
    trace = traced("if a.pop() > 5 or a.pop() > 5:\n    b = 1\nreturn b", [9, 9, 2], 0)
    assert "a.pop() > 5 = 2 > 5 = False\na.pop() > 5 = 9 > 5 = True" in trace.text
    assert "now, a = [9]\nenter if" in trace.text
    for style in ("full", "lean"):
        assert traced("while a.pop() > 1:\n    b += 1\nreturn b", [1, 5, 5], 0, style=style).answer == 2


def test_numbers_of_nested_and_later_loops():
    body = "while a:\n    b = a.pop()\n    while b:\n        b -= 1\nwhile b < 1:\n    b += 1\nreturn b"
    headers = [line for line in traced(body, [1], 0).text.split("\n") if line[0].isdigit()]
    assert headers == [
        *("1. Initialize", "2. Main loop", "2.1 One iteration"),
        *("3. Inner loop", "3.1 One iteration", "4. Main loop", "4.1 One iteration", "5. Return"),
    ]


def test_early_return_break_and_continue():
    body = "while True:\n    a -= 1\n    if a % 2:\n        continue\n    if a == 2:\n        break\n    if a < 0:\n"
    body += "        return 'below'\nreturn a"
    assert traced(body, 5).answer == 2
    assert "\n3. Return\nreturn 'below'\nSo the answer is 'below'" in traced(body, 1).text


def test_elif_else_and_empty_branches():
    body = "if a == 0:\n    pass\nelif a == 1:\n    a = 7\nelse:\n    a = -a\nreturn a"
    text = traced(body, 3).text
    assert "do not enter if\nelif a == 1:\na = 3\na == 1 = 3 == 1 = False\ndo not enter if\nelse:\na = -a\n" in text
    assert [traced(body, a).answer for a in (0, 1, 3)] == [0, 7, -3]


def test_items_swaps_and_unpacking():
    body = "a[0], a[1] = a[1], a[0] + 1\nb['k'] = b.get('k', 0) + a[0]\nb['k'] += 2\nx, y = a.pop()\nreturn [x, y, b]"
    text = traced(body.replace("a[0] + 1", "[a[0], 1]"), [3, 4], {}).text
    assert "now, a[0] = a[1] = 4\nnow, a[1] = [a[0], 1] = [3, 1]\nnow, a = [4, [3, 1]]" in text
    assert "now, b['k'] = b.get('k', 0) + a[0] = 0 + 4 = 4\nnow, b = {'k': 4}" in text
    assert "now, b['k'] = b['k'] + 2 = 4 + 2 = 6" in text
    assert "now, x = 3\nnow, y = 1\nnow, a = [4]" in text


def test_places_are_told_by_their_values():
    text = traced("b[a[-1]] = 3\nb[b[7] % 2 + 1] = b[7]\nb[b[7] % 2 + 1] += 1\nreturn b", [7], {}).text
    assert "now, b[7] = 3\n" in text
    assert "now, b[2] = b[7] = 3\n" in text
    assert "now, b[2] = b[b[7] % 2 + 1] + 1 = 3 + 1 = 4\nnow, b = {7: 3, 2: 4}" in text


def test_an_augmented_list_stays_the_same_list():
    assert traced("b = a\nb += [2]\nreturn a", [1], []).answer == [1, 2]


def test_nested_calls_show_the_argument():
    text = traced("b.append(a.pop(0))\nb.append(b[0] % 4)\nreturn b", [6, 7], []).text
    assert "a.pop(0) = 6\nnow, b = [6]\nnow, a = [7]" in text
    assert "b[0] % 4 = 6 % 4 = 2\nnow, b = [6, 2]" in text


def test_tables_are_shown_once():
    body = "vowels = 'aeiou'\nn = 0\nwhile a:\n    c = a.pop(0)\n    if c in vowels:\n        n += b[c]\nreturn n"
    trace = traced(body, ["a", "x", "o"], {"a": 1, "o": 5})
    assert trace.text.count("\nvowels = ") == trace.text.count("\nb = {") == 1
    assert "c in vowels = 'a' in vowels = True" in trace.text
    assert trace.answer == 6


def test_loop_tests_that_compute_show_their_evaluation():
    assert (
        "while len(a) > 1:\na = 'xyz'\nlen(a) > 1 = 3 > 1 = True\nenter"
        in traced("while len(a) > 1:\n    a = a[1:]\nreturn a", "xyz").text
    )


def test_lean_shows_what_the_next_test_may_not():
    body = "while a:\n    x = a.pop(0)\n    if x == 2:\n        break\nreturn a"
    assert "now, x = 1\nnow, a = [2, 3]" in traced(body, [1, 2, 3], style="lean").text


def test_a_value_line_may_read_like_a_statement():
    body = "if a[b]:\n    a[b] = True\nd.append(a[b])\na[b] = True\nreturn a[b] and (c or d.pop())"
    text = traced(body, [True], 0, False, [3]).text
    assert "if a[b]:\na = [True]\nb = 0\na[b] = True\nenter if\na[b] = True\n" in text
    assert text.endswith(
        "a[b] = True\nd.pop() = True\nc or d.pop() = True\na[b] and (c or d.pop()) = True\nSo the answer is True"
    )


def test_step_limit():
    source = "def f(n):\n    while n:\n        n = n + 1\n    return n"
    with pytest.raises(StepLimitError, match=r"rule f: more than 50 passes.*step_limit"):
        Rule(source, step_limit=50).trace(1)
    assert Rule("def f(n):\n    while n:\n        n -= 1\n    return n", step_limit=50).trace(50).num_steps == 50


@pytest.mark.parametrize("style", STYLES)
def test_failures_name_the_line(style):
    rule = Rule("def f(xs):\n    n = 0\n    n += 1\n    n = xs[5]\n    return n")
    with pytest.raises(RuleError, match=r"rule f, line 4: IndexError.*\[1\]"):
        rule.trace([1], style=style)
    with pytest.raises(RuleError, match="rule f, line 4: IndexError"):
        rule.run([1])
    for call in (rule.run, rule.trace):
        with pytest.raises(RuleError, match="rule f has 1 arguments, not 0; give one for each of xs"):
            call()


def test_unknown_style():
    with pytest.raises(RuleError, match="'short' is unknown; choose one of full, lean, blocks, sentences, scratchpad"):
        Rule(COUNT).trace([1], 1, style="short")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0 + 1 = 1", "0 + 2 = 1"),
        ("now, nums = [4]", "now, nums = [7]"),
        ("7 > 5 = True", "7 > 5 = False"),
        ("do not enter if", "enter if"),
        ("now, nums = []\n", ""),
        ("limit = 5\nnum = 4", "limit = 6\nnum = 4"),
        ("So the answer is 1", "So the answer is True"),
        ("2.1 One iteration", "2.2 One iteration"),
    ],
)
def test_the_proofreader_finds_errors(old, new):
    assert old in FULL
    assert false_lines(Rule(COUNT), FULL.replace(old, new, 1)) != []
