"""srun as pyxis has it, without Slurm: refuses options that neither knows, notes them, runs the command "inside".

Inside, only the programs of the image are found, and none of Slurm: a template must not need more there. Called as
``container.py NOTES IMAGE_BIN [srun's arguments]``; it neither mounts nor changes the root folder. ``NOTES.unpacked``
lists named images: pyxis unpacks each once, and enroot removes it.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

SRUN = ("nodes", "ntasks", "ntasks-per-node", "nodelist", "cpus-per-task", "kill-on-bad-exit", "wait", "output")
PYXIS = ("container-image", "container-mounts", "container-workdir", "container-name")


def main() -> int:
    notes, image, *words = sys.argv[1:]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in (*SRUN, "open-mode", *PYXIS):
        parser.add_argument(f"--{name}")
    parser.add_argument("--overlap", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    given = {name: getattr(options, name.replace("-", "_")) for name in PYXIS}
    images = Path(f"{notes}.unpacked")
    unpacked = images.read_text().split() if images.exists() else []
    if options.command[:3] == ["enroot", "remove", "--force"] and given["container-image"] is None:
        unpacked.remove(options.command[3])
        images.write_text("\n".join(unpacked))
        return 0
    name = f"pyxis_{given['container-name']}"
    given["unpacks"] = name not in unpacked
    if given["container-name"] and given["unpacks"]:
        images.write_text("\n".join([*unpacked, name]))
    with open(notes, "a") as handle:
        handle.write(json.dumps(given | {"command": options.command}) + "\n")
    if given["container-image"] is None:
        return 97
    host = socket.gethostname()
    environment = {**os.environ, "PATH": image, "SLURMD_NODENAME": host, "SLURM_NODEID": "0"}
    with contextlib.ExitStack() as files:
        log = files.enter_context(open(options.output.replace("%N", host), "a")) if options.output else None
        inside = {"cwd": given["container-workdir"], "env": environment, "stdout": log, "stderr": log}
        program = shutil.which(options.command[0], path=image)
        return subprocess.run([program, *options.command[1:]], **inside, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
