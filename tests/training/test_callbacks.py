"""Validation, skipped batches and losses by task and length: the same in every layout, exact over a resume."""

import json

import pytest

from megatron_rfft.corpus import CorpusConfig, generate_corpus
from megatron_rfft.tokenization.tokenize import tokenize_corpus
from tests.conftest import ROOT, torchrun

STEPS, KILL = 8, 6
SPOILT = 10  # of the third batch of four
LAYOUTS = {"DP2": [], "PP2": ["--parallel.pipeline", "2"], "TP2": ["--parallel.tensor", "2"]}


@pytest.fixture(scope="session")
def validation_prefix(small_data, tmp_path_factory):
    """18 documents at lengths that are not trained on: more than a micro-batch of sequences, and an odd number."""
    folder = tmp_path_factory.mktemp("validation")
    lengths = {"coin_flip": (5, 6), "length_int": (5,)}
    generate_corpus(CorpusConfig(lengths, samples=6, split="validation", form="lean"), folder / "corpus")
    tokenize_corpus(folder / "corpus", small_data.tokenizer, folder / "data")
    return folder / "data"


@pytest.fixture(scope="module")
def folders(config_file, validation_prefix, tmp_path_factory):
    """Run folders by name: one process and each layout, whole; and one killed at step 6 that resumed from step 4."""
    root = tmp_path_factory.mktemp("callbacks")

    def job(name, overrides=(), attempts=(None,), **extra):
        options = {
            "run.output": root / name,
            "run.steps": STEPS,
            "batch.micro_batch_size": 1,  # what is spoilt is one sequence: its companions are others in each layout
            "validation.data": validation_prefix,
            "validation.interval": 2,
            "checkpoint.interval": 4,
            "checkpoint.keep": 1,
            "logging.interval": 2,
            "logging.tensorboard": "false",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        words += overrides
        return {"config": str(config_file), "overrides": words, "spoilt": SPOILT, "attempts": list(attempts), **extra}

    never_better = ["--validation.min_delta", "9", "--validation.patience", "2", "--checkpoint.at", "[1, 3]"]
    spikes = [
        "--optimizer.lr",
        "4",  # so large that the first loss after the spoilt batch jumps
        "--guard.spike_factor",
        "1.05",
        "--guard.spike_window",
        "2",
        "--guard.max_skips",
        "9",
    ]
    spikes += ["--logging.interval", "1", "--checkpoint.interval", "2"]
    jobs = {
        1: [
            job("one", one_by_one=True, copied=True),
            job("never-better", never_better),
            job("hopeless", ["--optimizer.lr", "1e30", "--optimizer.warmup_steps", "0"]),
            job("spikes", spikes, attempts=(3, None)),
        ],
        2: [
            *(job(name, overrides) for name, overrides in LAYOUTS.items()),
            job("resumed", attempts=(KILL, None)),
        ],
    }
    for processes, some in jobs.items():
        file = root / f"jobs-{processes}.json"
        file.write_text(json.dumps(some))
        torchrun(processes, ROOT / "tests/training/callbacks_worker.py", file)
    return root


def rows(folder, name) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def flat(value, path="") -> dict:
    """Every number of nested values, by its path."""
    if isinstance(value, dict):
        return {key: number for name, item in value.items() for key, number in flat(item, f"{path}/{name}").items()}
    if isinstance(value, list):
        return flat(dict(enumerate(value)), path)
    return {path: value}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["validation", "losses"])
