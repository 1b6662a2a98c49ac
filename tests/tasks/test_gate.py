"""A task of one's own with a fault is refused in one line when its file is loaded, before anything is made of it."""

import json

import pytest

from megatron_rfft.common import apart
from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus.check_task import check_task
from megatron_rfft.rules import Rule, RuleError, StepLimitError
from megatron_rfft.tasks import load_task, load_task_file, registry
from tests.conftest import ROOT, run_python

RULE = """def total(xs):
    n = 0
    while xs:
        n += xs.pop()
    return n"""
INSTANCE = "lambda rng, length: ([rng.randrange(99) for _ in range(length)],)"
SOUND = {"rule": RULE, "instance": INSTANCE, "reference": "sum", "questions": '["Sum {xs}."]', "lengths": "range(1, 9)"}
TASK_FILE = """
import random
from megatron_rfft.tasks import register

KEPT = []

{rule}


register(total, source="own", role="extra", valid_lengths={lengths}, questions={questions}, instance={instance},
         reference={reference})
"""


@pytest.fixture(autouse=True)
def registered():
    """What a test registers is gone behind it."""
    yield
    registry._tasks.pop("total", None)


def write(folder, **changes):
    path = folder / "total.py"
    path.write_text(TASK_FILE.format(**{**SOUND, **changes}))
    return path


def rule(*lines: str) -> str:
    return "\n    ".join(["def total(xs):", *lines])


