"""What becomes of a job when one of its starts has ended: facts go in, a verdict comes out.

``slurm/train.sbatch`` gathers what only Slurm knows, asks for the verdict and carries it out.
"""

import re
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from megatron_rfft.common.cli import EXIT_HUNG, EXIT_OK, EXIT_STOPPED, EXIT_USAGE, make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, require_directory, write_json
from megatron_rfft.slurm.postmortem import Postmortem, examine

_ENDED_BY_SIGNAL = 143
_UNUSABLE = re.compile(r"(down|drain|drng|fail|unk)|.*\*$")
"""sinfo's short states of nodes that take no work; the star is a node that does not answer."""


class Action(StrEnum):
    """What is done with the job."""

    FINISH = "finish"
    REQUEUE = "requeue"
    STOP = "stop"


@dataclass(frozen=True)
class Nodes:
    """What Slurm says of the nodes that a job may have, by their names."""

    excluded: frozenset[str] = frozenset()
    """The job's ExcNodeList."""
    requested: frozenset[str] = frozenset()
    """The job's ReqNodeList: it can't run without them."""
    reserved: frozenset[str] = frozenset()
    """All nodes of the job's reservation; empty: it has none."""
    usable: frozenset[str] = frozenset()
    """The nodes of the job's partition that take work."""

    def usable_without(self, others: Iterable[str]) -> frozenset[str]:
        """Those that the job may run on if it goes on without ``others`` too."""
        within = self.usable & self.reserved if self.reserved else self.usable
        return within - self.excluded - set(others)


@dataclass(frozen=True)
class Facts:
    """What is known of a start that has ended, and what the job may still do."""

    code: int
    """Exit code of the training (``training_code``), or of a preflight that found problems."""
    preflight: bool = False
    """The training was not started."""
    before: str = ""
    """The newest checkpoint when the job started; "": none."""
    now: str = ""
    """The newest checkpoint now."""
    bad: dict[str, str] = field(default_factory=dict)
    """Nodes whose fault it is, with the reason."""
    bad_earlier: frozenset[str] = frozenset()
    """Those of the job's earlier starts."""
    failures: int = 0
    """Earlier starts that failed and were continued."""
    max_restarts: int = 5
    max_excluded: int = 4
    num_nodes: int = 1
    """Nodes that the job needs."""
    partition: str = ""
    nodes: Nodes = Nodes()


@dataclass(frozen=True)
class Verdict:
    """What is done with the job, and what is said about it."""

    action: Action
    code: int
    """The job's exit code."""
    reason: str
    """One line for the log."""
    without: tuple[str, ...] = ()
    """All nodes that the requeued job is to go on without; empty: as before."""
    failure: bool = False
    """The start failed: it counts towards MAX_RESTARTS."""

    def for_bash(self) -> str:
        """``ACTION|CODE|NODE,NODE|REASON`` on one line, for ``IFS='|' read -r``: nothing in it is executed."""
        return f"{self.action}|{self.code}|{','.join(self.without)}|{' '.join(self.reason.split())}"


def decide(facts: Facts) -> Verdict:
    """The verdict that follows from ``facts`` alone; the table in ``slurm/README.md`` has its rules."""
    code = facts.code
    if facts.preflight:
        if not facts.bad:
            return Verdict(Action.STOP, code, "preflight: see above; no single node is to blame")
        return _without_bad_nodes(facts, f"preflight: {' '.join(facts.bad)}")
    if code == EXIT_OK:
        return Verdict(Action.FINISH, code, "finished")
    if code == EXIT_USAGE:
        return Verdict(Action.STOP, code, "wrong input")
    if code == EXIT_STOPPED:
        if facts.now == facts.before:
            nothing = f"nothing newer than {facts.before or 'the start'} was saved"
            return Verdict(Action.STOP, code, f"stopped by a signal, but {nothing}")
        return Verdict(Action.REQUEUE, code, f"saved {facts.now}")
    return _after_failure(facts, "hung" if code == EXIT_HUNG else f"failed (exit code {code})")


def training_code(code: int, seen: Collection[int], finished: bool) -> int:
    """What the launchers saw goes before srun's ``code``.

    srun says 137 of a task that it had to end; the processes that failed first ended with ``seen``. Told to end, srun
    may return 0: the training has ``finished`` where a launcher says so.
    """
    for told in (EXIT_HUNG, EXIT_USAGE):
        if told in seen:
            return told
    return _ENDED_BY_SIGNAL if code == EXIT_OK and not finished else code


def _after_failure(facts: Facts, what: str) -> Verdict:
    at = f"at {facts.now or 'the start'}"
    if facts.bad:
        verdict = _without_bad_nodes(facts, f"{what} by the fault of {' '.join(facts.bad)} {at}", failure=True)
    elif facts.now == facts.before:
        return Verdict(Action.STOP, facts.code, f"{what} without a newer checkpoint than {facts.before or 'the start'}")
    else:
        verdict = Verdict(Action.REQUEUE, facts.code, f"{what} {at}", failure=True)
    if verdict.action is Action.REQUEUE and facts.failures >= facts.max_restarts:
        return Verdict(Action.STOP, facts.code, f"{what}, and MAX_RESTARTS={facts.max_restarts} are used up")
    return verdict


