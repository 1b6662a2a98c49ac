"""Jobs that are submitted from inside a task of an array, whose variables they inherit."""

import sys

import yaml

from tests.conftest import ROOT
from tests.slurm.cluster import wait_until
from tests.slurm.test_train import Run

SMALL = "--cpus-per-task=1 --mem=1G"


def submitted_by_a_task(cluster, folder, command: str, **variables: object) -> int:
    """The job that ``command`` submits in task 3 of an array."""
    script = f"cd {ROOT}; {command} >{folder}/job"
    outer = cluster.sbatch("--array=3", f"--output={folder}/outer", "--wrap", script, **variables)
    assert cluster.wait(outer) == {"3": "COMPLETED"}, (folder / "outer").read_text()
    return int((folder / "job").read_text().split(";")[0])


def test_a_stage_runs_its_own_script(cluster, tmp_path):
    for number in (0, 3):
        (tmp_path / f"{number}.sh").write_text(f"echo script {number}\n")
    options = f"--parsable {SMALL} --output={tmp_path}/log-%a"
    job = submitted_by_a_task(cluster, tmp_path, f"sbatch {options} slurm/stage.sbatch {tmp_path}")
    cluster.wait(job)
    array = submitted_by_a_task(cluster, tmp_path, f"sbatch --array=0,3 {options} slurm/stage.sbatch {tmp_path}")
    assert cluster.wait(array) == {"0": "COMPLETED", "3": "COMPLETED"}
    assert [(tmp_path / f"log-{number}").read_text() for number in (0, 3)] == ["script 0\n", "script 3\n"]
    (alone,) = [file for file in tmp_path.glob("log-*") if file.name not in ("log-0", "log-3")]
    assert alone.read_text() == "script 0\n"


def test_a_signal_requeues_the_training_and_not_the_array_it_was_submitted_by(cluster, small_data, tmp_path):
    run = Run(cluster, small_data.prefix, tmp_path)
    given = {"PYTHON": sys.executable, "PROCESSES_PER_NODE": 1, "SIGNAL_AGAIN": 1, "PREFLIGHT": "none"}
    given |= {"OMP_NUM_THREADS": 1, "HF_HUB_OFFLINE": 1}
    options = f"--parsable --nodes=1 --gpus-per-node=1 --output={tmp_path}/log"
    command = f"echo $SLURM_ARRAY_JOB_ID >{tmp_path}/number; sbatch {options} slurm/train.sbatch {run.config}"
    run.job = submitted_by_a_task(cluster, tmp_path, command, **given)
    wait_until(lambda: "processes; run" in run.log, "the job to begin", 60)
    cluster.cancel(run.job, "--signal=USR1", "--batch")
    assert run.wait() == "COMPLETED", run.log
    assert (run.restarts(), "the job is requeued" in run.log) == (1, True)
    assert f"job {run.job}, start 2" in run.log
    assert run.rows()[-1]["step"] == yaml.safe_load(run.config.read_text())["run"]["steps"]
    outer = cluster.jobs(int((tmp_path / "number").read_text()))["3"]
    assert (outer["JobState"], outer["Restarts"]) == ("COMPLETED", "0")
