"""All checks of one purpose, in order."""

from collections.abc import Iterator
from pathlib import Path

from megatron_rfft.diagnostics.doctor.file_system import check_file_system
from megatron_rfft.diagnostics.doctor.findings import PURPOSES, Finding
from megatron_rfft.diagnostics.doctor.probes import PROBES, run_probe
from megatron_rfft.diagnostics.doctor.versions import check_apex, check_python, check_version


def examine(purpose: str, path: Path, seconds: float) -> Iterator[Finding]:
    """The findings of what ``purpose`` needs, each as soon as it is made; a probe gets at most ``seconds``."""
    wanted = PURPOSES[purpose]
    for name in (*wanted.needed, *wanted.optional):
        if name == "python":
            yield check_python()
        elif name == "file system":
            yield check_file_system(path)
        elif name == "apex":
            yield check_apex()
        elif name in PROBES:
            yield run_probe(name, seconds)
        else:
            yield check_version(name)
