"""What Slurm's jobs left in a run folder about their starts: verdicts, bad nodes, nodes that were lost."""

from pathlib import Path

from megatron_rfft.common.files import read_json
from megatron_rfft.training.timeline import WITHOUT_A_WORD, Event


def slurm_events(run: Path) -> list[Event]:
    """The ends of all starts in ``RUN/slurm/JOB/START``, the oldest first; none where the run was not on Slurm."""
    jobs = sorted((path for path in (run / "slurm").glob("[0-9]*") if path.is_dir()), key=lambda path: int(path.name))
    starts = [start for job in jobs for start in sorted(job.glob("[0-9]*"), key=lambda path: int(path.name))]
    found = []
    for start in starts:
        name = f"Slurm job {start.parent.name}, start {int(start.name) + 1}"
        if (start / "verdict.json").is_file():
            found.append(_told(name, start))
        elif start != starts[-1]:  # the last one may still go on
            found.append(Event(None, None, f"{name} {WITHOUT_A_WORD}", trouble=True))
    return found


def _told(name: str, start: Path) -> Event:
    """The verdict on a start, and the nodes that it blames."""
    verdict = read_json(start / "verdict.json")
    text = f"{name}: {verdict['reason']}; {verdict['action']}"
    postmortem = start / "postmortem.json"
    bad = read_json(postmortem)["bad_nodes"] if postmortem.is_file() else {}
    text += "".join(f"; {node} is left out from now on ({reason})" for node, reason in bad.items())
    return Event(verdict.get("time"), None, text, trouble=verdict["action"] != "finish")
