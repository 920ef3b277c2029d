#!/bin/sh
# shellcheck disable=SC2317 # functions are called by name
# One OpenCL call in turn fails, in each command, on the OpenCL device at hand: no crash, no hang, a message whenever the exit status is
# not 0, the same result when it is, and a run goes on to the bits of the one that nothing befell. So do our own allocations and file
# operations there, unless a sanitizer has replaced these.
#
# CLMAML_INJECT_MOST: faults of a kind in a command (8), spread evenly over the places from which it makes such calls; 0: one at every place.
# CLMAML_INJECT_COMMANDS: in these commands alone, such as "eval,first use".
# CLMAML_TURN=I/N: of these every N-th, from the I-th, but one at least.
# CLMAML_INJECT_SECONDS: after which a command hangs (900), which a very busy machine does not take for what is no hang.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_INJECT_LAYER:?the layer that lets OpenCL calls fail}"
most=${CLMAML_INJECT_MOST:-8}
on_device=
. "$CLMAML_SOURCE_DIR/tests/inject/faults.sh"
export CLMAML_CACHE_DIR="$work/cache" CLMAML_PROBE_SECONDS=0
unset CLMAML_LOG CLMAML_FORCE CLMAML_NO_CACHE
make_runs

# Every function that src/device/opencl calls can fail.
for function in $(grep -rhoE '\bcl[A-Z][A-Za-z]+\(' "$CLMAML_SOURCE_DIR"/src/device/opencl/*.c | tr -d '(' | sort -u); do
    grep -q "($function," "$CLMAML_SOURCE_DIR/tests/inject/layer.c" ||
        grep -q ", $function," "$CLMAML_SOURCE_DIR/tests/inject/layer.c" || fail "tests/inject/layer.c does not know $function"
done

# faulty KIND PLACE AT CODE ARGUMENT..: runs the program with that fault, in the process that $within names.
within=
faulty() {
    kind=$1 place=$2 at=$3 code=$4
    shift 4
    case $kind in
    alloc | file) preload=$CLMAML_INJECT layer= ;;
    *) preload='' layer=$CLMAML_INJECT_LAYER ;;
    esac
    timeout "${CLMAML_INJECT_SECONDS:-900}" env CLMAML_INJECT_KIND="$kind" CLMAML_INJECT_PLACE="$place" CLMAML_INJECT_AT="$at" \
        CLMAML_INJECT_CODE="$code" CLMAML_INJECT_PLACES="$work/places" CLMAML_INJECT_OWN=1 CLMAML_INJECT_IN="$within" \
        ${layer:+"OPENCL_LAYERS=$layer"} LD_PRELOAD="$preload" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# The error of the next fault: CL_OUT_OF_RESOURCES, which is also a lack of memory, CL_OUT_OF_HOST_MEMORY, CL_INVALID_OPERATION.
next_code() {
    case ${code-} in
    -5) code=-6 ;;
    -6) code=-59 ;;
    *) code=-5 ;;
    esac
}

# Leaves the part of $work/chosen that CLMAML_TURN names.
turn=${CLMAML_TURN:-0/1}
in_turn() {
    awk -v i="${turn%/*}" -v n="${turn#*/}" '{ line[NR - 1] = $0 } END { for (at = i % (NR < n ? NR : n); at < NR; at += n) print line[at] }' \
        "$work/chosen" >"$work/in-turn"
    mv "$work/in-turn" "$work/chosen"
}

# inject_sort SORT NAME BEFORE AFTER ARGUMENT..: counts the calls, then lets one after the other fail; BEFORE and AFTER are commands.
inject_sort() {
    sort=$1 name=$2 before=$3 after=$4
    is_asked "$name" || return 0
    shift 4
    $before
    rm -f "$work/places"
    faulty "$sort" "" 0 0 "$@"
    [ $status -eq 0 ] || fail "$name without a fault: exit status $status: $(cat "$work/err")"
    prints_it_before
    choose_places
    in_turn
    faults=0
    while read -r function where at calls; do
        next_code
        $before
        faulty "$function" "$where" "$at" $code "$@"
        what="$name, $function at $where, call $at of $calls ($code)"
        ended "$what"
        $after
        faults=$((faults + 1))
    done <"$work/chosen"
    [ $faults -gt 0 ] || fail "$name: nothing was injected"
    injected=$((injected + faults))
    echo "$name: faults ($sort) at $faults of $places places"
}
inject() {
    # shellcheck disable=SC2043
    for sort in opencl ${CLMAML_INJECT:+alloc file}; do inject_sort "$sort" "$@"; done
}

