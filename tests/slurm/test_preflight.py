"""What stops a job before its first step, and what is said of one that failed."""

import json
import os
import socket
from pathlib import Path

import pytest
import yaml

from megatron_rfft.common.errors import UserError
from megatron_rfft.slurm import postmortem, preflight
from megatron_rfft.training.config_reader import config_from_dict
from tests.conftest import run_python
from tests.training.conftest import small_config


def node(folder: Path, **changes) -> preflight.Node:
    return preflight.Node(**{"run": folder, "processes": 2, "is_head": True, "port": 0} | changes)


@pytest.fixture
def fake_smi(tmp_path, monkeypatch):
    """An nvidia-smi that lists the given GPUs and processes."""

    def install(gpus: str, processes: str = "", code: int = 0) -> None:
        file = tmp_path / "bin" / "nvidia-smi"
        file.parent.mkdir()
        file.write_text(
            f"#!/bin/sh\ncase $1 in --query-gpu*) printf '{gpus}';; *) printf '{processes}';; esac\nexit {code}\n"
        )
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")

    return install


def test_a_healthy_node_has_no_problems(tmp_path, fake_smi):
    fake_smi("GPU-a, 4, 580.1\\nGPU-b, 4, 580.1\\n")
    assert preflight.examine_node(node(tmp_path / "run"), list(preflight.CHECKS)) == []


def test_gpus_that_lack_are_full_or_in_use_are_named(tmp_path, fake_smi):
    fake_smi("GPU-a, 70000, 580.1\\n", "4711, python, 69000\\n")
    found = preflight.examine_node(node(tmp_path), ["gpus", "processes"])
    assert found[0] == "gpus: 1 GPUs are visible, 2 processes are to run"
    assert found[1].startswith("gpus: GPU 0 has 70000 MiB in use")
    assert found[2] == "processes: process 4711 (python) is on a GPU with 69000 MiB"


def test_a_broken_driver_is_a_problem_not_a_crash(tmp_path, fake_smi):
    fake_smi("Unable to determine the device handle\\n", code=15)
    assert "exited with 15: Unable to determine" in preflight.examine_node(node(tmp_path), ["gpus"])[0]


def test_a_port_in_use_is_named_on_the_head_node_alone(tmp_path):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        found = preflight.examine_node(node(tmp_path, port=port), ["ports"])
        assert found[0].startswith(f"ports: port {port}")
        assert preflight.examine_node(node(tmp_path, port=port, is_head=False), ["ports"]) == []


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "MIN_FREE_GIB", 1e9)
    assert "GiB free" in preflight.examine_node(node(tmp_path), ["disk"])[0]


def test_checks_are_chosen_by_name():
    assert preflight.chosen_checks("all") == list(preflight.CHECKS)
    assert preflight.chosen_checks("disk,ports") == ["disk", "ports"]
    assert preflight.chosen_checks("-disk,-gpus") == ["processes", "ports", "names"]
    with pytest.raises(UserError, match="no preflight check '-dsik'"):
        preflight.chosen_checks("-dsik")


def report(folder: Path, name: str, torch: str = "2.13.0", problems: tuple[str, ...] = ()) -> None:
    about = {"versions": {"torch": torch}, "problems": problems}
    (folder / f"node-{name}.json").write_text(json.dumps(about))


def test_nodes_that_differ_or_say_nothing_are_named(tmp_path):
    for name, torch in {"n1": "2.13.0", "n2": "2.13.0", "n3": "2.12.1"}.items():
        report(tmp_path, name, torch)
    compare = ("-m", "megatron_rfft.slurm.preflight", "compare", "--output", tmp_path, "--nodes")
    done = run_python(*compare, "n1,n2,n3,n4", check=False)
    assert done.returncode == 1
    assert "torch: 2.13.0 on 2 nodes, 2.12.1 on n3" in done.stderr
    assert "n4: it left no report" in done.stderr
    found = json.loads((tmp_path / "postmortem.json").read_text())
    assert (found["kind"], list(found["bad_nodes"])) == ("node", ["n3", "n4"])
    (tmp_path / "node-n3.json").unlink()
    assert run_python(*compare, "n1,n2").stderr == ""


def judged(folder: Path, *nodes: str) -> tuple[list[str], list[str]]:
    reports = {file.stem.removeprefix("node-"): json.loads(file.read_text()) for file in folder.glob("node-*.json")}
    verdict = preflight.judge(reports, list(nodes), folder)
    return verdict.problems, list(verdict.bad)


def test_no_node_is_to_blame_for_what_all_have_in_common(tmp_path):
    assert judged(tmp_path, "n1", "n2") == (
        [f"none of 2 nodes left a report in {tmp_path}; is it on a shared disk?"],
        [],
    )
    report(tmp_path, "n1", problems=("disk: full",))
    assert judged(tmp_path, "n1") == (["n1: disk: full"], ["n1"])
    report(tmp_path, "n2", problems=("disk: full",))
    assert judged(tmp_path, "n1", "n2") == (["n1: disk: full", "n2: disk: full"], [])


def test_of_two_nodes_that_differ_none_is_the_odd_one(tmp_path):
    report(tmp_path, "n1")
    report(tmp_path, "n2", torch="2.12.1")
    assert judged(tmp_path, "n1", "n2") == (["torch: 2.13.0 on 1 nodes, 2.12.1 on n2"], [])


def test_the_config_is_held_against_the_allocation(small_data, tmp_path):
    config = config_from_dict(yaml.safe_load(yaml.safe_dump(small_config(small_data.prefix, tmp_path))))
    preflight.check_config(config, nodes=2, processes=2)
    with pytest.raises(UserError, match="global_batch_size 8"):
        preflight.check_config(config, nodes=3, processes=1)
    with pytest.raises(UserError, match="--ntasks-per-node is 8, and each task would start torchrun's 8 processes"):
        preflight.check_config(config, nodes=1, processes=8, tasks_per_node=8)


FAILURES = {
    "out of memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
    "node": "RuntimeError: CUDA error: uncorrectable ECC error encountered",
    "GPU code": "RuntimeError: CUDA error: an illegal memory access was encountered",
    "file system": "OSError: [Errno 28] No space left on device",
    "network": "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp",
    "user code": "KeyError: 'attention_mask'",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_the_rank_that_failed_first_says_what_the_job_died_of(tmp_path, kind):
    lost = "RuntimeError: Connection reset by peer (gloo)"
    (tmp_path / "node1.log").write_text(f"[rank0]:{lost}\n")
    (tmp_path / "node2.log").write_text(f"[rank0]:{lost}\n[rank1]:step 3\n[rank1]:{FAILURES[kind]}\n")
    for host, rank, when in (("node1", 0, 1002), ("node2", 1, 1001)):
        about = {"host": host, "node": f"{host}-gpu", "rank": rank, "exit_code": 1, "time": when, "process": 1}
        (tmp_path / f"failure-{host}.json").write_text(json.dumps(about))
    found = postmortem.examine(tmp_path, 1)
    assert (found.kind, found.host, found.rank) == (kind, "node2", 1)
    assert found.lines == [f"[rank1]:{FAILURES[kind]}"]
    assert found.bad_nodes == ({"node2-gpu": f"[rank1]:{FAILURES[kind]}"} if kind == "node" else {})


def test_a_lost_node_leaves_no_first_failure(tmp_path):
    (tmp_path / "node1.log").write_text("[rank0]:step 3\n")
    assert postmortem.examine(tmp_path, 137).kind == "killed"
    assert postmortem.examine(tmp_path, 76).kind == "hang"
