"""What stops a job before its first step, and what is said of one that failed."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.slurm import comparison, node_checks, postmortem, preflight
from megatron_rfft.slurm.bandwidth import MeasurementFailed
from megatron_rfft.training.config_reader import config_from_dict
from tests.conftest import run_python
from tests.training.conftest import small_config


def node(folder: Path, **changes) -> node_checks.Node:
    return node_checks.Node(**{"run": folder, "processes": 2, "is_head": True, "port": 0} | changes)


HEALTHY = {
    "uuid,memory.used,driver_version": "GPU-a, 4, 580.1\nGPU-b, 4, 580.1",
    "ecc.errors.uncorrected.volatile.total,retired_pages.pending": "0, [N/A]\n0, [N/A]",
    "remapped_rows.pending,remapped_rows.failure": "No, No\nNo, No",
    "clocks_event_reasons.active": "0x0000000000000001\n0x0000000000000004",  # idle; at its power limit
}
"""What nvidia-smi says of two H100s, by the fields that are asked for."""


@pytest.fixture
def fake_smi(tmp_path, monkeypatch):
    """Installs an nvidia-smi that says the given things of a field, once each, the last one for ever."""

    def install(changes: dict[str, str | list[str]] | None = None, code: int = 0) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for field, said in (HEALTHY | (changes or {})).items():
            for number, text in enumerate([said] if isinstance(said, str) else said):
                (folder / f"{field}.{number}").write_text(f"{text}\n")
        script = f"""#!{sys.executable}
import pathlib, sys
field = sys.argv[1].partition("=")[2]
answers = sorted(pathlib.Path({str(folder)!r}).glob(field + ".*"))
if answers:
    print(answers[0].read_text(), end="")
elif "compute-apps" not in sys.argv[1]:
    sys.exit(f'Field "{{field}}" is not a valid field to query.')
if len(answers) > 1:
    answers[0].unlink()
