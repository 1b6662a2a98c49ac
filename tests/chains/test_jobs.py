"""What tools/submit.py submits while some of it is under way, and two at once; against a Slurm of two scripts."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from megatron_rfft.chains.chain import Chain
from megatron_rfft.chains.config import load_chain
from megatron_rfft.chains.jobs import submit_chain
from megatron_rfft.commands.submit import main
from megatron_rfft.common.errors import UserError
from tests.chains.test_chain import chain_values, write
from tests.conftest import ROOT, run_python
from tests.slurm.cluster import wait_until

SBATCH = """\
#!/bin/sh
echo "$@" >>"$SLURM/commands"
while [ -e "$SLURM/stuck" ]; do sleep 0.05; done
wc -l <"$SLURM/commands"
"""
"""Numbers jobs from 1 on; while there is a file "stuck" it does not answer."""


SQUEUE = """\
#!/bin/sh
case "$*" in *%k*) ! [ -e "$SLURM/taken" ] || sed 's/.*--comment=\\([^ ]*\\).*/1|\\1/' "$SLURM/commands" ;;
*) cat "$SLURM/queue" ;; esac
"""
"""Of comments it knows, once there is a file "taken", that of the first job."""


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Paths in the config are relative to the checkout."""
    monkeypatch.chdir(ROOT)


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Path:
    """A folder with what was submitted (commands) and what squeue says (queue)."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "queue").touch()
    for name, script in {"sbatch": SBATCH, "squeue": SQUEUE, "sacct": "#!/bin/sh\n"}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("SLURM", str(folder))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def submit(file: Path) -> list[str]:
    return [stage.text for stage in submit_chain(Chain(load_chain(file)), file)]


def test_nothing_of_the_job_that_submits_is_left_to_its_jobs(slurm, tmp_path, monkeypatch):
    (slurm / "sbatch").write_text(SBATCH.replace("\n", '\nenv >>"$SLURM/environment"\n', 1))
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    submit(write(tmp_path, chain_values(tmp_path / "run")))
    outside = (slurm / "environment").read_text()
    assert "SLURM_CONF=/etc/slurm.conf" in outside
    assert "SLURM_TIME_FORMAT=relative" in outside
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_MEM_PER_NODE", "SLURMD_NODENAME"):
        monkeypatch.setenv(name, "7")
    (slurm / "environment").unlink()
    submit(write(tmp_path, chain_values(tmp_path / "another")))
    inside = (slurm / "environment").read_text()
    assert "SLURM_CONF=/etc/slurm.conf" in inside
    assert not re.search(r"^SLURM.*=(7|relative)$", inside, re.MULTILINE)


def dependencies(slurm: Path) -> list[str]:
    """Name, tasks and dependency of every job."""
    wanted = ("--job-name=rfft-", "--array=", "--dependency=")
    lines = (slurm / "commands").read_text().splitlines()
    return [
        " ".join(word.removeprefix(start) for start in wanted for word in line.split() if word.startswith(start))
        for line in lines
    ]


def set_queue(slurm: Path, *lines: str) -> None:
    """``job task state``, with a reason where it matters."""
    rows = [f"{'|'.join(line.split())}|None" for line in lines]
    (slurm / "queue").write_text("".join(f"{row}|1:00|\n" for row in rows))


FRESH = [
    "generate",
    "tokenize 0,1 afterok:1",
    "data 0,1,2",
    "from-hf",
    "pretrain afterok:2:3:4",
    "adapt 0,1 afterok:5,aftercorr:3",
    "convert 0,1 aftercorr:6",
    "convert 2 afterok:5",
    "evaluate 0,1 aftercorr:7",
    "evaluate 2 aftercorr:8",
    "report afterok:9:10",
]


def finish_pretraining(run: Path) -> None:
    """Leave what the stages up to RF-pretraining and its export leave."""
    names = ["corpus/pretrain/manifest.json", "data/pretrain.manifest.json", "data/validation.manifest.json"]
    names += ["data/adapt/add_int.manifest.json", "data/adapt/digit_max_int.manifest.json", "base/manifest.json"]
    for name in (*names, "models/pretrain/megatron_rfft.json"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("{}")
    checkpoint = run / "pretrain/checkpoints/step-00000800/manifest.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text(json.dumps({"kind": "checkpoint", "format": 1, "step": 800, "files": {}}))


def test_a_lost_task_is_submitted_again_while_the_others_go_on(slurm, tmp_path):
    file = write(tmp_path, chain_values(tmp_path / "run"))
    submit(file)
    assert dependencies(slurm) == FRESH
    finish_pretraining(tmp_path / "run")
    queue = ["6 0 RUNNING", "6 1 FAILED", "7 0 PENDING", "7 1 CANCELLED", "8 2 COMPLETED"]
    queue += ["9 0 PENDING", "9 1 CANCELLED", "10 2 RUNNING", "11 N/A CANCELLED"]
    set_queue(slurm, *queue)
    lines = submit(file)
    assert lines[5:] == [
        "adapt: submitted as job 12 (1 of 2 tasks); job 6 is queued or running",
        "convert: submitted as job 13 (1 of 3 tasks); job 7 is queued or running",
        "evaluate: submitted as job 14 (1 of 3 tasks); jobs 9, 10 are queued or running",
        "report: submitted as job 15",
    ]
    again = ["adapt 1", "convert 1 aftercorr:12", "evaluate 1 aftercorr:13", "report afterok:9_0:14:10"]
    assert dependencies(slurm)[11:] == again
    set_queue(slurm, *queue[:-1], "12 1 PENDING", "13 1 PENDING", "14 1 PENDING", "15 N/A PENDING")
    assert submit(file)[5:] == [
        "adapt: jobs 6, 12 are queued or running",
        "convert: jobs 7, 13 are queued or running",
        "evaluate: jobs 9, 10, 14 are queued or running",
        "report: job 15 is queued or running",
    ]
    assert len(dependencies(slurm)) == 15


def test_scripts_are_told_what_became_of_each_stage(slurm, tmp_path, capsys):
    file = write(tmp_path, chain_values(tmp_path / "run"))

    def told(*words: str) -> dict[str, dict]:
        assert main(["--config", str(file), "--json", *words]) == 0
        values = json.loads(capsys.readouterr().out)
        assert values["run"] == str(tmp_path / "run")
        return {stage["stage"]: stage for stage in values["stages"]}

    planned = told("--dry-run")["adapt"]
    assert (planned["state"], planned["tasks"], planned["jobs"]) == ("missing", [0, 1], [])
    assert "sbatch --parsable --job-name=rfft-adapt" in planned["commands"][0]
    assert not (tmp_path / "run").exists()
    assert told("--dry-run", "--local")["adapt"]["commands"][0].startswith("# adapt 0: ")
    first = told()
    assert [stage["jobs"] for stage in first.values()] == [[1], [2], [3], [4], [5], [6], [7, 8], [9, 10], [11]]
    finish_pretraining(tmp_path / "run")
    set_queue(slurm, "6 0 RUNNING", "6 1 FAILED", "7 0 PENDING", "8 2 COMPLETED", "9 0 PENDING", "10 2 RUNNING")
    again = told()
    assert again["pretrain"]["state"] == "done"
    wanted = {"stage": "adapt", "state": "submitted", "tasks": [1], "num_tasks": 2, "jobs": [12], "under_way": [6]}
    assert again["adapt"] == wanted | {"folder": str(tmp_path / "run/chain/adapt"), "commands": []}
    set_queue(slurm, *(f"{job} {task} RUNNING" for job, task in ((6, 0), (12, 1))))
    last = told()["adapt"]
    assert (last["state"], last["tasks"], last["jobs"], last["under_way"]) == ("under way", [], [], [6, 12])


def test_an_adaptation_waits_for_its_own_data(slurm, tmp_path):
    """As when a task is added to a chain that is done: RF-pretraining is not waited for any more."""
    file = write(tmp_path, chain_values(tmp_path / "run"))
    finish_pretraining(tmp_path / "run")
    (tmp_path / "run/data/adapt/digit_max_int.manifest.json").unlink()
    lines = submit(file)
    assert lines[2] == "data: submitted as job 1 (1 of 3 tasks)"
    assert lines[5] == "adapt: submitted as job 2, 3 (2 of 2 tasks)"
    assert dependencies(slurm)[:5] == [
        "data 1",
        "adapt 0",
        "adapt 1 aftercorr:1",
        "convert 0 aftercorr:2",
        "convert 1 aftercorr:3",
    ]


def test_scripts_of_waiting_tasks_are_not_changed_under_them(slurm, tmp_path):
    values = chain_values(tmp_path / "run")
    submit(write(tmp_path, values))
    finish_pretraining(tmp_path / "run")
    set_queue(slurm, "6 0 PENDING", "6 1 PENDING")
    values["adapt"]["tasks"] = ["length_int,add_int,digit_max_int"]
    message = r"job 6 is queued or running and would find another .*adapt.options.*scancel 6"
    with pytest.raises(UserError, match=message):
        submit(write(tmp_path, values))


def test_what_waits_in_vain_is_submitted_again_before_slurm_cancels_it(slurm, tmp_path):
    file = write(tmp_path, chain_values(tmp_path / "run"))
    submit(file)
    waiting = ["5 N/A", "6 0", "6 1", "7 0", "7 1", "8 2", "9 0", "9 1", "10 2", "11 N/A"]
    done = ["1 N/A COMPLETED", "2 0 COMPLETED", "2 1 COMPLETED", "4 N/A COMPLETED"]
    set_queue(slurm, *done, "3 0 COMPLETED", "3 1 FAILED", "3 2 COMPLETED", *(f"{task} PENDING" for task in waiting))
    for name in ("corpus/pretrain/manifest.json", "data/pretrain.manifest.json", "base/manifest.json"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).touch()
    for name in ("validation", "adapt/add_int"):
        (tmp_path / "run/data" / f"{name}.manifest.json").parent.mkdir(exist_ok=True)
        (tmp_path / "run/data" / f"{name}.manifest.json").touch()
    submit(file)
    assert dependencies(slurm)[11:] == [
        "data 1",
        "pretrain",
        "adapt 0 afterok:13",
        "adapt 1 afterok:13,aftercorr:12",
        "convert 0 aftercorr:14",
        "convert 1 aftercorr:15",
        "convert 2 afterok:13",
        "evaluate 0 aftercorr:16",
        "evaluate 1 aftercorr:17",
        "evaluate 2 aftercorr:18",
        "report afterok:19:20:21",
    ]


def test_what_slurm_has_forgotten_is_asked_of_the_files(slurm, tmp_path):
    file = write(tmp_path, chain_values(tmp_path / "run"))
    submit(file)
    # Of the array that tokenizes, task 0 ended so long ago that Slurm has forgotten it; the whole is not there yet.
    set_queue(slurm, "2 1 RUNNING", *(f"{job} N/A PENDING" for job in (5, 11)))
    lines = submit(file)
    assert lines[0].startswith("generate: submitted")
    assert lines[1] == "tokenize: job 2 is queued or running"
    assert lines[5] == "adapt: submitted as job 15 (2 of 2 tasks)"


@pytest.mark.parametrize("taken", [False, True], ids=["before Slurm took it", "after Slurm took it"])
def test_one_that_is_killed_leaves_no_lock_and_no_job_twice(slurm, tmp_path, taken):
    file = write(tmp_path, chain_values(tmp_path / "run"))
    words = ["tools/submit.py", "--config", file]
    (slurm / "stuck").touch()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until((slurm / "commands").exists, "the first one to submit")
        second = run_python(*words, check=False)
        assert second.returncode == 2
        busy = f"error: another process is submitting jobs of {tmp_path}/run; wait until it has, then run this again\n"
        assert second.stderr == busy
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
        (slurm / "stuck").unlink()
    if taken:
        (slurm / "taken").touch()
        set_queue(slurm, "1 N/A PENDING")
    lines = submit(file)
    assert lines[0] == "generate: " + ("job 1 is queued or running" if taken else "submitted as job 2")
    assert len(dependencies(slurm)) == 11 + (not taken)
