"""The checker accepts exactly one final answer of the right value and type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megatron_rfft.tasks.answers import check_answer

RIGHT = [
    ("12", "12"),
    ("'12'", "12"),
    ("'12'", "'12'"),
    ("'12'", '"12"'),
    ("'007'", "007"),
    ("''", "''"),
    ("'ab'", "ab"),
    ("'True'", "True"),
    ("[1, 2]", "[1,2]"),
    ("['a', 'b']", '["a", "b"]'),
    ("True", "True"),
    ("True", "yes"),
    ("False", "No"),
    ("-3", "-3"),
    ("{'a': [1]}", "{'a': [1]}"),
    ("None", "None"),
]
WRONG = [
    ("12", "'12'"),
    ("12", "12.0"),
    ("12", "123"),
    ("12", "12 apples"),
    ("12", "12."),
    ("12", "012"),
    ("12", "the 12"),
    ("'12'", "12.0"),
    ("'ab'", "abc"),
    ("'ab'", "a b"),
    ("'ab'", "['ab']"),
    ("True", "1"),
    ("1", "True"),
    ("True", "False"),
    ("True", "yes, it is"),
    ("'yes'", "True"),
    ("[1, 2]", "[1, 2, 3]"),
    ("[1, 2]", "(1, 2)"),
    ("[1]", "[True]"),
    ("[0]", "[0.0]"),
    ("['a']", "[a]"),
    ("{'a': 1}", "{'a': True}"),
    ("{'a': 1}", "{'a': 1, 'b': 2}"),
    ("[1]", "[" * 5000),
    ("1", ""),
    ("1", "__import__('os').getpid()"),
]


@pytest.mark.parametrize(("answer", "stated"), RIGHT)
def test_right(answer, stated):
    assert check_answer(f"3. Return\nSo the answer is {stated}", answer)
    assert check_answer(f"So the answer is {stated} \n\n", answer)


@pytest.mark.parametrize(("answer", "stated"), WRONG)
def test_wrong(answer, stated):
    assert not check_answer(f"So the answer is {stated}", answer)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "Thus, So the answer is 5",
        "So the answer is 5\nOr is it?",
        "So the answer is 4\nSo the answer is 5",
        "So the answer is 5\nSo the answer is 5",
        "So the answer is 5\nSo the answer is 4",
        "so the answer is 5",
        "So the answer is\n5",
    ],
)
def test_not_exactly_one_final_answer(text):
    assert not check_answer(text, "5")


values = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


@given(values, values)
def test_a_value_equals_only_its_own_text(value, other):
    assert check_answer(f"So the answer is {value!r}", repr(value))
    if repr(value) != repr(other) and value != other and not isinstance(value, str | bool):
        assert not check_answer(f"So the answer is {other!r}", repr(value))
