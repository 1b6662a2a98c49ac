"""One corpus written by several runs, each with a part of the shards; and killed at random moments."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.corpus import CorpusConfig, Part, generate_corpus
from tests.conftest import ROOT, run_python

CONFIG = CorpusConfig({"coin_flip": [2, 3], "length_int": [1, 4]}, samples=40, num_shards=5, form="lean")
COMMAND = ("data_prep/generate.py", "--tasks", "coin_flip:2,3,length_int:1,4", "--samples", 40, "--num-shards", 5)
OPTIONS = (*COMMAND, "--form", "lean")


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    generate_corpus(CONFIG, folder)
    return contents(folder)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_last_part_finishes_the_corpus(tmp_path, whole, order):
    *first, last = order
    (tmp_path / ".shard-00001-of-00005.jsonl.4711.tmp").write_text("of a killed run")
    for number in first:
        assert generate_corpus(CONFIG, tmp_path, part=Part(number, 3)) is None
        assert not (tmp_path / "manifest.json").exists()
    assert generate_corpus(CONFIG, tmp_path, part=Part(last, 3))["counts"]["records"] == 128
    assert contents(tmp_path) == whole
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert generate_corpus(CONFIG, tmp_path, part=Part(0, 3)) is not None  # done: nothing to do


def test_parts_run_at_the_same_time(tmp_path, whole):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, *map(str, OPTIONS), "--output", str(tmp_path / "corpus"), "--json", "--shard"]
    runs = [
        subprocess.Popen([*words, f"{i}/4"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    outputs = [json.loads(run.communicate()[0]) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4
    assert any("records" in output for output in outputs)
    assert all("records" in output or output["finished"] is False for output in outputs)
    assert contents(tmp_path / "corpus") == whole


def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path):
    words = [*map(str, COMMAND[:3]), "--samples", "400", "--num-shards", "9"]
    started = time.monotonic()
    run_python(*words, "--output", tmp_path / "whole")
    undisturbed = time.monotonic() - started
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    moments, killed = random.Random(7), 0
    for _ in range(6):
        command = [sys.executable, *words, "--workers", "2", "--output", str(tmp_path / "corpus")]
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.1, 0.6) * undisturbed)
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            killed += 1
        run.wait()
    assert killed
    run_python(*words, "--output", tmp_path / "corpus")
    assert contents(tmp_path / "corpus") == contents(tmp_path / "whole")


@pytest.mark.parametrize("text", ["3", "3/3", "4/3", "-1/3", "a/3", "1/0"])
def test_a_part_that_is_none(text):
    with pytest.raises(UserError, match=r"I counts from 0|is not I/N"):
        Part.parse(text)


def test_more_parts_than_shards(tmp_path):
    with pytest.raises(UserError, match="5 shards make no 6 parts; give --num-shards 6"):
        generate_corpus(CONFIG, tmp_path, part=Part(0, 6))


def test_a_worker_that_dies_is_reported(tmp_path):
    task = tmp_path / "dies.py"
    task.write_text(
        "import multiprocessing\nimport os\nfrom megatron_rfft.tasks import register\n\n\n"
        "def dies(xs):\n    return xs\n\n\n"
        "def instance(rng, length):\n    if length == 2 and multiprocessing.parent_process():\n        os._exit(9)\n"
        "    return ([rng.random()],)\n\n\n"
        "register(dies, source='own', role='extra', valid_lengths=[1, 2], instance=instance, questions=['{xs}?'],\n"
        "         reference=lambda xs: xs)\n"
    )
    options = ("--task-file", task, "--tasks", "dies:1,2", "--samples", 3, "--workers", 2, "--output", tmp_path / "out")
    done = run_python("data_prep/generate.py", *options, check=False)
    assert done.returncode == 1
    assert "error: a worker process ended in the middle of its work" in done.stderr
    assert "Traceback" not in done.stderr
