#!/usr/bin/env bash
# Make the environment of other people's trainers: tests/environments/setup.sh [FOLDER]   (default: venvs/trainers)
#
# It has verl, verifiers, reasoning-gym and TRL from exact pins, and finds all else in .venv (tools/setup_cpu.sh).
# Run again it returns at once; killed half-way it continues. The folder is printed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${1:-$root/venvs/trainers}
lock=$root/tests/environments/requirements.lock
base=$root/.venv/bin/python

fail() { echo "error: $1" >&2; exit 2; }

[ -x "$base" ] || fail "there is no $base; make it: bash tools/setup_cpu.sh"
shared=$("$base" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
stamp=$(cat "$lock" "${BASH_SOURCE[0]}" <(echo "$shared") | sha256sum | cut -d' ' -f1)
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9 # a second set-up waits for the first, then finds its work done
if [ ! -f "$venv/.complete" ] || [ "$(cat "$venv/.complete")" != "$stamp" ]; then
  echo "set-up: $venv (about a minute and 450 MB the first time)" >&2
  "$base" -m venv --clear "$venv" >&2
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  echo "$shared" >"$packages/shared.pth"
  "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --requirement "$lock" >&2
  "$venv/bin/python" -c 'import reasoning_gym, trl, verifiers.v1, verl' >/dev/null 2>&1 ||
    fail "the environment does not import; remove $venv and run this again"
  echo "$stamp" >"$venv/.complete"
fi
echo "$venv"
