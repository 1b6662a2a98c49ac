"""tools/setup_cpu.sh: what it decides on machines that are made up, by the programs that it finds on its path."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROGRAMS = ("bash", "cat", "chmod", "cksum", "date", "dirname", "flock", "grep", "ls", "mkdir", "rm", "sed")
INTERPRETER = """\
#!/bin/sh
# Python {version}: answers the questions of the set-up, and notes what else is asked of it.
case "$*" in
  *ensurepip*) {modules} && echo {version} ;;
  *sysconfig*) echo "{packages}" ;;
  "-m pip --version") {pip} || exit 1 ;;
  *) echo "{name} $*" >>"{log}" ;;
esac
case "$*" in
  "-m venv "*)
    mkdir -p "$4/bin" && : >"$4/pyvenv.cfg" && cat "$0" >"$4/bin/python"
    printf '#!/bin/sh\necho "uv $*" >>"{log}"\n{uv}\n' >"$4/bin/uv"
    chmod +x "$4/bin/python" "$4/bin/uv" ;;
  *"{broken}"*) exit 1 ;;
esac
"""


@dataclass(frozen=True)
class Computer:
    """A folder of programs, which are all that the set-up finds."""

    folder: Path

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def asked(self) -> list[str]:
        """What was asked of the interpreters and of uv, in order; without what goes on beside it."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.endswith("/packages/torch")]

    def add(self, name: str, text: str) -> None:
        (self.folder / "bin" / name).write_text(text)
        (self.folder / "bin" / name).chmod(0o755)

    def add_python(self, name: str, version: str, modules=True, pip=True, broken="no such words", uv="exit 0") -> None:
        packages = self.folder / "packages"
        packages.mkdir(exist_ok=True)
        facts = {
            "modules": str(modules).lower(),
            "pip": str(pip).lower(),
            "broken": broken,
            "packages": packages,
            "uv": uv,
        }
        self.add(name, INTERPRETER.format(name=name, version=version, log=self.folder / "log", **facts))

    def set_up(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = str(self.folder / "bin")
        command = ["bash", ROOT / "tools/setup_cpu.sh", *words, self.venv]
        environment = {"PATH": path, "HOME": str(self.folder), **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    def plan(self, **variables: str) -> str:
        done = self.set_up("--dry-run", **variables)
        assert done.returncode == 0, done.stderr
        assert not self.venv.exists()
        assert self.asked == []
        return done.stderr

    def refusal(self, **variables: str) -> str:
        done = self.set_up(**variables)
        assert done.returncode == 2
        assert not self.venv.exists()
        assert done.stderr.count("\n") == 1
        return done.stderr


@pytest.fixture
def make_computer(tmp_path):
    def make(system: str = "Linux", machine: str = "x86_64") -> Computer:
        computer = Computer(tmp_path)
        (tmp_path / "bin").mkdir()
        for name in PROGRAMS:
            if found := shutil.which(name):  # macOS has no flock
                (tmp_path / "bin" / name).symlink_to(found)
        computer.add("uname", f'#!/bin/sh\n[ "$1" = -s ] && echo {system} || echo {machine}\n')
        return computer

    return make


def test_the_first_interpreter_that_fits_is_taken_and_the_proven_one_comes_first(make_computer):
    computer = make_computer()
    computer.add_python("python3", "3.13")
    assert "on Linux x86_64 with Python 3.13 (python3), with vLLM\n" in computer.plan()
    computer.add_python("python3.12", "3.12")
    assert "with Python 3.12 (python3.12), with vLLM\n" in computer.plan()
    computer.add_python("python3.11", "3.11", modules=False)  # Debian without python3.11-venv
    assert "with Python 3.12 (python3.12)" in computer.plan()
    computer.add_python("python3.11", "3.11")
    assert "with Python 3.11 (python3.11)" in computer.plan()
    computer.add_python("mine", "3.13")
    assert "with Python 3.13 (mine)" in computer.plan(PYTHON="mine")


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_uv_fetches_an_interpreter_where_the_machines_own_is_too_old_or_too_new(make_computer, version):
    computer = make_computer()
    computer.add_python("python3", version, pip=False)
    told = "error: no Python 3.11 to 3.13 with its modules venv and ensurepip; install one (on Debian and Ubuntu: "
    assert told in computer.refusal()
    computer.add("uv", "")
    assert "with Python 3.11, which uv fetches, with vLLM\n" in computer.plan()
    (computer.folder / "bin/uv").unlink()
    computer.add_python("python3", version, pip=True)  # which can install uv
    assert "with Python 3.11, which uv fetches" in computer.plan()
    assert "error: PYTHON is python3, which is not Python 3.11 to 3.13" in computer.refusal(PYTHON="python3")


@pytest.mark.parametrize(
    ("system", "machine", "engine"),
    [
        ("Linux", "x86_64", "with vLLM"),
        ("Linux", "aarch64", "with vLLM"),
        ("Darwin", "arm64", "without vLLM: evaluation takes transformers"),
    ],
)
def test_a_machine_without_a_build_of_vllm_goes_without(make_computer, system, machine, engine):
    computer = make_computer(system, machine)
    computer.add_python("python3.12", "3.12")
    plan, cost = computer.plan().splitlines()
    assert plan == f"set-up: {computer.venv} on {system} {machine} with Python 3.12 (python3.12), {engine}"
    assert "GB on disk" in cost
    assert "minute" in cost


def test_a_machine_without_packages_is_refused_by_name(make_computer):
    computer = make_computer("Linux", "riscv64")
    computer.add_python("python3.12", "3.12")
    assert "error: there are no packages for Linux riscv64, only for Linux x86_64," in computer.refusal()


def test_an_unknown_option_is_refused(make_computer):
    assert make_computer().set_up("--quick").stderr == "error: no option --quick; there are --dry-run and --newest\n"


def test_torch_comes_first_then_the_lock_with_its_checksums_and_a_second_run_does_nothing(make_computer):
    computer = make_computer()
    computer.add_python("python3.12", "3.12")
    done = computer.set_up()
    assert done.returncode == 0, done.stderr
    made, torch, by_pip, _, by_uv, imports = computer.asked
    assert made == f"python3.12 -m venv --clear {computer.venv}"
    assert torch.endswith(f"install --quiet --no-compile --no-deps --requirement {ROOT}/tools/requirements-torch.lock")
    exactly = f"--no-deps --require-hashes --requirement {computer.venv}"
    assert by_pip.endswith(f"--ignore-requires-python {exactly}/by-pip.lock")
    assert by_uv.startswith("uv pip install --quiet --compile-bytecode ")
    assert by_uv.endswith(f"{exactly}/by-uv.lock")
    parts = [(computer.venv / f"by-{name}.lock").read_text() for name in ("pip", "uv")]
    assert [line.partition("==")[0] for line in parts[0].splitlines() if "==" in line] == ["megatron-core", "uv"]
    lock = (ROOT / "tools/requirements-cpu.lock").read_text()
    assert sorted("".join(parts).splitlines()) == sorted(lock.splitlines()), "nothing is lost"
    assert (computer.folder / "log").read_text().count(f"-m compileall -qq -j 0 {computer.folder}/packages/torch") == 1
    assert "import torch, megatron_rfft, vllm" in imports
    assert sorted(path.name for path in (computer.folder / "packages").iterdir()) == [
        "megatron_rfft.pth",
        "vllm-0.32.0+cpu.dist-info",
    ]
    again = computer.set_up()
    assert (again.returncode, again.stderr, len(computer.asked)) == (0, "", 6)


def test_pip_installs_what_uv_can_not(make_computer):
    """A mirror that pip alone knows, say."""
    computer = make_computer()
    computer.add_python("python3.12", "3.12", uv="exit 1")
    done = computer.set_up()
    assert done.returncode == 0, done.stderr
    assert "set-up: uv could not install the packages, so pip does\n" in done.stderr
    by_uv, by_pip, compiled, _ = computer.asked[-4:]
    assert by_uv.startswith("uv pip install")
    assert by_pip.endswith(f"--no-compile --no-deps --require-hashes --requirement {computer.venv}/by-uv.lock")
    assert compiled.endswith(f"-m compileall -qq -j 0 {computer.folder}/packages")


def test_uv_asks_the_registry_that_pip_would(make_computer):
    computer = make_computer()
    computer.add_python("python3.12", "3.12", uv='echo "asks $UV_DEFAULT_INDEX" >>"$HOME/log"')
    assert computer.set_up(PIP_INDEX_URL="https://mirror.example/simple").returncode == 0
    assert "asks https://mirror.example/simple" in computer.asked


def test_a_set_up_that_failed_half_way_continues_in_its_environment(make_computer):
    computer = make_computer("Darwin", "arm64")
    computer.add_python("python3.12", "3.12", broken="--require-hashes")
    assert computer.set_up().returncode != 0
    begun = len(computer.asked)
    computer.add_python("python3.12", "3.12")
    shutil.copy(computer.folder / "bin/python3.12", computer.venv / "bin/python")
    assert computer.set_up().returncode == 0
    assert not any(" -m venv " in line for line in computer.asked[begun:])
    assert [path.name for path in (computer.folder / "packages").iterdir()] == ["megatron_rfft.pth"]


def test_an_environment_of_another_interpreter_is_made_anew(make_computer):
    computer = make_computer()
    computer.add_python("python3.12", "3.12")
    assert computer.set_up().returncode == 0
    computer.add_python("python3.13", "3.13")
    begun = len(computer.asked)
    (computer.venv / ".complete").unlink()
    assert computer.set_up(PYTHON="python3.13").returncode == 0
    assert computer.asked[begun] == f"python3.13 -m venv --clear {computer.venv}"


def test_a_folder_with_something_else_is_left_alone(make_computer):
    computer = make_computer()
    computer.add_python("python3.12", "3.12")
    computer.venv.mkdir()
    (computer.venv / "letter.txt").write_text("dear")
    done = computer.set_up()
    assert (done.returncode, computer.asked) == (2, [])
    assert "venv holds something else than an environment; name a new folder\n" in done.stderr


def test_the_interpreter_that_uv_fetched_makes_the_environment(make_computer):
    computer = make_computer()
    computer.add_python("fetched", "3.11")
    found = f'[ "$2" = find ] && echo {computer.folder}/bin/fetched'
    computer.add("uv", f'#!/bin/sh\necho "uv $*" >>"{computer.folder}/log"\n{found}\nexit 0\n')
    assert computer.set_up().returncode == 0
    assert computer.asked[0] == "uv python install 3.11"
    assert computer.asked[2] == f"fetched -m venv --clear {computer.venv}"


def test_the_newest_releases_keep_torch_and_come_without_vllm(make_computer):
    computer = make_computer()
    computer.add_python("python3.12", "3.12")
    assert computer.set_up("--newest").returncode == 0
    newest, megatron_core, compiled = computer.asked[2:5]
    assert newest.endswith(f"--constraint {ROOT}/tools/requirements-torch.lock --editable {ROOT}[dev]")
    assert megatron_core.endswith("--ignore-requires-python megatron-core>=0.19.2,<0.20")
    assert compiled.endswith("/packages")
    assert not any("requirements-cpu.lock" in line or "vllm" in line for line in computer.asked)
