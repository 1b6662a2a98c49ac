"""slurm/train.sbatch on a real cluster: signals, lost nodes and failures end as the header of the script says."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.slurm.cluster import wait_until
from tests.training.conftest import small_config

STEPS = 30
WORKER = "python.* -u -m megatron_rfft.train"
"""What a process of the training looks like, and its launcher does not."""


class Run:
    """A small model's run on the cluster, in a folder of its own."""

    def __init__(self, cluster, data: Path, folder: Path, **sections: dict):
        self.cluster, self.folder = cluster, folder
        folder.mkdir(parents=True, exist_ok=True)
        config = small_config(data, folder / "run")
        config["run"]["steps"] = STEPS
        config["batch"] = {"global_batch_size": 2, "micro_batch_size": 1}
        config["checkpoint"] = {"interval": 5, "keep": 2}
        config["guard"] = {}
        for name, keys in sections.items():
            config[name] |= keys
        self.config = folder / "config.yaml"
        self.config.write_text(yaml.safe_dump(config))

    def submit(self, *options: str, nodes: int = 2, processes: int = 1, **variables: object) -> int:
        given = {"PYTHON": sys.executable, "PROCESSES_PER_NODE": processes, "SIGNAL_AGAIN": 1}
        given |= {"OMP_NUM_THREADS": 1, "HF_HUB_OFFLINE": 1, **variables}
        files = (f"--chdir={ROOT}", f"--output={self.folder}/log", f"--nodes={nodes}", "--gpus-per-node=1")
        self.job = self.cluster.sbatch(*files, *options, "slurm/train.sbatch", self.config, **given)
        return self.job

    def wait(self, timeout: float = 300) -> str:
        """The job's last state."""
        try:
            return self.cluster.wait(self.job, timeout=timeout)[""]
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    @property
    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text() if file.exists() else ""

    def rows(self) -> list[dict]:
        file = self.folder / "run" / "metrics.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for_step(self, step: int) -> None:
        wait_until(lambda: self.rows() and self.rows()[-1]["step"] >= step, f"step {step}", 120)

    def restarts(self) -> int:
        return int(self.cluster.jobs(self.job)[""]["Restarts"])


@pytest.fixture(scope="module")
def undisturbed(cluster, small_data, tmp_path_factory) -> Run:
    """A run that nothing happens to."""
    run = Run(cluster, small_data.prefix, tmp_path_factory.mktemp("undisturbed"))
    run.submit()
    assert run.wait() == "COMPLETED", run.log
    return run


def losses(run: Run) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in run.rows()}


def test_a_run_over_two_nodes_is_done_once(undisturbed):
    assert undisturbed.restarts() == 0
    assert sorted(losses(undisturbed)) == list(range(1, STEPS + 1))
    assert len(list((undisturbed.folder / "run" / "slurm").glob("*/0/node?.log"))) == 2
    assert "finished" in undisturbed.log


def test_a_signal_saves_requeues_and_ends_in_the_same_loss(cluster, undisturbed, small_data, tmp_path):
    run = Run(cluster, small_data.prefix, tmp_path)
    job = run.submit(PREFLIGHT="none")
    after = cluster.sbatch(
        f"--dependency=afterok:{job}", "--kill-on-invalid-dep=yes", "--output=/dev/null", "--wrap=true"
    )
    # Processes that are still loading ignore signals: it is sent again until the training saves.
    wait_until(lambda: "processes; run" in run.log, "the job to begin", 60)
    cluster.cancel(job, "--signal=USR1", "--batch")
    wait_until(lambda: "requeued" in run.log, "the job to be requeued", 120)
    assert cluster.state(after) == "PENDING"
    assert run.wait() == "COMPLETED", run.log
    assert run.restarts() == 1
    assert re.search(r"saved step-\d+: the job is requeued", run.log)
    assert losses(run) == losses(undisturbed)
    assert cluster.wait(after) == {"": "COMPLETED"}


