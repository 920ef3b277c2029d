#!/bin/sh
# The list of runs: what their files say, in the order of their names; what cannot be read is named.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
mkdir -p "$work/all/none" "$work/all/.hidden"
tiny_run "$work/all/b/sine" --iterations 3
[ "$status" -eq 0 ] || fail "a run on sine: $(cat "$work/err")"
expect_success "glyphs" train glyphs --device host --filters 1 --size 16 --ways 3 --shots 2 --steps 1 --meta-batch 1 --iterations 2 \
    --algorithm reptile --val-tasks 2 --eval-tasks 0 --run "$work/all/a"

(cd "$work" && "$CLMAML_PROGRAM" runs) >"$work/out" 2>"$work/err" || fail "no runs yet: $(cat "$work/err")"
expect_in "$work/out" "^no runs below runs$" "no runs yet"
expect_success "the list" runs "$work/all"
[ "$(wc -l <"$work/out")" -eq 3 ] || fail "a headline and two runs: $(cat "$work/out")"
expect_in "$work/out" "^directory +algorithm +data +task +iterations +validation +test$" "the headline"
sed -n 2p "$work/out" >"$work/line"
expect_in "$work/line" "/all/a +reptile +glyphs +3-way 2-shot +2 of 2 +[0-9.]+ % +-$" "a run without a test"
sed -n 3p "$work/out" >"$work/line"
expect_in "$work/line" "/all/b/sine +maml +sine +4-shot +3 of 3 +[0-9.]+ +[0-9.]+ \+- [0-9.]+$" "a regression"

# In JSON: the best of the validations, and the test as result.json has it.
expect_success "the list in JSON" runs "$work/all/b" --json
expect_in "$work/out" '"iterations": 3' "JSON"
mean=$(sed -n 's/^  "mean": \([0-9.e-]*\),/\1/p' "$work/all/b/sine/result.json")
expect_in "$work/out" "\"mean\": $mean" "the score of the test"
best=$(sed -n 's/.*"validation".*"query_after": \([0-9.]*\).*/\1/p' "$work/all/b/sine/metrics.jsonl" | sort -g | head -n 1)
expect_in "$work/out" "\"best_validation\": $(echo "$best" | cut -c 1-6)" "the best validation"

# Stopped between two rows of metrics: the count is that of the checkpoint, from which the run goes on.
cp -r "$work/all/b/sine" "$work/stopped"
sed -i '/"iteration": [23],/d' "$work/stopped/metrics.jsonl"
expect_success "stopped" runs "$work/stopped"
expect_in "$work/out" " 3 of 3 " "stopped between two rows of metrics"
printf 'no archive' >"$work/stopped/checkpoints/last.safetensors"
expect_success "stopped, without a checkpoint" runs "$work/stopped"
expect_in "$work/out" " 1 of 3 " "stopped, without a checkpoint"

# A line that a killed run has left half written; a file that is none.
printf '{"iteration": 9, "ki' >>"$work/all/b/sine/metrics.jsonl"
mkdir "$work/all/c"
echo '{' >"$work/all/c/config.json"
expect_success "damage" runs "$work/all"
expect_in "$work/out" "3 of 3" "a line cut off"
expect_in "$work/err" "all/c is left out: .*config.json" "a run that cannot be read"
expect_success "a run itself" runs "$work/all/a"
expect_in "$work/out" "reptile" "a run itself"
expect_success "no runs" runs "$work/all/none"
expect_in "$work/out" "^no runs below" "no runs"
expect_success "no runs in JSON" runs "$work/all/none" --json
expect_in "$work/out" "^\[\]$" "no runs in JSON"
expect_error "no directory" 1 "nosuch" runs "$work/nosuch"

finish
