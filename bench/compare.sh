#!/bin/sh
# Times a meta-step against PyTorch, in turns, so that a machine's changing speed hits both.
#
#   cmake --build build --target meta_step
#   bench/compare.sh bench/torch_step.py [--rounds N] [option ..]      e.g. --tasks 32 --steps 5
#
# The script, or any other that takes the same options, prints a line of JSON with "ms_median"; it is run with one thread and with as
# many as there are cores. Environment: META_STEP (default build/meta_step), PYTHON (default python3). Prints the median of each and the
# ratios.
set -eu

[ $# -ge 1 ] || { sed -n '2,11p' "$0"; exit 2; }
peer=$1
shift
rounds=3
if [ "${1:-}" = --rounds ]; then
  rounds=$2
  shift 2
fi
ours=${META_STEP:-build/meta_step}
python=${PYTHON:-python3}
cores=$(getconf _NPROCESSORS_ONLN)
times=$(mktemp -d)
trap 'rm -rf "$times"' EXIT

median() { sort -n "$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
take() { # NAME COMMAND..: the time that a command reports
  name=$1
  shift
  "$@" | sed -n 's/.*"ms_median": \([0-9.]*\).*/\1/p' >>"$times/$name"
}

"$ours" "$@" --runs 1 >/dev/null # compiles the kernels
round=1
while [ "$round" -le "$rounds" ]; do
  take ours "$ours" "$@" --runs 5
  take torch1 "$python" "$peer" "$@" --runs 3 --threads 1
  take torchN "$python" "$peer" "$@" --runs 3 --threads "$cores"
  round=$((round + 1))
done
a=$(median "$times/ours")
b=$(median "$times/torch1")
c=$(median "$times/torchN")
awk -v a="$a" -v b="$b" -v c="$c" -v n="$cores" 'BEGIN {
  printf "clMAML %.1f ms, PyTorch %.1f ms (1 thread), %.1f ms (%d threads): %.2f and %.2f times as fast\n", a, b, c, n, b / a, c / a }'
