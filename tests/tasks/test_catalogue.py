"""Every task of the registry: true traces, right answers, sound instances, prompts and records."""

import hashlib
import json
import re
from collections import Counter

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.rules import false_lines
from megatron_rfft.tasks import (
    FORMS,
    ROLES,
    SPLITS,
    STYLE_OF_FORM,
    Example,
    NoInstanceError,
    current_name,
    list_tasks,
    load_task,
)
from megatron_rfft.tasks.instances import list_if_few
from megatron_rfft.tasks.registry import FAMILIES
from tests.conftest import run_python

TASKS = list_tasks()
YES_NO = [name for name in TASKS if load_task(name).reference.__annotations__["return"] is bool]
HELD_OUT = [  # the paper's test tasks
    *("add_digits", "add_int", "alternating_digit_sum", "chunk_array", "crawler_log_folder", "digit_max_int"),
    *("get_digit_int", "hamming_distance", "length_int", "move_zeroes", "sequence_of_strings_appeared_on_the_screen"),
    "valid_palindrome",
]
PAPER_SOURCES = {"code": "lc_", "numbers": "nupa_", "symbolic": "sr_", "logic": "bbh_"}
PAPER_FAMILIES = {"code": 74, "numbers": 4, "symbolic": 2, "logic": 6}
EXTRA_SOURCES = {"code": ("lc_", "alg_"), "numbers": "number_", "symbolic": "sym_", "logic": "logic_"}

# What follows from the definitions of the tasks: some need two items or more, a few end early ...
SHORTEST = {
    "contains_duplicate": 2,
    "count_binary_substrings": 2,
    "count_hills_and_valleys": 3,
    "find_all_numbers_disappeared_in_an_array": 2,
    "hyperbaton": 2,
    "longest_balanced_substring": 2,
    "losers_of_the_circular_game": 2,
    "max_consecutive_ones": 2,
    "maximum_difference_between_increasing_elements": 2,
    "minimum_operations_to_collect_elements": 3,
    "missing_number": 3,
    "number_add_float": 2,
    "number_base_convert": 3,
    "number_count_bits": 2,
    "number_get_digit_float": 2,
    "number_length_float": 2,
    "number_max_float": 2,
    "pass_the_pillow": 2,
    "remove_letter_to_equalize_frequency": 4,
    "remove_one_element_to_make_strictly_increasing": 3,
    "sequence_of_strings_appeared_on_the_screen": 3,
    "split_a_string_in_balanced_strings": 2,
    "sym_binary_alternation": 2,
    "sym_even_pairs": 2,
    "sym_isomorphic": 2,
    "two_furthest_houses_with_different_colors": 2,
    "two_sum": 2,
    "verifying_an_alien_dictionary": 2,
}
LONGEST = {"find_winner_on_tic_tac_toe": 9, "hyperbaton": 8, "logic_boolean_brackets": 20, "sort_the_people": 20}
# ... up to some length most instances have the same answer, and three tasks ask for the length itself.
UNEVEN_UP_TO = {
    "detect_capital": 1,
    "longest_balanced_substring": 10,
    "monotonic_array": 2,
    "navigate": 2,
    "robot_bounded_in_circle": 6,
    "student_attendance_record_i": 3,
}
ANSWER_IS_LENGTH = ("length_int", "number_length_float", "number_of_segments_in_a_string")


def short_lengths(task) -> list[int]:
    return sorted({task.valid_lengths[0], *(n for n in (2, 3, 7, 15) if n in task.valid_lengths)})


def long_length(task, limit: int = 40) -> int:
    return min(limit, task.valid_lengths[-1])


def examples(task, length: int, count: int, form: str = "direct", split: str = "train") -> list[Example]:
    found = []
    for index in range(count):
        try:
            found.append(task.example(length=length, split=split, index=index, form=form))
        except NoInstanceError:
            break
    return found


@pytest.mark.parametrize("name", TASKS)
def test_traces_are_true_and_answers_right(name):
    task = load_task(name)
    for length in {*short_lengths(task), long_length(task)}:
        for form, style in STYLE_OF_FORM.items():
            for example in examples(task, length, 2 if length <= 7 else 1, form):
                assert false_lines(task.rule, example.response, style, example.arguments) == []
                assert example.answer == repr(task.reference(*example.arguments))
        for example in examples(task, length, 40):
            assert example.answer == repr(task.reference(*example.arguments))


