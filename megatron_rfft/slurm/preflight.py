"""Before the first step of a job: the config against the allocation, and every node for what a run needs of it.

``slurm/train.sbatch`` calls it: ``config`` on one node, ``node`` on each, ``compare`` on one. Nothing here loads torch.
"""

import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.diagnostics.doctor.file_system import check_file_system
from megatron_rfft.diagnostics.doctor.findings import Status
from megatron_rfft.slurm.postmortem import Postmortem
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout_check import check_layout

PACKAGES = ("torch", "megatron-core", "transformer-engine", "numpy", "triton", "nvidia-nccl-cu13", "nvidia-nccl-cu12")
_SMI_GPUS = ("nvidia-smi", "--query-gpu=uuid,memory.used,driver_version", "--format=csv,noheader,nounits")
_SMI_PROCESSES = ("nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader,nounits")
MAX_USED_MIB = 2048
"""More GPU memory than this in use before the start is somebody else's."""
MIN_FREE_GIB = 1.0
"""Less free space than this on the run's file system is too little to start; rfft plan says what checkpoints take."""


@dataclasses.dataclass(frozen=True)
class Node:
    """What a check gets to see of the node and the job."""

    run: Path
    """The run's folder."""
    processes: int
    """Processes that the node is to start."""
    is_head: bool
    port: int
    """Where the processes meet, on the head node."""


def check_config(config: TrainConfig, nodes: int, processes: int, tasks_per_node: int = 1) -> None:
    """Raise UserError if the run cannot be laid out over ``nodes`` x ``processes``, or would be started several times
    over.
    """
    if tasks_per_node > 1:
        raise UserError(
            f"--ntasks-per-node is {tasks_per_node}, and each task would start torchrun's {processes} processes; "
            "submit with --ntasks-per-node=1"
        )
    dataset = config.data.open(config.run.seed)
    check_layout(config, config.model.resolve(dataset.vocab_size, dataset.ids_in_use), nodes * processes)


def check_gpus(node: Node) -> list[str]:
    """As many GPUs as processes, with their memory free."""
    if shutil.which(_SMI_GPUS[0]) is None:
        return []  # a CPU node: what the trainer then runs on, it says itself
    rows = _smi(_SMI_GPUS)
    problems = []
    if len(rows) < node.processes:
        problems.append(f"{len(rows)} GPUs are visible, {node.processes} processes are to run")
    for index, (_, used, _) in enumerate(rows):
        if used.isdigit() and int(used) > MAX_USED_MIB:
            problems.append(f"GPU {index} has {used} MiB in use before the start")
    return problems


def check_processes(node: Node) -> list[str]:
    """Nobody computes on the GPUs yet."""
    if shutil.which(_SMI_PROCESSES[0]) is None:
        return []
    return [f"process {pid} ({name}) is on a GPU with {used} MiB" for pid, name, used in _smi(_SMI_PROCESSES)]


def check_disk(node: Node) -> list[str]:
    """The run's file system takes durable writes and has room; so has the node's shared memory."""
    node.run.mkdir(parents=True, exist_ok=True)
    finding = check_file_system(node.run)
    problems = [finding.found] if finding.status == Status.FAIL else []
    for folder in (node.run, Path("/dev/shm")):
        if (free := shutil.disk_usage(folder).free / 2**30) < MIN_FREE_GIB:
            problems.append(f"{folder} has {free:.2f} GiB free")
    return problems


def check_ports(node: Node) -> list[str]:
    """On the head node, the port of the rendezvous is free."""
    if not node.is_head:
        return []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", node.port))
        except OSError as error:
            return [f"port {node.port} ({error.strerror}); set RENDEZVOUS_PORT to another one"]
    return []


def check_names(node: Node) -> list[str]:
    """The node's name leads to an address that others can reach: gloo and the rendezvous go by it."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError as error:
        return [f"{socket.gethostname()} is not the name of an address ({error.strerror}); fix /etc/hosts or DNS"]
    alone = os.environ.get("SLURM_JOB_NUM_NODES", "1") == "1" or "GLOO_SOCKET_IFNAME" in os.environ
    if not alone and all(address.startswith("127.") for address in addresses):
        found = f"{socket.gethostname()} leads to {', '.join(addresses)}, which others can't reach"
        return [f"{found}; fix /etc/hosts, or set NETWORK_INTERFACE"]
    return []


CHECKS: dict[str, Callable[[Node], list[str]]] = {
    "gpus": check_gpus,
    "processes": check_processes,
    "disk": check_disk,
    "ports": check_ports,
    "names": check_names,
}


def chosen_checks(text: str) -> list[str]:
    """``all``, ``disk,ports`` or ``-gpus,-processes`` (all but these). Raises UserError on another name."""
    words = [word for word in text.split(",") if word and word != "all"]
    if unknown := [word for word in words if word.removeprefix("-") not in CHECKS]:
        raise UserError(f"no preflight check {unknown[0]!r}; there are {', '.join(CHECKS)}")
    only = [word for word in words if not word.startswith("-")]
    return [name for name in only or CHECKS if f"-{name}" not in words]


def versions() -> dict[str, str]:
    """What has to be alike on all nodes."""
    found = {"python": sys.version.split()[0], "driver": _driver()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What all nodes together say."""

    problems: list[str]
    bad: dict[str, str]
    """Nodes whose fault it is, by their Slurm names, with the reason: another one may do better."""


