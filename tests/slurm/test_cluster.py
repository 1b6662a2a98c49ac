"""The cluster of the tests itself: it schedules, counts GPUs, loses nodes and gets them back."""

import pytest

from tests.slurm.cluster import wait_until


def test_nodes_have_names_and_networks_of_their_own_and_gpus_are_counted(cluster, tmp_path):
    command = "hostname; echo $CUDA_VISIBLE_DEVICES; getent ahostsv4 node2 | head -n1"
    seen = cluster.run("srun", "--nodes=4", "--gres=gpu:8", "bash", "-c", command).stdout.split("\n")
    assert {f"node{number}" for number in range(1, 5)} <= set(seen)
    assert seen.count("0,1,2,3,4,5,6,7") == 4
    assert sum(line.startswith("198.18.0.12 ") for line in seen) == 4
    assert cluster.run("sbatch", "--gres=gpu:9", "--wrap=true", check=False).returncode != 0
    job = cluster.sbatch(f"--output={tmp_path}/log", "--wrap", 'echo "$GREETING"; exit 3', GREETING="hello there")
    assert cluster.wait(job) == {"": "FAILED"}
    assert (tmp_path / "log").read_text() == "hello there\n"
    assert cluster.jobs(job)[""]["ExitCode"] == "3:0"
    assert [entry["JobState"] for entry in cluster.completions() if entry["JobId"] == str(job)] == ["FAILED"]


@pytest.mark.slow
def test_a_job_survives_its_daemon_and_is_requeued_when_its_node_is_lost(whole_cluster, tmp_path):
    cluster = whole_cluster
    script = 'echo "$SLURM_RESTART_COUNT" >>log; until [ -e done ]; do sleep 0.1; done'
    job = cluster.sbatch(f"--chdir={tmp_path}", "--requeue", "--open-mode=append", "--wrap", script)
    log = tmp_path / "log"
    wait_until(log.exists, "the job to begin")
    node = cluster.jobs(job)[""]["NodeList"]
    cluster.stop_daemon(node)
    cluster.start_daemon(node)
    cluster.wait_for_nodes()
    assert cluster.state(job) == "RUNNING"
    cluster.crash(node)
    wait_until(lambda: len(log.read_text().splitlines()) == 2, "the job to begin again", 120)
    assert cluster.jobs(job)[""]["NodeList"] != node
    assert cluster.node_state(node).startswith("DOWN")
    (tmp_path / "done").touch()
    assert cluster.wait(job) == {"": "COMPLETED"}
    assert log.read_text().split("\n") == ["", "1", ""]


def test_a_task_waits_for_its_own_task_of_another_array_alone(cluster, tmp_path):
    """What the chain of jobs builds on: aftercorr, dependencies on single tasks, and the end of those in vain."""
    quiet = ("--output=/dev/null", "--kill-on-invalid-dep=yes")
    script = f"[ $SLURM_ARRAY_TASK_ID = 0 ] || exit 1; until [ -e {tmp_path}/go ]; do sleep 0.1; done"
    first = cluster.sbatch("--array=0-1", "--output=/dev/null", "--wrap", script)
    second = cluster.sbatch("--array=0-1", f"--dependency=aftercorr:{first}", *quiet, "--wrap=true")
    of_one = cluster.sbatch(f"--dependency=afterok:{second}_0", *quiet, "--wrap=true")
    of_all = cluster.sbatch(f"--dependency=afterok:{second}", *quiet, "--wrap=true")
    wait_until(lambda: cluster.states(second).get("1") == "CANCELLED", "the task behind the failed one to be cancelled")
    assert cluster.states(second)["0"] == "PENDING"
    assert cluster.state(of_one) == "PENDING"
    (tmp_path / "go").touch()
    assert cluster.wait(of_one) == {"": "COMPLETED"}
    assert cluster.wait(of_all) == {"": "CANCELLED"}
    assert cluster.states(second) == {"0": "COMPLETED", "1": "CANCELLED"}
