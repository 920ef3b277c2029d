#!/bin/sh
# Regression on functions: kinds of them, the baseline without meta-learning, and the picture of what was learned.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
small="--device host --meta-batch 3 --shots 4 --query 4 --iterations 2 --val-tasks 2 --eval-tasks 2"

# panels FILE: lines "KIND ERROR", and that each panel has its curves and points
panels() {
    grep -o "<text [^>]*font-weight='bold'>[^<]*mean squared error [^<]*" "$1" | sed 's/.*>//; s/: mean squared error//; s/mean squared error/-/'
}

# shellcheck disable=SC2086
expect_success "functions" train functions $small --steps 2 --test-steps 3 --run "$work/all"
expect_in "$work/out" "functions: y = a sin.*; or a x \+ b.*; or a \(x - c\)\^2 \+ b.*; or a \|x - c\| \+ b" "the data"
expect_in "$work/out" "^fits of test tasks: $work/all/fits.svg" "where the picture is"
fits="$work/all/fits.svg"
[ "$(panels "$fits" | cut -d' ' -f1 | sort | tr '\n' ' ')" = "absolute line parabola sine " ] || fail "not a task of each kind: $(panels "$fits")"
panels "$fits" | awk '!($2 > 0) { exit 1 }' || fail "errors that are no numbers: $(panels "$fits")"
[ "$(grep -c "<polyline" "$fits")" -eq 16 ] || fail "not four curves a task"
[ "$(grep -c "<circle.*'/>$" "$fits")" -eq 16 ] || fail "not four points a task"
for label in "true" "before adaptation" "after 1 step" "after 3 steps" "support points"; do expect_in "$fits" ">$label<" "the key"; done

# shellcheck disable=SC2086
expect_success "two kinds" train functions --functions line,absolute $small --run "$work/two"
panels "$work/two/fits.svg" | cut -d' ' -f1 | sort -u | tr '\n' ' ' | grep -qx "absolute line " || fail "other kinds than asked for"
# shellcheck disable=SC2086
expect_success "pretrained" train sine --algorithm pretrain $small --run "$work/pretrained"
expect_in "$work/out" "at test alone, 10 steps of gradient descent at rate 0.01" "pretrained"
grep -q "second-order share" "$work/out" && fail "pretrained: a share of the second order"
expect_in "$work/pretrained/fits.svg" ">after 10 steps<" "pretrained"
expect_success "side by side" report "$work/all" "$work/pretrained" --out "$work/page.html"
[ "$(grep -o 'src="data:image/svg+xml;base64,' "$work/page.html" | wc -l)" -eq 2 ] || fail "the page lacks the fits"

# shellcheck disable=SC2086
{
    expect_error "no such kind" 2 "functions: 'cube' is none of sine, line, parabola, absolute" train functions --functions line,cube $small --run "$work/no"
    expect_error "a kind twice" 2 "functions: line is named twice" train functions --functions line,line $small --run "$work/no"
    expect_error "kinds of a sinusoid" 2 "--functions is for functions; it says nothing to sine" train sine --functions line $small --run "$work/no"
    expect_success "no picture of glyphs" train glyphs --device host --filters 2 --size 16 --ways 2 --meta-batch 2 --iterations 1 --val-tasks 1 --eval-tasks 1 --run "$work/glyphs"
}

# ---- updates that are not finite ----
# no_nan NAME: in texts they are "not finite"
no_nan() {
    grep -Eiw -- '-?(nan|inf)' "$work/out" "$work/err" | grep -v -- --on-nan | grep -q . && fail "$1: $(grep -Eiw -- '-?(nan|inf)' "$work/out" "$work/err")"
}
steep="train functions --device host --meta-batch 2 --shots 4 --query 4 --iterations 12 --steps 8 --inner-lr 1 --val-tasks 2 --eval-tasks 2 --log-every 1"
# shellcheck disable=SC2086
{
    expect_error "not finite" 1 "clip the gradient \(--inner-lr, --outer-lr, --clip-norm\); the checkpoint of iteration" $steep --run "$work/steep"
    expect_error "not finite, at last" 1 "\(--inner-lr, --outer-lr, --clip-norm\); the 100 iterations before it were left out as well; the checkpoint" $steep --inner-lr 1e6 --iterations 200 --on-nan skip --run "$work/none"
    expect_error "all left out" 1 "none of the 12 updates was finite, and all of them were left out: .*--inner-lr, .*; the checkpoint of iteration 12 is kept in" $steep --inner-lr 1e6 --on-nan skip --run "$work/all-skipped"
    no_nan "all left out"
    expect_in "$work/out" "^12/12  loss not finite  support [^ ]+->not finite  query [^ ]+->not finite  " "all left out"
    expect_error "all left out, resumed" 1 "none of the 12 updates was finite, and all of them were left out; the checkpoint of iteration 12" train --resume --run "$work/all-skipped"
    expect_success "left out" $steep --on-nan skip --run "$work/skip"
}
expect_in "$work/err" "iteration [0-9]+ is left out: the meta-step gave a number that is not finite .*, or clip the gradient \(--inner-lr, --outer-lr, --clip-norm\)$" "left out"
no_nan "left out"
expect_in "$work/err" "[0-9]+ of 12 updates were not finite and are left out" "left out"
said=$(grep -o "[0-9]* of 12 updates" "$work/err" | cut -d' ' -f1)
expect_in "$work/skip/metrics.jsonl" "\"iteration\": 12, .*\"skipped\": $said[,}]" "the count"
[ "$(grep -c '"kind": "train".*"grad_norm": null' "$work/skip/metrics.jsonl")" -eq "$said" ] || fail "other rows than the $said that were left out"
[ -e "$work/glyphs/fits.svg" ] && fail "fits of glyphs"
finish
