"""How fast the processes of a node, or of two, add up data: by NCCL where torch sees GPUs, else by gloo.

Each measurement has processes of its own, for one that hangs in NCCL can only be killed.
"""

import re
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from megatron_rfft.common.cli import make_parser, run_command
from megatron_rfft.common.processes import end_with_parent

ROUNDS = 3
"""Partners that a node is measured with: one slow link does not look like a slow node."""
SECONDS = 240.0
"""A measurement that takes longer has failed; loading torch from a busy file system may take most of it."""
_MIB = {"nccl": 512, "gloo": 8}
_REPETITIONS = {"nccl": 20, "gloo": 3}


class MeasurementFailed(Exception):
    """No bandwidth could be had; the message says why, on one line."""


def measure(
    processes: int, store: str | None = None, place: int = 0, places: int = 1, deadline: float | None = None
) -> float:
    """The bus bandwidth of an all-reduce in GB/s, over ``processes`` of this node and as many on its partner.

    Args:
        processes: processes (one a GPU) of each node.
        store: where they meet, a URL of torch.distributed such as ``tcp://node1:29500``; None: inside this node.
        place: this node's number, of ``places``; number 0 is that of the URL.
        places: 1, or 2 for a pair of nodes; both call this.
        deadline: when to give up, as ``time.monotonic`` counts; None: after ``SECONDS``.

    Raises MeasurementFailed.
    """
    deadline = time.monotonic() + SECONDS if deadline is None else deadline
    with tempfile.TemporaryDirectory() as folder:
        seconds = max(1.0, deadline - time.monotonic())
        program = [sys.executable, "-m", "megatron_rfft.slurm.bandwidth", store or f"file://{folder}/store"]
        workers = []
        try:
            for local in range(processes):
                command = [*program, f"--rank={place * processes + local}", f"--size={places * processes}"]
                command += [f"--gpu={local}", f"--seconds={seconds:.0f}"]
                with open(f"{folder}/{local}.out", "wb") as out, open(f"{folder}/{local}.err", "wb") as err:
                    workers.append(subprocess.Popen(command, stdout=out, stderr=err, preexec_fn=end_with_parent))
            _wait(workers, seconds)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        for local, worker in enumerate(workers):
            if worker.returncode > 0:
                raise MeasurementFailed(f"process {local}: {_last_error(Path(folder) / f'{local}.err')}")
        # NCCL may write into the output too.
        said = re.search(r"^bandwidth (\S+)$", (Path(folder) / "0.out").read_text(errors="replace"), re.MULTILINE)
        if said is None:
            raise MeasurementFailed(f"its processes ended with {[worker.returncode for worker in workers]}")
        return float(said[1])


def _last_error(file: Path) -> str:
    lines = file.read_text(errors="replace").strip().splitlines()
    return next((line for line in reversed(lines) if re.search("error", line, re.IGNORECASE)), *lines[-1:] or [""])


def _wait(workers: list[subprocess.Popen], seconds: float) -> None:
    """Until all have ended well or one has not."""
    deadline = time.monotonic() + seconds
    while any(worker.poll() is None for worker in workers):
        if any(worker.poll() for worker in workers):
            return
        if time.monotonic() > deadline:
            raise MeasurementFailed(f"not measured within {seconds:.0f} s")
        time.sleep(0.1)


def pairings(nodes: list[str], rounds: int = ROUNDS) -> list[list[tuple[str, str]]]:
    """At most ``rounds`` rounds in which each node meets another partner; of an odd number one pauses in each.

    It is the circle method of tournaments: the first stays in its place, the others move on by one.
    """
    players: list[str | None] = [*nodes] if len(nodes) % 2 == 0 else [*nodes, None]
    found = []
    for _ in range(min(rounds, len(players) - 1)):
        half = len(players) // 2
        facing = zip(players[:half], reversed(players[half:]), strict=True)
        found.append([(first, second) for first, second in facing if first is not None and second is not None])
        players = [players[0], players[-1], *players[1:-1]]
    return found


def measure_pairs(
    name: str, nodes: list[str], processes: int, port: int, seconds: float = SECONDS
) -> dict[str, float | str]:
    """The bandwidth in GB/s between the node ``name`` and each of its partners, or why there is none; all call it.

    A round begins ``seconds`` after the last one at the latest, however that went: a broken node holds nobody up.
    """
    start, found = time.monotonic(), {}
    for number, pairs in enumerate(pairings(nodes)):
        pair = next((pair for pair in pairs if name in pair), None)
        if pair is None:
            continue
        place = pair.index(name)
        deadline = start + (number + 1) * seconds
        try:
            bandwidth = measure(processes, f"tcp://{pair[0]}:{port}", place, 2, deadline)
        except MeasurementFailed as error:
            bandwidth = str(error)
        found[pair[1 - place]] = bandwidth
    return found


def run_worker(store: str, rank: int, size: int, gpu: int, seconds: float) -> float:
    """One process of ``size``; all return the same bandwidth in GB/s.

    Bus bandwidth as NVIDIA's nccl-tests define it (doc/PERFORMANCE.md), 2 (n - 1) / n * bytes / seconds: what the
    slowest link carries, whatever the number of processes.
    """
    import torch

    backend = "nccl" if torch.cuda.is_available() else "gloo"
    device = torch.device("cuda", gpu) if backend == "nccl" else torch.device("cpu")
    if backend == "nccl":
        torch.cuda.set_device(device)
    limit = timedelta(seconds=seconds)
    torch.distributed.init_process_group(backend, init_method=store, rank=rank, world_size=size, timeout=limit)
    data = torch.zeros(_MIB[backend] << 18, dtype=torch.float32, device=device)

    def spent(repetitions: int) -> float:
        torch.distributed.all_reduce(torch.zeros(1, device=device))  # all begin together
        if backend == "nccl":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(repetitions):
            torch.distributed.all_reduce(data)
        if backend == "nccl":
            torch.cuda.synchronize()
        return (time.perf_counter() - begun) / repetitions

    spent(2)  # connects them
    slowest = torch.tensor(spent(_REPETITIONS[backend]), dtype=torch.float64, device=device)
    torch.distributed.all_reduce(slowest, op=torch.distributed.ReduceOp.MAX)
    torch.distributed.destroy_process_group()
    return 2 * (size - 1) / size * data.nbytes / slowest.item() / 1e9


def main() -> None:
    """One process of a measurement: prints the bandwidth."""
    parser = make_parser(
        "One process of a measurement of bandwidth; the preflight starts as many as there are GPUs.",
        "python -m megatron_rfft.slurm.bandwidth file:///tmp/store --rank 0 --size 8 --gpu 0",
    )
    parser.add_argument("store", help="where they meet, a URL of torch.distributed")
    parser.add_argument("--rank", type=int, required=True, help="its number")
    parser.add_argument("--size", type=int, required=True, help="how many there are")
    parser.add_argument("--gpu", type=int, default=0, help="the GPU it uses, where there are some")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long it waits for the others")
    options = parser.parse_args()
    print("bandwidth", run_worker(options.store, options.rank, options.size, options.gpu, options.seconds))


if __name__ == "__main__":
    run_command(main)
