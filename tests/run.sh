#!/usr/bin/env bash
# Set up all that the tests need, then run them: tests/run.sh [--full] [pytest arguments]
#
# Without --full about 6 minutes on 2 cores; --full adds the slow proofs (tests marked "slow").
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bash tools/setup_cpu.sh
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
select=(-m "not slow")
if [ "${1:-}" = "--full" ]; then
  select=()
  shift
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
exec .venv/bin/python -m pytest "${select[@]}" "$@"
