"""The commands as real processes: both engines, kill and resume, wrong input."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, run_python

EVALUATE = ROOT / "tools/evaluate.py"
QUESTIONS = ("--tasks", "coin_flip,length_int", "--lengths", "1-6", "--samples", "30")


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "generations.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def hf_run(tiny_model, tmp_path_factory) -> Path:
    """A whole run with transformers."""
    folder = tmp_path_factory.mktemp("runs") / "hf"
    run_python(EVALUATE, "--model", tiny_model, *QUESTIONS, "--engine", "hf", "--output", folder)
    return folder


@pytest.mark.vllm
def test_vllm_and_transformers_give_the_same_answers(tiny_model, hf_run, tmp_path):
    folder = tmp_path / "vllm"
    done = run_python(EVALUATE, "--model", tiny_model, *QUESTIONS, "--engine", "vllm", "--output", folder, "--json")
    results = json.loads(done.stdout)  # nothing but the results there, whatever vLLM logs
    assert results["engine"]["dtype"] == "float32"
    assert records(folder) == records(hf_run)
    outcomes = {record["outcome"] for record in records(hf_run)}
    assert outcomes == {"wrong", "token_limit"}  # some end by the stop token, some by the budget


def test_a_killed_run_continues_to_the_same_results(tiny_model, hf_run, tmp_path):
    arguments = (EVALUATE, "--model", tiny_model, *QUESTIONS, "--engine", "hf", "--output", tmp_path / "run")
    generations = tmp_path / "run/generations.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *map(str, arguments)], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (generations.is_file() and generations.read_bytes().count(b"\n")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    num_before = len(generations.read_bytes().splitlines())
    assert 0 < num_before < len(records(hf_run))
    run_python(*arguments)
    assert generations.read_bytes() == (hf_run / "generations.jsonl").read_bytes()
    first, second = (json.loads((folder / "results.json").read_text()) for folder in (hf_run, tmp_path / "run"))
    assert second["timing"]["answers"] < first["timing"]["answers"]
    assert {**first, "timing": None} == {**second, "timing": None}


def test_a_finished_run_prints_its_table_without_a_model(tiny_model, hf_run):
    arguments = ("--model", tiny_model, *QUESTIONS, "--engine", "hf", "--output", hf_run)
    done = run_python("-X", "importtime", EVALUATE, *arguments)
    assert done.stdout.startswith("accuracy in %  1  2  3  4  5  6  Max_Len_90%\ncoin_flip      0  0")
    assert "token limit" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "megatron_rfft.evaluation.runner" in imported
    assert not imported & {"torch", "transformers", "vllm"}  # which would take seconds


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--tasks": "coin_flop"}, "coin_flip"),
        ({"--lengths": "9-2"}, "9-2"),
        ({"--lengths": "1000"}, "valid_lengths"),
        ({"--samples": "0"}, "samples is 0"),
        ({"--model": "ABSENT"}, "no such directory: ABSENT"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(tiny_model, tmp_path, changes, message):
    options = {"--model": tiny_model, "--tasks": "coin_flip", "--lengths": "1-2", "--output": tmp_path / "run"}
    absent = str(tmp_path / "absent")  # which nothing else can make, as it could /nonexistent
    options |= {name: value.replace("ABSENT", absent) for name, value in changes.items()}
    arguments = [part for option in options.items() for part in option]
    done = run_python(EVALUATE, *arguments, "--engine", "hf", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message.replace("ABSENT", absent) in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["--tensor-parallel", 2], "this is vLLM for CPUs", marks=pytest.mark.vllm),
        (["--engine", "hf", "--tensor-parallel", 2], "--tensor-parallel goes with --engine vllm"),
        (["--engine", "hf", "--replicas", 2, "--shard", "1/2"], "only without --shard"),
    ],
)
def test_what_a_machine_cannot_do_is_refused(tiny_model, tmp_path, words, message):
    asked = ("--model", tiny_model, "--tasks", "coin_flip", "--lengths", 2, "--output", tmp_path / "run")
    done = run_python("tools/evaluate.py", *asked, *words, check=False)
    assert done.returncode == 2
    assert message in done.stderr
