"""What goes wrong in the middle of a run: a dead rank, a stuck rank, a full disk. Real processes under torchrun."""

import re
import signal
import time
from pathlib import Path

import psutil
import pytest
import yaml

from megatron_rfft.training.checkpoint_files import list_checkpoints, verified_manifest
from tests.conftest import ROOT, torchrun
from tests.training.conftest import small_config
from tests.training.launched import Launched, losses

STEPS, INTERVAL = 40, 4


def write_config(folder: Path, prefix: Path, **sections) -> Path:
    values = small_config(prefix, folder / "run")
    values["run"]["steps"] = STEPS
    values["checkpoint"]["interval"] = INTERVAL
    values["logging"]["tensorboard"] = False
    for name, section in sections.items():
        values.setdefault(name, {}).update(section)
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def undisturbed(small_data, tmp_path_factory) -> list[float]:
    """The losses of two ranks that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    torchrun(2, "-m", "megatron_rfft.train", "--config", write_config(folder, small_data.prefix))
    return losses(folder / "run")


@pytest.mark.slow  # the same without torchrun's restart is in test_command.py
def test_a_rank_killed_with_sigkill_costs_nothing_but_time(small_data, undisturbed, tmp_path):
    """torchrun starts both ranks again, and they go on from the checkpoint."""
    launched = Launched(write_config(tmp_path, small_data.prefix), "--max-restarts", "1")
    launched.rank(1).send_signal(signal.SIGKILL)
    stderr = launched.end()
    assert launched.process.returncode == 0, stderr[-3000:]
    assert losses(launched.run) == undisturbed


def test_a_stopped_rank_is_named_and_the_run_continues(small_data, undisturbed, tmp_path):
    config = write_config(tmp_path, small_data.prefix, guard={"hang_timeout": 8})
    launched = Launched(config)
    first, second = launched.rank(0), launched.rank(1)
    second.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    launched.until(lambda: not first.is_running() or first.status() == psutil.STATUS_ZOMBIE)
    took = time.monotonic() - stopped
    second.kill()  # torchrun would give it half a minute
    stderr = launched.end()
    assert re.search(r"error: no step for 8 s .* after step \d+; rank 1 gave no sign of life", stderr)
    assert "exitcode  : 76" in stderr
    assert took < 60
    (report,) = (launched.run / "hang").glob("*/rank-*.txt")
    text = report.read_text()
    assert report.name == "rank-0.txt"
    assert text.startswith("waits for others or the device: training/")
    assert re.search(r"training/trainer.py\", line \d+ in run", text)  # the stacks
    torchrun(2, "-m", "megatron_rfft.train", "--config", config)
    assert losses(launched.run) == undisturbed


@pytest.mark.slow
def test_a_rank_that_is_stuck_in_code_of_its_own_is_named_with_its_place(small_data, tmp_path):
    config = write_config(tmp_path, small_data.prefix, guard={"hang_timeout": 8})
    done = torchrun(2, ROOT / "tests/training/stuck_worker.py", config, check=False)
    assert "after step 2; rank 1 does not wait: training/trainer.py:" in done.stderr
    reports = sorted((tmp_path / "run" / "hang").glob("*/rank-*.txt"))
    assert [report.name for report in reports] == ["rank-0.txt", "rank-1.txt"]
    assert "stuck_worker.py" in reports[1].read_text()


def test_a_full_disk_ends_the_run_and_spares_older_checkpoints(small_data, tmp_path):
    """One rank of two may write no more than 100 kB a file, from one moment on; checkpoints are in the background."""
    launched = Launched(write_config(tmp_path, small_data.prefix, parallel={"pipeline": 2}))
    launched.rank(1).rlimit(psutil.RLIMIT_FSIZE, (100_000, 100_000))
    stderr = launched.end()
    assert re.search(r"error: checkpoint .*/step-\d+ could not be written \(rank 1: File too large\)", stderr)
    assert "exitcode  : 1 " in stderr
    checkpoints = launched.run / "checkpoints"
    kept = list_checkpoints(checkpoints)
    assert kept
    assert sorted(checkpoints.iterdir()) == kept  # nothing half-written either
    for path in kept:
        verified_manifest(path)
