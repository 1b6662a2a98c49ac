"""The adapters' tests with the real packages, in an environment of their own that is made here."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, extra_environment

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def trainers() -> Path:
    """The environment's interpreter."""
    modules = ("reasoning_gym", "trl", "verifiers.v1", "verl")
    return extra_environment("trainers", HERE / "requirements.lock", *modules)


@pytest.mark.parametrize("package", ["reasoning_gym", "trl", "verifiers", "verl"])
def test_each_adapter_works_in_the_real_package(package, trainers, tmp_path):
    tests = HERE / f"test_{package}.py"
    command = [trainers, "-m", "pytest", tests, "-p", "no:cacheprovider", "-v", "--basetemp", tmp_path / "pytest"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r" \d+ passed in ", done.stdout)  # with a skip: "3 passed, 1 skipped in"
