"""The training command: wrong input in one line and code 2; a killed run continues where its checkpoint stands."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from megatron_rfft.training.history import read_history
from megatron_rfft.training.timeline import timeline
from tests.conftest import ROOT, run_python
from tests.training.conftest import CHECKPOINT, STEPS, small_config

TRAIN = ("-m", "megatron_rfft.train", "--config")


def refused(*arguments) -> str:
    """The one line on stderr with which the command ends; its exit code must be 2."""
    done = run_python(*TRAIN, *arguments, check=False)
    assert done.returncode == 2, done.stderr[-2000:]
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["--optimizer.lerning_rate", "1"], "unknown key optimizer.lerning_rate; keys are lr,"),
        (["--optimiser.lr", "1"], "unknown key optimiser; keys are run, model,"),
        (["--run.steps", "many"], "run.steps is 'many'; it must be a whole number"),
        (["--run.steps"], "--run.steps has no value"),
        (["--data.train", "/nowhere/data"], "no such file: /nowhere/data.manifest.json"),
        (["--data.sequence_length", "20"], "more than data.sequence_length 20; raise it"),
        (["--batch.global_batch_size", "7"], "batch.global_batch_size 7 is not a multiple of batch.micro_batch_size 2"),
        (["--parallel.tensor", "2"], "1 processes are not a multiple of parallel.tensor 2"),
        (
            ["--model.num_query_groups", "3"],
            "num_attention_heads 4 is not a multiple of model.num_query_groups 3",
        ),
        (["--model.vocab_size", "10"], "model.vocab_size 10 is below the 700 ids that the data needs; raise it"),
        (["--precision.dtype", "fp8"], "precision.dtype is 'fp8'; it must be 'bf16' or 'fp32'"),
        (["--precision.fp8", "tensorwise"], "precision.fp8 tensorwise needs precision.dtype bf16, not fp32"),
        (
            ["--precision.dtype=bf16", "--precision.fp8=tensorwise"],
            "can't run here: this machine has no GPU; set",
        ),
        (["--memory.recompute", "some"], "memory.recompute is 'some'; it must be 'none', 'selective' or 'full'"),
        (["--memory.recompute_layers", "2"], "memory.recompute_layers is 2, but memory.recompute is none"),
        (["steps=3"], "unexpected argument 'steps=3'"),
        (["--run.steps", "[1"], "--run.steps '[1' is not valid YAML"),
        (["--run.output", f"{__file__}/run"], "test_command.py/run/checkpoints cannot be written to (Not a directory)"),
    ],
)
def test_wrong_input_is_named_with_its_fix(config_file, overrides, expected):
    assert expected in refused(config_file, *overrides)


def test_heads_that_the_attention_of_a_cpu_cannot_split_are_refused(config_file, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    cut_in_three = ["--parallel.context=3", "--data.document_multiple=6"]
    assert "num_attention_heads 4 is not a multiple of parallel.tensor 1 x" in refused(config_file, *cut_in_three)


def test_an_environment_that_allows_any_order_of_sums_is_refused(config_file, monkeypatch):
    monkeypatch.setenv("NCCL_ALGO", "NVLS")
    told = refused(config_file, "--precision.deterministic", "true")
    assert "precision.deterministic is true, but the environment has NCCL_ALGO=NVLS; unset it, or set it to" in told


def test_a_missing_config_is_named(tmp_path):
    assert "no such file" in refused(tmp_path / "absent.yaml")


def test_help_names_every_key_with_its_default_and_meaning():
    from dataclasses import fields

    from megatron_rfft.training import config

    text = run_python("-m", "megatron_rfft.train", "--help").stdout
    for section in fields(config.TrainConfig):
        for key in fields(getattr(config, f"{section.name.capitalize()}Section")):
            assert f"--{section.name}.{key.name} " in text
    assert "--optimizer.lr float >= 0 (default: 1e-05)\n      Peak learning rate." in text
    assert "--data.curriculum float >= 0, < 1 (default: 0.0)" in text
    assert "--memory.recompute none | selective | full (default: 'none'; may change on resume)" in text
    assert "--logging.profile list[int >= 0] | None (default: None; may change on resume)" in text
    assert "--adapter.targets list[str] (default: ['linear_qkv', " in text


def test_print_config_resolves_overrides(config_file):
    done = run_python(*TRAIN, config_file, "--optimizer.lr", "1e-4", "--parallel.sequence=true", "--print-config")
    resolved = yaml.safe_load(done.stdout)
    assert resolved["optimizer"]["lr"] == 1e-4
    assert resolved["parallel"]["sequence"] is True
    assert resolved["optimizer"]["beta2"] == 0.95


def test_a_run_killed_with_sigkill_continues_to_the_same_losses(small_data, runs, tmp_path):
    config, output = tmp_path / "run.yaml", tmp_path / "run"
    values = small_config(small_data.prefix, output)
    values["checkpoint"]["interval"] = 1  # most of the run is left when the first one appears
    config.write_text(yaml.safe_dump(values))
    process = subprocess.Popen(
        [sys.executable, *TRAIN, str(config)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list((output / "checkpoints").glob("step-*")):
        assert time.monotonic() < deadline, "no checkpoint appeared"
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    assert psutil.Process(process.pid).children() == [], "a kill would leave these behind"
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_python(*TRAIN, config)
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert [row["loss"] for row in rows] == [row[0] for row in runs["one process"]["whole"][:STEPS]]
    assert list((output / "tensorboard").glob("events*"))
    assert yaml.safe_load((output / "config.yaml").read_text())["run"]["steps"] == STEPS
    assert "--run.output OTHER --checkpoint.load" in refused(config, "--optimizer.lr", "1e-5")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_one_rank_saves_and_stops_all(small_data, runs, tmp_path, number):
    """torchrun with two ranks; the signal goes to the second one alone."""
    config, output = tmp_path / "run.yaml", tmp_path / "run"
    values = small_config(small_data.prefix, output)
    values["run"]["steps"], values["checkpoint"]["interval"] = 3000, 10**6
    config.write_text(yaml.safe_dump(values))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    process = subprocess.Popen(
        [sys.executable, *launcher, *TRAIN, str(config)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (output / "metrics.jsonl").is_file() or len((output / "metrics.jsonl").read_text().splitlines()) < 3:
        assert time.monotonic() < deadline, "no step was made"
        assert process.poll() is None, "the run ended before the signal"
        time.sleep(0.05)
    ranks = [child for child in psutil.Process(process.pid).children() if "megatron_rfft.train" in child.cmdline()]
    next(child for child in ranks if child.environ()["RANK"] == "1").send_signal(number)
    _, stderr = process.communicate(timeout=120)
    (saved,) = (output / "checkpoints").glob("step-*")
    step = int(saved.name.removeprefix("step-"))
    assert f"stopped by {number.name} at step {step} of 3000, saved: run it again" in stderr
    assert "exitcode  : 75" in stderr
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert (rows[-1]["step"], rows[-1]["stopped"]) == (step, number.name)
    assert [event.text for event in timeline(read_history("run", output))] == [
        "first step",
        f"stopped by {number.name}",
    ]
    assert [row["loss"] for row in rows[:3]] == pytest.approx([row[0] for row in runs["DP2"]["whole"][:3]], abs=1e-2)


def damage(checkpoint) -> None:
    """Change the end of one of its files."""
    victim = next(checkpoint.glob("state/*.distcp"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"\x00\x01")


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(runs, config_file, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints"
    shutil.copytree(runs["one process"]["checkpoints"], checkpoints)
    older, final = sorted(checkpoints.iterdir())
    newest = checkpoints / f"step-{STEPS - 1:08d}"  # a finished run would not look at it
    final.rename(newest)
    manifest = json.loads((newest / "manifest.json").read_text())
    (newest / "manifest.json").write_text(json.dumps({**manifest, "step": STEPS - 1}))
    damage(newest)
    done = run_python(*TRAIN, config_file, "--run.output", tmp_path / "run")
    assert f"note: checkpoint {newest} is damaged" in done.stderr
    assert f"going on from {older}" in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [row[0] for row in runs["one process"]["whole"][CHECKPOINT:STEPS]]


def test_nothing_but_damaged_checkpoints_is_refused(runs, config_file, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints"
    shutil.copytree(runs["one process"]["checkpoints"], checkpoints)
    older, final = sorted(checkpoints.iterdir())
    shutil.rmtree(final)
    damage(older)
    line = refused(config_file, "--run.output", tmp_path / "run")
    assert "is damaged" in line
    assert "no intact one" in line