@pytest.mark.parametrize(
    ("batch", "option", "message"),
    [
        (3, "--nodes=2", "batch.global_batch_size 3 is not a multiple"),
        (2, "--ntasks-per-node=2", "--ntasks-per-node is 2, and each task would start torchrun's 1 processes"),
    ],
)
def test_what_does_not_fit_fails_once_with_its_message(cluster, small_data, tmp_path, batch, option, message):
    run = Run(cluster, small_data.prefix, tmp_path, batch={"global_batch_size": batch})
    run.submit(option)
    assert run.wait() == "FAILED"
    assert cluster.jobs(run.job)[""]["ExitCode"] == "2:0"
    assert run.restarts() == 0
    assert message in run.log


@pytest.fixture
def smi_of_a_bad_node(tmp_path) -> str:
    """A PATH with an nvidia-smi that sees a GPU on every node but node2."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(
        '#!/bin/sh\ncase $(hostname)$1 in node2--query-gpu*) ;; *--query-gpu*) echo "GPU-a, 4, 580.1" ;; esac\n'
    )
    smi.chmod(0o755)
    return f"{smi.parent}:{os.environ['PATH']}"


NO_GPU = "gpus: 0 GPUs are visible, 1 processes are to run"


def test_the_job_goes_on_without_a_node_that_fails_the_preflight(cluster, small_data, tmp_path, smi_of_a_bad_node):
    run = Run(cluster, small_data.prefix, tmp_path, run={"steps": 4})
    job = run.submit("--exclude=node1", PATH=smi_of_a_bad_node, MAX_EXCLUDED=1, PREFLIGHT="-pairs")
    assert run.wait() == "COMPLETED", run.log
    assert run.restarts() == 1
    assert "preflight: node2: the job is requeued without node1, node2" in run.log
    assert cluster.jobs(job)[""]["NodeList"] == "node[3-4]"
    logs = tmp_path / "run" / "slurm" / str(job)
    assert (logs / "excluded").read_text() == f"node2\t{NO_GPU} (start 1)\n"
    postmortem = json.loads((logs / "0" / "postmortem.json").read_text())
    assert (postmortem["kind"], postmortem["bad_nodes"]) == ("node", {"node2": NO_GPU})
    watched = cluster.run(sys.executable, "tools/watch.py", tmp_path / "run", PYTHONPATH=ROOT).stdout
    assert f"excluded: node2 ({NO_GPU} (start 1))" in watched


@pytest.mark.parametrize(
    ("option", "most", "why"),
    [
        ("--nodelist=node[1-2]", 4, "--nodelist asks for it; left out by: sbatch --exclude=node2"),
        ("--exclude=node1", 0, "MAX_EXCLUDED=0 is used up; left out by: sbatch --exclude=node1,node2"),
        ("--exclude=node[1,4]", 4, "partition debug has only 1 other nodes that are up"),
    ],
)
def test_a_job_that_cannot_do_without_the_bad_node_fails_and_names_it(
    cluster, small_data, tmp_path, smi_of_a_bad_node, option, most, why
):
    run = Run(cluster, small_data.prefix, tmp_path)
    run.submit(option, PATH=smi_of_a_bad_node, MAX_EXCLUDED=most)
    assert run.wait() == "FAILED"
    assert run.restarts() == 0
    assert f"error: node2: {NO_GPU}" in run.log
    assert f"preflight: node2, and {why}" in run.log
    assert "error: node1: gpus" not in run.log


def test_a_job_keeps_to_its_reservation(cluster, small_data, tmp_path, smi_of_a_bad_node):
    """Outside it there are good nodes, which the job would wait for in vain."""
    about = ("StartTime=now", "Duration=60", "Users=root", "Nodes=node[1-2]")
    cluster.run("scontrol", "create", "reservation", "ReservationName=two", *about)
    try:
        run = Run(cluster, small_data.prefix, tmp_path)
        run.submit("--reservation=two", PATH=smi_of_a_bad_node)
        assert run.wait() == "FAILED"
    finally:
        cluster.run("scontrol", "delete", "ReservationName=two")
    assert "preflight: node2, and its reservation has only 1 other nodes that are up; left out by" in run.log


@pytest.mark.slow
def test_nodes_measure_the_bandwidth_between_them_before_the_start(cluster, small_data, tmp_path, smi_of_a_bad_node):
    """Over gloo, for the GPUs are only said to be there; a limit that none reaches stops the job."""
    run = Run(cluster, small_data.prefix, tmp_path, run={"steps": 4})
    run.submit("--nodelist=node[3-4]", PATH=smi_of_a_bad_node)
    assert run.wait() == "COMPLETED", run.log
    assert re.search(r"preflight: bandwidth between nodes: [\d.e+-]+ GB/s", run.log)
    run.submit("--nodelist=node[3-4]", PATH=smi_of_a_bad_node, PAIR_BANDWIDTH=1e6)
    assert run.wait() == "FAILED"
    assert "error: pairs: node3 and node4:" in run.log
    assert "preflight: see above; no single node is to blame; not started again" in run.log


BREAKS_ON_NODE2 = """\
import os, socket, sys
if socket.gethostname() == "node2" and sys.orig_argv[1:4] == ["-u", "-m", "megatron_rfft.train"]:
    print("RuntimeError: CUDA error: uncorrectable ECC error encountered", file=sys.stderr, flush=True)
    os._exit(1)
