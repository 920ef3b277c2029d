#!/bin/sh
# shellcheck disable=SC2317 # functions are called by name
# One call in turn fails, an allocation or a file operation, in each command: no crash, a message whenever the exit status is not 0,
# and a run goes on to the bits of the one that nothing befell. On the host reference; opencl.sh does the same to OpenCL calls.
#
# CLMAML_INJECT_MOST: faults of a kind in a command, spread evenly over the places from which it makes such calls (16); 0: one at every place.
# CLMAML_INJECT_COMMANDS: in these commands alone, such as "eval,adapt".
# CLMAML_INJECT_SECONDS: after which a command hangs (900).
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_INJECT:?the library that lets calls fail}"
most=${CLMAML_INJECT_MOST:-16}
on_device="--device host"
. "$CLMAML_SOURCE_DIR/tests/inject/faults.sh"
make_runs
export CLMAML_CACHE_DIR="$work/cache"

# faulty KIND PLACE AT ARGUMENT..: runs the program with that fault.
faulty() {
    kind=$1 place=$2 at=$3
    shift 3
    timeout "${CLMAML_INJECT_SECONDS:-900}" env CLMAML_INJECT_KIND="$kind" CLMAML_INJECT_PLACE="$place" CLMAML_INJECT_AT="$at" \
        CLMAML_INJECT_PLACES="$work/places" LD_PRELOAD="$CLMAML_INJECT" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# inject NAME BEFORE AFTER ARGUMENT..: BEFORE and AFTER are commands before and after each fault.
inject() {
    name=$1 before=$2 after=$3
    is_asked "$name" || return 0
    shift 3
    for sort in alloc file; do
        $before
        rm -f "$work/places"
        faulty $sort "" 0 "$@"
        [ $status -eq 0 ] || fail "$name without a fault: exit status $status: $(cat "$work/err")"
        prints_it_before
        choose_places
        faults=0
        while read -r function where at calls; do
            $before
            faulty "$function" "$where" "$at" "$@"
            what="$name, $function at $where, call $at of $calls"
            ended "$what"
            $after
            faults=$((faults + 1))
        done <"$work/chosen"
        [ $faults -gt 0 ] || fail "$name: nothing was injected"
        injected=$((injected + faults))
        echo "$name: faults ($sort) at $faults of $places places"
    done
}

expected="$work/whole"
# shellcheck disable=SC2086
inject "train" no_run goes_on $train --run "$work/run"
expected="$work/resumed"
inject "resume" half_a_run goes_on train --resume --run "$work/run" --iterations 4
inject "eval" nothing prints_it eval "$work/whole" --tasks 2 --steps 2 --device host
inject "adapt" no_model same_model adapt "$work/whole" --support "$work/new" --out "$work/model.safetensors" --device host
inject "predict" nothing prints_it predict "$work/adapted.safetensors" "$work/new/red" --json --device host
inject "export" nothing nothing export "$work/adapted.safetensors" --format onnx --out "$work/adapted.onnx"
inject "report" nothing nothing report "$work/whole" --out "$work/report.html" --device host
inject "runs" nothing nothing runs "$work"
inject "model" nothing prints_it model
# It loads the drivers, which may crash without memory.
CLMAML_INJECT_OWN=1
export CLMAML_INJECT_OWN
inject "doctor" nothing nothing doctor --quick --device host --report "$work/doctor.txt"
say_injected
finish
