"""The same model in this process and behind ``vllm serve``: equal answers."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.conftest import ROOT, run_python

QUESTIONS = ("--tasks", "coin_flip", "--lengths", "1-6", "--samples", "20", "--form", "direct", "--max-tokens", "60")


@pytest.mark.vllm
@pytest.mark.slow
def test_vllm_serve_gives_the_answers_of_vllm_in_process(tiny_model, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", tiny_model, "--port", port]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager"]
    command += ["--max-model-len", "1024", "--kv-cache-memory-bytes", 2**28]
    environment = {
        **os.environ,
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with open(tmp_path / "server.log", "w") as log:
        server = subprocess.Popen([*map(str, command)], env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}/v1"
        wait_for(f"{url}/models", server, tmp_path / "server.log")
        options = (ROOT / "tools/evaluate.py", *QUESTIONS, "--no-chat", "--output")
        run_python(*options, tmp_path / "served", "--engine", "openai", "--model", url, "--tokenizer", tiny_model)
        run_python(*options, tmp_path / "here", "--engine", "vllm", "--model", tiny_model)
    finally:
        server.terminate()
        server.wait(timeout=30)
    served, here = (
        [json.loads(line) for line in (tmp_path / name / "generations.jsonl").read_text().splitlines()]
        for name in ("served", "here")
    )
    assert [record["outcome"] for record in served] == [record["outcome"] for record in here]
    assert [record["text"] for record in served] == [record["text"] for record in here]
    results = json.loads((tmp_path / "here/results.json").read_text())
    assert 0 <= results["timing"]["prefix_cache_hit_rate"] <= 1


def wait_for(url: str, server: subprocess.Popen, log) -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.5)