def test_every_layout_writes_the_same_losses(folders, layout, name):
    expected, ours = rows(folders / "one", name), rows(folders / layout, name)
    assert len(expected) == STEPS / 2
    for theirs, row in zip(expected, ours, strict=True):
        assert flat(row) == pytest.approx(flat(theirs), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("layout", ["one", *LAYOUTS])
def test_a_batch_that_is_no_number_changes_nothing_and_is_named(folders, layout):
    (row,) = rows(folders / layout, "skipped")
    assert (row["step"], row["reason"], row["in_a_row"]) == (3, "not a number", 1)
    assert row["loss"] is None
    assert [entry["sequence"] for entry in row["batch"]] == list(range(8, 12))
    assert all(documents for entry in row["batch"] for documents in entry["documents"].values())
    sums = json.loads((folders / layout / "weights.json").read_text())
    assert sums["2"] == sums["3"]
    assert len(set(sums.values())) == STEPS - 1
    assert [line["skipped"] for line in rows(folders / layout, "metrics")] == [0, 1, 0, 0]


def test_the_table_of_losses_equals_documents_one_by_one(folders):
    """Packed, by index_add over tokens, beside a forward pass for each document."""
    expected: dict = {}
    for task, length, loss_sum, tokens in json.loads((folders / "one" / "one_by_one.json").read_text()):
        entry = expected.setdefault(task, {}).setdefault(str(length), [0.0, 0])
        entry[0] += loss_sum
        entry[1] += tokens
    table = rows(folders / "one", "validation")[-1]["tasks"]
    assert {task: set(lengths) for task, lengths in table.items()} == {t: set(n) for t, n in expected.items()}
    for task, lengths in expected.items():
        for length, (loss_sum, tokens) in lengths.items():
            assert table[task][length] == [pytest.approx(loss_sum / tokens, abs=1e-5), tokens]


def test_margins_are_means_over_target_tokens(folders):
    row = rows(folders / "one", "validation")[0]
    (loss5, tokens5), (loss6, tokens6) = (row["tasks"]["coin_flip"][length] for length in ("5", "6"))
    mean = (loss5 * tokens5 + loss6 * tokens6) / (tokens5 + tokens6)
    assert row["loss_by_task"]["coin_flip"] == pytest.approx(mean)
    assert row["loss_by_length"]["6"] == pytest.approx(loss6)
    assert row["loss"] == pytest.approx(
        sum(v[0] * v[1] for t in row["tasks"].values() for v in t.values()) / row["target_tokens"]
    )


def test_a_resumed_run_writes_the_same_files(folders):
    """Killed at step 6, two steps after a checkpoint in the background: nothing is lost, doubled or changed."""
    whole, resumed = folders / "DP2", folders / "resumed"
    for name in ("validation", "losses", "skipped"):
        assert rows(resumed, name) == rows(whole, name)
    weights = [json.loads((folder / "weights.json").read_text()) for folder in (whole, resumed)]
    assert weights[1] == {step: value for step, value in weights[0].items() if int(step) > 4}


def test_a_checkpoint_in_the_background_holds_the_state_of_its_step(folders):
    """64 MB of ones that are overwritten with twos while a thread writes them."""
    assert json.loads((folders / "one" / "copied.json").read_text()) == [1.0, 1.0]


def test_the_best_checkpoint_is_kept_and_those_that_were_asked_for(folders):
    best = min(rows(folders / "DP2", "validation"), key=lambda row: row["loss"])
    assert (folders / "DP2" / "checkpoints" / "best").readlink().name == f"step-{best['step']:08d}"
    # The first validation was the best one by 9 nats, and stays beside the newest checkpoint and checkpoint.at.
    kept = sorted(path.name for path in (folders / "never-better" / "checkpoints").glob("step-*"))
    assert kept == [f"step-0000000{step}" for step in (1, 2, 3, 6)]
    assert (folders / "never-better" / "checkpoints" / "best").readlink().name == "step-00000002"


def test_patience_ends_the_run(folders):
    validations = rows(folders / "never-better", "validation")
    assert [row["waited"] for row in validations] == [0, 1, 2]
    assert validations[-1]["stopped"].startswith("early stop: 2 validations without a better loss (best ")


def test_weights_that_are_lost_end_the_run(folders):
    """Three updates in a row that would be no number; the last good checkpoint is not overwritten."""
    message = (folders / "hopeless" / "failed.txt").read_text()
    assert "not a number" in message
    assert "3 skipped in a row: lower optimizer.lr" in message
    skipped = rows(folders / "hopeless", "skipped")
    assert [row["in_a_row"] for row in skipped][-3:] == [1, 2, 3]
    last = skipped[-1]["batch"]
    assert f"sequences {last[0]['sequence']} to {last[-1]['sequence']}" in message


def test_spikes_are_judged_by_the_updates_before_also_after_a_resume(folders):
    skipped = {row["step"] for row in rows(folders / "spikes", "skipped")}
    losses, norms, expected = [], [], set()
    for row in rows(folders / "spikes", "metrics"):
        loss, norm = row["loss"], row["grad_norm"]
        spike = (
            loss is not None
            and len(losses) >= 2
            and (loss > 1.05 * sum(losses[-2:]) / 2 or norm > 1.05 * sum(norms[-2:]) / 2)
        )
        if loss is None or spike:
            expected.add(row["step"])
        else:
            losses.append(loss)
            norms.append(norm)
    assert skipped == expected
    assert 4 in expected  # judged by steps 1 and 2 alone, from before the resume


def test_the_wall_time_of_a_resumed_run_is_accounted_for(folders):
    """Killed at step 6, resumed from step 4: what two steps took, and the time to the next start, are told apart."""
    lines = rows(folders / "resumed", "metrics")
    first, last = lines[0], lines[-1]
    assert (last["wall"]["restarts"], last["wall"]["steps_again"]) == (1, 2)
    seconds = last["wall"]["seconds"]
    assert min(seconds[name] for name in ("train", "checkpoint", "validation", "restart", "again")) > 0
    began = first["time"] - sum(first["wall"]["seconds"].values())
    assert sum(seconds.values()) == pytest.approx(last["time"] - began, abs=0.1)
    assert last["goodput"] == pytest.approx(seconds["train"] / sum(seconds.values()), abs=1e-3)
    parts = sum(first[f"{name}_seconds"] for name in ("train", "data", "checkpoint", "validation", "other"))
    assert parts == pytest.approx(first["wall_seconds_per_step"] * first["steps"], abs=0.01)
    assert lines[1]["wall"]["restarts"] == 0, "before the kill"