@pytest.mark.parametrize("name", TASKS)
def test_every_form_asks_the_same_and_is_judged_right(name):
    task = load_task(name)
    by_form = {form: task.example(length=8, split="validation", index=0, form=form) for form in FORMS}
    question = by_form["direct"].prompt.removeprefix("Q: ")
    assert not any("{" + p + "}" in question for p in task.rule.parameters)
    assert len({example.answer for example in by_form.values()}) == 1
    assert len({example.id for example in by_form.values()}) == len(FORMS)
    for example in by_form.values():
        assert question in example.prompt
        assert example.prompt.endswith("\n")
        assert not example.response.endswith("\n")
        assert task.check(example.response, example.answer)
        assert task.check(f"So the answer is {example.answer}", example.answer)
        assert example.arguments == by_form["rule"].arguments
    rule = by_form["rule"].prompt
    assert rule == f"Follow the given rule to solve the question.\nrule:\n{task.rule.source}\n\nQ: {question}"
    assert by_form["lean"].prompt == rule
    assert by_form["rule-blocks"].prompt == rule.replace(task.rule.source, task.rule.commented)
    assert by_form["rule-nl"].prompt == rule.replace(task.rule.source, task.rule.sentences)
    assert by_form["one-shot"].prompt.endswith(f"answer the following question:\n{rule}")
    assert by_form["one-shot"].response == by_form["rule"].response
    assert by_form["scratchpad"].prompt == by_form["direct"].prompt == f"Q: {question}"
    assert by_form["direct"].response == f"So the answer is {by_form['direct'].answer}"


@pytest.mark.parametrize("name", TASKS)
def test_records_are_json_and_examples_repeat(name):
    task = load_task(name)
    record = task.example(length=8, split="train", index=3).record()
    fields = ["id", "task", "version", "split", "length", "index", "form", "prompt", "response", "answer", "arguments"]
    assert list(record) == fields
    assert json.loads(json.dumps(record)) == record
    assert record == task.example(length=8, split="train", index=3).record()
    assert task.rule.run(*record["arguments"]) == task.reference(*record["arguments"])


def test_examples_are_the_same_in_another_process(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "1")  # sets of strings come in another order
    script = "from tests.tasks.test_catalogue import digest_of_examples; print(digest_of_examples())"
    assert run_python("-c", script).stdout.strip() == digest_of_examples()


def digest_of_examples() -> str:
    """Of two examples of each task, one of a length with few instances: these are listed, then ordered."""
    tasks = map(load_task, TASKS)
    records = [task.example(length).record() for task in tasks for length in (task.valid_lengths[0], 8)]
    return hashlib.sha256(json.dumps(records).encode()).hexdigest()


@pytest.mark.parametrize("name", TASKS)
def test_splits_share_no_instance_and_neighbours_differ(name):
    task = load_task(name)
    counts = {"train": 150, "validation": 50, "test": 50}
    for length in short_lengths(task):
        arguments = {s: [repr(e.arguments) for e in examples(task, length, counts[s], split=s)] for s in SPLITS}
        assert all(arguments.values()), f"a split of length {length} is empty"
        for split in SPLITS:
            others = {a for other in SPLITS if other != split for a in arguments[other]}
            assert not others & set(arguments[split])
            if listed := list_if_few(task, length):
                assert len(arguments[split]) == len(set(arguments[split])) == min(counts[split], len(listed[split]))
            else:
                assert len(arguments[split]) == counts[split]
    for limit, distinct in ((20, 285), (40, 297)):  # about 18,000 flower beds have 20 plots
        arguments = [repr(example.arguments) for example in examples(task, long_length(task, limit), 300)]
        assert len(set(arguments)) >= distinct, f"length {long_length(task, limit)}"


@pytest.mark.parametrize("name", TASKS)
def test_wordings_vary(name):
    task = load_task(name)
    assert len(task.questions) > 1
    assert all("{" + p + "}" in question for question in task.questions for p in task.rule.parameters)
    patterns = [re.sub(r"\\{\w+\\}", ".+", re.escape(question)) for question in task.questions]
    asked = [example.prompt.removeprefix("Q: ").strip() for example in examples(task, long_length(task), 60)]
    matches = Counter(pattern for question in asked for pattern in patterns if re.fullmatch(pattern, question))
    assert all(matches[pattern] > 60 / len(patterns) / 3 for pattern in patterns)


