"""What a run leaves behind, through the command: early stop, boards, a trace; what a resume may change."""

import json
import re

import pytest
import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.training.config_reader import config_from_dict
from megatron_rfft.training.early_stop import EarlyStop
from megatron_rfft.training.run_config import write_run_config
from tests.conftest import run_python
from tests.training.conftest import pretend_checkpoint, small_config

WANDB = """
import json, pathlib
class Run:
    def __init__(self, **settings):
        self.file = open(pathlib.Path(settings["dir"]) / "wandb.jsonl", "a")
        self.write(settings)
    def write(self, row): self.file.write(json.dumps(row) + "\\n")
    def log(self, values, step): self.write({"step": step, **values})
    def finish(self): self.file.close()
def init(**settings): return Run(**settings)
"""

LAUNCH = """
from megatron_rfft.common.cli import run_command
from megatron_rfft.train import main
if __name__ == "__main__":
    run_command(main)
"""


def test_a_run_that_no_longer_gets_better_ends_as_finished(small_data, tmp_path, monkeypatch):
    """Learning rate 0: no validation is better than the first. wandb is a stand-in that writes what it is given."""
    (tmp_path / "wandb.py").write_text(WANDB)
    values = small_config(small_data.prefix, tmp_path / "run")
    values["run"]["steps"] = 40
    values["optimizer"] = {"lr": 0.0}
    values["checkpoint"] = {"interval": 40}
    values["validation"] = {"data": str(small_data.prefix), "interval": 2, "samples": 3, "patience": 2}
    values["logging"] = {"interval": 2, "wandb": "project", "profile": [1, 2], "peak_tflops": 1.0}
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(values))
    train = (tmp_path / "launch.py", "--config", config)  # a script's folder is where it finds wandb
    train[0].write_text(LAUNCH)
    monkeypatch.setenv("WANDB_MODE", "offline")
    done = run_python(*train)
    assert "early stop: 2 validations without a better loss" in done.stderr
    status = [line for line in done.stderr.splitlines() if line.startswith("step ")]
    assert [line.split(",")[0] for line in status] == ["step 2/40", "step 4/40", "step 6/40"]
    assert all(
        word in status[0]
        for word in ("loss ", "lr ", "tok/s/process", "TFLOP/s", "MFU", "data wait", "s/step", "goodput", " left")
    )
    said = "layers: megatron-core's own (local); attention: torch's scaled_dot_product_attention; asked for and off: "
    assert done.stderr.count(f"{said}parallel.overlap (one data-parallel rank), optimizer.distributed (one") == 1
    run = tmp_path / "run"
    assert sorted(path.name for path in (run / "checkpoints").glob("step-*")) == ["step-00000002", "step-00000006"]
    assert json.loads((run / "profile" / "trace-1-2.json").read_text())["traceEvents"]
    assert list((run / "tensorboard").glob("events*"))
    settings, *logged = [json.loads(line) for line in (run / "wandb.jsonl").read_text().splitlines()]
    assert settings["project"] == "project"
    assert [row["step"] for row in logged if "train/loss" in row] == [2, 4, 6]
    assert {"validation/loss", "validation_loss_by_task/coin_flip"} <= logged[0].keys() | logged[1].keys()
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert metrics[0]["mfu"] == pytest.approx(metrics[0]["tflops_per_gpu"], abs=1e-4)
    run_python("-m", "megatron_rfft", "report", "--training", run)
    page = (run / "training.html").read_text()
    assert "step 6 of 40, early stop: 2 validations without a better loss" in page
    assert re.findall(r"<figure><h3>(.*?)</h3>", page)[:2] == ["loss", "validation loss"]
    again = run_python(*train)
    assert "is finished: early stop" in again.stdout
    without = run_python("-m", "megatron_rfft.train", "--config", config, check=False)
    assert (without.returncode, without.stderr.count("\n")) == (2, 1)
    assert "wandb is not installed" in without.stderr


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("validation", "patience", 2, "validation.patience is set without validation.data"),
        ("validation", "interval", 0, "validation.interval is 0; it must be at least 1"),
        ("guard", "spike_factor", 0.5, "guard.spike_factor is 0.5; it must be above 1"),
        ("guard", "hang_timeout", -1, "guard.hang_timeout is -1; it must be at least 0"),
        ("logging", "profile", [5, 2], "logging.profile is [5, 2]; write [start, stop]"),
        ("logging", "profile", ["a", 2], "logging.profile is 'a'; it must be a whole number"),
    ],
)
def test_wrong_settings_are_named_with_their_fix(small_data, tmp_path, section, key, value, expected):
    from megatron_rfft.training.validation_data import open_validation

    values = small_config(small_data.prefix, tmp_path)
    values.setdefault(section, {})[key] = value

    def check() -> None:
        config = config_from_dict(values)
        open_validation(config, config.data.open(1))

    with pytest.raises(UserError, match=re.escape(expected)):
        check()


def test_long_validation_documents_name_their_own_setting(small_data, tmp_path):
    from megatron_rfft.training.validation_data import open_validation

    values = small_config(small_data.prefix, tmp_path)
    values["validation"] = {"data": [str(small_data.prefix)], "sequence_length": 50}
    config = config_from_dict(values)
    with pytest.raises(UserError, match=r"more than validation\.sequence_length 50; raise it"):
        open_validation(config, config.data.open(1))


def test_a_resume_may_be_more_patient_but_not_validate_on_other_data(small_data, tmp_path):
    def config(**validation):
        values = small_config(small_data.prefix, tmp_path)
        values["validation"] = validation
        return config_from_dict(values)

    write_run_config(config(data=["a"], patience=2), {})
    pretend_checkpoint(tmp_path)
    write_run_config(config(data=["a"], patience=3), {})
    with pytest.raises(UserError, match=r"holds a run with validation\.data \['a'\], this one has \['b'\]"):
        write_run_config(config(data=["b"], patience=3), {})


def test_a_run_of_an_older_version_is_resumed_with_todays_defaults(small_data, tmp_path):
    values = small_config(small_data.prefix, tmp_path)
    old = config_from_dict(values).as_dict()
    del old["guard"], old["validation"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(old))
    pretend_checkpoint(tmp_path)
    write_run_config(config_from_dict(values), {})
    with pytest.raises(UserError, match=r"guard\.spike_factor 0\.0, this one has 3\.0"):
        write_run_config(config_from_dict({**values, "guard": {"spike_factor": 3.0}}), {})


def test_early_stop_waits_for_a_real_improvement():
    history = EarlyStop()
    better = [history.update(step, loss, 0.1) for step, loss in enumerate([2.0, 1.95, float("nan"), 1.8, 1.8])]
    assert better == [True, False, False, True, False]
    assert (history.best_loss, history.best_step, history.waited) == (1.8, 3, 1)
    assert history.reason_to_stop(patience=0) == history.reason_to_stop(patience=2) == ""
    assert history.reason_to_stop(patience=1).startswith("early stop: 1 validations")