"""


@pytest.mark.slow
def test_the_job_goes_on_without_a_node_whose_gpu_breaks(cluster, undisturbed, small_data, tmp_path):
    """Without a checkpoint too: what failed was not the run."""
    (tmp_path / "sitecustomize.py").write_text(BREAKS_ON_NODE2)
    run = Run(cluster, small_data.prefix, tmp_path)
    job = run.submit(STEP_WAIT=5, PYTHONPATH=tmp_path)
    assert run.wait() == "COMPLETED", run.log
    assert run.restarts() == 1
    assert "at the start: the job is requeued without node2" in run.log
    assert "node2" not in cluster.run("scontrol", "show", "hostnames", cluster.jobs(job)[""]["NodeList"]).stdout.split()
    postmortem = json.loads((tmp_path / "run" / "slurm" / str(job) / "0" / "postmortem.json").read_text())
    assert (postmortem["kind"], list(postmortem["bad_nodes"])) == ("node", ["node2"])
    assert losses(run) == losses(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1], ids=["the node of the script", "another node"])
def test_a_lost_node_costs_the_steps_since_the_checkpoint(whole_cluster, undisturbed, small_data, tmp_path, place):
    cluster = whole_cluster
    run = Run(cluster, small_data.prefix, tmp_path)
    job = run.submit()
    run.wait_for_step(7)
    first = int(re.match(r"node\[(\d)", cluster.jobs(job)[""]["NodeList"])[1])
    assert cluster.jobs(job)[""]["BatchHost"] == f"node{first}"
    lost = f"node{first + place}"
    cluster.crash(lost)
    assert run.wait() == "COMPLETED", run.log
    assert run.restarts() == 1
    assert lost not in run.log.splitlines()[-1]
    assert not list((tmp_path / "run" / "slurm").glob("*/excluded"))  # Slurm itself keeps away from it
    assert losses(run) == losses(undisturbed)


SLOW_STEPS = """\
import sys, time
if sys.orig_argv[1:4] == ["-u", "-m", "megatron_rfft.train"]:
    from megatron_rfft.training.trainer import Trainer
    at_full_speed = Trainer.train_step
    Trainer.train_step = lambda self, *rest: time.sleep(1) or at_full_speed(self, *rest)
"""


@pytest.mark.slow
def test_a_run_longer_than_its_time_limit_is_done_in_several_starts(cluster, small_data, tmp_path):
    """By Slurm's own limit and signal, which may come up to a minute too early; a step takes a second at least."""
    steps = {"run": {"steps": 100}, "checkpoint": {"interval": 10_000}}
    alone = Run(cluster, small_data.prefix, tmp_path / "alone", **steps)
    alone.submit(nodes=1)
    assert alone.wait(600) == "COMPLETED", alone.log
    (tmp_path / "sitecustomize.py").write_text(SLOW_STEPS)
    run = Run(cluster, small_data.prefix, tmp_path / "limited", **steps)
    run.submit("--time=2", "--signal=B:USR1@30", nodes=1, PYTHONPATH=tmp_path)
    assert run.wait(900) == "COMPLETED", run.log
    assert run.restarts() >= 1
    assert len(re.findall(r"saved step-\d+: the job is requeued", run.log)) == run.restarts()
    assert losses(run) == losses(alone)


