# mixed.sh INTEL_ICD POCL_ICD: ranks under two drivers for one CPU. The same ranks with the same devices give the same bits twice, also with
# both drivers on each and in evaluations, and the run says what that means.
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
mkdir "$work/icds" && cp "$1" "$2" "$work/icds" || exit 1
export OCL_ICD_VENDORS="$work/icds" CLMAML_CPU_PARTS=1
note="clmaml: note: the ranks' devices are not all of one name and driver: as many ranks on the same devices give the same bits again"

expect_success "devices" devices
cp "$work/out" "$work/devices"
# number PLATFORM: P:D of its first device
number() { sed -n "s/^[* ] *\([0-9]*:[0-9]*\) .*$1.*/\1/p" "$work/devices" | head -n 1; }
intel=$(number 'Intel(R) OpenCL') pocl=$(number 'Portable Computing Language')
[ -n "$intel" ] && [ -n "$pocl" ] || fail "devices: numbers '$intel', '$pocl': $(cat "$work/devices")"

sine="train sine --shots 4 --query 4 --meta-batch 5 --iterations 4 --test-steps 2 --val-tasks 5 --eval-tasks 5 --val-every 2 --checkpoint-every 2
    --keep 9"
# shellcheck disable=SC2086
for n in a b; do
    ranks_succeed "two drivers" 2 $sine --device "$intel,$pocl" --run "$work/$n"
    expect_in "$work/out" "rank 0 on .*: tasks 0 to 2 on " "two drivers"
    [ "$(grep -c "^$note" "$work/err")" -eq 1 ] || fail "two drivers: not one note: $(cat "$work/err")"
    ranks_succeed "both on each" 2 $sine --device "$intel,$pocl,$intel,$pocl" --run "$work/both-$n"
    [ "$(grep -c "^$note" "$work/err")" -eq 1 ] || fail "both on each: not one note: $(cat "$work/err")"
    ranks_succeed "eval" 2 eval "$work/a" --device "$intel,$pocl" --tasks 9 --json --scores "$work/scores-$n"
    expect_in "$work/err" "^$note" "eval"
    mv "$work/out" "$work/eval-$n"
done
expect_same_run "$work/a" "$work/b" "two drivers"
expect_same_run "$work/both-a" "$work/both-b" "both on each"
cmp "$work/scores-a" "$work/scores-b" && cmp "$work/eval-a" "$work/eval-b" || fail "eval: the scores differ"

# Interrupted, and on with the same.
# shellcheck disable=SC2086
{
    ranks_succeed "stopped" 2 $sine --device "$intel,$pocl" --run "$work/stopped" --stop-after 2
    ranks_succeed "resumed" 2 train --resume --run "$work/stopped"
}
expect_same_run "$work/a" "$work/stopped" "resumed"

# All of one driver: nothing is said.
# shellcheck disable=SC2086
ranks_succeed "one driver" 2 $sine --device "$pocl" --run "$work/pocl"
! grep -q "^$note" "$work/err" || fail "one driver: $(cat "$work/err")"

[ $failures -eq 0 ]
