#!/bin/sh
# shellcheck disable=SC2317 # functions are called by name
# A sick machine: full and read-only file systems, quotas, renames that fail, calls that signals interrupt, clocks that jump, two
# processes on one cache. What can go on goes on to the same bits; what cannot says why, keeps what there was, and goes on when there is room again.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_INJECT:?the library that lets calls fail}" "${CLMAML_DISTURB:?the library of signals and clocks}"
on_device="--device host"
. "$CLMAML_SOURCE_DIR/tests/inject/faults.sh"
make_runs
export CLMAML_CACHE_DIR="$work/cache"

# ---- clocks that jump, signals that interrupt ----

# disturbed NAME VARIABLE=VALUE ARGUMENT..
disturbed() {
    name=$1 how=$2
    shift 2
    timeout 900 env "$how" LD_PRELOAD="$CLMAML_DISTURB" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    [ $status -eq 0 ] || fail "$name: exit status $status: $(cat "$work/err")"
}
for how in CLMAML_DISTURB_CLOCK=100000 CLMAML_DISTURB_CLOCK=1 CLMAML_DISTURB_SIGNALS=200; do
    no_run
    expected="$work/whole"
    # shellcheck disable=SC2086
    disturbed "train, $how" "$how" $train --run "$work/run"
    same_run "train, $how"
    half_a_run
    expected="$work/resumed"
    disturbed "resume, $how" "$how" train --resume --run "$work/run" --iterations 4
    same_run "resume, $how"
    no_model
    what="adapt, $how"
    disturbed "$what" "$how" adapt "$work/whole" --support "$work/new" --out "$work/model.safetensors" --device host
    same_model
    disturbed "report, $how" "$how" report "$work/whole" --out "$work/report.html" --device host
    # Processes of our own that are listened to.
    disturbed "devices, $how" "$how" devices --verbose
    case $how in
    *SIGNALS*) continue ;; # compilers inside drivers do not bear them
    esac
    disturbed "tune, $how" "$how" tune sine --budget 0.2
    disturbed "doctor, $how" "$how" doctor --quick
done

# ---- renames that fail ----

