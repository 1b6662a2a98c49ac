"""The tasks as a taskset of verifiers, in verifiers itself."""

import asyncio
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from megatron_rfft.common.errors import UserError
from tests.conftest import ROOT

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


def test_vf_eval_takes_it_with_one_seat_and_no_tools(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'examples/rl'}")
    command = ["vf-eval", ID, "--env.taskset.tasks", "add_int:1-5", "--dry-run", "--no-push", "-o", str(tmp_path)]
    command[0] = str(Path(sys.executable).with_name("vf-eval"))
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    (written,) = tmp_path.rglob("eval.json")
    environment = json.loads(written.read_text())["env"]
    assert environment["taskset"]["tasks"] == "add_int:1-5"
    agent = environment["agent"]
    assert (agent["harness"]["id"], agent["runtime"]["type"], agent["max_turns"]) == ("null", "subprocess", 1)
