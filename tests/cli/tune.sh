# clmaml tune: results are found, kept, and used; tuning on the way settles everything, so that runs repeat bit by bit.
. "$(dirname "$0")/../support/cli.sh"
export CLMAML_CACHE_DIR="$work/cache"

expect_success "tune --help" tune --help
expect_in "$work/out" "^usage: clmaml tune" "tune --help"

expect_success "tune" tune sine --meta-batch 3 --steps 1 --budget 2
expect_in "$work/out" "times as fast; [1-9][0-9]* of [0-9]+ candidates tried, 0 failed" "tune"
expect_in "$work/out" "^[0-9]+ operations in [0-9]+ s, 0 of them known" "tune"
expect_success "tune, with time" tune sine --meta-batch 3 --steps 1 --budget 60
expect_success "tune, once more" tune sine --meta-batch 3 --steps 1
expect_in "$work/out" "; known already" "tune, once more"
expect_in "$work/out" "; 0 candidates tried, 0 failed" "tune, once more"

# A new device: the first run tunes for a moment, the second uses what the first settled.
run="train sine --meta-batch 3 --steps 2 --iterations 3 --val-tasks 3 --eval-tasks 0 --tune-budget 1"
export CLMAML_CACHE_DIR="$work/other"
# shellcheck disable=SC2086
expect_success "a run that tunes" $run --run "$work/first"
ls "$work/other/tune"/*.json >/dev/null 2>&1 || fail "a run that tunes: nothing was kept"
kept=$(fingerprint "$work/other/tune")
# shellcheck disable=SC2086
expect_success "a run after it" $run --run "$work/second"
[ "$kept" = "$(fingerprint "$work/other/tune")" ] || fail "a run after it: choices changed"
cmp "$work/first/checkpoints/last.safetensors" "$work/second/checkpoints/last.safetensors" || fail "a run after it: not the same bits"

expect_error "tune on the host" 1 "cannot be kept" tune sine --device host
CLMAML_NO_CACHE=1
export CLMAML_NO_CACHE
expect_error "tune without a cache" 1 "cannot be kept" tune sine
# shellcheck disable=SC2086
expect_success "a run without a cache" $run --run "$work/third"
expect_error "tune, a bad option" 2 "budget" tune sine --budget -1
finish
