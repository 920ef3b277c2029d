#!/bin/sh
# Standard streams that are closed or noisy, signals, marks in files, drivers that offer nothing.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
small="train sine --device host --iterations 5 --eval-tasks 2 --val-tasks 2 --meta-batch 2"

# Closed descriptors: nothing that belongs to a terminal goes to a file of the run, and nothing fails for it.
# shellcheck disable=SC2086
"$CLMAML_PROGRAM" $small --run "$work/closed" >&- 2>&- <&- || fail "closed streams: exit status $?"
grep -qv '^{"iteration"' "$work/closed/metrics.jsonl" && fail "closed streams: metrics.jsonl holds $(grep -v '^{' "$work/closed/metrics.jsonl" | head -n 1)"
clmaml devices
before=$(grep -c . "$work/out")
"$CLMAML_PROGRAM" devices >&- 2>"$work/err"
[ ! -s "$work/err" ] || fail "devices without stdout: $(cat "$work/err")"
[ "$before" -gt 1 ] || fail "devices: nothing is listed"

# A pipe that nobody reads any more: the run goes on to its end.
# shellcheck disable=SC2086
("$CLMAML_PROGRAM" $small --iterations 40 --run "$work/pipe" 2>/dev/null | head -n 1 >/dev/null) || true
[ -e "$work/pipe/result.json" ] || fail "a pipe that is closed: the run has no result"

# A closed terminal is like an end that was asked for. `timeout` and others send a signal twice at once. Under nohup, HUP is ignored by whatever is started.
signals="HUP TERM INT USR1 XCPU"
[ -z "$(sh -c 'kill -HUP $$; echo ignored' 2>/dev/null)" ] || signals="TERM INT USR1 XCPU"
for signal in $signals; do
    "$CLMAML_PROGRAM" train sine --device host --meta-batch 2 --val-tasks 2 --iterations 1000000 --val-every 500000 --run "$work/$signal" >"$work/$signal.out" 2>&1 &
    process=$!
    wait_until $process grep -qs ',train,' "$work/$signal/metrics.csv" || fail "$signal: $(cat "$work/$signal.out")"
    kill -$signal $process
    kill -$signal $process # it may have ended
    wait $process
    ended=$?
    # a shell starts what is in the background with INT ignored
    if [ $signal = INT ] && [ $ended -ne 130 ]; then kill -TERM $process 2>/dev/null; wait $process; continue; fi
    [ $ended -eq 130 ] || fail "$signal: exit status $ended"
    [ $signal = USR1 ] || expect_in "$work/$signal.out" "^clmaml: stopping after this update; the same signal again ends it at once$" "$signal"
    expect_success "resume after $signal" train --resume --run "$work/$signal" --iterations "$(ls "$work/$signal/checkpoints" | sed -n 's/^0*\([1-9][0-9]*\)\.safetensors$/\1/p' | sort -n | tail -n 1)" --device host
done 2>/dev/null

# Again, a while later, the signal ends a step that takes minutes at once.
{
    "$CLMAML_PROGRAM" train glyphs --device host --steps 10 --val-tasks 1 --eval-tasks 0 --run "$work/long" >"$work/long.out" 2>&1 &
    process=$!
    wait_until $process grep -qs '^ready in' "$work/long.out" || fail "a long step: $(cat "$work/long.out")"
    kill -TERM $process
    sleep 1
    kill -TERM $process || fail "a long step: it ended: $(cat "$work/long.out")"
    wait $process
    ended=$?
} 2>/dev/null
[ $ended -eq 143 ] || fail "a long step: exit status $ended"

# A mark in front of UTF-8, as some editors write it.
printf '\357\273\277{"data": "sine", "layers": [{"op": "linear", "out": 8}, {"op": "tanh"}, {"op": "linear", "out": 1}]}' >"$work/bom.json"
expect_success "a mark in a model file" train "$work/bom.json" --device host --meta-batch 2 --val-tasks 2 --eval-tasks 2 --iterations 2 --run "$work/bom"

# Drivers that offer nothing are named, with why.
mkdir "$work/missing" "$work/none"
echo "/nowhere/libdriver.so" >"$work/missing/absent.icd"
OCL_ICD_VENDORS=$work/missing expect_error "a missing library" 1 "1 driver is installed, and none offers a device .absent.icd: .*libdriver.so" \
    train sine --iterations 1 --run "$work/new"
grep -q PoCL "$work/err" && fail "a missing library: PoCL is none of the drivers: $(cat "$work/err")"
OCL_ICD_VENDORS=$work/missing expect_error "a missing library: doctor" 1 "1 driver is installed, and none offers a device .absent.icd: .*libdriver.so" doctor --quick
OCL_ICD_VENDORS=$work/missing expect_success "a missing library: devices" devices
expect_in "$work/out" "There is no OpenCL device: 1 driver is installed, and none offers a device .absent.icd: .*libdriver.so" "a missing library: devices"
OCL_ICD_VENDORS=$work/none expect_error "no driver" 1 "no OpenCL device found: install" train sine --iterations 1 --run "$work/new"
OCL_ICD_VENDORS=$work/missing expect_error "a missing library, eval" 1 "absent.icd" eval "$work/bom"
if [ -e /etc/OpenCL/vendors/pocl.icd ]; then
    POCL_CACHE_DIR=/proc/nowhere expect_error "a cache that cannot be made" 1 "none offers a device .*pocl.icd.*POCL_CACHE_DIR" \
        train sine --iterations 1 --run "$work/new"
fi

finish
