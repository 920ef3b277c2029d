#!/bin/sh
# shellcheck disable=SC2317 # functions are called by name
# Killed with -9 in train, resume, adapt, export, report and tune, at random moments: between two file operations, in the middle of a
# write, and after a random time. A run always goes on to the bits of the one that nothing befell, and no half of a file bears the name
# of a whole one.
#
# CLMAML_KILLS: how often in all (12). CLMAML_TEST_SEED: of the moments.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_INJECT:?the library that ends the process}"
kills=${CLMAML_KILLS:-12}
on_device="--device host"
. "$CLMAML_SOURCE_DIR/tests/inject/faults.sh"
make_runs
export CLMAML_CACHE_DIR="$work/cache" CLMAML_PROBE_SECONDS=0
expect_success "export" export "$work/adapted.safetensors" --format onnx --out "$work/whole.onnx"
expect_success "report" report "$work/whole" --out "$work/whole.html" --device host
seed=${CLMAML_TEST_SEED:-$$}
killed=0 ended_first=0

# at_random WHOLE: a number from 1 to WHOLE.
at_random() {
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    chosen=$((seed / 65536 % $1 + 1))
}

# with_action ACTION AT ARGUMENT..
with_action() {
    action=$1 at=$2
    shift 2
    timeout 900 env CLMAML_INJECT_KIND=file CLMAML_INJECT_AT="$at" CLMAML_INJECT_ACTION="$action" CLMAML_INJECT_COUNT="$work/calls" \
        CLMAML_INJECT_OWN=1 LD_PRELOAD="$CLMAML_INJECT" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# after_time MILLISECONDS ARGUMENT..
after_time() {
    seconds=$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))
    shift
    "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null &
    process=$!
    sleep "$seconds"
    kill -9 $process 2>/dev/null
    wait $process 2>/dev/null
    status=$?
}

# Kills NAME BEFORE AFTER ARGUMENT.., the next of the three ways each time.
killing() {
    name=$1 before=$2 after=$3
    shift 3
    $before
    start=$(date +%s%N)
    with_action fail 0 "$@"
    lasted=$((($(date +%s%N) - start) / 1000000 + 1))
    [ $status -eq 0 ] || fail "$name, unharmed: exit status $status: $(cat "$work/err")"
    count=$(cat "$work/calls")
    times=0
    while [ $times -lt $share ]; do
        $before
        case $(((times + turn) % 3)) in
        0)
            at_random "$count"
            with_action kill "$chosen" "$@"
            what="$name, killed before file operation $chosen of $count"
            ;;
        1)
            at_random "$count"
            with_action half "$chosen" "$@"
            what="$name, killed in file operation $chosen of $count"
            ;;
        2)
            at_random "$lasted"
            after_time "$chosen" "$@"
            what="$name, killed after $chosen of $lasted ms"
            ;;
        esac
        case $status in
        137) killed=$((killed + 1)) ;;
        0) ended_first=$((ended_first + 1)) ;;
        *) fail "$what: exit status $status: $(cat "$work/err")" ;;
        esac
        $after
        times=$((times + 1))
    done
    turn=$((turn + 1))
}

none_unfinished() {
    left=$(find "$work/run" -name '*.tmp*')
    [ -z "$left" ] || fail "$what, then resumed: left behind: $left"
}
resumes() {
    goes_on
    none_unfinished
}
# whole FILE EXPECTED: absent, or as it would have been.
whole() { [ ! -e "$1" ] || cmp -s "$1" "$2" || fail "$what: half of $1"; }
no_files() { rm -f "$work"/model.safetensors* "$work"/model.onnx* "$work"/report.html*; }
old_files() {
    no_files
    cp "$work/adapted.safetensors" "$work/model.safetensors"
}
whole_files() {
    whole "$work/model.safetensors" "$work/adapted.safetensors"
    whole "$work/model.onnx" "$work/whole.onnx"
    whole "$work/report.html" "$work/whole.html"
}
kept_files() {
    [ -e "$work/model.safetensors" ] || fail "$what: the old file is gone"
    whole_files
}

share=$(((kills + 11) / 12)) turn=0
expected="$work/whole"
# shellcheck disable=SC2086
for _ in 1 2 3; do killing "train" no_run resumes $train --run "$work/run"; done
expected="$work/resumed"
for _ in 1 2 3; do killing "resume" half_a_run resumes train --resume --run "$work/run" --iterations 4; done
killing "adapt" no_files whole_files adapt "$work/whole" --support "$work/new" --out "$work/model.safetensors" --device host
killing "adapt" old_files kept_files adapt "$work/whole" --support "$work/new" --out "$work/model.safetensors" --device host
killing "export" no_files whole_files export "$work/adapted.safetensors" --format onnx --out "$work/model.onnx"
killing "report" no_files whole_files report "$work/whole" --out "$work/report.html" --device host
# Tuning measures, so what it keeps is not always the same: the next one goes on with it, and the one after that knows it.
tunes_again() {
    expect_success "$what, then tuned again" tune sine --budget 0.2
    expect_success "$what, then tuned a third time" tune sine --budget 0.1
    grep -Eq "operations in .*, [1-9][0-9]* of them known" "$work/out" || fail "$what: what was tuned is not known: $(cat "$work/out")"
}
no_tuning() { rm -rf "$work/cache/tune"; }
for _ in 1 2; do killing "tune" no_tuning tunes_again tune sine --budget 0.2; done
echo "$killed times killed, $ended_first times it was at its end already"
[ $killed -gt 0 ] || fail "nothing was killed"
finish
