#!/usr/bin/env bash
# Does RF-pretraining help a small model from scratch? One GPU, minutes: examples/one-gpu/run.sh [--short] [OUTPUT]
#
# A model of 100M parameters is RF-pretrained on the 74 training tasks; it and a fresh twin are adapted to three
# held-out tasks with the same data and steps; both, and the pretrained one as it is, are asked longer questions.
# The twin is trained and asked while the other one is pretrained. What is done is reused: after an interruption, run
# it again. --short proves the path on any machine in minutes. PYTHON names the interpreter, ENGINE what generates.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"

short=false
if [ "${1:-}" = "--short" ]; then short=true; shift; fi
out=${1:-runs/one-gpu}
$short && out=${1:-runs/one-gpu-short}
python=${PYTHON:-python}
engine=${ENGINE:-hf}

held_out=add_int,alternating_digit_sum,valid_palindrome
lengths=2-12:2
questions=32
pretraining=300
adaptation=1000
workers=$(($(nproc) > 12 ? 12 : $(nproc)))
overrides=()
if $short; then
  lengths=2,4
  questions=2
  pretraining=1
  adaptation=4
  overrides=(--model.num_layers 2 --model.hidden_size 96 --model.ffn_hidden_size 256 --model.num_attention_heads 2
    --run.steps 4 --checkpoint.interval 2 --optimizer.warmup_steps 1)
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

begin=$SECONDS
stage() { # NAME COMMAND...: run the command and say how long it took; its output goes to a log of that name
  local name=$1 started=$SECONDS
  shift
  mkdir -p "$out/logs"
  if ! "$@" >>"$out/logs/$name.log" 2>&1; then
    printf '%s failed:\n' "$name"
    tail -n 15 "$out/logs/$name.log"
    return 1
  fi
  printf '%4d s  %-20s %4d s\n' $((SECONDS - begin)) "$name" $((SECONDS - started))
}

data() {
  $python data_prep/generate.py --tasks train --lengths 1-8 --samples $pretraining --form lean --workers "$workers" \
    --output "$out/corpus/rf-pretrain"
  $python data_prep/generate.py --tasks $held_out --lengths 1-5 --samples $adaptation --form lean --workers "$workers" \
    --output "$out/corpus/adapt"
  $python data_prep/train_tokenizer.py --input "$out/corpus/rf-pretrain" "$out/corpus/adapt" --vocab-size 2048 \
    --max-records 8000 --output "$out/data/tokenizer.model"
  local corpus
  for corpus in rf-pretrain adapt; do
    $python data_prep/tokenize_corpus.py --input "$out/corpus/$corpus" --tokenizer "$out/data/tokenizer.model" \
      --workers "$workers" --output "$out/data/$corpus"
  done
}

train() { # RECIPE NAME ARGUMENTS...
  local recipe=$1 name=$2
  shift 2
  $python -m megatron_rfft.train --config "examples/one-gpu/$recipe.yaml" --run.output "$out/$name" \
    --data.train "$out/data/$recipe" ${overrides[@]+"${overrides[@]}"} "$@"
}

checkpoint() { # NAME: its newest checkpoint
  printf '%s\n' "$out/$1"/checkpoints/step-* | tail -n 1
}

convert() { # NAME
  $python tools/convert.py to-hf --checkpoint "$(checkpoint "$1")" --output "$out/$1/hf"
}

evaluate() { # NAME
  $python tools/evaluate.py --model "$out/$1/hf" --engine "$engine" --tasks $held_out --lengths $lengths \
    --samples $questions --output "$out/$1/evaluation"
}

twin() {
  stage twin-adapt train adapt twin
  stage twin-convert convert twin
  stage twin-evaluate evaluate twin
}

stage data data
twin &
twin=$!
stage pretrain train rf-pretrain rf-pretrain
stage pretrain-convert convert rf-pretrain
stage pretrain-evaluate evaluate rf-pretrain &
pretrained=$!
stage adapt train adapt adapted --checkpoint.load "$(checkpoint rf-pretrain)"
stage adapt-convert convert adapted
stage adapt-evaluate evaluate adapted
wait $twin $pretrained
stage report $python tools/report.py --run "RF-pretrained, then adapted=$out/adapted/evaluation" \
  --run "fresh twin, adapted=$out/twin/evaluation" --run "RF-pretrained only=$out/rf-pretrain/evaluation" \
  --title "100M parameters, held-out tasks" --output "$out/report"
printf 'report: %s\n' "$(realpath "$out/report/report.html")"
