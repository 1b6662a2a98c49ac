"""Say what of the environment works on this machine, and what to do about the rest."""

import json
import shutil
import sys
from pathlib import Path

from megatron_rfft.commands.options import add_json
from megatron_rfft.common.cli import EXIT_FAILED, EXIT_OK, make_parser
from megatron_rfft.common.errors import UserError
from megatron_rfft.common.files import require_directory
from megatron_rfft.diagnostics.doctor.examine import examine
from megatron_rfft.diagnostics.doctor.findings import PURPOSES, format_findings, healthy


def main(arguments: list[str] | None = None) -> int:
    """Check what the purpose needs; 0 if all of it works."""
    parser = make_parser(
        "Check what this machine needs: each package is exercised in a process of its own (a training step, an FP8 "
        "layer, a sum over processes, ...), and the run's file system is tried out. Exits with 1 if anything needed is "
        "missing or broken.",
        "rfft doctor --for train-gpu --path /scratch/runs",
        "rfft doctor",
    )
    parser.add_argument(
        "--for", dest="purpose", choices=PURPOSES, help="what the machine is for; left out: training, by its GPU"
    )
    parser.add_argument("--path", type=Path, default=Path("."), help="folder on the file system that runs will use")
    parser.add_argument("--time-limit", type=float, default=180.0, metavar="SECONDS", help="for each check")
    add_json(parser, "the findings")
    options = parser.parse_args(arguments)
    if options.time_limit <= 0:
        raise UserError(f"--time-limit is {options.time_limit}; give a number of seconds above 0")
    path = require_directory(options.path, "make it first, or give another --path").resolve()
    purpose = options.purpose or ("train-gpu" if shutil.which("nvidia-smi") else "train-cpu")
    findings = []
    for finding in examine(purpose, path, options.time_limit):
        findings.append(finding)
        if sys.stderr.isatty():
            print(f"{finding.name}: {finding.status}", file=sys.stderr)
    well = healthy(findings, purpose)
    if options.json:
        report = {"for": purpose, "healthy": well, "findings": [finding.as_dict() for finding in findings]}
        print(json.dumps(report, indent=2))
    else:
        verdict = "works" if well else "does not work yet"
        print(f"{format_findings(findings, purpose)}\n\n{purpose} {verdict} on this machine (* needed for it)")
    return EXIT_OK if well else EXIT_FAILED
