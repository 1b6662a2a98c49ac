"""Write tools/requirements-cpu.lock anew with uv: python tools/lock_cpu.py [--upgrade NAME]...

One lock for all Pythons and machines of tools/setup_cpu.sh: what setup.py asks for, exact, with the checksums of the
files that these take. Versions stay as they are in the lock, but for those named by --upgrade. torch and all that
belongs to its CUDA build is left out (requirements-torch.lock).
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "tools/requirements-cpu.lock"
PYTHONS = ((3, 11), (3, 12), (3, 13))
MACHINES = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
ENVIRONMENTS = [(python, *machine) for python in PYTHONS for machine in MACHINES]
EXTRAS = ("cpu", "dev", "lm-eval")
WITH_TORCH = ("torch", "torchaudio", "torchcodec", "torchvision", "triton")
"""Never resolved: their releases with the registry are CUDA builds."""
BESIDE = (
    "networkx",  # torch needs it, as sympy
    "sympy",
    "uv",  # installs all else
    # The wheel of intel-openmp for Linux names it, the one that uv reads does not.
    "intel-cmplr-lib-ur; sys_platform == 'linux' and platform_machine == 'x86_64'",
)
CONFLICTS = ("python-dateutil",)
"""typepy (of lm-eval) asks for a release below 3, matplotlib for 4: the version in the lock works for both."""
MARKERS = (
    "",
    'sys_platform == "linux"',
    'sys_platform == "linux" and platform_machine == "x86_64"',
)
"""Tried in turn in place of uv's, which are long."""
ANY_PYTHON = {"megatron-core"}
"""Its wheel for 3.11 works but declares 3.12; the set-up lets pip ignore that."""
HEADER = """\
# The CPU environment, exact: Python {pythons} on {machines}.
# Made by tools/lock_cpu.py. tools/setup_cpu.sh installs it with --no-deps, after torch (requirements-torch.lock).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="append", default=[], metavar="NAME", help="let this version move")
    parser.add_argument("--uv", default="uv", help="the program uv (default: %(default)s)")
    options = parser.parse_args()
    packages = resolve(options.uv, {canonicalize_name(name) for name in options.upgrade})
    pythons = ", ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    machines = ", ".join(f"{system}-{machine}" for system, machine in MACHINES)
    text = HEADER.format(pythons=pythons, machines=machines) + "".join(map(pinned, packages))
    LOCK.write_text(text, encoding="utf-8")
    print(f"{LOCK}: {len(packages)} packages")
    for environment in ENVIRONMENTS:
        needed = [package for package in packages if is_needed(package, environment)]
        built = [package["name"] for package in needed if not wheels(package, environment)]
        print(f"{name_of(environment)}: {len(needed)} packages; built from source: {', '.join(built) or 'none'}")


def resolve(uv: str, upgraded: set[str]) -> list[dict[str, Any]]:
    """uv's packages (name, version, marker, wheels, sdist) for all environments at once."""
    constraints = [line.split()[0] for line in LOCK.read_text(encoding="utf-8").splitlines() if "==" in line[:80]]
    constraints = [pin for pin in constraints if canonicalize_name(pin.partition("==")[0]) not in upgraded]
    environments = [f"python_version < '3.14' and {conditions(*machine)}" for machine in MACHINES]
    overrides = [f"{name}; sys_platform == 'never'" for name in WITH_TORCH] + list(CONFLICTS)
    with tempfile.TemporaryDirectory() as folder:
        # Which machines to resolve for can only be said in such a file.
        (Path(folder) / "pyproject.toml").write_text(f"[tool.uv]\nenvironments = {environments}\n")
        for name, words in (("constraints", constraints), ("overrides", overrides), ("beside", BESIDE)):
            (Path(folder) / f"{name}.txt").write_text("\n".join(words))
        command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--no-annotate"]
        command += ["--constraint", "constraints.txt", "--override", "overrides.txt", "--output-file", "pylock.toml"]
        command += [word for extra in EXTRAS for word in ("--extra", extra)]
        done = subprocess.run([*command, ROOT / "setup.py", "beside.txt"], cwd=folder)
        if done.returncode:
            sys.exit(done.returncode)
        return tomllib.loads((Path(folder) / "pylock.toml").read_text(encoding="utf-8"))["packages"]


def pinned(package: dict[str, Any]) -> str:
    """A package as a requirement with a line for each checksum."""
    files = {wheel["hashes"]["sha256"] for each in ENVIRONMENTS for wheel in wheels(package, each)}
    if not all(wheels(package, each) for each in ENVIRONMENTS if is_needed(package, each)):
        files.add(package["sdist"]["hashes"]["sha256"])
    marker = f" ; {text}" if (text := shortest_marker(package)) else ""
    lines = [f"{package['name']}=={package['version']}{marker}", *(f"--hash=sha256:{each}" for each in sorted(files))]
    return " \\\n    ".join(lines) + "\n"


def shortest_marker(package: dict[str, Any]) -> str:
    """The first of MARKERS that holds where uv's does, among our environments; else uv's."""
    wanted = [is_needed(package, each) for each in ENVIRONMENTS]
    for text in MARKERS:
        if [not text or Marker(text).evaluate(variables(*each)) for each in ENVIRONMENTS] == wanted:
            return text
    return package["marker"]


def is_needed(package: dict[str, Any], environment: tuple) -> bool:
    python, *machine = environment
    if package["name"] in ANY_PYTHON:
        python = PYTHONS[-1]
    return "marker" not in package or Marker(package["marker"]).evaluate(variables(python, *machine))


def wheels(package: dict[str, Any], environment: tuple) -> list[dict[str, Any]]:
    """The package's wheels that pip takes in an environment."""
    fitting = set(tags(*environment))
    found = ((wheel, wheel.get("name") or wheel["url"].rpartition("/")[2]) for wheel in package.get("wheels", []))
    return [wheel for wheel, name in found if fitting & parse_wheel_filename(name)[3]]


def tags(python: tuple[int, int], system: str, machine: str) -> Iterator[Tag]:
    if system == "darwin":
        platforms = list(mac_platforms((14, 0), machine))
    else:  # up to glibc 2.34, of Red Hat 9; Debian 12 and Ubuntu 22.04 have later ones
        platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(34, 4, -1)]
        platforms += [f"{old}_{machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    yield from cpython_tags(python, platforms=platforms)
    yield from compatible_tags(python, f"cp{python[0]}{python[1]}", platforms)


def variables(python: tuple[int, int], system: str, machine: str) -> dict[str, str]:
    version = f"{python[0]}.{python[1]}"
    return {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": system,
        "platform_system": system.capitalize(),
        "platform_machine": machine,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def conditions(system: str, machine: str) -> str:
    return f"sys_platform == '{system}' and platform_machine == '{machine}'"


def name_of(environment: tuple) -> str:
    (major, minor), system, machine = environment
    return f"Python {major}.{minor}, {system}-{machine}"


if __name__ == "__main__":
    main()
