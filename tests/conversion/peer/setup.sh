#!/usr/bin/env bash
# Make the environment of Megatron-Bridge: tests/conversion/peer/setup.sh [FOLDER]   (default: venvs/bridge)
#
# It has Bridge and the megatron-core that it asks for from exact pins, and finds all else in .venv (tools/setup_cpu.sh).
# Run again it returns at once; killed half-way it continues. The folder is printed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
venv=${1:-$root/venvs/bridge}
lock=$root/tests/conversion/peer/requirements.lock
base=$root/.venv/bin/python

fail() { echo "error: $1" >&2; exit 2; }

[ -x "$base" ] || fail "there is no $base; make it: bash tools/setup_cpu.sh"
shared=$("$base" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
stamp=$(cat "$lock" "${BASH_SOURCE[0]}" <(echo "$shared") | sha256sum | cut -d' ' -f1)
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9 # a second set-up waits for the first, then finds its work done
if [ ! -f "$venv/.complete" ] || [ "$(cat "$venv/.complete")" != "$stamp" ]; then
  echo "set-up: $venv (half a minute and 31 MB the first time)" >&2
  "$base" -m venv --clear --without-pip "$venv" >&2
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  echo "$shared" >"$packages/shared.pth"
  "$base" -m pip --disable-pip-version-check --python "$venv/bin/python" install --quiet --no-deps --requirement "$lock" >&2
  echo "$stamp" >"$venv/.complete"
fi
echo "$venv"
