#!/usr/bin/env bash
# From a rule to a report on one machine: examples/quickstart/run.sh [--short] [OUTPUT]
#
# Sets up the environment, then generate -> tokenize -> train -> convert -> evaluate -> report, for two small models
# from scratch: one follows the rule, one answers directly. What is done is reused: run it again after an
# interruption, and it continues. --short takes a few minutes in all and proves the path, not the method.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

short=false
if [ "${1:-}" = "--short" ]; then short=true; shift; fi
out=${1:-runs/quickstart}
$short && out=${1:-runs/quickstart-short}

# Each task with the lengths that it is trained on; all are measured at $lengths.
tasks=length_int:1-10,get_digit_int:1-10,digit_max_int:1-8
samples=900
lengths=4-16:2
questions=100
overrides=()
if $short; then
  samples=40
  lengths=4,12
  questions=4
  overrides=(--run.steps 6 --checkpoint.interval 3 --optimizer.warmup_steps 1)
fi
names=$(sed 's/:[^,]*//g' <<<"$tasks")

. examples/two_cores.sh

generate() {
  for form in lean direct; do
    python data_prep/generate.py --tasks "$tasks" --samples "$samples" --form "$form" --workers "$workers" \
      --output "$out/corpus/$form"
  done
}

tokenize() {
  python data_prep/train_tokenizer.py --input "$out/corpus/lean" "$out/corpus/direct" --vocab-size 768 --max-records 3000 \
    --output "$out/data/tokenizer.model"
  for form in lean direct; do
    python data_prep/tokenize_corpus.py --input "$out/corpus/$form" --tokenizer "$out/data/tokenizer.model" \
      --output "$out/data/$form"
  done
}

train() { # FORM: the same model, questions and number of steps; a direct answer is short, so are its sequences
  local sequence_length=896
  [ "$1" = direct ] && sequence_length=128
  torchrun --standalone --nproc-per-node "$workers" -m megatron_rfft.train --config examples/quickstart/model.yaml \
    --run.output "$out/$1" --data.train "$out/data/$1" --data.sequence_length "$sequence_length" \
    ${overrides[@]+"${overrides[@]}"}
}

convert() { # FORM
  local checkpoint
  checkpoint=$(printf '%s\n' "$out/$1"/checkpoints/step-* | tail -n 1)
  python tools/convert.py to-hf --checkpoint "$checkpoint" --output "$out/$1/hf"
}

evaluate() { # FORM
  python tools/evaluate.py --model "$out/$1/hf" --engine vllm --tasks "$names" --lengths "$lengths" \
    --samples "$questions" --output "$out/$1/evaluation"
}

begin=$SECONDS
stage generate generate
stage tokenize tokenize
for form in lean direct; do
  stage "train: $form" train "$form"
  stage "convert: $form" convert "$form"
  stage "evaluate: $form" evaluate "$form"
done
stage report python tools/report.py --run "follows the rule=$out/lean/evaluation" \
  --run "answers directly=$out/direct/evaluation" --output "$out/report"
printf '\nall stages: %d s\nreport: %s\n' $((SECONDS - begin)) "$(realpath "$out/report/report.html")"
