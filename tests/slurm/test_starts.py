"""What is told of a run's starts on Slurm, from what the verdicts on them left."""

import json

from megatron_rfft.slurm.starts import slurm_events
from megatron_rfft.slurm.verdict import main

ECC = "CUDA error: uncorrectable ECC error encountered"


def test_verdicts_bad_nodes_and_lost_starts_are_told_in_order(tmp_path, capsys):
    jobs = tmp_path / "slurm"
    for start in ("9/0", "9/1", "10/0", "10/1", "10/2"):
        (jobs / start).mkdir(parents=True)
        nodes = "".join(f"partition n{number} idle\n" for number in (1, 2, 3))
        (jobs / start / "slurm-nodes").write_text(nodes)
    about = {"host": "n2", "node": "n2", "rank": 1, "time": 1.0, "process": 7, "exit_code": 1}
    (jobs / "9/0/failure-n2.json").write_text(json.dumps(about))
    (jobs / "9/0/n2.log").write_text(f"[rank1]:{ECC}\n")
    saved = ("--before", "step-1", "--now", "step-2")
    for start, code in (("9/0", 1), ("10/1", 75)):
        main([str(jobs / start), "--stage", "training", "--code", str(code), *saved])
    (jobs / "excluded").touch()  # not a job
    found = slurm_events(tmp_path)
    assert [event.text.partition(": ")[0] for event in found if event.time is None] == [
        "Slurm job 9, start 2 ended without a word",
        "Slurm job 10, start 1 ended without a word",
    ]
    told = [event.text for event in found if event.time is not None]
    assert told == [
        "Slurm job 9, start 1: failed (exit code 1) by the fault of n2 at step-2; requeue; n2 is left out from now on "
        f"([rank1]:{ECC})",
        "Slurm job 10, start 2: saved step-2; requeue",
    ]
    assert [event.trouble for event in found] == [True] * 4  # start 3 of job 10 may still go on


def test_a_run_that_was_not_on_slurm_has_no_such_events(tmp_path):
    assert slurm_events(tmp_path) == []
