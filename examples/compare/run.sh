#!/usr/bin/env bash
# Five ways to teach a small model, on one budget: examples/compare/run.sh [--tiny] [--output FOLDER] [BASELINE...]
#
# BASELINE is direct, scratchpad, vanilla, meta or one-shot; without one all of them are run. Each adapts a model of its
# own to every target task and measures it, and the report compares what is there. What is done is reused: run it again
# after an interruption, and it continues. --tiny runs every stage in two to four minutes; its models learn nothing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

fail() { echo "error: $1" >&2; exit 2; }

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$root/examples/compare/run.sh"; }

baselines=(direct scratchpad vanilla meta one-shot)
tiny=false out='' chosen=()
while [ $# -gt 0 ]; do
  case $1 in
    --tiny) tiny=true ;;
    --output)
      [ $# -gt 1 ] || fail "--output needs a folder"
      out=$2
      shift
      ;;
    --help | -h)
      usage
      exit
      ;;
    *)
      [[ " ${baselines[*]} " = *" $1 "* ]] || fail "no baseline '$1'; choose among ${baselines[*]}"
      chosen+=("$1")
      ;;
  esac
  shift
done
[ ${#chosen[@]} -gt 0 ] || chosen=("${baselines[@]}")

# The budget. Every model takes $steps optimizer steps of two sequences in all; for meta they are shared between
# RF-pretraining and adaptation. All that are adapted see the same questions of the same lengths of their target.
targets=(length_int get_digit_int)
adapted_lengths=1-5
adapted_samples=200
pretrained=number_length_float:2-8,number_get_digit_float:2-8,number_count_digit:2-8
pretrained_samples=600
one_shot_samples=300
steps=2400 adapt_steps=500
lengths=2-8
questions=100
engine=vllm
small=()
if $tiny; then
  targets=(length_int)
  adapted_samples=20 pretrained_samples=10 one_shot_samples=10
  steps=4 adapt_steps=2
  lengths=3,7
  questions=2
  engine=hf
  small=(--optimizer.warmup_steps 1)
fi
[ -n "$out" ] || { $tiny && out=runs/compare-tiny || out=runs/compare; }

. examples/two_cores.sh

generate() { # FOLDER FORM TASKS SAMPLES
  python data_prep/generate.py --tasks "$3" --samples "$4" --form "$2" --workers "$workers" --output "$out/corpus/$1"
}

data() { # one vocabulary for all models, so that none has an advantage by it
  local target form folder
  generate rf-pretrain lean "$pretrained" "$pretrained_samples"
  generate rf-pretrain-one-shot one-shot "$pretrained" "$one_shot_samples"
  for target in "${targets[@]}"; do
    for form in direct scratchpad lean; do
      generate "$form/$target" "$form" "$target:$adapted_lengths" "$adapted_samples"
    done
  done
  python data_prep/train_tokenizer.py --vocab-size 768 --max-records 4000 --output "$out/data/tokenizer.model" \
    --input "$out"/corpus/rf-pretrain* "$out"/corpus/{direct,scratchpad,lean}/*
  for folder in "$out"/corpus/rf-pretrain* "$out"/corpus/{direct,scratchpad,lean}/*; do
    python data_prep/tokenize_corpus.py --input "$folder" --tokenizer "$out/data/tokenizer.model" \
      --output "$out/data/${folder#"$out/corpus/"}"
  done
}

train() { # PROCESSES FOLDER DATA SEQUENCE_LENGTH STEPS OPTION...
  torchrun --standalone --nproc-per-node "$1" -m megatron_rfft.train --config examples/quickstart/model.yaml \
    --run.output "$out/$2" --data.train "$out/data/$3" --data.sequence_length "$4" --run.steps "$5" \
    ${small[@]+"${small[@]}"} "${@:6}"
}

for_each_target() { # FUNCTION ARGUMENT...: side by side, each on a core of its own
  local target pid pids=() failed=0
  for target in "${targets[@]}"; do
    { "$@" "$target" 2>&1 | sed -u "s/^/$target: /"; } &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  return "$failed"
}

checkpoint() { printf '%s/%s/checkpoints/step-%08d' "$out" "$1" "$2"; } # FOLDER STEPS

measure() { # FOLDER STEPS TASKS
  python tools/convert.py to-hf --checkpoint "$(checkpoint "$1" "$2")" --output "$out/$1/hf"
  python tools/evaluate.py --model "$out/$1/hf" --engine "$engine" --tasks "$3" --lengths "$lengths" \
    --samples "$questions" --output "$out/$1/evaluation"
}

from_scratch() { # BASELINE FORM SEQUENCE_LENGTH TARGET: a shorter form has shorter sequences
  train 1 "$1/$4" "$2/$4" "$3" "$steps"
  measure "$1/$4" "$steps" "$4"
}

adapt() { # TARGET: from the RF-pretrained model
  train 1 "meta/$1" "lean/$1" 512 "$adapt_steps" --optimizer.lr 1e-3 \
    --checkpoint.load "$(checkpoint meta/rf-pretrain $((steps - adapt_steps)))"
  measure "meta/$1" "$adapt_steps" "$1"
}

direct() { stage "direct answer" for_each_target from_scratch direct direct 128; }

scratchpad() { stage scratchpad for_each_target from_scratch scratchpad scratchpad 256; }

vanilla() { stage "vanilla RFFT" for_each_target from_scratch vanilla lean 512; }

meta() {
  stage "Meta-RFFT: RF-pretrain" train "$workers" meta/rf-pretrain rf-pretrain 512 $((steps - adapt_steps))
  stage "Meta-RFFT: adapt" for_each_target adapt
}

one-shot() { # never trained on a target: the prompt shows one solved example of it
  stage "one-shot: RF-pretrain" train "$workers" one-shot rf-pretrain-one-shot 1056 "$steps"
  stage "one-shot: measure" measure one-shot "$steps" "$(IFS=,; echo "${targets[*]}")"
}

report() {
  local runs=() baseline folder folders
  local -A names=([direct]="direct answer" [scratchpad]="scratchpad" [vanilla]="vanilla RFFT" [meta]="Meta-RFFT"
    [one-shot]="one-shot Meta-RFFT")
  for baseline in "${baselines[@]}"; do
    if [ "$baseline" = one-shot ]; then folders=("$out/one-shot"); else folders=("${targets[@]/#/$out/$baseline/}"); fi
    folders=("${folders[@]/%//evaluation}")
    for folder in "${folders[@]}"; do [ -f "$folder/results.json" ] || continue 2; done
    runs+=(--run "${names[$baseline]}=$(IFS=,; echo "${folders[*]}")")
  done
  python tools/report.py "${runs[@]}" --title "Five ways on one budget" --output "$out/report"
}

begin=$SECONDS
stage data data
for baseline in "${chosen[@]}"; do "$baseline"; done
stage report report
printf '\nall stages: %d s\nreport: %s\n' $((SECONDS - begin)) "$(realpath "$out/report/report.html")"
