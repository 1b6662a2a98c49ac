"""Versions that were tried with this project, and those that are known to break each other; nothing is imported."""

import importlib.metadata
import importlib.util
import sys

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from megatron_rfft.diagnostics.doctor.findings import Finding, Status
from megatron_rfft.models.fp8 import RECIPES

TESTED = {
    "torch": ">=2.8",
    "megatron-core": ">=0.19.2,<0.20",
    "transformer-engine": ">=2.20,<3",
    "vllm": "==0.32.0",
    "fastokens": ">=0.3.5,<0.4",
    "sentencepiece": ">=0.2.1,<0.3",
    "transformers": ">=5.8,<5.20",
    "nemo-toolkit": ">=2.7.3,<4",
}
"""By distribution, as in setup.py."""

PYTHON = ">=3.11,<3.14"

FIXES = {
    "torch": "use NVIDIA's image (slurm/container), or on a CPU machine tools/setup_cpu.sh",
    "megatron-core": "pip install --no-deps 'megatron-core>=0.19.2,<0.20' (Python 3.11: --ignore-requires-python)",
    "transformer-engine": "pip install --no-build-isolation 'transformer-engine[core-cu13,pytorch]==2.20.2'",
    "vllm": "make an environment of its own for it: slurm/container/requirements-eval.lock",
    "nemo-toolkit": "pip install 'nemo-toolkit>=2.7.3,<4'; only needed to read and write .nemo files with NeMo itself",
}


def version_of(distribution: str) -> str | None:
    """The installed version, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_python() -> Finding:
    """The interpreter against the supported range."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if SpecifierSet(PYTHON).contains(".".join(map(str, sys.version_info[:3])), prereleases=True):
        return Finding("python", Status.OK, found)
    return Finding("python", Status.FAIL, found, f"use a Python {PYTHON}")


def check_version(distribution: str) -> Finding:
    """An installed distribution against the range it was tried in."""
    version = version_of(distribution)
    fix = FIXES.get(distribution, f"pip install '{distribution}{TESTED[distribution]}'")
    if version is None:
        return Finding(distribution, Status.ABSENT, "not installed", fix)
    if not within(version, TESTED[distribution]):
        return Finding(distribution, Status.WARN, f"{version}, tried with {TESTED[distribution]}", fix)
    return Finding(distribution, Status.OK, version)


def within(version: str, specifier: str) -> bool:
    """Whether a version, also one of an NVIDIA image such as 2.12.0a0+5b7f1, lies in a range."""
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def check_transformer_engine(te: str | None, cublas: str | None, nccl: str | None) -> Finding:
    """Transformer Engine's version against the recipes and libraries it needs.

    ``cublas`` and ``nccl`` are the versions it will find, None where unknown. The combinations were read from the
    published binaries: 2.13 to 2.16 reference a symbol of cuBLAS 13.2 and load eagerly, 2.17 and 2.18 reference
    symbols of NCCL 2.29.
    """
    name, fix = "transformer-engine", FIXES["transformer-engine"]
    if te is None:
        return Finding(name, Status.ABSENT, "not installed; no FP8, and torch's attention", fix)
    version = Version(te).release
    if lacking := {key: recipe.te_version for key, recipe in RECIPES.items() if version < recipe.te_version}:
        told = " and ".join(f"no {recipe} FP8 ({'.'.join(map(str, first))})" for recipe, first in lacking.items())
        return Finding(name, Status.FAIL if len(lacking) == len(RECIPES) else Status.WARN, f"{te} has {told}", fix)
    if (2, 13) <= version < (2, 17) and cublas is not None and Version(cublas) < Version("13.2"):
        return Finding(name, Status.FAIL, f"{te} does not load with cuBLAS {cublas}: it needs 13.2", fix)
    if (2, 17) <= version < (2, 19) and nccl is not None and Version(nccl) < Version("2.29"):
        return Finding(name, Status.FAIL, f"{te} does not load with NCCL {nccl}: it needs 2.29", fix)
    found = te if cublas is None else f"{te} with cuBLAS {cublas}"
    if not within(te, TESTED[name]):
        return Finding(name, Status.WARN, f"{found}, tried with {TESTED[name]}", fix)
    return Finding(name, Status.OK, found)


def check_apex() -> Finding:
    """NVIDIA's apex, or its namesake on PyPI, which megatron-core takes for it."""
    if importlib.util.find_spec("apex") is None:
        return Finding("apex", Status.ABSENT, "not installed; nothing here needs it")
    if importlib.util.find_spec("apex.optimizers") is None:
        found = f"{version_of('apex')} is PyPI's Pyramid toolkit, which megatron-core takes for NVIDIA's apex"
        return Finding("apex", Status.FAIL, found, "pip uninstall apex")
    return Finding("apex", Status.OK, f"NVIDIA's, {version_of('apex') or 'version unknown'}")


def library_versions() -> dict[str, str | None]:
    """cuBLAS and NCCL as pip installed them beside torch; None where they come from the image."""
    suffixes = {"cublas": ("nvidia-cublas", "nvidia-cublas-cu13", "nvidia-cublas-cu12"), "nccl": ("nvidia-nccl-cu13",)}
    suffixes["nccl"] += ("nvidia-nccl-cu12",)
    return {
        library: next(filter(None, map(version_of, distributions)), None) for library, distributions in suffixes.items()
    }
