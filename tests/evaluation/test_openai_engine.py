"""A server in a process of its own that answers, fails, drops connections and dies."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.evaluation.engines.openai import check_base_url
from megatron_rfft.evaluation.questions import THINKING_BUDGET
from tests.conftest import ROOT, run_python

EVALUATE = ROOT / "tools/evaluate.py"
KEY = "sk-never-to-be-seen"
QUESTIONS = ("--tasks", "coin_flip", "--lengths", "5,6,7", "--samples", "20", "--form", "cot-zero-shot")


@contextmanager
def serving(folder: Path, *options: str):
    """The server's address while the block runs."""
    folder.mkdir(exist_ok=True)
    (folder / "ready").unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.evaluation.chat_server", str(folder), *options]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 30
        while not (folder / "ready").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"http://127.0.0.1:{(folder / 'ready').read_text()}/v1"
    finally:
        process.kill()
        process.wait()


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ask(output: Path, *options: object, check: bool = True):
    return run_python(EVALUATE, "--engine", "openai", *QUESTIONS, "--output", output, *options, check=check)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """A run against a server that fails on every question first: its folder, the server's notes, what it printed."""
    folder = tmp_path_factory.mktemp("flaky")
    os.environ["TEST_SERVER_KEY"] = KEY
    with serving(folder / "server", "--fail", "--key", KEY) as url:
        done = ask(folder / "run", "--model", "tiny", "--base-url", url, "--api-key-env", "TEST_SERVER_KEY")
    return folder / "run", lines(folder / "server/requests.jsonl"), done


def test_failures_that_pass_are_asked_again(whole_run):
    folder, notes, _ = whole_run
    records = lines(folder / "generations.jsonl")
    assert len(records) == 60
    assert len(notes) == 120
    for record in records:
        right = str(len(record["prompt"]) % 2 == 0) == record["answer"]
        assert record["outcome"] == ("correct" if right else "wrong")
        assert record["text"].startswith("<think>\nHm.\n</think>\n\nSo the answer is ")
        assert (record["num_tokens"], record["budget"]) == (7, THINKING_BUDGET)
    results = json.loads((folder / "results.json").read_text())
    assert results["timing"]["retries"] == 60
    assert results["model"] == {"name": "tiny", "sha256": None, "manifest": None}


def test_what_is_sent(whole_run):
    _, notes, _ = whole_run
    assert {note["path"] for note in notes} == {"/v1/chat/completions"}
    assert {(note["model"], note["temperature"], note["max_tokens"]) for note in notes} == {
        ("tiny", 0, THINKING_BUDGET)
    }
    assert {note["key"] for note in notes} == {f"Bearer {KEY}"}
    assert 4 <= max(note["in_flight"] for note in notes) <= 16


def test_the_key_is_nowhere(whole_run):
    folder, _, done = whole_run
    assert KEY not in done.stdout + done.stderr
    assert all(KEY not in path.read_text() for path in folder.iterdir())


def test_a_server_that_dies_leaves_a_run_to_continue(whole_run, tmp_path):
    with serving(tmp_path / "server", "--die-after", "25") as url:
        done = ask(tmp_path / "run", "--model", "tiny", "--base-url", url, "--retry-seconds", "1", check=False)
    kept = lines(tmp_path / "run/generations.jsonl")
    assert done.returncode == 1
    assert f"{60 - len(kept)} of 60 questions have no answer (the last reason: Conn" in done.stderr
    assert "run the same command again" in done.stderr
    assert 0 < len(kept) <= 25
    assert not (tmp_path / "run/results.json").exists()
    with serving(tmp_path / "server") as url:  # elsewhere now: it is the same model nonetheless
        ask(tmp_path / "run", "--model", "tiny", "--base-url", url)
    assert lines(tmp_path / "run/generations.jsonl") == lines(whole_run[0] / "generations.jsonl")


def test_completions_cut_at_their_budget(tmp_path):
    with serving(tmp_path / "server", "--finish", "length") as url:
        ask(tmp_path / "run", "--model", url, "--no-chat", "--form", "lean", "--samples", "2", "--max-tokens", "50")
    records, notes = lines(tmp_path / "run/generations.jsonl"), lines(tmp_path / "server/requests.jsonl")
    assert {record["outcome"] for record in records} == {"token_limit"}
    assert {(note["path"], note["model"], note["max_tokens"]) for note in notes} == {("/v1/completions", "tiny", 50)}
    assert {note["prompt"] for note in notes} == {record["prompt"] for record in records}


def test_a_refused_key_is_said_without_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_SERVER_KEY", "sk-another")
    with serving(tmp_path / "server", "--key", KEY) as url:
        options = ("--model", "tiny", "--base-url", url, "--api-key-env")
        done = ask(tmp_path / "run", *options, "TEST_SERVER_KEY", check=False)
        unset = ask(tmp_path / "run", *options, "NO_SUCH_VARIABLE", check=False)
    assert (done.returncode, unset.returncode) == (2, 2)
    assert "the key was refused" in done.stderr
    assert "sk-another" not in done.stderr
    assert "never retrieved" not in done.stderr  # of the other questions, which end in the same way
    assert "the environment has no NO_SUCH_VARIABLE" in unset.stderr


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://user:secret@host/v1", "http://", "::"])
def test_wrong_addresses(url):
    with pytest.raises(UserError) as error:
        check_base_url(url)
    assert "secret" not in str(error.value)
