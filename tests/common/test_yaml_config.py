"""Files as dataclasses: what is written is read back, text stays text, and what is wrong is named with the fix."""

import dataclasses
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
import yaml
from annotated_types import Lt, MinLen
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Strict

from megatron_rfft.chains.config import ChainConfig
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.yaml_config import (
    AboveZero,
    AtLeastZero,
    ListOf,
    Natural,
    Positive,
    Section,
    TextLoader,
    Whole,
    build_config,
    parse_yaml,
    read_yaml,
)
from megatron_rfft.corpus.presets import Preset
from megatron_rfft.data.blend import DataSource
from megatron_rfft.training.config import TrainConfig

ODD = [
    "2025-11-27",
    "no",
    "010",
    "1.10",
    "10:00:00",
    "1e-4",
    "7e12",
    "1_000",
    "0x10",
    "True",
    "=",
    ".5",
    "-3",
    "2001-1-1",
]
"""Text that YAML 1.1 takes for something else."""


@dataclass(frozen=True)
class Inner(Section):
    text: str
    maybe: str | None = None
    whole: Whole = 1
    count: Natural = 0
    steps: Positive = 1
    rate: float = 0.5
    factor: AboveZero = 1.0
    share: Annotated[AtLeastZero, Lt(1)] = 0.0
    flag: bool = False
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer(Section):
    inner: Inner
    other: Inner | None = None
    names: ListOf[str] = field(default_factory=list)
    numbers: ListOf[Natural] | None = None
    some: Annotated[ListOf[str], MinLen(1)] = field(default_factory=lambda: ["x"])
    by_name: dict[str, Inner] = field(default_factory=dict)
    options: dict[Literal["a", "b"], ListOf[str]] = field(default_factory=dict)
    table: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.inner.steps == 13:
            raise UserError("inner.steps is 13; take another number")


def read(text: str) -> Outer:
    return build_config(Outer, parse_yaml(text, "a.yaml", TextLoader), fix="; set --{name}")


printable = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")))  # PyYAML folds some of the others
anything = printable | st.sampled_from(ODD) | st.from_regex(r"[-+0-9._:eExXoOnyft ]{1,8}", fullmatch=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)
inners = st.builds(
    Inner,
    text=anything,
    maybe=st.none() | anything,
    whole=st.integers(),
    count=st.integers(min_value=0),
    steps=st.integers(min_value=1).filter(lambda steps: steps != 13),
    rate=numbers,
    factor=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    share=st.floats(min_value=0, max_value=1, exclude_max=True),
    flag=st.booleans(),
    kind=st.sampled_from("ab"),
)


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        Outer,
        inner=inners,
        other=st.none() | inners,
        names=st.lists(anything),
        numbers=st.none() | st.lists(st.integers(min_value=0)),
        some=st.lists(anything, min_size=1),
        by_name=st.dictionaries(anything, inners, max_size=2),
        options=st.dictionaries(st.sampled_from("ab"), st.lists(anything)),
        table=st.dictionaries(anything, st.dictionaries(anything, anything, max_size=2), max_size=2),
    )
)
def test_what_is_written_is_read_back(config):
    plain = dataclasses.asdict(config)
    assert build_config(Outer, plain) == config
    assert read(yaml.safe_dump(plain, allow_unicode=True)) == config


@pytest.mark.parametrize("text", ODD)
def test_text_that_looks_like_something_else_stays_text(text):
    assert read(f"inner: {{text: {text}, maybe: {text}}}").inner == Inner(text, text)
    assert read(f"inner: {{text: a}}\nnames: [{text}]\noptions: {{a: {text}}}").options == {"a": [text]}


def test_the_type_decides_how_text_is_read():
    inner = read("inner: {text: 5, maybe: null, rate: 1e-5, steps: 1_000, flag: yes}\n").inner
    assert inner == Inner("5", None, rate=1e-5, steps=1000, flag=True)
    assert build_config(Inner, {"text": 5, "rate": 1}) == Inner("5", rate=1.0)


