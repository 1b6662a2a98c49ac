"""Overrides on the command line: text keys take text as it is, other keys refuse what they would have to guess."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_rfft.common.errors import UserError
from megatron_rfft.data.blend import DataSource
from megatron_rfft.training.config_reader import as_override, load_config

ODD = ["2025-11-27", "no", "@lab", "010", "1e5", "a: b", "a #b", "&x", "*x", "!x", "%x", "- a", "a, b", "|", "x=y"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "run.yaml"
    path.write_text("run: {output: run}\ndata: {train: data}\n")
    return path


@pytest.mark.parametrize("text", [*ODD, "[a", "{a", '"a"', "null", ""])
def test_a_text_key_takes_text_as_it_is(file, text):
    assert load_config(file, ["--run.output", text]).run.output == text
    assert load_config(file, [f"--run.output={text}"]).run.output == text
    expected = None if text in ("null", "") else text
    assert load_config(file, ["--checkpoint.load", text]).checkpoint.load == expected


@pytest.mark.parametrize("text", ODD)
def test_so_does_a_list_of_texts(file, text):
    config = load_config(file, ["--validation.data", text, "--data.train", text])
    assert (config.validation.data, config.data.train) == ([text], [DataSource(text)])


def test_lists_and_weights_are_yaml(file):
    config = load_config(file, ["--validation.data", "[no, 010]", "--data.train", "{a: 2, 010: 0.5}"])
    assert config.validation.data == ["no", "010"]
    assert config.data.train == [DataSource("a", 2.0), DataSource("010", 0.5)]
    assert load_config(file, ["--logging.profile", "[3, 5]", "--checkpoint.at", "7"]).logging.profile == [3, 5]
    assert load_config(file, ["--logging.profile", "null"]).logging.profile is None


TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")))


@settings(max_examples=50, deadline=None)
@given(text=TEXT | st.sampled_from([*ODD, "[a", '"a"', "'a'", "null", "~", "", " "]), many=st.lists(TEXT))
def test_what_commands_write_is_read_back(file, text, many):
    for key in ("--validation.data", "--data.train"):
        one, several = (load_config(file, [key, as_override(value)]) for value in (text, many))
        read = [(c.validation.data, [s.path for s in c.data.train])[key == "--data.train"] for c in (one, several)]
        assert read == [[text], many]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run.seed", "010"], "run.seed is '010'; it must be a whole number"),
        (["--run.seed", "1:30"], "run.seed is '1:30'; it must be a whole number"),
        (["--run.seed", "-1"], "run.seed is -1; it must be at least 0"),
        (["--run.steps", "1e3"], "run.steps is '1e3'; it must be a whole number"),
        (["--run.steps", "null"], "run.steps is not set; set it in the YAML file or with --run.steps VALUE"),
        (["--optimizer.lr", "inf"], "optimizer.lr is inf; it must be a finite number"),
        (["--data.packed", "maybe"], "data.packed is 'maybe'; it must be true or false"),
        (["--validation.data", "[a"], "--validation.data '[a' is not valid YAML: expected ',' or ']', but got"),
        (["--checkpoint.at", "[0]"], "checkpoint.at is 0; it must be at least 1"),
        (["--run", "3"], "unexpected argument '--run'; overrides are written --section.key value"),
        (["--run.steps", "3", "--run.seed"], "--run.seed has no value; write --run.seed VALUE"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(file, words, message):
    with pytest.raises(UserError) as refused:
        load_config(file, words)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
