"""The presets: what the paper fixes, no near twin in training, no test question in training, frozen test bytes."""

import json
from pathlib import Path

import pytest
import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import corpus_config, generate_corpus, load_preset, preset_names, read_records
from megatron_rfft.tasks import FORMS, NEAR_TWINS, RANDOM_LISTS, list_tasks, load_task
from tests.conftest import ROOT, run_python

PRESETS = ROOT / "megatron_rfft/corpus/presets"
FROZEN = Path(__file__).with_name("frozen_test_set.json")
TRAINING = ("rf-pretrain", "rf-pretrain-1shot", "rf-pretrain-random", "rf-pretrain-small", "adapt")


def config(name: str, **changes):
    return corpus_config({**load_preset(name), **changes})


def test_names():
    assert preset_names() == [
        *("adapt", "rf-pretrain", "rf-pretrain-1shot", "rf-pretrain-leetcode", "rf-pretrain-one-task"),
        *("rf-pretrain-random", "rf-pretrain-small"),
        *("test", "test-60", "test-cross-domain", "test-other-families", "validation"),
    ]
    for name in preset_names():
        assert (PRESETS / f"{name}.yaml").read_text().startswith("# "), "a preset says what it is for"


def test_rf_pretraining_is_the_paper_s():
    preset = config("rf-pretrain")
    assert list(preset.lengths) == list_tasks(role="pretrain")
    cells = list(preset.cells())
    assert {samples for _, _, samples in cells} == {300}
    assert preset.lengths["coin_flip"] == list(range(1, 16))
    assert preset.lengths["find_winner_on_tic_tac_toe"] == list(range(1, 10))
    assert (preset.split, preset.form) == ("train", "rule")
    assert 300_000 < sum(samples for _, _, samples in cells) < 333_000


def test_the_one_shot_arm_adds_random_rules():
    cells = list(config("rf-pretrain-1shot").cells())
    synthetic = [samples for task, _, samples in cells if task == RANDOM_LISTS]
    assert sum(synthetic) == 100_000
    assert max(synthetic) - min(synthetic) <= 1
    assert config("rf-pretrain-1shot").form == "one-shot"


def test_random_rules_beside_the_tasks():
    cells = list(config("rf-pretrain-random").cells())
    random = {name: [c for c in cells if c[0] == name] for name in ("random_strings", RANDOM_LISTS)}
    assert {name: sum(samples for _, _, samples in found) for name, found in random.items()} == {
        "random_strings": 60_000,
        RANDOM_LISTS: 40_000,
    }
    longer = sum(samples for name, length, samples in cells if name == "random_strings" and length > 15)
    assert longer == 6000
    assert {c[0] for c in cells} - set(random) == set(list_tasks(role="pretrain"))


def test_the_small_preset_has_a_tenth_of_longer_examples():
    cells = list(config("rf-pretrain-small").cells())
    total, longer = (sum(n for _, length, n in cells if length > least) for least in (0, 20))
    assert abs(longer / total - 0.1) < 0.001
    assert abs(total - 32_000) <= 32


def test_the_ablations_are_parts_of_the_74_tasks():
    """LeetCode tasks alone; their targets, the symbolic and BBH ones; one task with as many documents."""
    everything = list_tasks(role="pretrain")
    leetcode, others = (list(config(name).lengths) for name in ("rf-pretrain-leetcode", "test-other-families"))
    assert sorted(leetcode + others) == everything
    assert (len(leetcode), len(others)) == (66, 8)
    assert {load_task(name).family for name in others} == {"symbolic", "logic"}
    assert config("test-other-families").split == "test"
    with pytest.raises(UserError, match="no tasks are named"):
        config("rf-pretrain-one-task")
    one, whole = (
        sum(n for *_, n in config(name, tasks=tasks).cells())
        for name, tasks in (("rf-pretrain-one-task", "coin_flip"), ("rf-pretrain", "pretrain"))
    )
    assert one == pytest.approx(whole, rel=0.1)


def test_a_family_of_a_role_stands_for_its_tasks():
    chosen = config("rf-pretrain", tasks="pretrain/logic,coin_flip:3,held-out/numbers").lengths
    assert list(chosen) == [*list_tasks("pretrain", "logic"), "coin_flip", *list_tasks("held-out", "numbers")]
    assert chosen["coin_flip"] == [3]
    with pytest.raises(UserError, match="'nothing' is unknown; choose one of code, numbers"):
        config("rf-pretrain", tasks="pretrain/nothing")
    with pytest.raises(UserError, match="coin_flip is named twice"):
        config("rf-pretrain", tasks="train/symbolic,coin_flip")


@pytest.mark.parametrize("form", FORMS)
def test_adaptation_takes_one_task_in_any_form(form):
    with pytest.raises(UserError, match="no tasks are named; give --tasks"):
        config("adapt")
    cells = list(config("adapt", tasks="add_int", form=form).cells())
    assert cells == [("add_int", length, 1000) for length in range(1, 6)]


def test_the_test_is_the_paper_s():
    preset = config("test")
    assert list(preset.lengths) == list_tasks(role="held-out")
    assert preset.lengths["add_int"] == list(range(2, 31, 2))
    assert preset.split == "test"
    assert config("test-60").lengths["add_int"] == list(range(1, 61))


@pytest.mark.parametrize("name", TRAINING)
def test_no_training_preset_has_a_near_twin_or_a_held_out_task(name):
    preset = config(name, tasks="train") if name == "adapt" else config(name)
    assert preset.near_twins == {}
    assert not set(preset.lengths) & {*NEAR_TWINS, *list_tasks(role="held-out")}


