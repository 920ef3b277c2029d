#!/bin/sh
# One call in turn fails, an allocation or a file operation, in each command: no crash, a message whenever the exit status is not 0,
# and a run goes on to the bits of the one that nothing befell.
#
# CLMAML_INJECT_MOST: faults of a kind in a command, spread evenly over its calls (40); 0: every one.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_INJECT:?the library that lets calls fail}" "${CLMAML_TEST_DATA:?}"
most=${CLMAML_INJECT_MOST:-40}
injected=0

"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
mkdir -p "$work/new/red" "$work/new/blue"
cp "$work/colours/class00/1.jpg" "$work/new/red"
cp "$work/colours/class16/2.png" "$work/new/blue"
train="train $work/colours --ways 2 --shots 1 --query 1 --size 16 --filters 2 --meta-batch 2 --val-tasks 2 --eval-tasks 2 --class-split 16,4,4
    --iterations 4 --val-every 2 --checkpoint-every 1 --device host"

# faulty KIND AT ARGUMENT..: runs the program with that fault.
faulty() {
    kind=$1 at=$2
    shift 2
    CLMAML_INJECT_KIND=$kind CLMAML_INJECT_AT=$at CLMAML_INJECT_COUNT="$work/calls" LD_PRELOAD="$CLMAML_INJECT" \
        "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# inject NAME BEFORE AFTER ARGUMENT..: BEFORE and AFTER are commands before and after each fault.
inject() {
    name=$1 before=$2 after=$3
    shift 3
    for kind in alloc file; do
        $before
        rm -f "$work/calls"
        faulty $kind 0 "$@"
        [ $status -eq 0 ] || fail "$name without a fault: exit status $status: $(cat "$work/err")"
        count=$(cat "$work/calls")
        stride=1
        [ "$most" -eq 0 ] || stride=$((count / most + 1))
        at=$((1 + stride / 2))
        faults=0
        while [ $at -le "$count" ]; do
            $before
            faulty $kind $at "$@"
            what="$name, $kind call $at of $count"
            [ $status -lt 3 ] || fail "$what: exit status $status: $(cat "$work/err")"
            if [ $status -ne 0 ]; then
                grep -q "^clmaml: ." "$work/err" || fail "$what: exit status $status without a message: $(cat "$work/err")"
            fi
            $after
            faults=$((faults + 1))
            at=$((at + stride))
        done
        [ $faults -gt 0 ] || fail "$name: nothing was injected"
        injected=$((injected + faults))
        echo "$name: $faults of $count calls ($kind) failed in turn"
    done
}

nothing() { :; }
no_run() { rm -rf "$work/run"; }
half_a_run() { rm -rf "$work/run" && cp -r "$work/half" "$work/run"; }
# The run goes on, or begins again where it had not begun.
goes_on() {
    after_what=$what
    if [ -e "$work/run/config.json" ]; then
        clmaml train --resume --run "$work/run" --iterations 4
    else
        rm -rf "$work/run"
        # shellcheck disable=SC2086
        clmaml $train --run "$work/run"
    fi
    [ $status -eq 0 ] || fail "$after_what, then resumed: exit status $status: $(cat "$work/err")"
    for checkpoint in last best; do
        cmp -s "$expected/checkpoints/$checkpoint.safetensors" "$work/run/checkpoints/$checkpoint.safetensors" ||
            fail "$after_what, then resumed: $checkpoint.safetensors differs"
    done
    cmp -s "$expected/result.json" "$work/run/result.json" || fail "$after_what, then resumed: result.json differs"
}

# shellcheck disable=SC2086
{
    expect_success "whole" $train --run "$work/whole"
    expect_success "half" $train --iterations 2 --run "$work/half"
    expected="$work/whole"
    inject "train" no_run goes_on $train --run "$work/run"
}
cp -r "$work/half" "$work/resumed"
expect_success "resumed" train --resume --run "$work/resumed" --iterations 4
expected="$work/resumed"
inject "resume" half_a_run goes_on train --resume --run "$work/run" --iterations 4
inject "eval" nothing nothing eval "$work/whole" --tasks 2 --device host
inject "adapt" nothing nothing adapt "$work/whole" --support "$work/new" --out "$work/adapted.safetensors" --device host
expect_success "adapt" adapt "$work/whole" --support "$work/new" --out "$work/adapted.safetensors" --device host
inject "predict" nothing nothing predict "$work/adapted.safetensors" "$work/new/red" --json --device host
inject "export" nothing nothing export "$work/adapted.safetensors" --format onnx --out "$work/adapted.onnx"
inject "report" nothing nothing report "$work/whole" --out "$work/report.html" --device host
inject "runs" nothing nothing runs "$work"
inject "model" nothing nothing model
echo "$injected faults injected"
finish
