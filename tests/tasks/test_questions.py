"""What questions give away, and how they read: mirror images across splits, telling lengths, `1 places`."""

import re
from collections import Counter, defaultdict
from itertools import combinations

import pytest

from megatron_rfft.rules import Rule, RuleError
from megatron_rfft.tasks import SPLITS, NoInstanceError, list_tasks, load_task

TASKS = [load_task(name) for name in list_tasks()]
YES_NO = [task for task in TASKS if task.reference.__annotations__["return"] is bool]
_AFTER_ONE = re.compile(r"(?<![+*] )(?<![\w.,'-])1 (?:(?:further|whole|significant|extra|such) )?([a-z]+s)\b")
_VERBS = {"afterwards", "as", "drops", "falls", "has", "is", "leaves", "marks", "moves", "plus", "takes", "visits"}


def drawn(task, lengths, count: int, split: str = "train"):
    for length in lengths:
        for index in range(count if length in task.valid_lengths else 0):
            try:
                yield length, task.draw(split, length, index)[0]
            except NoInstanceError:
                break


def swapped(arguments: tuple, i: int, j: int) -> tuple:
    changed = list(arguments)
    changed[i], changed[j] = changed[j], changed[i]
    return tuple(changed)


def is_symmetric(task, i: int, j: int) -> bool:
    """Whether the rule answers the same when two arguments change places, as far as a few instances tell."""
    rule = Rule(task.rule.source, step_limit=300)
    found = [problem.arguments for _, problem in drawn(task, (8,), 12)]
    pairs = [(arguments, swapped(arguments, i, j)) for arguments in found]
    try:
        return all(repr(rule.run(*one)) == repr(rule.run(*other)) for one, other in pairs)
    except RuleError:  # arguments of two kinds
        return False


def test_no_question_has_its_mirror_image_in_another_split():
    """Who has learned 3 + 5 has seen the answer to 5 + 3."""
    symmetric = [
        (task, i, j)
        for task in TASKS
        for i, j in combinations(range(len(task.rule.parameters)), 2)
        if is_symmetric(task, i, j)
    ]
    names = {task.name for task, _, _ in symmetric}
    assert names >= {"add_int", "digit_max_int", "hamming_distance", "rotate_string", "valid_anagram"}
    for task, i, j in symmetric:
        splits: dict[str, set[str]] = defaultdict(set)
        orders = Counter()
        for split in SPLITS:
            for _, problem in drawn(task, range(1, 8), 80, split):
                one, other = repr(problem.arguments), repr(swapped(problem.arguments, i, j))
                splits[min(one, other)].add(split)
                orders[one < other] += one != other
        assert all(len(found) == 1 for found in splits.values()), task.name
        assert min(orders.values()) > 0.3 * orders.total(), f"{task.name} has one order only"


@pytest.mark.parametrize("task", YES_NO, ids=lambda task: task.name)
def test_lengths_do_not_tell_the_answer(task):
    """Whoever knows the lengths of all arguments, and how such questions were answered before, guesses no better."""
    for length in (5, 9, 20):
        seen: dict[tuple, Counter] = defaultdict(Counter)
        right = []
        for number, (_, problem) in enumerate(drawn(task, (length,), 500)):
            sizes = tuple(len(value) for value in problem.arguments if isinstance(value, str | list | dict))
            answer = problem.rule.run(*problem.arguments)
            if number < 300:
                seen[sizes][answer] += 1
            elif sizes in seen:
                right.append(seen[sizes].most_common(1)[0][0] == answer)
        assert sum(right) <= 0.7 * max(1, len(right)), f"length {length}"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_one_is_followed_by_a_singular(task):
    for _, problem in drawn(task, (1, 2, 3, 4, 6, 9), 40):
        given = dict(zip(task.rule.parameters, problem.arguments, strict=True))
        for wording in task.questions:
            plurals = {match[1] for match in _AFTER_ONE.finditer(wording.format(**given))} - _VERBS
            assert not plurals - ({"times"} if "times {factor}" in wording else set()), wording


def test_every_wording_of_baseball_says_what_its_signs_do():
    """The other tasks' operations are words, or say themselves what they do."""
    for wording in load_task("baseball_game").questions:
        assert all(re.search(rf"(?<!\w){re.escape(sign)}(?!\w)", wording) for sign in "+CD"), wording


def test_a_plural_behind_one_is_noticed():
    assert _AFTER_ONE.findall("moved 1 places, in 1 such boxes, after 1 steps") == ["places", "boxes", "steps"]
    assert not _AFTER_ONE.findall("by 1 place, 11 places, 0.1 points, -1 points, 8 + 1 is written")
