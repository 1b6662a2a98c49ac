"""Before the first step of a job: the config against the allocation, and every node for what a run needs of it.

``slurm/train.sbatch`` calls it: ``config`` on one node, ``node`` on each, ``compare`` on one, and where there are GPUs
``pairs`` on each, ``compare --pairs`` on one. Only the processes that measure bandwidth load torch.
"""

import os
import socket
import sys
from pathlib import Path

from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, add_config, make_parser, run_command
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import read_json, write_json
from megatron_rfft.slurm.bandwidth import SECONDS, MeasurementFailed, measure, measure_pairs
from megatron_rfft.slurm.comparison import compare_nodes, compare_pairs
from megatron_rfft.slurm.node_checks import CHECKS, MEASURES, Node, chosen_checks, examine_node, has_gpus, versions
from megatron_rfft.slurm.postmortem import Postmortem
from megatron_rfft.training.config import TrainConfig
from megatron_rfft.training.config_reader import load_config
from megatron_rfft.training.layout_check import check_layout


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


def main(arguments: list[str] | None = None) -> int:
    """The step that is asked for; the exit code."""
    parser = make_parser(
        "Check a job before its first step; slurm/train.sbatch does it.",
        "srun python -m megatron_rfft.slurm.preflight node --run runs/a --output runs/a/slurm/1/0 --checks=-gpus",
    )
    steps = parser.add_subparsers(dest="step", required=True)
    config = steps.add_parser("config", help="the config against the allocation; prints the run's folder")
    add_config(config, more=", --section.key value behind it")
    node = steps.add_parser("node", help="this node")
    node.add_argument("--run", type=Path, required=True, help="the run's folder")
    known = ",".join([*CHECKS, *MEASURES])
    node.add_argument("--checks", default="all", help=f"all, some of {known}, or -NAME for all but it")
    pairs = steps.add_parser("pairs", help="the bandwidth between this node and some others")
    pairs.add_argument("--seconds", type=float, default=SECONDS, help="the most that each of three partners may take")
    compare = steps.add_parser(
        "compare", help="what the nodes wrote; leaves bad nodes in postmortem.json, prints 'pairs' if that step is next"
    )
    compare.add_argument("--pairs", action="store_true", help="what they wrote in the step 'pairs'")
    compare.add_argument("--least", type=float, default=0.0, help="least bandwidth in GB/s")
    for step in (pairs, compare):
        step.add_argument("--nodes", required=True, help="all nodes: node1,node2")
    for step in (node, pairs, compare):
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
    nodes = options.nodes.split(",")
    if options.step == "pairs":
        name = _own_name()
        write_json(
            options.output / f"pairs-{name}.json", measure_pairs(name, nodes, processes, _port(), options.seconds)
        )
        return EXIT_OK
    return _compare(options.output, nodes, options.least, options.pairs)


def _own_name() -> str:
    """The node's name as Slurm has it."""
    return os.environ.get("SLURMD_NODENAME", socket.gethostname())


def _port() -> int:
    return int(os.environ.get("RENDEZVOUS_PORT", "29500"))


def _node(run: Path, output: Path, checks: str, processes: int) -> int:
    names = chosen_checks(checks)
    is_head = os.environ.get("SLURM_NODEID", "0") == "0"
    problems = examine_node(Node(run, processes, is_head, _port()), names)
    bandwidth = None
    if "bandwidth" in names and has_gpus() and processes > 1 and not problems:
        try:
            bandwidth = measure(processes)
        except MeasurementFailed as error:
            problems = [f"bandwidth inside the node: {error}"]
    report = {"versions": versions(), "problems": problems, "bandwidth": bandwidth}
    write_json(output / f"node-{_own_name()}.json", report | {"pairs": "pairs" in names and has_gpus()})
    for problem in problems:
        print(f"error: {_own_name()}: {problem}", file=sys.stderr)
    return EXIT_FAILED if problems else EXIT_OK


def _compare(output: Path, nodes: list[str], least: float, pairs: bool) -> int:
    kind = "pairs" if pairs else "node"
    reports = {file.stem.removeprefix(f"{kind}-"): read_json(file) for file in output.glob(f"{kind}-*.json")}
    found = compare_pairs(reports, nodes, least) if pairs else compare_nodes(reports, nodes, output, least)
    for note in found.notes:
        print(f"preflight: {note}", file=sys.stderr)
    if found.problems:
        host, kind = next(iter(found.bad), "unknown"), "node" if found.bad else "preflight"
        Postmortem(kind, host, None, EXIT_FAILED, found.problems, found.bad).write(output)
        for problem in found.problems:
            print(f"error: {problem}", file=sys.stderr)
        return EXIT_FAILED
    if len(nodes) > 1 and not pairs and all(report["pairs"] for report in reports.values()):
        print("pairs")
    return EXIT_OK


if __name__ == "__main__":
    run_command(main)
