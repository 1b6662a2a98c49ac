"""A real Slurm cluster on this machine: slurmctld, and nodes with a hostname, network and processes of their own.

The head and each node live in namespaces of their own, so that clusters and the machine's own daemons never meet, and
the death of a node's first process is its loss of power. All state lies in one folder; no file outside it is changed.
CPUs, memory and GPUs (null devices) are counted, not enforced. It needs root and Debian's Slurm packages.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "iproute2")
COMMANDS = ("slurmctld", "slurmd", "sbatch", "munged", "ip", "unshare", "nsenter", "setpriv")
FINAL = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
_NETWORK = "198.18.0"  # RFC 2544: for benchmarks, never routed

_CONFIG = """\
ClusterName=test
SlurmctldHost=head({network}.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job starts when its old credential has expired: two minutes by default.
AuthInfo=socket={folder}/munge/socket,cred_expire=5
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/log/slurmctld.log
StateSaveLocation={folder}/state
SlurmdPidFile={folder}/%n/slurmd.pid
SlurmdLogFile={folder}/log/%n.log
SlurmdSpoolDir={folder}/%n/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=8000
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=50000,bf_interval=1
PriorityType=priority/multifactor
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
EnforcePartLimits=ALL
# A node that stopped answering comes back by itself, one that was set down does not.
ReturnToService=1
SlurmctldTimeout=10
SlurmdTimeout=6
MessageTimeout=5
BatchStartTimeout=5
KillWait=3
UnkillableStepTimeout=15
CompleteWait=0
InactiveLimit=0
MinJobAge=3600
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/completed.txt
NodeName=DEFAULT CPUs=64 RealMemory=512000 Gres=gpu:h100:{num_gpus} State=UNKNOWN
NodeName=node[1-{num_nodes}] NodeAddr={network}.[11-{last}]
PartitionName=debug Nodes=ALL Default=YES MaxTime=7-0 PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=low Nodes=ALL MaxTime=7-0 PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=high Nodes=ALL MaxTime=7-0 PriorityTier=20 PreemptMode=OFF State=UP
"""

_NAMESPACES = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--net",
    "--mount",
    "--uts",
    "--ipc",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
]

# The first process of a machine: waits for its network, starts what it is for, and reaps what is left behind.
_BOOT = """\
set -e
cd /
hostname "$0"
mount --bind "$1/hosts" /etc/hosts
mount -t sysfs sysfs /sys
mount -t tmpfs -o size=2g tmpfs /dev/shm
read -r _
exec </dev/null
shift
"$@" &
while :; do sleep 3600 & wait $! || true; done
"""


class ClusterUnavailable(Exception):
    """This machine cannot run the cluster; the message says why."""


def install_slurm() -> None:
    """Install Debian's packages where they are missing; no daemon of theirs starts. Raises ClusterUnavailable."""
    if os.geteuid() != 0:
        raise ClusterUnavailable("a Slurm cluster in namespaces needs root")
    if not any(shutil.which(command) is None for command in COMMANDS):
        return
    if shutil.which("apt-get") is None:
        raise ClusterUnavailable("Slurm is not installed, and there is no apt-get to install it")
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            command = ["apt-get", "-qq", *words]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
            if done.returncode:
                raise ClusterUnavailable(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    except subprocess.TimeoutExpired as error:
        raise ClusterUnavailable("apt-get took more than 5 minutes") from error
    finally:
        if ours:
            policy.unlink()


def wait_until(condition: Callable[[], object], what: str, timeout: float = 60) -> None:
    """Wait for ``condition`` to hold. Raises TimeoutError that says ``what`` was waited for."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.05)


@dataclass
class Machine:
    """A machine in namespaces; it ends with the process that made it, however that ends."""

    name: str
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen | None = None
    pid: int = 0
    """Its first process, as this process counts."""

    def start(self, *command: str | Path) -> None:
        """Make the namespaces; ``command`` runs when ``connected`` is called."""
        (self.folder / "log").mkdir(exist_ok=True)
        with open(self.folder / "log" / f"{self.name}.boot.log", "ab") as log:
            self.process = subprocess.Popen(
                [*_NAMESPACES, "bash", "-c", _BOOT, self.name, self.folder, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self.environment,
                start_new_session=True,
            )
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        wait_until(lambda: self.process.poll() is not None or children.read_text().strip(), f"{self.name} to boot", 20)
        if self.process.poll() is not None:
            raise ClusterUnavailable(f"no namespaces here: {Path(log.name).read_text().strip()[-300:]}")
        self.pid = int(children.read_text())

    def connected(self) -> None:
        """Say that the network is there."""
        self.process.stdin.write(b"\n")
        self.process.stdin.close()

    def run(self, *command: str | Path, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine, as ssh would."""
        words = ["nsenter", "--target", str(self.pid), "--all", "--wd=.", "--", *map(str, command)]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"{command} on {self.name} exited with {done.returncode}: {done.stderr.strip()}")
        return done

    def crash(self) -> None:
        """Cut its power: all its processes are gone at once."""
        if self.process is not None:
            self.process.kill()  # unshare takes the machine's first process along, and that one all others
            self.process.wait()
            self.process = None


@dataclass
class Cluster:
    """A cluster of ``num_nodes`` nodes, node1 on, with ``num_gpus`` GPUs each; all state is in ``folder``."""

    folder: Path
    num_nodes: int = 4
    num_gpus: int = 8
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    nodes: dict[str, Machine] = field(default_factory=dict)

    def __enter__(self) -> "Cluster":
        self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")
        try:
            self._write_config()
            self.head = Machine("head", self.folder, self.environment)
            self.head.start("bash", "-c", f"munged {self._munge_options()} && exec slurmctld -D")
            self._on_head("link", "add", "bridge", "type", "bridge")
            self._on_head("address", "add", f"{_NETWORK}.1/24", "dev", "bridge")
            for device in ("lo", "bridge"):
                self._on_head("link", "set", device, "up")
            self.head.connected()
            for number in range(1, self.num_nodes + 1):
                self.boot(f"node{number}")
            self.wait_for_nodes()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in (*self.nodes.values(), self.head):
            machine.crash()

    # nodes

    def boot(self, name: str) -> None:
        """Switch a node on, for the first time or after its crash."""
        number = int(name.removeprefix("node"))
        (self.folder / name / "spool").mkdir(parents=True, exist_ok=True)
        node = self.nodes[name] = Machine(name, self.folder, self.environment)
        node.start("slurmd", "-N", name, "-D")
        self._on_head("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", str(node.pid))
        self._on_head("link", "set", f"to-{name}", "master", "bridge", "up")
        inside = ("nsenter", "--target", str(node.pid), "--net", "ip")
        for words in (
            ("address", "add", f"{_NETWORK}.{10 + number}/24", "dev", "eth0"),
            ("link", "set", "lo", "up"),
            ("link", "set", "eth0", "up"),
        ):
            subprocess.run([*inside, *words], check=True)
        node.connected()

    def crash(self, name: str) -> None:
        """Cut a node's power; ``boot`` brings it back."""
        self.nodes[name].crash()
        for leftover in (self.folder / name / "spool").glob("job*"):
            shutil.rmtree(leftover)

    def unplug(self, name: str) -> None:
        """Pull a node's network cable; ``plug`` puts it back."""
        self._on_head("link", "set", f"to-{name}", "down")

    def plug(self, name: str) -> None:
        self._on_head("link", "set", f"to-{name}", "up")

    def stop_daemon(self, name: str) -> None:
        """Kill a node's slurmd; the job steps there live on. ``start_daemon`` brings it back."""
        self.nodes[name].run("pkill", "-KILL", "-x", "slurmd")

    def start_daemon(self, name: str) -> None:
        self.nodes[name].run("slurmd", "-N", name)

    def node_state(self, name: str) -> str:
        """Slurm's word for a node, in capitals, such as IDLE, MIXED or DOWN+NOT_RESPONDING."""
        return _fields(self.run("scontrol", "show", "node", "-o", name).stdout)["State"]

    def wait_for_nodes(self, timeout: float = 60) -> None:
        """Wait until every node can take work (whatever runs there)."""

        def all_up() -> bool:
            done = self.run(
                "sinfo", "--noheader", "--Node", "--partition=debug", "--format=%t", check=False, timeout=20
            )
            states = done.stdout.split()
            return len(states) == self.num_nodes and all(state in ("idle", "mix", "alloc") for state in states)

        try:
            wait_until(all_up, "all nodes to be up", timeout)
        except TimeoutError as error:
            logs = "\n".join(f"{file.name}: {file.read_text()[-600:]}" for file in (self.folder / "log").iterdir())
            raise TimeoutError(f"{error}\n{logs}") from None

    # jobs

    def run(self, *command: str | Path, check: bool = True, timeout: float = 60, **variables: object):
        """Run a command of Slurm's (or any other) on the head, in the current folder, with more ``variables``."""
        given = [f"{name}={value}" for name, value in variables.items()]
        return self.head.run("env", *given, *command, check=check, timeout=timeout)

    def sbatch(self, *arguments: str | Path, **variables: object) -> int:
        """Submit a job with ``variables`` in its environment; its number."""
        return int(self.run("sbatch", "--parsable", *arguments, **variables).stdout.split(";")[0])

    def jobs(self, job: int) -> dict[str, dict[str, str]]:
        """All that ``scontrol show job`` says of a job; of an array by task ("0", or "2-3" while they wait as one)."""
        lines = self.run("scontrol", "show", "job", "-o", str(job)).stdout.splitlines()
        found = [_fields(line) for line in lines if line.strip()]
        return {fields.get("ArrayTaskId", ""): fields for fields in found}

    def states(self, job: int) -> dict[str, str]:
        """The state of each task of an array, such as RUNNING; of another job under ""."""
        return {task: fields["JobState"] for task, fields in self.jobs(job).items()}

    def state(self, job: int) -> str:
        """The state of a job that is not an array."""
        return self.states(job)[""]

    def wait(self, job: int, states: set[str] = frozenset(FINAL), timeout: float = 120) -> dict[str, str]:
        """Wait until the job, or every task of an array, is in one of ``states`` (default: ended); their states."""
        wait_until(lambda: set(self.states(job).values()) <= states, f"job {job} to be {sorted(states)}", timeout)
        return self.states(job)

    def cancel(self, job: int | str, *options: str) -> None:
        """scancel: ``job`` may be a task ("7_1"), ``options`` a signal ("--signal=USR1", "--batch")."""
        self.run("scancel", *options, str(job))

    def completions(self) -> list[dict[str, str]]:
        """What Slurm's log of completed jobs holds: one entry each time that a job ended or was requeued."""
        file = self.folder / "log" / "completed.txt"
        return [_fields(line) for line in file.read_text().splitlines()] if file.exists() else []

    # inside

    def _on_head(self, *words: str) -> None:
        subprocess.run(["nsenter", "--target", str(self.head.pid), "--net", "ip", *words], check=True)

    def _munge_options(self) -> str:
        folder = self.folder / "munge"
        files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        return " ".join(["--force", "--num-threads=4", *(f"--{name}={folder / file}" for name, file in files.items())])

    def _write_config(self) -> None:
        self.head = Machine("head", self.folder, self.environment)
        for name in ("log", "state", "munge", "gpus"):
            (self.folder / name).mkdir(parents=True)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for number in range(self.num_gpus):  # without device files CUDA_VISIBLE_DEVICES would stay empty
            os.mknod(self.folder / "gpus" / f"gpu{number}", 0o020666, os.makedev(1, 3))
        names = [("127.0.0.1", "localhost"), (f"{_NETWORK}.1", "head")]
        names += [(f"{_NETWORK}.{10 + number}", f"node{number}") for number in range(1, self.num_nodes + 1)]
        (self.folder / "hosts").write_text("".join(f"{address} {name}\n" for address, name in names))
        given = {"network": _NETWORK, "num_nodes": self.num_nodes, "last": 10 + self.num_nodes}
        config = _CONFIG.format(folder=self.folder, num_gpus=self.num_gpus, **given)
        (self.folder / "slurm.conf").write_text(config)
        gpus = f"AutoDetect=off\nName=gpu Type=h100 File={self.folder}/gpus/gpu[0-{self.num_gpus - 1}]\n"
        (self.folder / "gres.conf").write_text(gpus)
        # slurmd looks for a cgroup plugin even where none is used; version 1 touches nothing.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")


def _fields(line: str) -> dict[str, str]:
    """``Name=value Other=value`` as a dictionary; values may hold spaces."""
    name = r"[A-Z]\w*(?:[:/]\w+)*"
    return dict(re.findall(rf"({name})=(.*?)\s*(?=\s{name}=|$)", line))
