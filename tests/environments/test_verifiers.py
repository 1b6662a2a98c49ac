"""The tasks as a taskset of verifiers, in verifiers itself."""

import asyncio
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import pytest

from megatron_rfft.common.errors import UserError
from tests.conftest import ROOT
from tests.environments.conftest import page_command

pytestmark = pytest.mark.slow
vf = pytest.importorskip("verifiers.v1", reason="needs the extra verifiers")
ID = "rule_following"


@pytest.fixture
def load(monkeypatch):
    """A taskset by its id, as vf-eval loads it."""
    from verifiers.v1.utils.loaders import load_taskset, taskset_config_type

    monkeypatch.syspath_prepend(ROOT / "examples/rl")
    return lambda **settings: load_taskset(taskset_config_type(ID)(id=ID, **settings))


def score(task, reply: str):
    """The trace of an agent that has said ``reply``, scored by its task."""
    agent = vf.AgentInfo(name="agent", model="none", config=vf.AgentConfig())
    trace = vf.Trace(task=vf.TraceTask(type=type(task).__name__, data=task.data), agent=agent)
    trace.nodes.append(vf.MessageNode(message=vf.AssistantMessage(content=reply), sampled=True))
    asyncio.run(task.score(trace))
    return trace


def test_the_true_trace_gets_the_reward_and_steps_are_recorded_beside_it(load):
    tasks = list(load(tasks="length_int:2-3,coin_flip:2", samples=4))
    assert [task.data.name for task in tasks[::4]] == ["length_int/2", "length_int/3", "coin_flip/2"]
    assert len({task.key for task in tasks}) == len(tasks) == 12
    rewards = import_module("megatron_rfft.environments.rewards")
    for task in tasks:
        assert asyncio.run(task.validate(None)) is True
        example = rewards.example_of(task.data.place)
        lines = example.response.split("\n")
        for reply, outcome, steps in (
            (example.response, 1.0, 1.0),
            ("\n".join([*lines[:2], lines[-1]]), 1.0, 2 / len(lines)),
            ("\n".join(lines[:3]), 0.0, 3 / len(lines)),
            ("", 0.0, 0.0),
        ):
            trace = score(task, reply)
            assert trace.reward == outcome
            assert trace.rewards["steps"].score == pytest.approx(steps)


def test_steps_count_with_the_weight_that_they_are_given(load):
    (task,) = load(tasks="length_int:3", samples=1, task={"rewards": {"steps": {"weight": 0.5}}})
    lines = import_module("megatron_rfft.environments.rewards").example_of(task.data.place).response.split("\n")
    assert score(task, "\n".join(lines[:4])).reward == pytest.approx(0.5 * 4 / len(lines))


def test_the_splits_share_no_question(load):
    asked = [{task.data.prompt for task in load(tasks="length_int:2", split=split)} for split in ("train", "test")]
    assert asked[0].isdisjoint(asked[1])
    assert all(asked)


def test_wrong_settings_are_refused(load):
    with pytest.raises(UserError, match="did you mean length_int"):
        list(load(tasks="length_imt"))
    with pytest.raises(ValueError, match="'train', 'validation' or 'test'"):
        load(split="dev")


class Model(BaseHTTPRequestHandler):
    """A server with OpenAI's interface that answers everything with the same line."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "my-model"}
        said = {"index": 0, "delta": {"role": "assistant", "content": "So the answer is True"}}
        chunks = [{**head, "choices": [said | {"finish_reason": reason}]} for reason in (None, "stop")]
        chunks[1]["choices"][0]["delta"] = {}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        lines = [json.dumps(chunk) for chunk in (*chunks, {**head, "choices": [], "usage": usage})]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write("".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """The address of a running ``Model``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}/v1"
        found.shutdown()


def vf_eval(tmp_path, monkeypatch, *changes: str) -> None:
    """The page's command with later options in place of its own."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'examples/rl'}")
    command = [*page_command("vf-eval"), "-o", str(tmp_path), *changes]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr


def test_vf_eval_takes_it_with_one_seat_and_no_tools(tmp_path, monkeypatch):
    vf_eval(tmp_path, monkeypatch, "--dry-run")
    (written,) = tmp_path.rglob("eval.json")
    environment = json.loads(written.read_text())["env"]
    assert environment["taskset"]["tasks"] == "add_int:1-5"
    assert environment["taskset"]["split"] == "test"
    agent = environment["agent"]
    assert (agent["harness"]["id"], agent["runtime"]["type"], agent["max_turns"]) == ("null", "subprocess", 1)


def test_vf_eval_scores_what_a_server_answers(server, tmp_path, monkeypatch):
    questions = ("--env.taskset.tasks", "coin_flip:2", "--env.taskset.form", "direct", "--env.taskset.samples", "8")
    vf_eval(tmp_path, monkeypatch, *questions, "--client.base-url", server)
    (written,) = tmp_path.rglob("traces.jsonl")
    episodes = [json.loads(line) for line in written.read_text().splitlines()]
    assert len(episodes) == 8
    assert [episode["errors"] for episode in episodes] == [[]] * 8
    rewards = {True: set(), False: set()}
    for episode in episodes:
        (trace,) = episode["traces"]
        said = trace["rewards"]
        assert said["outcome"]["score"] == said["steps"]["score"]  # the form has no steps
        rewards[trace["task"]["data"]["answer"] == "True"].add(said["outcome"]["score"])
    assert rewards == {True: {1.0}, False: {0.0}}
