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
    # Words for truth, JSON's words, Markdown's marks.
    ("True", "true"),
    ("False", "FALSE"),
    ("[True, None]", "[true, null]"),
    ("None", "null"),
    ("'true'", "true"),
    ("5", "**5**"),
    ("5", "`5`"),
    ("'ab'", "**'ab'**"),
    ("'ab'", "**ab**"),
    ("'**ab**'", "**ab**"),
    ("'**ab**'", "'**ab**'"),
    ("[1, 2]", "`[1, 2]`"),
    # Strings that look like another notation of a number.
    ("'0x5'", "0x5"),
    ("'5_0'", "5_0"),
    ("'a # b'", "a # b"),
    ("'a # b'", "'a # b'"),
    ("['#']", "['#']"),
    ("'\\u00e9'", "é"),
    ("['é', 5]", "['é', 5]"),
    ("-1.5", "-1.5"),
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
    # More than the value.
    ("5", "5 # because"),
    ("[5]", "[5] # because"),
    ("'ab'", "'ab' # because"),
    # Other notations of it, alone and in a list.
    ("5", "0x5"),
    ("5", "0b101"),
    ("50", "5_0"),
    ("5", "+5"),
    ("5.0", "5.00"),
    ("5", "(5)"),
    ("[50]", "[5_0]"),
    ("'abc'", "'ab' 'c'"),
    ("['abc']", "['ab' 'c']"),
    ("'ab'", "r'ab'"),
    ("'ab'", "'''ab'''"),
    # Another type, other words.
    ("5", "'5'"),
    ("5", "**'5'**"),
    ("True", "'true'"),
    ("[True]", "[yes]"),
    ("'True'", "true"),
    ("['true']", "[true]"),
    # Marks that are not around the value.
    ("5", "**5"),
    ("5", "*5*"),
    ("5", "****"),
    ("5", "'**5**'"),
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
        "  So the answer is 4\nSo the answer is 5",
        "**So the answer is 5**\nSo the answer is 5",
        "So the answer is 5\n```",
    ],
)
def test_not_exactly_one_final_answer(text):
    assert not check_answer(text, "5")


@pytest.mark.parametrize("line", ["  So the answer is 5", "\tSo the answer is 5 ", "**So the answer is 5**"])
def test_spaces_and_marks_around_the_line_do_not_matter(line):
    assert check_answer(f"Let me see.\n{line}\n", "5")


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


def restyled(value, rng) -> str:
    """The literal as another writer would put it: other quotes, other spaces."""
    if isinstance(value, str):
        quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
        return quoted if value.isprintable() else repr(value)
    if isinstance(value, list):
        return (
            "[" + rng.choice([",", ", ", " , "]).join(restyled(item, rng) for item in value) + rng.choice(["]", " ]"])
        )
    if isinstance(value, dict):
        items = (f"{restyled(key, rng)}{rng.choice([':', ': '])}{restyled(item, rng)}" for key, item in value.items())
        return "{" + rng.choice([",", ", "]).join(items) + "}"
    return repr(value)


@given(values, st.randoms(use_true_random=False))
def test_spacing_and_quotes_do_not_matter(value, rng):
    assert check_answer(f"3. Return\nSo the answer is  {restyled(value, rng)}  \n", repr(value))


@given(st.one_of(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.text("abc1 ,'", min_size=1, max_size=6)))
def test_no_changed_answer_passes(value):
    """Each item or character left out, doubled, replaced or swapped with its neighbour."""
    for place in range(len(value)):
        other = [7] if isinstance(value, list) else "z"
        neighbours = value[place : place + 2]
        changed = [
            value[:place] + value[place + 1 :],
            value[: place + 1] + value[place:],
            value[:place] + other + value[place + 1 :],
            value[:place] + neighbours[::-1] + value[place + 2 :],
        ]
        for wrong in changed:
            if wrong != value:
                assert not check_answer(f"So the answer is {wrong!r}", repr(value))
