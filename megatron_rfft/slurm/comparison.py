"""What the preflight's reports of all nodes say together, and which nodes are to blame."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLOW = 0.5
"""What has less than this share of the best bandwidth counts as broken."""


@dataclass(frozen=True)
class Comparison:
    """What all nodes together say."""

    problems: list[str]
    """What keeps the job from starting."""
    bad: dict[str, str]
    """Nodes whose fault it is, by their Slurm names, with the reason: another one may do better."""
    notes: list[str] = field(default_factory=list)
    """What is worth a line in the log."""


def compare_nodes(
    reports: Mapping[str, dict[str, Any]], nodes: list[str], folder: Path, least: float = 0
) -> Comparison:
    """Weigh the ``reports`` of ``nodes`` in ``folder``: problems that each found, versions, and ``bandwidth`` in GB/s,
    which is to be ``least``. What all of several nodes share is not the fault of one.
    """
    problems, bad = [], {}
    for name in nodes:
        found = reports[name]["problems"] if name in reports else []
        if name not in reports and reports:
            found = [f"it left no report in {folder}: is that on a disk that it sees, and does Python start there?"]
        if found:
            bad[name] = found[0]
    if not reports:
        problems.append(f"none of {len(nodes)} nodes left a report in {folder}; is it on a shared disk?")
    measured = {name: reports[name]["bandwidth"] for name in nodes if reports.get(name, {}).get("bandwidth")}
    for name, reason in _too_slow(measured, least).items():
        bad.setdefault(name, f"bandwidth inside the node: {reason}")
    different, odd = differences({name: report["versions"] for name, report in reports.items()})
    problems += [f"{name}: {reason}" for name, reason in bad.items()] + different
    bad = odd | bad
    notes = [f"bandwidth inside nodes: {_range(measured.values())}"] if measured else []
    return Comparison(problems, bad if len(nodes) == 1 or len(bad) < len(nodes) else {}, notes)


def compare_pairs(reports: Mapping[str, dict[str, float | str]], nodes: list[str], least: float = 0) -> Comparison:
    """Weigh what pairs of nodes measured: by node and partner, GB/s (to be ``least``) or why there is no number.

    A node is to blame if it was slow or failed with all of its partners, while others did better. A slow link between
    two nodes that are fast with others is noted; one that failed, or is below ``least``, is nobody's fault.
    """
    if not reports:
        return Comparison([f"pairs: none of {len(nodes)} nodes left a report"], {})
    told: dict[tuple[str, str], list[float | str]] = {}
    for name, partners in reports.items():
        for partner, bandwidth in partners.items():
            told.setdefault((min(name, partner), max(name, partner)), []).append(bandwidth)
    failed = {pair: str(why) for pair, all_said in told.items() for why in all_said if isinstance(why, str)}
    measured = {pair: min(map(float, all_said)) for pair, all_said in told.items() if pair not in failed}
    slow = _too_slow(measured, least)
    wrong = failed | slow
    bad: dict[str, str] = {}
    for name in nodes if len(slow) < len(measured) else []:  # if nobody does better, nobody is to blame
        own = [pair for pair in told if name in pair]
        if own and all(pair in wrong for pair in own):
            partners = sorted({*sum(own, ())} - {name})
            bad[name] = f"pairs: with {', '.join(partners)}: {wrong[own[0]]}"
    lines = {pair: f"pairs: {' and '.join(pair)}: {why}" for pair, why in wrong.items() if not bad.keys() & {*pair}}
    fatal = [line for pair, line in lines.items() if pair in failed or measured[pair] < least]
    notes = [f"bandwidth between nodes: {_range(measured.values())}"] if measured else []
    notes += [line for line in lines.values() if line not in fatal]
    return Comparison([f"{name}: {reason}" for name, reason in bad.items()] + fatal, bad, notes)


def _too_slow(measured: Mapping[Any, float], least: float) -> dict[Any, str]:
    """Those that are slower than ``least`` or than a share of the best, with the reason."""
    best = max(measured.values(), default=0.0)
    found = {}
    for key, value in measured.items():
        if value < least:
            found[key] = f"{value:.3g} GB/s, less than the {least:g} asked for"
        elif value < SLOW * best:
            found[key] = f"{value:.3g} GB/s, where others have {best:.3g}"
    return found


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


def _range(values: Collection[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3g} GB/s" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g} to {high:.3g} GB/s"
