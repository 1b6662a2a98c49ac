"""What becomes of a job: every rule, from facts alone, and as bash gets it."""

import json
from dataclasses import replace

import pytest

from megatron_rfft.common.errors import UserError
from megatron_rfft.slurm.verdict import Action, Facts, Nodes, decide, main, read_nodes, training_code

NODES = Nodes(usable=frozenset({"n1", "n2", "n3", "n4"}))
ECC = {"n2": "CUDA error: uncorrectable ECC error"}
FAILED = Facts(code=137, before="step-00000005", now="step-00000010", partition="gpu", num_nodes=2, nodes=NODES)


@pytest.mark.parametrize(
    ("srun", "seen", "finished", "code"),
    [
        (0, [], True, 0),
        (0, [], False, 143),  # told to end, srun may return 0
        (75, [], False, 75),
        (137, [1, 76], False, 76),  # srun ended the other tasks
        (137, [2, 1], False, 2),
        (137, [2, 76], False, 76),
        (1, [1], False, 1),
    ],
)
def test_what_a_launcher_saw_goes_before_what_srun_says(srun, seen, finished, code):
    assert training_code(srun, seen, finished) == code


@pytest.mark.parametrize(
    ("changes", "action", "reason"),
    [
        ({"code": 0}, Action.FINISH, "finished"),
        ({"code": 2}, Action.STOP, "wrong input"),
        ({"code": 75}, Action.REQUEUE, "saved step-00000010"),
        (
            {"code": 75, "now": "step-00000005"},
            Action.STOP,
            "stopped by a signal, but nothing newer than step-00000005 was saved",
        ),
        (
            {"code": 75, "before": "", "now": ""},
            Action.STOP,
            "stopped by a signal, but nothing newer than the start was saved",
        ),
        ({}, Action.REQUEUE, "failed (exit code 137) at step-00000010"),
        ({"code": 76}, Action.REQUEUE, "hung at step-00000010"),
        (
            {"now": "step-00000005"},
            Action.STOP,
            "failed (exit code 137) without a newer checkpoint than step-00000005",
        ),
        (
            {"code": 76, "before": "", "now": ""},
            Action.STOP,
            "hung without a newer checkpoint than the start",
        ),
        ({"failures": 4}, Action.REQUEUE, "failed (exit code 137) at step-00000010"),
        ({"failures": 5}, Action.STOP, "failed (exit code 137), and MAX_RESTARTS=5 are used up"),
        ({"max_restarts": 0}, Action.STOP, "failed (exit code 137), and MAX_RESTARTS=0 are used up"),
    ],
)
def test_the_exit_code_the_checkpoints_and_the_limit_decide(changes, action, reason):
    verdict = decide(replace(FAILED, **changes))
    assert (verdict.action, verdict.reason) == (action, reason)
    assert verdict.code == changes.get("code", 137)
    assert verdict.without == ()
    assert verdict.failure == (action is Action.REQUEUE and verdict.code != 75)


@pytest.mark.parametrize(
    ("changes", "nodes", "cannot"),
    [
        ({}, {"requested": frozenset({"n1", "n2"})}, "--nodelist asks for it"),
        ({"bad_earlier": frozenset({"n5", "n6", "n7", "n8"})}, {}, "MAX_EXCLUDED=4 is used up"),
        ({"max_excluded": 0}, {}, "MAX_EXCLUDED=0 is used up"),
        ({"num_nodes": 4}, {}, "partition gpu has only 3 other nodes that are up"),
        ({}, {"excluded": frozenset({"n3", "n4"})}, "partition gpu has only 1 other nodes that are up"),
        ({}, {"reserved": frozenset({"n1", "n2", "n9"})}, "its reservation has only 1 other nodes that are up"),
        ({}, {"usable": frozenset()}, "Slurm does not say which other nodes are up"),
    ],
)
@pytest.mark.parametrize("preflight", [True, False])
def test_a_job_that_cannot_do_without_a_bad_node_stops_and_says_how_it_is_left_out(preflight, changes, nodes, cannot):
    verdict = decide(replace(FAILED, preflight=preflight, bad=ECC, nodes=replace(NODES, **nodes), **changes))
    what = "preflight: n2" if preflight else "failed (exit code 137) by the fault of n2 at step-00000010"
    without = ",".join(sorted({"n2", *nodes.get("excluded", ())}))
    assert verdict.action is Action.STOP
    assert verdict.reason == f"{what}, and {cannot}; left out by: sbatch --exclude={without}"


def test_a_bad_node_is_left_out_beside_those_that_were_before():
    nodes = replace(NODES, excluded=frozenset({"n4"}), reserved=frozenset({"n1", "n2", "n3"}))
    verdict = decide(replace(FAILED, code=1, preflight=True, bad=ECC, nodes=nodes))
    assert (verdict.action, verdict.without, verdict.failure) == (Action.REQUEUE, ("n2", "n4"), False)
    assert verdict.reason == "preflight: n2"


def test_a_node_that_was_bad_before_counts_once():
    earlier = frozenset({"n2", "n5", "n6", "n7"})
    assert decide(replace(FAILED, bad=ECC, bad_earlier=earlier)).action is Action.REQUEUE


