#!/bin/sh
# The score of a single task has no interval: none is printed, written or drawn, here or elsewhere.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"

# without_interval WHAT FILE..
without_interval() {
    what=$1
    shift
    ! grep -Eq '[+]- ?(0|nan)|± ?(0|nan)|95 %' "$@" || fail "$what has an interval: $(grep -E '[+]-|±|95 %' "$@" | head -n 3)"
}

make_pictures "$work/pictures"
pictures="train $work/pictures --device host --ways 2 --shots 1 --size 16 --filters 2 --meta-batch 2 --iterations 2 --val-every 1"
tiny_run "$work/sine" --iterations 2 --eval-tasks 1 --val-tasks 1
[ $status -eq 0 ] || fail "sine: $(cat "$work/err")"
without_interval "training on sine" "$work/out" "$work/sine/curve.svg"
# shellcheck disable=SC2086
expect_success "pictures" $pictures --eval-tasks 1 --val-tasks 1 --ensemble 2 --run "$work/one"
without_interval "training on pictures" "$work/out" "$work/one/curve.svg"
expect_in "$work/out" "^test on 1 task of held-out classes" "the test"
expect_in "$work/out" "^accuracy on held-out classes [0-9.]+ % \\(no interval\\)" "the test"
expect_in "$work/out" "validation [0-9.]+ %," "validation"
for run in sine one; do
    [ "$(grep -c '"interval": null' "$work/$run/result.json")" -eq "$(grep -c '"interval"' "$work/$run/result.json")" ] ||
        fail "$run/result.json: $(cat "$work/$run/result.json")"
    ! grep -q '"interval": [0-9]' "$work/$run/metrics.jsonl" || fail "$run/metrics.jsonl: $(cat "$work/$run/metrics.jsonl")"
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "interval") at = i } NR > 1 && $at != "" { exit 1 }' "$work/$run/metrics.csv" ||
        fail "$run/metrics.csv: $(cat "$work/$run/metrics.csv")"
done
expect_success "eval of one task" eval "$work/one" --device host --tasks 1 --steps 2 --query 1
without_interval "eval" "$work/out"
expect_in "$work/out" "^1 task of test classes, .*; accuracy, of one task, which has no interval$" "eval"
expect_success "eval of one task as JSON" eval "$work/one" --device host --tasks 1 --steps 2 --query 1 --json
! grep -q '"interval": [0-9]' "$work/out" || fail "eval --json: $(cat "$work/out")"
expect_success "eval of sine" eval "$work/sine" --device host --tasks 1 --steps 2
without_interval "eval of sine" "$work/out"
expect_success "runs" runs "$work"
without_interval "runs" "$work/out"
expect_success "report" report "$work/one" "$work/sine" --out "$work/page.html" --no-pictures
grep -v "means over tasks with the\|^With\|95 % intervals, and whether" "$work/page.html" >"$work/page"
without_interval "the page" "$work/page"
expect_in "$work/page" "on 1 test task, of the state" "the page"
expect_in "$work/page" "% \\(no interval\\)" "the page"

# With two there is one, also where both score the same.
# shellcheck disable=SC2086
expect_success "two tasks" $pictures --eval-tasks 2 --val-tasks 2 --run "$work/two"
expect_in "$work/out" "^accuracy on held-out classes [0-9.]+ \\+- [0-9.]+ % \\(95 % interval\\)" "two tasks"
expect_success "their difference" report "$work/one" "$work/two" --out "$work/page.html" --no-pictures
expect_in "$work/page.html" "1 − 2</th><td class=\"num\">[+-][0-9.]+ points \\(no interval\\)</td><td>not known</td>" "a difference"

# Episodes.
small="train navigation --device host --hidden 4 --trajectories 2 --horizon 4 --meta-batch 1 --val-every 1 --iterations 1 --test-steps 1"
# shellcheck disable=SC2086
expect_success "navigation" $small --val-tasks 1 --eval-tasks 1 --run "$work/episodes"
without_interval "navigation" "$work/out" "$work/episodes/curve.svg"
expect_in "$work/out" "^test on 1 held-out task, .*; of one task there is no interval$" "navigation"
expect_in "$work/out" "^  after 1 step   -[0-9.]+$" "navigation"
expect_in "$work/episodes/result.json" '"interval": null' "navigation"

finish
