#!/usr/bin/env bash
# Ways to teach a small model, side by side: examples/compare/run.sh [--tiny] [--output FOLDER] [ARM...]
#
# ARM is one of those in chain.yaml beside this file: direct, scratchpad, vanilla, meta, one-shot, zero-shot, and the
# ablations; without one all of them are run. The report compares what is there. Finished work is reused: run it again
# after an interruption, and it continues. --tiny runs tiny.yaml instead: a few minutes; its models learn nothing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

fail() { echo "error: $1" >&2; exit 2; }

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$root/examples/compare/run.sh"; }

chain=examples/compare/chain.yaml options=() arms=()
while [ $# -gt 0 ]; do
  case $1 in
    --tiny) chain=examples/compare/tiny.yaml ;;
    --output)
      [ $# -gt 1 ] || fail "--output needs a folder"
      options+=(--run "$2")
      shift
      ;;
    --help | -h)
      usage
      exit
      ;;
    -*) fail "no option $1; there are --tiny and --output" ;;
    *) arms+=("$1") ;;
  esac
  shift
done
[ ${#arms[@]} -eq 0 ] || options+=(--arms "$(IFS=,; echo "${arms[*]}")")

bash tools/setup_cpu.sh
export HF_HUB_OFFLINE=1
exec .venv/bin/python tools/submit.py --config "$chain" --local ${options[@]+"${options[@]}"}
