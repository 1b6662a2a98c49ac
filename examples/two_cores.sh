# What the examples for two CPU cores share; sourced, from the root of the checkout ($root).

bash tools/setup_cpu.sh
PATH="$root/.venv/bin:$PATH"
workers=$(($(env -u OMP_NUM_THREADS nproc) > 1 ? 2 : 1)) # nproc obeys that variable
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

stage() { # NAME COMMAND...: run the command and say how long it took
  local name=$1 begin=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@"
  printf -- '-- %s: %d s\n' "$name" $((SECONDS - begin))
}
