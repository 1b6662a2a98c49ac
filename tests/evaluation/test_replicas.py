"""One evaluation by several processes: the same results; what fails is named, and continued by the next run."""

import json
import sys

import pytest

from megatron_rfft.common.errors import CommandFailed, UserError
from megatron_rfft.evaluation.replicas import answer_in_replicas
from tests.conftest import run_python

SCRIPT = """
import os, sys
number = sys.argv[sys.argv.index("--shard") + 1].split("/")[0]
print(number, os.environ.get("CUDA_VISIBLE_DEVICES"))
sys.exit("no memory left" if number == sys.argv[1] else 0)
"""


def test_two_replicas_give_the_results_of_one_process(tiny_model, tmp_path):
    words = ("tools/evaluate.py", "--model", tiny_model, "--engine", "hf", "--tasks", "coin_flip", "--lengths", "1-3")
    words += ("--samples", 6, "--json")
    one, two = (
        json.loads(run_python(*words, "--output", tmp_path / f"by{number}", "--replicas", number).stdout)
        for number in (1, 2)
    )
    assert two["tasks"] == one["tasks"]
    assert (tmp_path / "by2/shards/00001-of-00002.log").is_file()


def test_a_replica_that_fails_is_named_with_its_last_words_and_the_others_finish(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), "1"]
    with pytest.raises(CommandFailed, match="replica 1/2 ended with exit code 1: no memory left"):
        answer_in_replicas(command, 2, 2, tmp_path / "run")
    logs = [(tmp_path / f"run/shards/{number:05}-of-00002.log").read_text() for number in (0, 1)]
    assert [log.splitlines()[0] for log in logs] == ["0 4,5", "1 6,7"]


def test_more_gpus_than_there_are_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(UserError, match="2 replicas of 2 GPUs each need 4, 2 are visible"):
        answer_in_replicas(["false"], 2, 2, tmp_path / "run")