sys.exit({code})
"""
        (folder / "nvidia-smi").write_text(script)
        (folder / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.setattr(node_checks, "LOOK_AGAIN", 0.0)

    return install


def test_a_healthy_node_has_no_problems(tmp_path, fake_smi):
    fake_smi()
    assert node_checks.examine_node(node(tmp_path / "run"), list(node_checks.CHECKS)) == []


def test_gpus_that_lack_are_full_or_in_use_are_named(tmp_path, fake_smi):
    used = {"pid,process_name,used_memory": "4711, python, 69000"}
    fake_smi({"uuid,memory.used,driver_version": "GPU-a, 70000, 580.1"} | used)
    found = node_checks.examine_node(node(tmp_path), ["gpus", "processes"])
    assert found[0] == "gpus: 1 GPUs are visible, 2 processes are to run"
    assert found[1].startswith("gpus: GPU 0 has 70000 MiB in use")
    assert found[2] == "processes: process 4711 (python) is on a GPU with 69000 MiB"


@pytest.mark.parametrize(
    ("field", "said", "problem"),
    [
        (
            "ecc.errors.uncorrected.volatile.total,retired_pages.pending",
            "0, No\n3, No",
            "ecc: GPU 1 has 3 uncorrected memory errors since its last reset",
        ),
        (
            "ecc.errors.uncorrected.volatile.total,retired_pages.pending",
            "[N/A], Yes\n0, No",
            "ecc: GPU 0 has memory pages to retire: it waits for a reset",
        ),
        (
            "remapped_rows.pending,remapped_rows.failure",
            "No, No\nYes, No",
            "ecc: GPU 1 has memory rows to replace: it waits for a reset",
        ),
        (
            "remapped_rows.pending,remapped_rows.failure",
            "No, Yes\nNo, No",
            "ecc: GPU 0 has no spare memory rows left: it is to be replaced",
        ),
        (
            "clocks_event_reasons.active",
            "0x0000000000000001\n0x0000000000000040",
            "throttle: GPU 1 is slowed down: its hardware lowers its clocks: too hot",
        ),
        (
            "clocks_event_reasons.active",
            "0x0000000000000084\n0x0000000000000000",
            "throttle: GPU 0 is slowed down: its power supply holds it back",
        ),
    ],
)
def test_a_gpu_with_broken_memory_or_slow_clocks_is_named(tmp_path, fake_smi, field, said, problem):
    fake_smi({field: said})
    assert node_checks.examine_node(node(tmp_path), ["ecc", "throttle"]) == [problem]
    assert node_checks.examine_node(node(tmp_path), node_checks.chosen_checks("-ecc,-throttle,-disk")) == []


def test_a_slowdown_counts_if_it_lasts(tmp_path, fake_smi):
    fake_smi({"clocks_event_reasons.active": ["0x0000000000000028\n0x1", "0x0000000000000020\n0x8"]})
    (found,) = node_checks.examine_node(node(tmp_path), ["throttle"])
    assert found == "throttle: GPU 0 is slowed down: its driver lowers its clocks: too hot"


def test_an_older_driver_has_another_name_for_slow_clocks_and_no_rows_to_replace(tmp_path, fake_smi):
    fake_smi({"clocks_throttle_reasons.active": "0x0000000000000008\n0x0000000000000001"})
    for unknown in ("clocks_event_reasons.active.0", "remapped_rows.pending,remapped_rows.failure.0"):
        (tmp_path / "bin" / unknown).unlink()
    found = node_checks.examine_node(node(tmp_path), ["ecc", "throttle"])
    assert found == ["throttle: GPU 0 is slowed down: its hardware lowers its clocks"]


def test_a_broken_driver_is_a_problem_not_a_crash(tmp_path, fake_smi):
    fake_smi({"uuid,memory.used,driver_version": "Unable to determine the device handle"}, code=15)
    assert "exited with 15: Unable to determine" in node_checks.examine_node(node(tmp_path), ["gpus"])[0]


def test_a_port_in_use_is_named_on_the_head_node_alone(tmp_path):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        found = node_checks.examine_node(node(tmp_path, port=port), ["ports"])
        assert found[0].startswith(f"ports: port {port}")
        assert node_checks.examine_node(node(tmp_path, port=port, is_head=False), ["ports"]) == []


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(node_checks, "MIN_FREE_GIB", 1e9)
    assert "GiB free" in node_checks.examine_node(node(tmp_path), ["disk"])[0]


def test_checks_are_chosen_by_name():
    assert node_checks.chosen_checks("all") == [*node_checks.CHECKS, "bandwidth", "pairs"]
    assert node_checks.chosen_checks("disk,ports") == ["disk", "ports"]
    assert node_checks.chosen_checks("-disk,-gpus,-ecc,-pairs") == [
        "processes",
        "throttle",
        "ports",
        "names",
        "bandwidth",
    ]
    with pytest.raises(UserError, match="no preflight check '-dsik'"):
        node_checks.chosen_checks("-dsik")


def report(folder: Path, name: str, torch: str = "2.13.0", problems: tuple[str, ...] = (), **measured: object) -> None:
    about = {"versions": {"torch": torch}, "problems": problems, "bandwidth": None, "pairs": False} | measured
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


def judged(folder: Path, *nodes: str, least: float = 0) -> tuple[list[str], list[str]]:
    reports = {file.stem.removeprefix("node-"): json.loads(file.read_text()) for file in folder.glob("node-*.json")}
    found = comparison.compare_nodes(reports, list(nodes), folder, least)
    return found.problems, list(found.bad)


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


def test_a_node_that_is_slower_inside_than_half_of_the_best_is_named(tmp_path):
    for name, bandwidth in {"n1": 360.0, "n2": 31.0, "n3": 190.0}.items():
        report(tmp_path, name, bandwidth=bandwidth)
    slow = "n2: bandwidth inside the node: 31 GB/s, where others have 360"
    assert judged(tmp_path, "n1", "n2", "n3") == ([slow], ["n2"])
    problems, bad = judged(tmp_path, "n1", "n2", "n3", least=200)
    assert problems[1] == "n3: bandwidth inside the node: 190 GB/s, less than the 200 asked for"
    assert bad == ["n2", "n3"]
    assert judged(tmp_path, "n1", "n2", "n3", least=400)[1] == []  # none does better


@pytest.mark.parametrize(
    ("checks", "changes", "bandwidth", "pairs", "problem"),
    [
        ("all", {}, 350.0, True, ""),
        ("-bandwidth", {}, None, True, ""),
        ("bandwidth", {}, 350.0, False, ""),
        ("all", {"uuid,memory.used,driver_version": "GPU-a, 4, 580.1"}, None, True, "gpus: 1 GPUs are visible"),
        ("all", {"broken": "NCCL error"}, None, True, "bandwidth inside the node: NCCL error"),
    ],
)
def test_a_node_without_problems_measures_its_bandwidth(
    tmp_path, monkeypatch, fake_smi, checks, changes, bandwidth, pairs, problem
):
    def measured(processes: int) -> float:
        if "broken" in changes:
            raise MeasurementFailed(changes["broken"])
        return 350.0 if processes == 2 else 0.0

    fake_smi(changes)
    monkeypatch.setattr(preflight, "measure", measured)
    for name, value in {"SLURMD_NODENAME": "n1", "PROCESSES_PER_NODE": "2", "SLURM_NODEID": "1"}.items():
        monkeypatch.setenv(name, value)
    where = ["--run", str(tmp_path / "run"), "--output", str(tmp_path)]
    assert preflight.main(["node", *where, f"--checks={checks}"]) == bool(problem)
    found = json.loads((tmp_path / "node-n1.json").read_text())
    assert (found["bandwidth"], found["pairs"]) == (bandwidth, pairs)
    assert [line[: len(problem)] for line in found["problems"]] == ([problem] if problem else [])


def test_pairs_are_measured_next_where_all_nodes_can(tmp_path):
    compare = ["compare", "--output", str(tmp_path), "--nodes"]
    report(tmp_path, "n1", bandwidth=350.0, pairs=True)
    report(tmp_path, "n2", bandwidth=360.0, pairs=True)
    done = run_python("-m", "megatron_rfft.slurm.preflight", *compare, "n1,n2")
    assert (done.stdout, done.stderr) == ("pairs\n", "preflight: bandwidth inside nodes: 350 to 360 GB/s\n")
    report(tmp_path, "n2", bandwidth=360.0)
    assert run_python("-m", "megatron_rfft.slurm.preflight", *compare, "n1,n2").stdout == ""


def test_the_config_is_held_against_the_allocation(small_data, tmp_path):
    values = small_config(small_data.prefix, tmp_path)
    values["batch"]["global_batch_size"] = 8
    config = config_from_dict(values)
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
