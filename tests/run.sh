#!/usr/bin/env bash
# Set up all that the tests need, then run them: tests/run.sh [--full] [pytest arguments]
#
# Without --full about 25 minutes on 2 cores; --full adds the slow proofs (tests marked "slow"). Without arguments for
# pytest, the tests that only compute share the cores; then those that start processes of their own have them alone.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bash tools/setup_cpu.sh || exit
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
select=(-m "not slow")
if [ "${1:-}" = "--full" ]; then
  select=()
  shift
fi
.venv/bin/ruff check . && .venv/bin/ruff format --check . || exit
pytest=(.venv/bin/python -m pytest ${select[@]+"${select[@]}"})
if [ $# -gt 0 ]; then exec "${pytest[@]}" "$@"; fi
computing=(tests/common tests/rules tests/tasks)
"${pytest[@]}" --numprocesses 2 "${computing[@]}"
first=$?
"${pytest[@]}" "${computing[@]/#/--ignore=}"
second=$?
exit $((first ? first : second))