FAULTS = {
    "the last item for a sum": (
        {"rule": rule("n = 0", "while xs:", "    n = xs.pop()", "return n")},
        r"the rule answers \d+, the reference \d+ on .*; fix the one that is wrong",
    ),
    "another type": ({"reference": "lambda xs: float(sum(xs))"}, r"the rule answers \d+, the reference \d+\.0 on"),
    "reference fails": (
        {"reference": "lambda: 0"},
        "reference fails with TypeError: .*let it take the rule's arguments",
    ),
    "reference changes its argument": ({"reference": "lambda xs: sum(xs) + (xs.clear() or 0)"}, None),
    "endless": ({"rule": rule("n = 0", "while xs:", "    n += 1", "return n")}, "more than 10000 passes through loops"),
    "grows without end": (
        {"rule": rule("s = 'a'", "while s:", "    s += s", "return s")},
        "rule total, line 4: a value of more than 100000 characters",
    ),
    "a list for a tuple": (
        {"instance": "lambda rng, length: [rng.randrange(9)]"},
        r"instance returns the list \[\d\] at length 1; return a tuple: \(xs,\)",
    ),
    "a bare text": (
        {"instance": "lambda rng, length: 'a' * length"},
        "returns the str 'a' at length 1; return a tuple",
    ),
    "two values for one": (
        {"instance": "lambda rng, length: ([1], 2)"},
        r"returns 2 values at length 1: \(\[1\], 2\); return one for each argument of the rule: \(xs,\)",
    ),
    "a set": ({"instance": "lambda rng, length: ({1, 2},)"}, "a set in xs at length 1: {1, 2}; use numbers, texts"),
    "a tuple within": ({"instance": "lambda rng, length: ([(1, 2)],)"}, "a tuple in xs at length 1"),
    "a dict with numbers for keys": ({"instance": "lambda rng, length: ({1: 2},)"}, "a dict with the key 1 in xs"),
    "deep within": ({"instance": "lambda rng, length: ([{'a': [b'']}],)"}, "a bytes in xs"),
    "NaN": ({"instance": "lambda rng, length: ([float('nan')],)"}, "a number that is not finite in xs"),
    "half a character": (
        {"instance": r"lambda rng, length: (['\ud800'],)"},
        r"half a character \(a lone surrogate\) in xs at length 1",
    ),
    "an answer that can't be read": (
        {"rule": rule("n = 1e308 * 10", "return n"), "reference": "lambda xs: float('inf')"},
        "the answer inf on .* is not a value that can be read",
    ),
    "draws from elsewhere": (
        {"instance": "lambda rng, length: ([random.random() for _ in range(length)],)"},
        "from the same generator at length 1; draw from `rng` alone, and keep nothing between calls",
    ),
    "keeps what it has drawn": (
        {"instance": "lambda rng, length: (KEPT.append(length) or [len(KEPT)],)"},
        "from the same generator at length 1",
    ),
    "fails at the longest length": (
        {"instance": "lambda rng, length: (rng.sample(range(6), length),)"},
        "instance fails at length 8 with ValueError: Sample larger than population.*take the length out",
    ),
    "no wording": ({"questions": "[]"}, r"questions is \[\]; give a list of one wording or more"),
    "a bare wording": ({"questions": "'Sum {xs}.'"}, "questions is 'Sum {xs}.'; give a list"),
    "a wording that is not a text": ({"questions": "[3]"}, "the question 3 is not a text"),
    "a single brace": ({"questions": "['Sum {xs} { now']"}, "write a brace itself twice"),
    "an empty pair of braces": ({"questions": "['Sum {xs} {}']"}, "has {}; name {xs} and nothing else"),
    "an unknown name in braces": ({"questions": "['Sum {ys}']"}, "lacks {xs}; name {xs} and nothing else"),
    "an item of a name": ({"questions": "['Sum {xs}, which begins with {xs[0]}.']"}, None),
    "a lacking name": ({"questions": "['Sum.']"}, "the question 'Sum.' lacks {xs}"),
    "a wrong format": ({"questions": "['Sum {xs:d}']"}, r"the question 'Sum {xs:d}' fails with TypeError.* on \(\["),
    "half a character in a wording": ({"questions": r"['Sum {xs} \ud800']"}, "the question .* holds half a character"),
    "no length": ({"lengths": "[]"}, r"valid_lengths is \[\]; give whole numbers from 1 on"),
    "lengths in disorder": ({"lengths": "[3, 2]"}, r"valid_lengths is \[3, 2\]"),
    "a length of 0": ({"lengths": "range(5)"}, r"valid_lengths is range\(0, 5\)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_one_line(tmp_path, fault):
    changes, message = FAULTS[fault]
    path = write(tmp_path, **changes)
    if message is None:
        load_task_file(path)
        return
    with pytest.raises(UserError, match=f"(?s)total.py: .*{message}") as raised:
        load_task_file(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="no task is called 'total'"):
        load_task("total")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"instance": "lambda rng, length: ([next(n for n in iter(int, 1) if n)],)"}, "the sampler .instance. of task"),
        ({"reference": "lambda xs: next(n for n in iter(int, 1) if n)"}, "the reference of task"),
        ({"reference": "lambda xs: 10 ** 10 ** 10"}, "the reference of task"),  # no signal reaches Python there
        ({"reference": "lambda xs: __import__('time').sleep(999)"}, "the reference of task"),
    ],
)
def test_what_never_returns_is_named(tmp_path, monkeypatch, changes, what):
    monkeypatch.setattr(apart, "PATIENCE", 0.5)
    path = write(tmp_path, **changes)
    with pytest.raises(UserError, match=f"total.py: {what} total at length 1 takes over 0.5 seconds; it may never"):
        load_task_file(path)
    with pytest.raises(UserError, match="no task is called 'total'"):
        load_task("total")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("next(n for n in iter(int, 1) if n)", "takes over 0.5 seconds; it may never return: fix it"),
        ("__import__('time').sleep(999)", "takes over 0.5 seconds; it may never return: fix it"),
        ("exit(3)", "has ended the process that it was tried in; fix it"),
    ],
)
def test_an_import_that_never_returns_is_named(tmp_path, monkeypatch, line, what):
    if "takes over" in what:
        monkeypatch.setattr(apart, "PATIENCE", 0.5)
    path = write(tmp_path)
    path.write_text(f"{line}\n{path.read_text()}")
    with pytest.raises(UserError, match=f"total.py: its import {what}"):
        load_task_file(path)
    with pytest.raises(UserError, match="no task is called 'total'"):
        load_task("total")


def test_what_hangs_seldom_is_found_by_the_command(tmp_path, monkeypatch):
    """At loading three instances of a length are looked at."""
    seldom = "lambda xs: sum(xs) if xs[0] != 7 or len(xs) < 6 else next(n for n in iter(int, 1) if n)"
    task = load_task_file(write(tmp_path, reference=seldom))
    monkeypatch.setattr(apart, "PATIENCE", 0.5)
    with pytest.raises(UserError, match=r"^the reference of task total at length 6 takes over 0.5 seconds; .*fix it"):
        check_task(task, [5, 6], samples=500)