renames=0
no_run
expected="$work/whole"
# rename_fails AT ARGUMENT..
rename_fails() {
    at=$1
    shift
    timeout 900 env CLMAML_INJECT_KIND=rename CLMAML_INJECT_AT="$at" CLMAML_INJECT_COUNT="$work/calls" LD_PRELOAD="$CLMAML_INJECT" \
        "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}
# shellcheck disable=SC2086
rename_fails 0 $train --run "$work/run"
count=$(cat "$work/calls")
while [ $renames -lt "$count" ]; do
    renames=$((renames + 1))
    no_run
    # shellcheck disable=SC2086
    rename_fails $renames $train --run "$work/run"
    what="train, rename $renames of $count"
    ended "$what"
    goes_on
done
echo "$renames renames failed in turn"

# ---- calls that are interrupted ----

# interrupted NAME BEFORE AFTER ARGUMENT..: calls in turn say EINTR, and nothing is noticed.
most=${CLMAML_INJECT_MOST:-10}
interrupted=0
interrupted() {
    name=$1 before=$2 after=$3
    shift 3
    at=0 stride=1 count=0
    while [ $at -le "$count" ]; do
        $before
        timeout 900 env CLMAML_INJECT_KIND=interrupt CLMAML_INJECT_AT=$at CLMAML_INJECT_OWN=1 CLMAML_INJECT_COUNT="$work/calls" \
            LD_PRELOAD="$CLMAML_INJECT" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
        status=$?
        what="$name, interrupted in call $at of $count"
        [ $status -eq 0 ] || fail "$what: exit status $status: $(cat "$work/err")"
        $after
        [ $at -ne 0 ] || count=$(cat "$work/calls")
        [ $at -ne 0 ] || [ "$most" -eq 0 ] || stride=$((count / most + 1))
        at=$((at + stride))
        interrupted=$((interrupted + 1))
    done
    [ "$count" -gt 0 ] || fail "$name: nothing was interrupted"
}
same_as_whole() { expected="$work/whole" && same_run "$what"; }
same_as_resumed() { expected="$work/resumed" && same_run "$what"; }
# shellcheck disable=SC2086
interrupted "train" no_run same_as_whole $train --run "$work/run"
interrupted "resume" half_a_run same_as_resumed train --resume --run "$work/run" --iterations 4
interrupted "adapt" no_model same_model adapt "$work/whole" --support "$work/new" --out "$work/model.safetensors" --device host
interrupted "export" nothing nothing export "$work/adapted.safetensors" --format onnx --out "$work/model.onnx"
interrupted "report" nothing nothing report "$work/whole" --out "$work/report.html" --device host
echo "$interrupted calls interrupted in turn"

# ---- a quota ----

# within BYTES ARGUMENT..: no more than that may be written.
within() {
    bytes=$1
    shift
    timeout 900 env CLMAML_INJECT_QUOTA="$bytes" LD_PRELOAD="$CLMAML_INJECT" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    ended "$what"
    [ $status -eq 1 ] || fail "$what: exit status $status"
    grep -q "Disk quota exceeded" "$work/err" || fail "$what: $(cat "$work/err")"
}
whole_bytes=$(find "$work/whole" -type f -exec cat {} + | wc -c)
expected="$work/whole"
for percent in 0 20 50 80; do
    no_run
    what="train with a quota of $percent %"
    # shellcheck disable=SC2086
    within $((whole_bytes * percent / 100)) $train --run "$work/run"
    goes_on
done
expected="$work/resumed"
for percent in 0 20; do
    half_a_run
    what="resume with a quota of $percent %"
    within $((whole_bytes * percent / 100)) train --resume --run "$work/run" --iterations 4
    goes_on
done
cp "$work/adapted.safetensors" "$work/old.safetensors"
for bytes in 0 100; do
    what="adapt with a quota of $bytes bytes"
    within "$bytes" adapt "$work/whole" --support "$work/new" --out "$work/old.safetensors" --device host
    cmp -s "$work/old.safetensors" "$work/adapted.safetensors" || fail "$what: the old model is gone"
    what="export with a quota of $bytes bytes"
    within "$bytes" export "$work/adapted.safetensors" --format c --out "$work/none"
    what="report with a quota of $bytes bytes"
    within "$bytes" report "$work/whole" --device host --out "$work/none"
done
find "$work" -name 'none*' -type f >"$work/left"
find "$work" -name '*tmp*' >>"$work/left"
[ ! -s "$work/left" ] || fail "a quota: files were left: $(cat "$work/left")"

# ---- two processes on one cache ----

export CLMAML_CACHE_DIR="$work/shared"
expected="$work/whole"
for round in 1 2; do
    rm -rf "$work/shared"
    processes=
    for i in 1 2 3; do
        rm -rf "$work/beside$i"
        # shellcheck disable=SC2086
        "$CLMAML_PROGRAM" $train --run "$work/beside$i" >"$work/beside$i.out" 2>&1 </dev/null &
        processes="$processes $!"
        "$CLMAML_PROGRAM" tune sine --budget 0.2 >"$work/tune$i.out" 2>&1 </dev/null &
        tuning=$!
        processes="$processes $tuning"
    done
    [ $round -eq 1 ] || kill -9 $tuning # with whatever it had locked
    for process in $processes; do
        wait "$process"
        status=$?
        [ $status -eq 0 ] || [ "$process" -eq $tuning ] || fail "processes on one cache: exit status $status: $(cat "$work"/beside?.out "$work"/tune?.out)"
    done
    for i in 1 2 3; do
        rm -rf "$work/run"
        mv "$work/beside$i" "$work/run"
        same_run "processes on one cache"
    done
    expect_success "tuned behind them" tune sine --budget 0.1
done
export CLMAML_CACHE_DIR="$work/cache"

# ---- full and read-only ----

disk=$work/disk
mkdir "$disk"
if ! mount -t tmpfs -o size=1m tmpfs "$disk" 2>"$work/mount"; then
    [ "${CLMAML_REQUIRE_PROOFS:-OFF}" = OFF ] || [ "$(id -u)" -ne 0 ] || fail "no small file system can be mounted: $(cat "$work/mount")"
    echo "NOT TESTED: full and read-only file systems: $(cat "$work/mount")"
    finish
fi
trap 'umount "$disk"; rm -rf "$work"' EXIT
run_size=$(du -sk "$work/whole" | cut -f 1)
expected="$work/whole"
for percent in 5 20 35 50 65 80 95; do
    rm -rf "${disk:?}"/*
    size=$((run_size * percent / 100 + 4))
    mount -o remount,size=${size}k "$disk"
    what="train on $size KiB of $run_size"
    # shellcheck disable=SC2086
    clmaml $train --run "$disk/run"
    ended "$what"
    [ $status -eq 1 ] || fail "$what: exit status $status"
    grep -q "No space left on device" "$work/err" || fail "$what: $(cat "$work/err")"
    mount -o remount,size=16m "$disk"
    rm -rf "$work/run"
    cp -r "$disk/run" "$work/run" 2>/dev/null
    goes_on
done
# Nothing of the run that is there is lost.
expected="$work/resumed"
for more in 4 16 48; do
    rm -rf "${disk:?}"/*
    cp -r "$work/half" "$disk/run"
    mount -o remount,size=$(($(du -sk "$disk/run" | cut -f 1) + more))k "$disk"
    what="resume with $more KiB left"
    clmaml train --resume --run "$disk/run" --iterations 4
    ended "$what"
    mount -o remount,size=16m "$disk"
    rm -rf "$work/run"
    cp -r "$disk/run" "$work/run"
    goes_on
done
# Full from the beginning, for what is written and for what is only kept.
rm -rf "${disk:?}"/*
cp "$work/adapted.safetensors" "$disk/old.safetensors"
dd if=/dev/zero of="$disk/fill" bs=1k >/dev/null 2>&1
expect_error "adapt on a full disk" 1 "No space left on device" adapt "$work/whole" --support "$work/new" --out "$disk/model.safetensors" --device host
expect_error "adapt over an old model" 1 "No space left on device" adapt "$work/whole" --support "$work/new" --out "$disk/old.safetensors" --device host
cmp -s "$disk/old.safetensors" "$work/adapted.safetensors" || fail "adapt over an old model on a full disk: it is gone"
expect_error "export on a full disk" 1 "No space left on device" export "$work/adapted.safetensors" --format onnx --out "$disk/model.onnx"
expect_error "report on a full disk" 1 "No space left on device" report "$work/whole" --out "$disk/report.html" --device host
[ "$(find "$disk" -type f | wc -l)" -eq 2 ] || fail "a full disk: files were left: $(ls "$disk")"
useful() {
    expect_success "$1: eval" eval "$work/whole" --tasks 2
    TMPDIR="$disk" expect_success "$1: doctor" doctor --quick
    expect_success "$1: devices" devices
    expect_error "$1: tune" 1 "$2" tune sine --budget 0.1
}
export CLMAML_CACHE_DIR="$disk/cache"
useful "a cache on a full disk" "cannot write .*: No space left on device"
rm -rf "${disk:?}"/*
cp -r "$work/whole" "$disk/run"
mount -o remount,ro "$disk"
useful "a cache on a read-only disk" "results cannot be kept for .*: Read-only file system"
expect_success "eval of a run that is read-only" eval "$disk/run" --tasks 2 --device host
expect_success "report of a run that is read-only" report "$disk/run" --out "$work/report.html" --device host
expect_success "runs that are read-only" runs "$disk"
expect_error "resume of a run that is read-only" 1 "Read-only file system" train --resume --run "$disk/run" --iterations 6
# shellcheck disable=SC2086
expect_error "train on a read-only disk" 1 "Read-only file system" $train --run "$disk/new"
finish