def judge(reports: dict[str, dict], nodes: list[str], folder: Path) -> Verdict:
    """Weigh the ``reports`` of ``nodes`` in ``folder``. What all of several nodes share is not the fault of one."""
    problems, bad = [], {}
    for name in nodes:
        found = reports[name]["problems"] if name in reports else []
        if name not in reports and reports:
            found = [f"it left no report in {folder}: is that on a disk that it sees, and does Python start there?"]
        if found:
            bad[name] = found[0]
    if not reports:
        problems.append(f"none of {len(nodes)} nodes left a report in {folder}; is it on a shared disk?")
    different, odd = differences({name: report["versions"] for name, report in reports.items()})
    problems += [f"{name}: {reason}" for name, reason in bad.items()] + different
    bad = odd | bad
    return Verdict(problems, bad if len(nodes) == 1 or len(bad) < len(nodes) else {})


def differences(reports: dict[str, dict[str, str]]) -> tuple[list[str], dict[str, str]]:
    """What differs between nodes; and, where most of them agree, which are the odd ones out and why."""
    problems, odd = [], {}
    for name in sorted({name for report in reports.values() for name in report}):
        by_value: dict[str, list[str]] = {}
        for node, report in sorted(reports.items()):
            by_value.setdefault(report.get(name, "absent"), []).append(node)
        if len(by_value) > 1:
            common = max(by_value, key=lambda value: len(by_value[value]))
            others = {value: nodes for value, nodes in by_value.items() if value != common}
            listed = "; ".join(f"{value} on {', '.join(nodes)}" for value, nodes in others.items())
            problems.append(f"{name}: {common} on {len(by_value[common])} nodes, {listed}")
            if 2 * len(by_value[common]) > len(reports):
                odd |= {node: f"{name} is {value}, not {common}" for value, nodes in others.items() for node in nodes}
    return problems, odd


def _driver() -> str:
    file = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.\d+(\.\d+)?", file.read_text()) if file.is_file() else None
    return f"nvidia {found[0]}" if found else "none of nvidia"


def _smi(command: tuple[str, ...]) -> list[list[str]]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise OSError("nvidia-smi does not answer for 60 s") from error
    if done.returncode:
        raise OSError(f"nvidia-smi exited with {done.returncode}: {(done.stdout + done.stderr).strip()[-200:]}")
    return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]


def examine_node(node: Node, names: list[str]) -> list[str]:
    """The problems that the named checks find; one that breaks is a problem."""
    problems = []
    for name in names:
        try:
            problems += [f"{name}: {problem}" for problem in CHECKS[name](node)]
        except OSError as error:
            problems.append(f"{name}: {error}")
    return problems


def main(arguments: list[str] | None = None) -> int:
    """The step that is asked for; the exit code."""
    parser = make_parser(
        "Check a job before its first step; slurm/train.sbatch does it.",
        "srun python -m megatron_rfft.slurm.preflight node --run runs/a --output runs/a/slurm/1/0 --checks=-gpus",
    )
    steps = parser.add_subparsers(dest="step", required=True)
    config = steps.add_parser("config", help="the config against the allocation; prints the run's folder")
    config.add_argument("--config", type=Path, required=True, help="the run's YAML file, --section.key value behind it")
    node = steps.add_parser("node", help="this node")
    node.add_argument("--run", type=Path, required=True, help="the run's folder")
    node.add_argument("--checks", default="all", help=f"all, some of {','.join(CHECKS)}, or -NAME for all but it")
    compare = steps.add_parser(
        "compare", help="what the nodes wrote; leaves the bad ones, each with its reason, in postmortem.json"
    )
    compare.add_argument("--nodes", required=True, help="those that there must be: node1,node2")
    for step in (node, compare):
        step.add_argument("--output", type=Path, required=True, help="folder that all nodes see")
    options, overrides = parser.parse_known_args(arguments)
    processes = int(os.environ.get("PROCESSES_PER_NODE", "1"))
    if options.step == "config":
        settings = load_config(options.config, overrides)
        nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))
        check_config(settings, nodes, processes, int(os.environ.get("TASKS_PER_NODE", "1")))
        print(settings.run.output)
        return EXIT_OK
    if options.step == "node":
        return _node(options.run, options.output, options.checks, processes)
    return _compare(options.output, options.nodes.split(","))


def _compare(output: Path, nodes: list[str]) -> int:
    reports = {file.stem.removeprefix("node-"): read_json(file) for file in output.glob("node-*.json")}
    verdict = judge(reports, nodes, output)
    if not verdict.problems:
        return EXIT_OK
    host = next(iter(verdict.bad), "unknown")
    kind = "node" if verdict.bad else "preflight"
    Postmortem(kind, host, None, EXIT_FAILED, verdict.problems, verdict.bad).write(output)
    for problem in verdict.problems:
        print(f"error: {problem}", file=sys.stderr)
    return EXIT_FAILED


def _node(run: Path, output: Path, checks: str, processes: int) -> int:
    name = os.environ.get("SLURMD_NODENAME", socket.gethostname())
    is_head = os.environ.get("SLURM_NODEID", "0") == "0"
    about = Node(run, processes, is_head, int(os.environ.get("RENDEZVOUS_PORT", "29500")))
    problems = examine_node(about, chosen_checks(checks))
    write_json(output / f"node-{name}.json", {"versions": versions(), "problems": problems})
    for problem in problems:
        print(f"error: {name}: {problem}", file=sys.stderr)
    return EXIT_FAILED if problems else EXIT_OK


if __name__ == "__main__":
    run_command(main)