@pytest.mark.parametrize("what", ["exit(3)", "__import__('os')._exit(3)", "__import__('os').abort()"])
def test_a_file_that_ends_the_process_is_an_error_too(tmp_path, what):
    path = write(tmp_path, reference=f"lambda xs: {what}")
    with pytest.raises(UserError, match="the reference of task total at length 1 has ended the process"):
        load_task_file(path)
    with pytest.raises(UserError, match="no task is called 'total'"):
        load_task("total")


def test_braces_themselves_are_written_twice(tmp_path):
    task = load_task_file(write(tmp_path, questions="['Which {{}} is the sum of {xs}?']"))
    assert task.example(2, "train").prompt.rstrip().endswith("?")
    assert "Which {} is the sum of [" in task.example(2, "train").prompt


def test_a_file_that_fails_behind_register_leaves_no_task(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text() + "1 / 0\n")
    for _ in range(2):
        with pytest.raises(UserError, match="fails with ZeroDivisionError"):
            load_task_file(path)


@pytest.mark.parametrize(
    "loop",
    [
        *("s += s", "s = s + s", "s = s * 10000000000", "s *= 10000000000", "s = 10000000000 * s", "s = [s, s]"),
        *("s = (s, s)", "s = {'a': s, 'b': s}", "xs.extend(xs)", "n = n * n", "n *= n", "n = n << 1000000"),
        *("n <<= 1000000", "s, t = t + s, s", "s = '%99999999d' % n", "xs[0] = [xs[0], xs[0]]", "s = str(n) * 999999"),
    ],
)
def test_what_grows_without_end_is_stopped(loop):
    source = f"def f(s):\n    n = 3\n    t = s\n    xs = [s]\n    while n:\n        {loop}\n    return s"
    with pytest.raises(RuleError, match=r"rule f, line 6: a value of more than 100000 characters.*on \('abc',\)"):
        Rule(source).run("abc")


def test_a_plain_run_ends_as_its_trace_does():
    rule = Rule("def f(n):\n    while n:\n        n -= 1\n    return n", step_limit=50)
    assert rule.run(50) == rule.trace(50).answer == 0
    for use in (rule.run, rule.trace):
        with pytest.raises(StepLimitError, match=r"more than 50 passes through loops on \(51,\)"):
            use(51)


def test_bounds_change_no_result():
    source = "def f(xs):\n    xs *= 2\n    xs[0] *= 3\n    n = xs.pop() * xs.pop() + (1 << len(xs))\n    return xs, n"
    namespace = {}
    exec(source, namespace)
    assert Rule(source).run([2, 5, 7]) == namespace["f"]([2, 5, 7])


def test_the_command(tmp_path):
    own = ROOT / "examples/own_task/count_runs.py"
    done = run_python("data_prep/check_task.py", own, "--lengths", "1-9", "--samples", 60, "--json")
    (result,) = json.loads(done.stdout)
    assert result["task"] == "count_runs"
    assert [row["length"] for row in result["lengths"]] == list(range(1, 10))
    assert result["lengths"][0]["distinct"] == 3
    assert result["lengths"][0]["share"] == 1.0
    assert any("100% of the answers at length 1 are 1" in note for note in result["notes"])
    shown = run_python("data_prep/check_task.py", own, "--lengths", "1-9", "--samples", 60).stdout
    assert shown.startswith("count_runs: sound at 9 lengths; of 60 instances drawn of each:\n")
    assert "\nnote: 100% of the answers" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:-1]] == ["1", "3", "5", "7", "9"]


def test_the_command_finds_what_a_few_instances_do_not_show(tmp_path):
    """A reference that is wrong for one instance in fifty, and instances that come at two lengths."""
    seldom = write(tmp_path, reference="lambda xs: sum(xs) + (xs[0] == 7)")
    done = run_python("data_prep/check_task.py", seldom, "--samples", 500, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: the rule answers ")
    shared = write(tmp_path, instance="lambda rng, length: ([rng.randrange(4 * length)],)")
    notes = json.loads(run_python("data_prep/check_task.py", shared, "--json").stdout)[0]["notes"]
    assert any("comes at length 2 and at length 1: a training question of one may be" in note for note in notes)
    done = run_python("data_prep/check_task.py", tmp_path / "absent.py", check=False)
    assert done.returncode == 2
    assert "no such file" in done.stderr
