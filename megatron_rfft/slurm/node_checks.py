"""What a run needs of a node, looked at in seconds; nothing here loads torch."""

import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from megatron_rfft.common.errors import UserError
from megatron_rfft.diagnostics.doctor.file_system import check_file_system
from megatron_rfft.diagnostics.doctor.findings import Status

PACKAGES = ("torch", "megatron-core", "transformer-engine", "numpy", "triton", "nvidia-nccl-cu13", "nvidia-nccl-cu12")
MEASURES = ("bandwidth", "pairs")
"""What is measured after the checks, inside each node and between pairs of them (``bandwidth.py``)."""
MAX_USED_MIB = 2048
"""More GPU memory than this in use before the start is somebody else's."""
MIN_FREE_GIB = 1.0
"""Less free space than this on the run's file system is too little to start; rfft plan says what checkpoints take."""
LOOK_AGAIN = 2.0
"""Seconds after which a slowed GPU is looked at again: hardware reports a change of clocks as a slowdown, too."""
SLOWDOWNS = {
    0x08: "its hardware lowers its clocks",
    0x20: "its driver lowers its clocks: too hot",
    0x40: "its hardware lowers its clocks: too hot",
    0x80: "its power supply holds it back",
}
"""Bits of nvidia-smi's ``clocks_event_reasons.active`` (NVML: nvmlClocksThrottleReasonHwSlowdown, SwThermalSlowdown,
HwThermalSlowdown, HwPowerBrakeSlowdown). Idle GPUs and power limits are as they should be.
"""


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


def has_gpus() -> bool:
    """Whether this is a node with NVIDIA GPUs; what the trainer runs on without, it says itself."""
    return shutil.which("nvidia-smi") is not None


def check_gpus(node: Node) -> list[str]:
    """As many GPUs as processes, with their memory free."""
    if not has_gpus():
        return []
    rows = _smi("--query-gpu=uuid,memory.used,driver_version")
    problems = []
    if len(rows) < node.processes:
        problems.append(f"{len(rows)} GPUs are visible, {node.processes} processes are to run")
    for index, (_, used, _) in enumerate(rows):
        if used.isdigit() and int(used) > MAX_USED_MIB:
            problems.append(f"GPU {index} has {used} MiB in use before the start")
    return problems


def check_processes(node: Node) -> list[str]:
    """Nobody computes on the GPUs yet."""
    if not has_gpus():
        return []
    rows = _smi("--query-compute-apps=pid,process_name,used_memory")
    return [f"process {pid} ({name}) is on a GPU with {used} MiB" for pid, name, used in rows]


def check_ecc(node: Node) -> list[str]:
    """No GPU's memory has lost data since its last reset, or waits for one to put its spare rows into use.

    What a GPU or driver does not count (``[N/A]``) is not looked at.
    """
    if not has_gpus():
        return []
    problems = []
    for index, (lost, retiring) in enumerate(
        _smi("--query-gpu=ecc.errors.uncorrected.volatile.total,retired_pages.pending")
    ):
        if lost.isdigit() and int(lost) > 0:
            problems.append(f"GPU {index} has {lost} uncorrected memory errors since its last reset")
        if retiring == "Yes":
            problems.append(f"GPU {index} has memory pages to retire: it waits for a reset")
    for index, (waiting, failed) in enumerate(
        _smi("--query-remapped-rows=remapped_rows.pending,remapped_rows.failure")
    ):
        if waiting == "Yes":
            problems.append(f"GPU {index} has memory rows to replace: it waits for a reset")
        if failed == "Yes":
            problems.append(f"GPU {index} has no spare memory rows left: it is to be replaced")
    return problems


def check_throttle(node: Node) -> list[str]:
    """No GPU is slowed down by heat, its hardware or its power supply."""
    if not has_gpus():
        return []
    first = _slowdowns()
    if not any(first):
        return []
    time.sleep(LOOK_AGAIN)
    lasting = [before & after for before, after in zip(first, _slowdowns(), strict=False)]
    return [
        f"GPU {index} is slowed down: {what}"
        for index, bits in enumerate(lasting)
        for bit, what in SLOWDOWNS.items()
        if bits & bit
    ]


def _slowdowns() -> list[int]:
    """The bits of each GPU that are in ``SLOWDOWNS``."""
    # The name that drivers have had since release 535, and the one before.
    rows = _smi("--query-gpu=clocks_event_reasons.active") or _smi("--query-gpu=clocks_throttle_reasons.active")
    return [int(row[0], 16) & sum(SLOWDOWNS) if row[0].startswith("0x") else 0 for row in rows]


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
    "ecc": check_ecc,
    "throttle": check_throttle,
    "disk": check_disk,
    "ports": check_ports,
    "names": check_names,
}


def chosen_checks(text: str) -> list[str]:
    """``all``, ``disk,ports`` or ``-gpus,-processes`` (all but these), of ``CHECKS`` and ``MEASURES``.

    Raises UserError on another name.
    """
    known = [*CHECKS, *MEASURES]
    words = [word for word in text.split(",") if word and word != "all"]
    if unknown := [word for word in words if word.removeprefix("-") not in known]:
        raise UserError(f"no preflight check {unknown[0]!r}; there are {', '.join(known)}")
    only = [word for word in words if not word.startswith("-")]
    return [name for name in only or known if f"-{name}" not in words]


def versions() -> dict[str, str]:
    """What has to be alike on all nodes."""
    found = {"python": sys.version.split()[0], "driver": _driver()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _driver() -> str:
    file = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.\d+(\.\d+)?", file.read_text()) if file.is_file() else None
    return f"nvidia {found[0]}" if found else "none of nvidia"


def _smi(query: str) -> list[list[str]]:
    """The rows of nvidia-smi's answer; none if its release does not know what is asked for."""
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise OSError("nvidia-smi does not answer for 60 s") from error
    answer = (done.stdout + done.stderr).strip()
    if "not a valid field to query" in answer:
        return []
    if done.returncode:
        raise OSError(f"nvidia-smi exited with {done.returncode}: {answer[-200:]}")
    rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]
    return [row for row in rows if len(row) == query.count(",") + 1]


def examine_node(node: Node, names: list[str]) -> list[str]:
    """The problems that those of ``CHECKS`` find that are named; one that breaks is a problem."""
    problems = []
    for name in [name for name in names if name in CHECKS]:
        try:
            problems += [f"{name}: {problem}" for problem in CHECKS[name](node)]
        except OSError as error:
            problems.append(f"{name}: {error}")
    return problems
