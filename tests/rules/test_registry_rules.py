"""The rules of all tasks, in every style."""

import re

import pytest

from megatron_rfft.rules import STYLES, false_lines
from megatron_rfft.tasks import NoInstanceError, list_tasks, load_task

NAMES = list_tasks()
SENTENCE = re.compile(r"( *)((?:\d+\.)+) ([A-Z].*[.:])")
CODE = re.compile(
    r"\.(pop|append|insert|extend|remove|reverse|clear|get|copy|lower|upper|is\w+|\w+with)\(|\w\(|`|==|!=|\w\["
)


@pytest.mark.parametrize("name", NAMES)
def test_sentences_are_words_for_each_statement(name):
    rule = load_task(name).rule
    lines = rule.sentences.split("\n")
    assert len(lines) == len(rule.source.split("\n")) - 1
    assert len({line.strip() for line in lines}) == len(lines)
    for line in lines:
        indent, number, words = SENTENCE.fullmatch(line).groups()
        assert line.isascii()
        assert len(indent) == 2 * (number.count(".") - 1)
        outside_strings = re.sub(r"'[^']*'", "''", words)
        assert not CODE.search(outside_strings), line
        assert outside_strings.count("(") == outside_strings.count(")")
        assert words.endswith(":") == words.startswith(("If ", "While ", "Otherwise"))


@pytest.mark.parametrize("name", NAMES)
def test_traces_are_true_in_every_style(name):
    task = load_task(name)
    for length in {task.valid_lengths[0], *(n for n in (3, 8, 15) if n in task.valid_lengths)}:
        try:
            arguments = task.example(length=length, split="train", index=0, form="direct").arguments
        except NoInstanceError:
            continue
        answer = task.rule.run(*arguments)
        for style in STYLES:
            trace = task.rule.trace(*arguments, style=style)
            assert repr(trace.answer) == repr(answer)
            assert false_lines(task.rule, trace.text, style, arguments) == []
