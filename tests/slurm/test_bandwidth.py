"""How fast nodes exchange data: measured over gloo with real processes, and judged from numbers."""

import json
import os
import socket
import sys
import time
from itertools import combinations
from subprocess import Popen

import pytest

from megatron_rfft.slurm import bandwidth
from megatron_rfft.slurm.bandwidth import MeasurementFailed, measure, pairings
from megatron_rfft.slurm.comparison import compare_pairs
from tests.conftest import ROOT, run_python

PATIENCE = 500
"""Seconds; torch loads slowly on a busy machine."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def test_two_processes_of_a_node_are_measured(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert 0 < measure(processes=2, deadline=time.monotonic() + PATIENCE) < 1e4


def test_a_process_that_cannot_is_named_with_its_error(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(MeasurementFailed, match=r"process 0: .*rendezvous handler for nowhere://"):
        measure(processes=1, store="nowhere://x", deadline=time.monotonic() + PATIENCE)


def test_a_partner_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(bandwidth, "ROUNDS", 1)
    found = bandwidth.measure_pairs("localhost", ["localhost", "other"], 1, free_port(), seconds=2)
    assert "within 2 s" in found["other"] or "imed out" in found["other"]


def test_two_nodes_measure_each_other_and_are_compared(tmp_path):
    """Two names of this machine stand for two nodes with two processes each."""
    nodes = ["localhost", "127.0.0.1"]
    shared = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PROCESSES_PER_NODE": "2"}
    shared["RENDEZVOUS_PORT"] = str(free_port())
    preflight = ("-m", "megatron_rfft.slurm.preflight")
    where = ("--output", str(tmp_path), "--nodes", ",".join(nodes))
    pairs = [sys.executable, *preflight, "pairs", "--seconds", str(PATIENCE), *where]
    steps = [Popen(pairs, cwd=ROOT, env=shared | {"SLURMD_NODENAME": name}) for name in nodes]
    assert [step.wait(PATIENCE) for step in steps] == [0, 0]
    said = [json.loads((tmp_path / f"pairs-{name}.json").read_text()) for name in nodes]
    assert said[0]["127.0.0.1"] == said[1]["localhost"] > 0  # the slowest process's, on both
    done = run_python(*preflight, "compare", "--pairs", *where)
    assert done.stderr.startswith("preflight: bandwidth between nodes: ")
    slow = run_python(*preflight, "compare", "--pairs", "--least", "1e6", *where, check=False)
    assert slow.returncode == 1
    assert "less than the 1e+06 asked for" in slow.stderr
    assert json.loads((tmp_path / "postmortem.json").read_text())["bad_nodes"] == {}


@pytest.mark.parametrize("number", range(2, 12))
def test_in_each_round_a_node_meets_another_partner(number):
    nodes = [f"n{i}" for i in range(number)]
    rounds = pairings(nodes, rounds=100)
    for pairs in rounds:
        met = [node for pair in pairs for node in pair]
        assert len(met) == len(set(met)) == number - number % 2
    assert sorted(tuple(sorted(pair)) for pairs in rounds for pair in pairs) == sorted(combinations(sorted(nodes), 2))
    assert pairings(nodes) == rounds[:3]


def reports(nodes: list[str], wrong: dict[tuple[str, str], float | str], usual: float = 40.0) -> dict[str, dict]:
    """What each node writes, where ``wrong`` pairs have other numbers than the usual one."""
    found: dict[str, dict] = {name: {} for name in nodes}
    for first, second in (pair for pairs in pairings(nodes) for pair in pairs):
        value = wrong.get((first, second), wrong.get((second, first), usual))
        found[first][second] = found[second][first] = value
    return found


FOUR = ["n1", "n2", "n3", "n4"]


def test_nodes_that_are_equally_fast_are_not_to_blame():
    found = compare_pairs(reports(FOUR, {("n1", "n2"): 21.0}), FOUR)
    assert (found.problems, found.bad) == ([], {})
    assert found.notes == ["bandwidth between nodes: 21 to 40 GB/s"]


@pytest.mark.parametrize("value", [4.0, "process 0: NCCL error"])
def test_a_node_that_is_slow_or_fails_with_all_others_is_to_blame(value):
    found = compare_pairs(reports(FOUR, {("n3", other): value for other in ("n1", "n2", "n4")}), FOUR)
    why = value if isinstance(value, str) else "4 GB/s, where others have 40"
    assert found.bad == {"n3": f"pairs: with n1, n2, n4: {why}"}
    assert found.problems == [f"n3: {found.bad['n3']}"]


def test_a_slow_link_is_noted_and_one_that_fails_stops_the_job():
    slow = compare_pairs(reports(FOUR, {("n1", "n2"): 4.0}), FOUR)
    assert (slow.problems, slow.bad) == ([], {})
    assert slow.notes[-1] == "pairs: n1 and n2: 4 GB/s, where others have 40"
    failed = compare_pairs(reports(FOUR, {("n1", "n2"): "timed out"}), FOUR)
    assert (failed.problems, failed.bad) == (["pairs: n1 and n2: timed out"], {})
    below = compare_pairs(reports(FOUR, {("n1", "n2"): 30.0}), FOUR, least=35)
    assert (below.problems, below.bad) == (["pairs: n1 and n2: 30 GB/s, less than the 35 asked for"], {})


def test_of_two_nodes_none_is_to_blame():
    two = ["n1", "n2"]
    found = compare_pairs(reports(two, {("n1", "n2"): "timed out"}), two)
    assert (found.problems, found.bad) == (["pairs: n1 and n2: timed out"], {})
    assert compare_pairs(reports(two, {}), two, least=50).bad == {}
    assert compare_pairs({}, two).problems == ["pairs: none of 2 nodes left a report"]


def test_a_node_without_a_report_is_known_by_its_partners():
    said = reports(FOUR, {("n3", other): "not measured within 120 s" for other in ("n1", "n2", "n4")})
    del said["n3"]
    assert list(compare_pairs(said, FOUR).bad) == ["n3"]
