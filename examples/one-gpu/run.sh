#!/usr/bin/env bash
# The paper's table at a small scale, on one GPU in minutes: examples/one-gpu/run.sh [--short] [OUTPUT] [OPTION...]
#
# Runs chain.yaml beside this file with tools/submit.py --local, which takes the options. Finished work is reused: after
# an interruption, run it again. --short runs short.yaml instead, which proves the path on any machine in minutes.
# PYTHON names the interpreter of the environment.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

chain=examples/one-gpu/chain.yaml output=()
if [ "${1:-}" = "--short" ]; then chain=examples/one-gpu/short.yaml; shift; fi
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then output=(--run "$1"); shift; fi

export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
exec "${PYTHON:-python}" tools/submit.py --config "$chain" --local ${output[@]+"${output[@]}"} "$@"