@pytest.mark.parametrize("name", TASKS)
def test_no_answer_dominates(name):
    task = load_task(name)
    lengths = (1, 2, 3, 4, 6, 9, 30) if name in YES_NO else (9, long_length(task, 30))
    for length in lengths:
        if length in task.valid_lengths and length > UNEVEN_UP_TO.get(name, 0):
            answers = Counter(example.answer for example in examples(task, length, 300))
            assert (answers.keys() <= {"True", "False"}) == (name in YES_NO)
            if name not in ANSWER_IS_LENGTH:
                assert max(answers.values()) <= 0.6 * answers.total(), f"length {length}"


def test_instances_are_not_degenerate():
    for length in (2, 5, 20):
        for example in examples(load_task("move_zeroes"), length, 50):
            assert 0 < example.arguments[0].count(0) < length
        carries = [len(e.answer.strip("'")) > length for e in examples(load_task("add_int"), length, 100)]
        assert any(carries)
        assert not all(carries)
        for example in examples(load_task("add_int"), length, 50):
            assert max(map(len, example.arguments)) == length
    positions = Counter(example.arguments[1] for example in examples(load_task("get_digit_int"), 10, 500))
    assert set(positions) == set(range(10))
    for example in examples(load_task("coin_flip"), 40, 20):
        assert len({person for person, _ in example.arguments[0]}) == 40


@pytest.mark.parametrize("name", TASKS)
def test_registration(name):
    task = load_task(name)
    assert task.name == current_name(task.rule.name) == name
    assert task.family in FAMILIES
    assert task.role in ROLES
    assert name in list_tasks(role=task.role, family=task.family)
    first, last = task.valid_lengths[0], task.valid_lengths[-1]
    assert list(task.valid_lengths) == list(range(first, last + 1))
    assert first == SHORTEST.get(name, 1)
    assert last == LONGEST[name] if name in LONGEST else last >= 30
    if task.role == "extra":
        assert task.source == task.rule.name
        assert task.source.startswith(EXTRA_SOURCES[task.family])
    else:
        assert re.fullmatch(PAPER_SOURCES[task.family] + (r"\d+" if task.family == "code" else name), task.source)


def test_lists_by_role_and_family():
    assert list_tasks(role="held-out") == HELD_OUT
    assert len(list_tasks(role="pretrain")) == 74
    paper = {family: [n for n in list_tasks(family=family) if load_task(n).role != "extra"] for family in FAMILIES}
    assert {family: len(names) for family, names in paper.items()} == PAPER_FAMILIES
    assert list_tasks(role="pretrain", family="symbolic") == ["coin_flip", "last_letter"]
    sources = [load_task(name).source for name in TASKS]
    assert len(set(sources)) == len(sources)
    assert sum(map(len, (list_tasks(role=role) for role in ROLES))) == len(TASKS)
    assert sorted(TASKS) == TASKS
    with pytest.raises(UserError, match="'dev' is unknown; choose one of pretrain, held-out, extra"):
        list_tasks(role="dev")


def test_unknown_names_are_answered_with_similar_ones():
    with pytest.raises(UserError, match=r"no task is called 'qqq'; rfft gallery shows all, --task-file adds yours$"):
        load_task("qqq")
    with pytest.raises(UserError, match="no task is called 'coinflip'; did you mean coin_flip"):
        load_task("coinflip")
    with pytest.raises(UserError, match=r"no task is called '\.\./words'"):
        load_task("../words")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"length": 0}, "coin_flip has no length 0; its valid_lengths are 1-60"),
        ({"length": 61}, "no length 61"),
        ({"length": 5, "split": "dev"}, "split 'dev' is unknown; choose one of train, validation, test"),
        (
            {"length": 5, "form": "chat"},
            "form 'chat' is unknown; choose one of rule, lean, rule-blocks, rule-nl, one-shot, ",
        ),
        ({"length": 5, "index": -1}, "index -1 is negative"),
    ],
)
def test_wrong_choices(choice, message):
    with pytest.raises(UserError, match=message):
        load_task("coin_flip").example(**choice)
