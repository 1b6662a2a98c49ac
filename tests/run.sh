#!/usr/bin/env bash
# Set up all that the tests need, then run them: tests/run.sh [--full] [pytest arguments]
#
# Without --full 18 minutes on 2 cores; --full adds the slow proofs (tests marked "slow"). Without arguments for pytest,
# three processes run the tests. --full then also runs quick tests with the newest releases that setup.py allows, in
# venvs/newest.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bash tools/setup_cpu.sh || exit
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
quick=(-m "not slow") select=(-m "not slow") full=''
if [ "${1:-}" = "--full" ]; then
  select=() full=yes
  shift
fi
.venv/bin/ruff check . && .venv/bin/ruff format --check . || exit
pytest=(.venv/bin/python -m pytest ${select[@]+"${select[@]}"})
if [ $# -gt 0 ]; then exec "${pytest[@]}" "$@"; fi
# Three processes on two cores, since tests wait for clusters, servers and each other's signals; a file stays in one.
"${pytest[@]}" --numprocesses 3 --dist loadfile --no-loadscope-reorder
result=$?
newest() {
  bash tools/setup_cpu.sh --newest venvs/newest &&
    venvs/newest/bin/python -m pytest "${quick[@]}" tests/common tests/commands tests/data tests/tokenization tests/models \
      tests/conversion tests/evaluation
}
if [ "$full" ]; then newest || result=$?; fi
exit $result