def test_one_item_is_a_list():
    config = read("inner: {text: a}\nnames: 5\nnumbers: 3\nother:\n")
    assert (config.names, config.numbers, config.other) == (["5"], [3], None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "inner is not set; set --inner"),
        ("inner:", "inner.text is not set; set --inner.text"),
        ("inner: {text: null}", "inner.text is not set; set --inner.text"),
        ("inner: {text: [a]}", "inner.text is ['a']; it must be text"),
        ("inner: 3", "inner is '3'; it must be a section with keys"),
        (
            "inner: {text: a, txet: b}",
            "unknown key inner.txet; keys are text, maybe, whole, count,",
        ),
        ("iner: 3", "unknown key iner; keys are inner, other, names,"),
        ("inner: {text: a}\nby_name: {x: {5: b}}", "unknown key by_name.x.5; keys are text, maybe,"),
        ("inner: {text: a}\nby_name: {x: }", "by_name.x.text is not set"),
        ("inner: {text: a}\nother: {text: a, steps: many}", "other.steps is 'many'; it must be a whole number"),
        ("inner: {text: a, steps: 010}", "inner.steps is '010'; it must be a whole number"),
        ("inner: {text: a, steps: 1:30}", "inner.steps is '1:30'; it must be a whole number"),
        ("inner: {text: a, steps: 5.0}", "inner.steps is '5.0'; it must be a whole number"),
        ("inner: {text: a, steps: yes}", "inner.steps is 'yes'; it must be a whole number"),
        ("inner: {text: a, steps: 0}", "inner.steps is 0; it must be at least 1"),
        ("inner: {text: a, steps: 13}", "inner.steps is 13; take another number"),
        ("inner: {text: a, rate: fast}", "inner.rate is 'fast'; it must be a number"),
        ("inner: {text: a, rate: nan}", "inner.rate is nan; it must be a finite number"),
        ("inner: {text: a, factor: 0}", "inner.factor is 0; it must be above 0"),
        ("inner: {text: a, share: 1}", "inner.share is 1; it must be below 1"),
        ("inner: {text: a, flag: maybe}", "inner.flag is 'maybe'; it must be true or false"),
        ("inner: {text: a, kind: c}", "inner.kind is 'c'; it must be 'a' or 'b'"),
        ("inner: {text: a}\nnumbers: [1, b]", "numbers is 'b'; it must be a whole number"),
        ("inner: {text: a}\nsome: []", "some is []; it must have at least 1 item"),
        ("inner: {text: a}\nby_name: 3", "by_name is '3'; it must be a section with keys"),
        ("inner: {text: a}\noptions: {c: d}", "unknown key options.c; it must be 'a' or 'b'"),
    ],
)
def test_what_is_wrong_is_named_with_the_fix(text, message):
    with pytest.raises(UserError, match=re.escape(message)) as refused:
        read(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: @lab", "found character '@' that cannot start any token in line 1, column 4"),
        ("a:\n  [b, c", "expected ',' or ']', but got '<stream end>' in line 2, column 8"),
        ("a: 1\nb: 2\na: 3", "a stands twice in line 3, column 1"),
        ("a: {b: 1, b: 2}", "b stands twice in line 1, column 11"),
        ("{[a]: 1}", "found unhashable key in line 1, column 2"),
    ],
)
def test_broken_yaml_is_one_line_with_the_place(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=re.escape(f"a.yaml is not valid YAML: {message}") + "$"):
        read_yaml(tmp_path / "a.yaml", "", TextLoader)


def test_a_key_that_is_merged_and_overridden_does_not_stand_twice():
    text = "inner: &base {text: a, steps: 2}\nother: {<<: *base, steps: 3}"
    assert read(text).other == Inner("a", steps=3)


def parts_of(hint: Any, marks: tuple = ()) -> Iterator[tuple[Any, tuple]]:
    """The types in a type, each with the marks that stand beside it."""
    if typing.get_origin(hint) is Annotated:
        yield from parts_of(hint.__origin__, hint.__metadata__)
        return
    yield typing.get_origin(hint) or hint, marks
    for part in typing.get_args(hint) if typing.get_origin(hint) is not Literal else ():
        yield from parts_of(part)


@pytest.mark.parametrize("schema", [TrainConfig, ChainConfig, Preset])
def test_every_key_of_the_package_is_read_by_these_rules(schema):
    """No bare ``int`` would refuse 010, no bare ``list`` take one item, no other dataclass refuse an unknown key."""
    todo, seen = [schema], set()
    while todo:
        section = todo.pop()
        seen.add(section)
        assert issubclass(section, Section)
        for name, hint in typing.get_type_hints(section, include_extras=True).items():
            for part, marks in parts_of(hint):
                where = f"{section.__name__}.{name}"
                assert part is not int or any(isinstance(mark, Strict) for mark in marks), where
                assert part is not list or any(hasattr(mark, "func") for mark in marks), where
                if dataclasses.is_dataclass(part) and part is not DataSource and part not in seen:
                    todo.append(part)
    assert len(seen) > 10 or schema is Preset