def test_a_broken_node_needs_no_newer_checkpoint_but_counts_as_a_failure():
    verdict = decide(replace(FAILED, before="", now="", bad=ECC))
    assert (verdict.action, verdict.without, verdict.failure) == (Action.REQUEUE, ("n2",), True)
    assert verdict.reason == "failed (exit code 137) by the fault of n2 at the start"
    stopped = decide(replace(FAILED, bad=ECC, failures=5))
    assert (stopped.action, stopped.without) == (Action.STOP, ())
    assert "MAX_RESTARTS=5 are used up" in stopped.reason


def test_a_preflight_that_blames_no_node_stops():
    verdict = decide(replace(FAILED, code=1, preflight=True))
    assert (verdict.action, verdict.code) == (Action.STOP, 1)
    assert verdict.reason == "preflight: see above; no single node is to blame"


def test_nodes_that_are_down_drained_or_silent_are_not_usable():
    states = [
        "idle",
        "mix",
        "alloc",
        "resv",
        "down",
        "down*",
        "idle*",
        "drain",
        "drng",
        "fail",
        "failg",
        "unk",
        "idle~",
    ]
    lines = [f"partition n{number} {state}" for number, state in enumerate(states)]
    found = read_nodes(["excluded n1", "requested n2", "reserved n3", "reserved n4", "", "slurm_load: error", *lines])
    assert found.usable == {"n0", "n1", "n2", "n3", "n12"}
    assert (found.excluded, found.requested, found.reserved) == ({"n1"}, {"n2"}, {"n3", "n4"})


# The command, on the folder that a start leaves.


@pytest.fixture
def start(tmp_path):
    """Makes the folder of a start's logs, with what its launchers left."""

    def make(number: int, line: str = "", **failure: object):
        logs = tmp_path / "run" / "slurm" / "17" / str(number)
        logs.mkdir(parents=True)
        (logs / "slurm-nodes").write_text("excluded n1\n" + "".join(f"partition n{i} idle\n" for i in range(1, 6)))
        if failure:
            about = {"host": "n2", "node": "n2", "rank": 1, "time": 1.0, "process": 7} | failure
            (logs / "failure-n2.json").write_text(json.dumps(about))
            (logs / "n2.log").write_text(f"[rank1]:{line}\n")
        return logs

    return make


def given(capsys, logs, code: int, *options: str, stage: str = "training") -> str:
    main([str(logs), "--stage", stage, "--code", str(code), "--nodes", "2", "--partition", "gpu", *options])
    return capsys.readouterr().out


def test_a_finished_run_is_finished(start, capsys):
    logs = start(0)
    (logs / "finished-n1").touch()
    assert given(capsys, logs, 0) == "finish|0||finished\n"
    assert json.loads((logs / "verdict.json").read_text())["action"] == "finish"
    assert not (logs / "postmortem.json").exists()


def test_what_the_logs_say_of_a_failure_reaches_the_verdict(start, capsys):
    logs = start(2, "CUDA error: uncorrectable ECC error encountered", exit_code=1)
    assert given(capsys, logs, 137) == "requeue|137|n1,n2|failed (exit code 137) by the fault of n2 at the start\n"
    noted = "n2\t[rank1]:CUDA error: uncorrectable ECC error encountered (start 3)\n"
    assert (logs.parent / "excluded").read_text() == noted
    assert json.loads((logs / "postmortem.json").read_text())["kind"] == "node"
    given(capsys, logs, 137)  # asked again, it notes nothing twice
    assert (logs.parent / "excluded").read_text() == noted


def test_failures_of_earlier_starts_are_counted(start, capsys):
    progress = ("--max-restarts", "2", "--before", "step-1", "--now", "step-2")
    for number in (0, 1):
        logs = start(number, "RuntimeError: boom", exit_code=1)
        assert given(capsys, logs, 1, *progress) == "requeue|1||failed (exit code 1) at step-2\n"
    assert given(capsys, start(2), 75, *progress) == "requeue|75||saved step-2\n"  # not a failure
    logs = start(3, "RuntimeError: boom", exit_code=1)
    assert given(capsys, logs, 1, *progress) == "stop|1||failed (exit code 1), and MAX_RESTARTS=2 are used up\n"


def test_the_preflights_bad_nodes_are_left_out_and_noted(start, capsys):
    logs = start(0)
    assert given(capsys, logs, 1, stage="preflight").startswith("stop|1||preflight: see above")
    bad = {"kind": "node", "host": "n3", "rank": None, "exit_code": 1, "lines": [], "bad_nodes": {"n3": "disk:\nfull"}}
    (logs / "postmortem.json").write_text(json.dumps(bad))
    assert given(capsys, logs, 1, stage="preflight") == "requeue|1|n1,n3|preflight: n3\n"
    assert (logs.parent / "excluded").read_text() == "n3\tdisk: full (start 1)\n"
    assert given(capsys, start(1), 1, "--max-excluded", "0", stage="preflight").startswith("stop|1|")


def test_a_folder_that_is_not_a_starts_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not the folder of a start"):
        main([str(tmp_path), "--stage", "training", "--code", "0"])