expected="$work/whole"
# shellcheck disable=SC2086
inject "train" no_run goes_on $train --run "$work/run"
# A CPU in parts adds up in another order, so a fault must not make it one.
CLMAML_CPU_PARTS=2
export CLMAML_CPU_PARTS
# shellcheck disable=SC2086
expect_success "parts" $train --run "$work/parts"
expected="$work/parts"
# shellcheck disable=SC2086
inject_sort opencl "train in parts" no_run goes_on $train --run "$work/run"
unset CLMAML_CPU_PARTS
expected="$work/resumed"
inject "resume" half_a_run goes_on train --resume --run "$work/run" --iterations 4
inject "eval" nothing prints_it eval "$work/whole" --tasks 2 --steps 2
inject "adapt" no_model same_model adapt "$work/whole" --support "$work/new" --out "$work/model.safetensors"
inject "predict" nothing prints_it predict "$work/adapted.safetensors" "$work/new/red" --json
# Parts of a CPU that share launches would wait for ever for one that a fault has kept from it.
# Of launches, which come to one part after the other, two that follow one another fail. Steps enough for kernels that are built.
CLMAML_CPU_TEAM=2
export CLMAML_CPU_TEAM
cp "$work/adapted.safetensors" "$work/as-tested.safetensors"
expect_success "adapt by a team" adapt "$work/whole" --support "$work/new" --steps 6 --out "$work/adapted.safetensors"
team="adapt $work/whole --support $work/new --steps 6 --out $work/model.safetensors"
# shellcheck disable=SC2086
inject_sort opencl "adapt by a team" no_model same_model $team
if is_asked "adapt by a team"; then
    faults=0
    grep '^clEnqueueNDRangeKernel' "$work/chosen" >"$work/launches"
    while read -r function where at calls; do
        for next in $((at - 1)) $((at + 1)) $((at + 2)); do
            [ "$next" -gt 0 ] && [ "$next" -le "$calls" ] || continue
            next_code
            no_model
            # shellcheck disable=SC2086
            faulty "$function" "$where" "$next" $code $team
            what="adapt by a team, $function at $where, call $next of $calls ($code)"
            ended "$what"
            same_model
            faults=$((faults + 1))
        done
    done <"$work/launches"
    injected=$((injected + faults))
    echo "adapt by a team: faults at $faults other launches"
fi
mv "$work/as-tested.safetensors" "$work/adapted.safetensors"
unset CLMAML_CPU_TEAM
inject "report" nothing nothing report "$work/whole" --out "$work/report.html"
inject "tune" nothing nothing tune sine --budget 0.2 --again

# The examination, and the test before the first use, are processes of their own.
within=--examine-device
inject "doctor" nothing nothing doctor --quick
within=--test-device
forget_tests() { rm -rf "$CLMAML_CACHE_DIR/selftest"; }
inject_sort opencl "first use" forget_tests nothing eval "$work/whole" --tasks 2 --steps 2
within=

# Binaries of programs on disk, where the driver has no cache of its own; and programs from their source.
CLMAML_QUIRKS=none
export CLMAML_QUIRKS
for _ in 1 2 3; do expect_success "binaries" eval "$work/whole" --tasks 2 --steps 2; done
inject_sort opencl "eval with binaries" nothing prints_it eval "$work/whole" --tasks 2 --steps 2
unset CLMAML_QUIRKS

# What was damaged on the way would show now: caches and tuning are used as the faults left them.
expect_success "eval at last" eval "$work/whole" --tasks 2 --steps 2
no_run
# shellcheck disable=SC2086
expect_success "train at last" $train --run "$work/run"
expected="$work/whole"
same_run "train at last"
say_injected
finish
