"""Traces in blocks: their grammar, on small rules whose text is written out here."""

from megatron_rfft.rules import Rule, false_lines
from tests.rules.test_traces import COUNT, traced

BLOCKS = """\
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
now, num = 7
now, nums = [4]
if num > limit:
    result += 1
num = 7
limit = 5
num > limit = True
enter if
result = 0
now, result = 1
while nums:
nums = [4]
enter the loop
2.1 One iteration
num = nums.pop(0)
nums = [4]
now, num = 4
now, nums = []
if num > limit:
    result += 1
num = 4
limit = 5
num > limit = False
do not enter if
else:
    limit = limit - num % 3
limit = 5
num = 4
num % 3 = 1
now, limit = 4
while nums:
nums = []
do not enter
3. Return
return result
result = 1
So the answer is 1"""


def blocks(body: str, *arguments) -> str:
    return traced(body, *arguments, style="blocks").text


def test_text():
    rule = Rule(COUNT)
    assert rule.trace([7, 4], 5, style="blocks").text == BLOCKS
    assert false_lines(rule, BLOCKS, "blocks", ([7, 4], 5)) == []


def test_statements_are_recited_together_then_old_values_then_results():
    text = blocks("x = a % 10\ny = x + a\na = a // 10\nreturn [x, y, a]", 57)
    run = ["x = a % 10", "y = x + a", "a = a // 10", "a = 57", "now, x = 7", "now, y = 64", "now, a = 5"]
    assert text.split("\n")[2:9] == run


def test_each_sub_expression_has_its_line():
    text = blocks("x = str((int(a[-1]) + b) % 10) + a\nreturn max(int(x), b)", "38", 7)
    parts = ["a[-1] = '8'", "int(a[-1]) = 8", "int(a[-1]) + b = 15", "(int(a[-1]) + b) % 10 = 5"]
    last = ["str((int(a[-1]) + b) % 10) = '5'", "now, x = '538'"]
    assert "\n".join(["a = '38'", "b = 7", *parts, *last]) in text
    assert text.endswith("int(x) = 538\nmax(int(x), b) = 538\nSo the answer is 538")


def test_only_operands_that_python_evaluates_have_lines():
    body = "if a > 3 and b[a] == 1:\n    a = 0\nreturn a"
    assert "a > 3 = False\na > 3 and b[a] == 1 = False\ndo not enter if" in blocks(body, 2, [1])
    lines = "a > 3 = True\nb[a] = 1\nb[a] == 1 = True\na > 3 and b[a] == 1 = True\nenter if\nnow, a = 0\n"
    assert lines in blocks(body, 4, [0, 0, 0, 0, 1])
    assert "\n(b or a)[0] = 3\n" in blocks("x = (b or a)[0] + 1\nreturn x", [3], [])


def test_changing_calls_come_in_their_order():
    text = blocks("x = a.pop() * 10 + a.pop(0) - len(a)\nreturn x", [1, 2, 3, 4])
    assert "a.pop() = 4\na.pop() * 10 = 40\na.pop(0) = 1\na.pop() * 10 + a.pop(0) = 41\nlen(a) = 2\nnow, x = 39" in text
    text = blocks("while a.pop() > 1:\n    b += a.pop(0)\nreturn b", [7, 1, 5], 0)
    assert "\na.pop(0) = 7\nnow, b = 7\nnow, a = [1]\nwhile a.pop() > 1:\n" in text


def test_an_if_is_recited_with_what_its_body_begins_with():
    body = "while a:\n    x = a.pop()\n    if x == 2:\n        b = 5\n        break\n    elif x == 1:\n        if b:\n"
    body += "            b = 0\n    else:\n        return x\nreturn b"
    text = blocks(body, [2, 1], 1)
    assert "\nif x == 2:\n    b = 5\n    break\nx = 1\nx == 2 = False\ndo not enter if\n" in text
    assert (
        "\nelif x == 1:\nx = 1\nx == 1 = True\nenter if\nif b:\n    b = 0\nb = 1\nenter if\nnow, b = 0\nwhile" in text
    )
    assert text.endswith("x == 2 = True\nenter if\nnow, b = 5\n3. Return\nreturn b\nb = 5\nSo the answer is 5")
    assert "do not enter if\nelse:\n    return x\n3. Return\nreturn x\nx = 7\nSo the answer is 7" in blocks(
        body, [7], 1
    )


def test_a_literal_among_other_statements_has_its_result():
    assert "\nb = a\na = 5\na = 3\nnow, b = 3\nnow, a = 5\n" in blocks("b = a\na = 5\nreturn [a, b]", 3)
    assert "1. Initialize\na = 3\nb = 1\nc = [2]\n2. Return" in blocks("b = 1\nc = [2]\nreturn a", 3)


def test_items_swaps_and_unpacking():
    body = "a[0], a[1] = a[1], a[0] + 1\nb[len(a)] = b.get('k', 0) + a[0]\nb[len(a)] += 2\nx, y = a\nreturn [x, y, b]"
    text = blocks(body, [3, 4], {})
    assert "\na[1] = 4\n" not in text  # it is the whole of what a[0] becomes
    assert "now, a[0] = 4\na[0] = 3\nnow, a[1] = 4\nnow, a = [4, 4]\n" in text
    assert "len(a) = 2\nb.get('k', 0) = 0\na[0] = 4\nnow, b[2] = 4\nnow, b = {2: 4}\n" in text
    assert "len(a) = 2\nb[len(a)] = 4\nnow, b[2] = 6\nnow, b = {2: 6}\nnow, x = 4\nnow, y = 4\n" in text


def test_no_old_value_is_stale():
    """What changes under another name ends the run, so that it is shown again before it is read."""
    text = blocks("x = a\nx.append(3)\ny = len(a)\nreturn y", [1])
    assert "\nx = a\nx.append(3)\na = [1]\nnow, x = [1]\nnow, x = [1, 3]\ny = len(a)\na = [1, 3]\nnow, y = 2\n" in text
    text = blocks("x = a[0]\nx[0] = 3\ny = a[0][0] + x[0]\nreturn y", [[1], [2]])
    assert "now, x = [3]\ny = a[0][0] + x[0]\na = [[3], [2]]\nx = [3]\na[0][0] = 3\nx[0] = 3\nnow, y = 6\n" in text
    assert "x.append(3)\ny = len(x)\n" in blocks("x = a.copy()\nx.append(3)\ny = len(x)\nreturn y + len(a)", [1])


def test_loops_are_outer_inner_and_main():
    body = "while a:\n    b = a.pop()\n    while b:\n        b -= 1\nwhile b < 1:\n    b += 1\nreturn b"
    headers = [line for line in blocks(body, [1], 0).split("\n") if line[0].isdigit()]
    assert headers == [
        *("1. Initialize", "2. Outer loop", "2.1 One iteration"),
        *("3. Inner loop", "3.1 One iteration", "4. Main loop", "4.1 One iteration", "5. Return"),
    ]
    rule = Rule("def f(a, b):\n" + "".join(f"    {line}\n" for line in body.split("\n")))
    comments = [line for line in rule.commented.split("\n") if "#" in line]
    assert comments == ["    # Outer loop", "        # Inner loop", "    # Main loop"]
    assert Rule(rule.commented).source == rule.source
