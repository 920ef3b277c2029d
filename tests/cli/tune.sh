# clmaml tune: results are found, kept, and used; tuning on the way settles everything, so that runs repeat bit by bit.
. "$(dirname "$0")/../support/cli.sh"
export CLMAML_CACHE_DIR="$work/cache"

expect_success "tune --help" tune --help
expect_in "$work/out" "^usage: clmaml tune" "tune --help"

expect_success "tune" tune sine --meta-batch 3 --steps 1 --budget 2
expect_in "$work/out" "times as fast; [1-9][0-9]* of [0-9]+ candidates tried, 0 failed" "tune"
expect_in "$work/out" "^[0-9]+ operations? in [0-9]+ s, 0 of them known" "tune"
expect_success "tune, with time" tune sine --meta-batch 3 --steps 1 --budget 60
expect_success "tune, once more" tune sine --meta-batch 3 --steps 1
expect_in "$work/out" "; known already" "tune, once more"
expect_in "$work/out" "; 0 candidates tried, 0 failed" "tune, once more"

# Whole plans: measured once, then known, and what later runs take unless they are told otherwise.
sine="sine --meta-batch 2 --steps 1"
# shellcheck disable=SC2086
expect_success "tune, plans" tune $sine --only plans
expect_in "$work/out" "^meta-gradient of maml, order 2, 1 steps" "tune, plans"
expect_in "$work/out" "^  best +[0-9.]+ ms  (store|recompute), [12] tasks? at a time" "tune, plans"
expect_in "$work/out" "; [2-4] of 4 plans tried, 0 of them" "tune, plans"
expect_in "$work/out" "^plan: checkpointing .* \\(as measured\\)" "tune, plans"
expect_in "$work/out" "; 0 candidates tried" "tune, plans"
# shellcheck disable=SC2086
expect_success "tune, plans once more" tune $sine --only plans
expect_in "$work/out" "times as fast; known already" "tune, plans once more"
short="--iterations 1 --val-tasks 2 --eval-tasks 0"
# shellcheck disable=SC2086
expect_success "a run by the plan" train $sine $short --run "$work/planned"
expect_in "$work/out" "checkpointing .*, as measured;" "a run by the plan"
# shellcheck disable=SC2086
expect_success "a run by its options" train $sine $short --checkpointing recompute --task-chunk 1 --run "$work/asked"
expect_in "$work/out" "checkpointing recompute, 1 task per launch, as asked for;" "a run by its options"
expect_success "bench, not tuned" bench sine --tasks 2 --rounds 1 --no-peers --no-peaks
expect_in "$work/out" "^  store, 2 of 2 tasks at a time, everything at once" "bench, not tuned" # five steps: not what was measured
expect_success "bench, tuned" bench sine --tasks 2 --rounds 1 --no-peers --no-peaks --tune-plans 100
expect_in "$work/out" "^  (store|recompute), [12] of 2 tasks at a time, as measured" "bench, tuned"

# Every source that train takes, with its options: what is measured is what the run would plan.
awk 'BEGIN { print "id,a,b,c,y"; for (t = 0; t < 20; t++) for (i = 0; i < 8; i++) printf "u%d,%d,%d,%s,%d\n", t, i, t * i % 7, i % 2 ? "red" : "blue", t + i }' >"$work/t.csv"
table="$work/t.csv --task-column id --target y --categorical c --shots 3 --query 3 --meta-batch 2 --inner-lr 0.02"
# shellcheck disable=SC2086
expect_success "tune, a table" tune table $table --only plans
expect_in "$work/out" "^meta-gradient of maml, order 2, 1 steps, 3 \+ 3 examples" "tune, a table"
# shellcheck disable=SC2086
expect_success "a run of a tuned table" train $table --iterations 1 --val-tasks 2 --eval-tasks 0 --run "$work/table"
expect_in "$work/out" "as measured" "a run of a tuned table"
# shellcheck disable=SC2086
expect_error "tune, a table of 5 ways" 2 "--ways is 1 for a regression" tune $table --ways 5
expect_error "tune, a table without a task column" 2 "needs --task-column" tune "$work/t.csv" --target y
expect_error "tune, a table's option" 2 "--task-column is for table; it says nothing to sine" tune sine --task-column id
for kind in colours vectors series tokens; do
    "${CLMAML_TEST_DATA:?}" $kind "$work/$kind" >"$work/log" || fail "$kind cannot be written: $(cat "$work/log")"
    how=
    [ $kind != colours ] || how="--size 16 --channels 3 --class-split 18,3,3 --filters 4"
    # shellcheck disable=SC2086
    expect_success "tune, $kind" tune "$work/$kind" --ways 2 --meta-batch 2 --only kernels --budget 1 $how
    expect_in "$work/out" "^[1-9][0-9]* operations? in" "tune, $kind"
done

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