@pytest.mark.slow
def test_a_preempted_run_continues_where_it_saved(cluster, undisturbed, small_data, tmp_path):
    run = Run(cluster, small_data.prefix, tmp_path)
    run.submit("--partition=low")
    run.wait_for_step(3)
    cluster.wait(cluster.sbatch("--partition=high", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=true"))
    assert run.wait() == "COMPLETED", run.log
    assert run.restarts() == 1
    assert "stopped by SIGTERM" in (tmp_path / "run" / "slurm" / str(run.job) / "0" / "node1.log").read_text()
    assert run.log.count("finished") == 1
    assert losses(run) == losses(undisturbed)


@pytest.mark.slow
def test_a_killed_process_is_continued_once_there_is_progress_and_not_for_ever(cluster, small_data, tmp_path):
    run = Run(cluster, small_data.prefix, tmp_path, run={"steps": 100_000})
    job = run.submit(MAX_RESTARTS=1)
    for start, step in enumerate((11, 22)):
        wait_until(lambda start=start: run.restarts() == start, f"start {start}", 60)
        run.wait_for_step(step)
        node = cluster.nodes[cluster.jobs(job)[""]["BatchHost"]]
        node.run("pkill", "-KILL", "--oldest", "-f", WORKER)
        wait_until(lambda start=start: f"start {start + 1}: failed" in run.log, "the failure", 90)
    assert run.wait() == "FAILED"
    assert "MAX_RESTARTS=1 are used up" in run.log
    report = json.loads((tmp_path / "run" / "slurm" / str(job) / "0" / "postmortem.json").read_text())
    assert report["kind"] == "killed"
    assert report["exit_code"] == 137


@pytest.mark.slow
def test_a_hanging_process_is_found_and_the_run_continues(cluster, undisturbed, small_data, tmp_path):
    run = Run(cluster, small_data.prefix, tmp_path, guard={"hang_timeout": 15.0})
    job = run.submit("--nodelist=node[1-2]", STEP_WAIT=5)
    run.wait_for_step(11)
    cluster.nodes["node2"].run("pkill", "-STOP", "-f", WORKER)
    assert run.wait() == "COMPLETED", run.log
    assert run.restarts() == 1
    assert "hung at step-000000" in run.log
    assert json.loads((tmp_path / "run" / "slurm" / str(job) / "0" / "postmortem.json").read_text())["kind"] == "hang"
    assert "rank 1 gave no sign of life" in run.log
    assert losses(run) == losses(undisturbed)


@pytest.mark.slow
def test_a_run_without_progress_stops(cluster, small_data, tmp_path):
    run = Run(cluster, small_data.prefix, tmp_path, checkpoint={"interval": 1000})
    run.submit(processes=2, nodes=1)
    run.wait_for_step(3)
    node = cluster.nodes[cluster.jobs(run.job)[""]["BatchHost"]]
    node.run("pkill", "-KILL", "--oldest", "-f", WORKER)
    assert run.wait() == "FAILED"
    assert run.restarts() == 0
    assert "failed (exit code 137) without a newer checkpoint than the start; not started again" in run.log


@pytest.mark.slow
def test_tasks_of_an_array_share_a_node_and_are_requeued_one_by_one(cluster, small_data, tmp_path):
    run = Run(cluster, small_data.prefix, tmp_path, checkpoint={"interval": 1000})
    (tmp_path / "options").write_text("".join(f"--run.output {tmp_path}/run-{task}\n" for task in range(2)))
    shared = ("--exclusive=user", "--mem=1G", "--cpus-per-task=1", "--nodelist=node3")
    run.submit("--array=0-1", *shared, nodes=1, OPTIONS_FILE=tmp_path / "options")
    metrics = [tmp_path / f"run-{task}" / "metrics.jsonl" for task in range(2)]
    wait_until(lambda: all(file.exists() and file.read_text() for file in metrics), "both to train", 150)
    # Its last task has the array's number.
    cluster.cancel(f"{run.job}_1", "--signal=USR1", "--batch")
    assert set(cluster.wait(run.job).values()) == {"COMPLETED"}
    assert {task: job["Restarts"] for task, job in cluster.jobs(run.job).items()} == {"0": "0", "1": "1"}
    first, second = (file.read_text().splitlines() for file in metrics)
    assert [json.loads(row)["loss"] for row in first] == [json.loads(row)["loss"] for row in second]
