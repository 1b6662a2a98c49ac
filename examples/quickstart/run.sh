#!/usr/bin/env bash
# From rules to a picture on one machine: examples/quickstart/run.sh [--short] [OUTPUT] [OPTION...]
#
# Sets up the environment, then runs chain.yaml beside this file with tools/submit.py --local, which takes the options.
# Finished work is reused: run it again after an interruption, and it continues. --short runs short.yaml instead: a few
# minutes that prove the path, not the method.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

chain=examples/quickstart/chain.yaml output=()
if [ "${1:-}" = "--short" ]; then chain=examples/quickstart/short.yaml; shift; fi
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then output=(--run "$1"); shift; fi

bash tools/setup_cpu.sh
export HF_HUB_OFFLINE=1
exec .venv/bin/python tools/submit.py --config "$chain" --local ${output[@]+"${output[@]}"} "$@"