def test_a_near_twin_is_pointed_out(tmp_path):
    options = ("--tasks", "lc_27:3,coin_flip:3", "--samples", 5, "--output", tmp_path)
    done = run_python("data_prep/generate.py", *options)
    assert "remove_element is a near twin of the held-out task move_zeroes" in done.stderr
    assert json.loads((tmp_path / "manifest.json").read_text())["near_twins"] == {"remove_element": "move_zeroes"}


def test_validation_leaves_out_what_is_too_long(tmp_path):
    manifest = generate_corpus(config("validation", samples=1), tmp_path)
    counts = manifest["counts"]
    assert "word_sorting" in counts["over_token_budget"]
    assert all(tokens["31"] > 16384 for tokens in counts["over_token_budget"].values())
    kept = {record["task"] for record in read_records(tmp_path)}
    assert kept == set(counts["cells"])
    without = {name for name in list_tasks(role="pretrain") if 31 not in load_task(name).valid_lengths}
    assert kept | set(counts["over_token_budget"]) | without == set(list_tasks(role="pretrain"))
    assert len(kept) > 50


def test_no_test_question_is_in_a_training_corpus(tmp_path):
    """Every held-out task as adaptation trains it and as the test asks it, at the lengths that both have."""
    questions = {}
    for name, lengths, form in (("adapt", "1-5", "one-shot"), ("test", "1-6", "direct"), ("test", "1-6", "one-shot")):
        output = tmp_path / f"{name}-{form}"
        generate_corpus(config(name, tasks="test", lengths=lengths, samples=150, form=form), output)
        texts = [record["prompt"] for record in read_records(output)]
        questions[name, form] = {(line) for text in texts for line in text.split("\n") if line.startswith("Q: ")}
    asked = questions["test", "direct"]
    assert len(asked) > 3000
    assert len(questions["adapt", "one-shot"]) > 3000
    assert not asked & questions["adapt", "one-shot"]
    exemplars = questions["test", "one-shot"] - asked
    assert len(exemplars) > 300


@pytest.mark.slow
def test_the_test_set_is_frozen(tmp_path):
    """Scores of two versions compare only if the questions are the same; a change here is a new test set."""
    files = generate_corpus(config("test"), tmp_path, num_workers=2)["files"]
    assert {name: entry["sha256"] for name, entry in files.items()} == json.loads(FROZEN.read_text())["test"]


def test_a_part_of_the_test_set_is_frozen(tmp_path):
    files = generate_corpus(config("test", samples=4, num_shards=1), tmp_path)["files"]
    assert {name: entry["sha256"] for name, entry in files.items()} == json.loads(FROZEN.read_text())["4 samples"]


def test_a_preset_of_one_s_own(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("tasks: [coin_flip, 'length_int:2-3']\nlengths: 2\nsamples: 7\nform: lean\n")
    done = run_python(
        "data_prep/generate.py", "--preset", file, "--samples", 5, "--output", tmp_path / "corpus", "--json"
    )
    assert json.loads(done.stdout)["cells"] == {"coin_flip": {"2": 5}, "length_int": {"2": 5, "3": 5}}
    printed = run_python("data_prep/generate.py", "--preset", file, "--print-config").stdout
    assert yaml.safe_load(printed)["tasks"] == ["coin_flip", "length_int:2-3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tasks: coin_flip\nlenghts: 2\n", "mine.yaml: unknown key lenghts; keys are tasks, lengths,"),
        ("tasks: coin_flip\nlengths: 2\nsamples: many\n", "mine.yaml: samples is 'many'; it must be a whole number"),
        ("tasks: {coin_flip: 2}\n", "tasks is {'coin_flip': '2'}; it must be text"),
        ("tasks: []\n", "no tasks are named; give --tasks"),
        ("- coin_flip\n", "must hold keys"),
        ("tasks: [\n", "is not valid YAML"),
        ("tasks: train\nlengths: 31\nsamples: 1\nmax_tokens: 10\n", "every example takes more than max_tokens 10"),
        ("tasks: train\nlengths: 31\nsynthetic: -1\n", "synthetic is -1; ask for 0 or more"),
        (
            "tasks: train\nlengths: 31\nsynthetic: {random_lists:5: x}\n",
            "synthetic.random_lists:5 is 'x'; it must be a",
        ),
        ("tasks: train\nlengths: 31\nsynthetic: 010\n", "synthetic is '010'; it must be a whole number"),
        ("tasks: train\nlengths: 31\nsynthetic: {random_lists: 5}\n", "task random_lists has no lengths"),
        ("tasks: train\nlengths: 31\nsynthetic: {coin_flip:5: 5}\n", "synthetic has 'coin_flip'; name random rules"),
        ("tasks: coin_flip:2\nrename: maybe\n", "'rename=maybe' has no weight; write for example rename=0.5"),
        ("tasks: coin_flip:2\ntasks: add_int:2\n", "tasks stands twice in line 2"),
    ],
)
def test_faults_are_named(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        generate_corpus(corpus_config(load_preset(str(file))), tmp_path / "corpus")


def test_an_unknown_preset_is_answered_with_the_names():
    done = run_python("data_prep/generate.py", "--preset", "pretrain", "--output", "unused", check=False)
    assert done.returncode == 2
    assert "no preset is called 'pretrain'; choose one of adapt, rf-pretrain," in done.stderr
