#!/usr/bin/env bash
# Make an environment beside .venv (tools/setup_cpu.sh): tests/extra_environment.sh FOLDER LOCK [MODULE...]
#
# It has the exact pins of LOCK, finds all else in .venv, and must import each MODULE. Run again it returns at once;
# killed half-way it continues. Its interpreter is printed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
base=$root/.venv/bin/python

fail() { echo "error: $1" >&2; exit 2; }

[ $# -ge 2 ] || fail "give a folder and a lock: tests/extra_environment.sh FOLDER LOCK [MODULE...]"
venv=$1 lock=$2
shift 2
[ -x "$base" ] || fail "there is no $base; make it: bash tools/setup_cpu.sh"
shared=$("$base" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
stamp=$(cat "$lock" "${BASH_SOURCE[0]}" <(echo "$shared" "$@") | cksum)
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9 # a second set-up waits for the first, then finds its work done
if [ ! -f "$venv/.complete" ] || [ "$(cat "$venv/.complete")" != "$stamp" ]; then
  echo "set-up: $venv ($(grep -c == "$lock") packages, a minute or less)" >&2
  "$base" -m venv --clear --without-pip "$venv" >&2
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  echo "$shared" >"$packages/shared.pth"
  "$base" -m pip --disable-pip-version-check --python "$venv/bin/python" install --quiet --no-deps --requirement "$lock" >&2
  for module in "$@"; do
    "$venv/bin/python" -c "import $module" >/dev/null 2>&1 ||
      fail "$module does not import from $venv; remove it and run this again"
  done
  echo "$stamp" >"$venv/.complete"
fi
echo "$venv/bin/python"
