#!/bin/sh
# Tasks of different sizes: ranges of ways and shots in training, validation and test, resuming, evaluation, small groups of rows.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
small="--device host --filters 2 --size 16 --query 2 --meta-batch 3 --val-tasks 2 --eval-tasks 2 --log-every 1"
glyphs="train glyphs --ways 2..4 --shots 1..3 $small --val-every 2"

# shellcheck disable=SC2086
{
    expect_success "uneven" $glyphs --iterations 4 --run "$work/whole"
    expect_in "$work/out" "2\.\.4-way 1\.\.3-shot, 2 query images per class" "the protocol"
    expect_in "$work/whole/config.json" '"ways": "2\.\.4"' "the range of ways"
    expect_in "$work/whole/result.json" '"ways_least": 2' "the result"
    expect_in "$work/whole/curve.svg" "glyphs, 2\.\.4-way 1\.\.3-shot" "the curve"
    tested=$(grep "^accuracy on held-out classes" "$work/out" | sed 's/.*classes \([0-9.]* +- [0-9.]* %\).*/\1/')

    # in two sessions, the second told once more
    expect_success "half" $glyphs --iterations 2 --run "$work/half"
    expect_success "the other half" train --resume --iterations 4 --ways 2..4 --run "$work/half"
    cmp "$work/whole/checkpoints/last.safetensors" "$work/half/checkpoints/last.safetensors" || fail "resumed: another state"
    cmp "$work/whole/result.json" "$work/half/result.json" || fail "resumed: another result"
    expect_error "another range" 2 '--ways 3..4 contradicts .*2..4' train --resume --iterations 5 --ways 3..4 --run "$work/half"

    expect_success "evaluated" eval "$work/whole" --tasks 2 --query 2 --bn transductive --steps 1 --device host --uneven
    expect_in "$work/out" "2\.\.4-way 1\.\.3-shot" "evaluated"
    [ -n "$tested" ] || fail "the test says no score"
    grep -qF -- "$tested" "$work/out" || fail "eval --uneven is not what train tested, $tested: $(cat "$work/out")"
    expect_success "evaluated evenly" eval "$work/whole" --tasks 2 --query 2 --steps 1 --device host
    expect_in "$work/out" "seed 1, 4-way 3-shot" "evaluated evenly"
    expect_success "as JSON" eval "$work/whole" --tasks 2 --query 2 --bn run --steps 1 --device host --uneven --json --scores "$work/scores.json"
    expect_in "$work/out" '"shots_least": 1' "as JSON"
    expect_in "$work/scores.json" '"ways_least": ?2' "scores"
    expect_success "listed" runs "$work"
    expect_in "$work/out" "2\.\.4-way 1\.\.3-shot" "listed"

    expect_success "one size" train glyphs --ways 3..3 --shots 1 $small --iterations 1 --run "$work/even"
    expect_in "$work/even/config.json" '"ways": 3,' "one size"
    expect_error "one size" 2 "--uneven: .* was trained on tasks of one size" eval "$work/even" --tasks 2 --device host --uneven
    expect_error "both" 2 "--uneven and --shots exclude each other" eval "$work/whole" --tasks 2 --device host --uneven --shots 2
    expect_error "turned round" 2 "--ways: '5..3' is neither" train glyphs --ways 5..3 $small --iterations 1 --run "$work/no"
    expect_error "no range" 2 "--shots: '1..' is neither" train glyphs --shots 1.. $small --iterations 1 --run "$work/no"
    expect_error "one way" 2 "--ways 1..2: with one class there is nothing to tell apart; give 2 at least" \
        train glyphs --ways 1..2 $small --iterations 1 --run "$work/no"
    expect_error "a regression" 2 "--ways is 1 for a regression" train sine --ways 1..3 --device host --iterations 1 --run "$work/no"

    # algorithms of other kinds
    for algorithm in protonet protomaml finetune reptile maml++; do
        expect_success "$algorithm" train glyphs --ways 2..3 --shots 1..2 $small --algorithm $algorithm --iterations 2 --run "$work/$algorithm"
    done
    expect_success "points" train sine --shots 2..6 --query 3 --device host --meta-batch 3 --iterations 2 --val-tasks 2 --eval-tasks 2 --run "$work/sine"
    expect_in "$work/out" "regression, 2\.\.6 support and 3 query points" "points"
}

# Groups of 3 to 8 rows: with a range each gives what it has.
awk 'BEGIN { print "group,x,y"; for (g = 0; g < 18; g++) for (i = 0; i < 3 + g % 6; i++) printf "g%d,%g,%g\n", g, sin(7 * g + 3 * i), cos(5 * g + i) }' >"$work/rows.csv"
table="train table --data $work/rows.csv --task-column group --target y --device host --meta-batch 3 --iterations 2 --val-tasks 2 --eval-tasks 2 --query 2"
# shellcheck disable=SC2086
{
    expect_success "groups" $table --shots 1..6 --strict --run "$work/rows"
    expect_in "$work/out" "regression, 1\.\.6 support and 2 query points" "groups"
    expect_error "groups of one size" 1 "rows" $table --shots 6 --strict --run "$work/no"
    expect_success "groups evaluated" eval "$work/rows" --tasks 2 --steps 1 --device host --uneven
    expect_in "$work/out" "1\.\.6 shots" "groups evaluated"
    grep -q "left out" "$work/err" && fail "groups evaluated: none is too small: $(cat "$work/err")"
    expect_error "groups evaluated evenly" 1 "; or --uneven or --shots K, for smaller tasks" \
        eval "$work/rows" --tasks 2 --steps 1 --device host
    expect_success "what is named" eval "$work/rows" --tasks 2 --steps 1 --device host --shots 4
    expect_in "$work/err" "note: task g0 has 3 rows, which make 3 of the 6 examples it needs: it is left out" "what is named"
    expect_success "groups compared" tasks "$work/rows" --tasks 2 --device host
    expect_in "$work/err" "note: task g0 has 3 rows, .*: it is left out" "groups compared"
}
finish