def _without_bad_nodes(facts: Facts, what: str, failure: bool = False) -> Verdict:
    """Requeue without the bad nodes, or say why the job can't go on without them."""
    without = tuple(sorted(facts.nodes.excluded | set(facts.bad)))
    left = facts.nodes.usable_without(facts.bad)
    cannot = ""
    if facts.nodes.requested & set(facts.bad):
        cannot = "--nodelist asks for it"
    elif len(facts.bad_earlier | set(facts.bad)) > facts.max_excluded:
        cannot = f"MAX_EXCLUDED={facts.max_excluded} is used up"
    elif not facts.nodes.usable:
        cannot = "Slurm does not say which other nodes are up"
    elif len(left) < facts.num_nodes:
        place = "its reservation" if facts.nodes.reserved else f"partition {facts.partition}"
        cannot = f"{place} has only {len(left)} other nodes that are up"
    if cannot:
        left_out = f"left out by: sbatch --exclude={','.join(without)}"
        return Verdict(Action.STOP, facts.code, f"{what}, and {cannot}; {left_out}")
    return Verdict(Action.REQUEUE, facts.code, what, without, failure)


def read_nodes(lines: Iterable[str]) -> Nodes:
    """Slurm's answers as ``slurm/train.sbatch`` writes them: ``excluded NODE``, ``requested NODE``, ``reserved NODE``,
    ``partition NODE STATE``.
    """
    found: dict[str, set[str]] = {"excluded": set(), "requested": set(), "reserved": set(), "usable": set()}
    for words in map(str.split, lines):
        if words[:1] == ["partition"] and len(words) == 3:
            if not _UNUSABLE.match(words[2]):
                found["usable"].add(words[1])
        elif len(words) == 2 and words[0] in found:
            found[words[0]].add(words[1])
    return Nodes(**{name: frozenset(nodes) for name, nodes in found.items()})


def look_at(logs: Path, code: int, preflight: bool) -> tuple[int, Postmortem | None]:
    """What a start left in the folder ``logs``: its exit code, and what it died of; after a failed training that is
    found out, and written there.
    """
    if preflight:
        file = logs / "postmortem.json"
        return code, Postmortem(**read_json(file)) if file.is_file() else None
    seen = [read_json(file)["exit_code"] for file in logs.glob("failure-*.json")]
    code = training_code(code, seen, finished=any(logs.glob("finished-*")))
    if code in (EXIT_OK, EXIT_USAGE, EXIT_STOPPED):
        return code, None
    found = examine(logs, code)
    found.write(logs)
    print(found.summary(), file=sys.stderr)
    return code, found


def main(arguments: list[str] | None = None) -> None:
    """Print the verdict on a start as a line for bash; note it, and the nodes that are left out."""
    parser = make_parser(
        "Decide what becomes of a job when a start of it has ended; slurm/train.sbatch carries it out.",
        "python -m megatron_rfft.slurm.verdict runs/a/slurm/17/0 --stage training --code 76 --now step-00000010",
    )
    parser.add_argument("logs", type=Path, help="RUN/slurm/JOB/START, with what Slurm says of nodes in slurm-nodes")
    parser.add_argument("--stage", choices=("preflight", "training"), required=True, help="what has ended")
    parser.add_argument("--code", type=int, required=True, help="its exit code")
    parser.add_argument("--before", default="", help="newest checkpoint when the job started")
    parser.add_argument("--now", default="", help="newest checkpoint now")
    parser.add_argument("--nodes", type=int, default=1, help="nodes that the job needs")
    parser.add_argument("--partition", default="", help="the job's partition")
    parser.add_argument("--max-restarts", type=int, default=5, help="failures that the job may continue from")
    parser.add_argument("--max-excluded", type=int, default=4, help="bad nodes that the job may go on without")
    options = parser.parse_args(arguments)
    logs = require_directory(options.logs, "give RUN/slurm/JOB/START")
    if not logs.name.isdigit():
        raise UserError(f"{logs} is not the folder of a start; give RUN/slurm/JOB/START, such as runs/a/slurm/17/0")
    preflight = options.stage == "preflight"
    code, postmortem = look_at(logs, options.code, preflight)
    earlier = [read_json(file) for file in logs.parent.glob("*/verdict.json") if file.parent != logs]
    noted, by_slurm = logs.parent / "excluded", logs / "slurm-nodes"
    facts = Facts(
        code=code,
        preflight=preflight,
        before=options.before,
        now=options.now,
        bad=postmortem.bad_nodes if postmortem else {},
        bad_earlier=frozenset(line.partition("\t")[0] for line in _lines(noted)),
        failures=sum(verdict["failure"] for verdict in earlier),
        max_restarts=options.max_restarts,
        max_excluded=options.max_excluded,
        num_nodes=options.nodes,
        partition=options.partition,
        nodes=read_nodes(_lines(by_slurm)),
    )
    verdict = decide(facts)
    _note_bad_nodes(noted, facts.bad, int(logs.name) + 1)
    write_json(logs / "verdict.json", {**asdict(verdict), "time": round(time.time(), 3)})
    print(verdict.for_bash())


def _note_bad_nodes(file: Path, bad: Mapping[str, str], start: int) -> None:
    """Add a line for each, NODE, a tab, the reason and the start: for people, rfft watch and later verdicts."""
    lines = [f"{node}\t{' '.join(reason.split())} (start {start})" for node, reason in bad.items()]
    if new := [line for line in lines if line not in _lines(file)]:
        with file.open("a", encoding="utf-8") as handle:
            handle.write("".join(f"{line}\n" for line in new))


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


if __name__ == "__main__":
    run_command(main)
