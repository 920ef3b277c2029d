#!/bin/sh
# Runs the fuzz targets that the preset `fuzz` has built, one after the other, each RUNS times.
#
#   tests/fuzz/run.sh [TARGET..]
#
# RUNS: executions of each (1000000). SECONDS_MOST: of each (0: no limit). SECONDS_HANG: of one execution, by the clock (20): a machine
# that is very busy takes more for what is no hang. BUILD: the build folder (build-fuzz). FUZZ_OUT: where grown
# corpora, logs and inputs that fail go (BUILD/fuzz). What fails is told, and is the exit status.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../../build-fuzz}
out=${FUZZ_OUT:-$build/fuzz}
if [ $# -eq 0 ]; then
    for file in "$here"/fuzz_*.c; do
        name=${file##*/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi
failed=0
# What is freed is kept from being used again in 16 MB rather than 256: all that an execution frees, in memory that is at hand.
export ASAN_OPTIONS="quarantine_size_mb=16:thread_local_quarantine_size_kb=256:malloc_context_size=8:${ASAN_OPTIONS-}"
for target in "$@"; do
    work=$out/$target
    mkdir -p "$work/corpus"
    longest=4096
    [ "$target" != tree ] || longest=1024 # entries are files that are made
    : >"$work/log"
    "$build/tests/fuzz/$target" -runs="${RUNS:-1000000}" -max_total_time="${SECONDS_MOST:-0}" -timeout="${SECONDS_HANG:-20}" -rss_limit_mb=2048 \
        -max_len=$longest -dict="$here/json.dict" -artifact_prefix="$work/" -print_final_stats=1 -verbosity=1 \
        "$work/corpus" "$here/corpus/$target" >"$work/log" 2>&1
    status=$?
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    seconds=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$work/log")
    if [ $status -eq 0 ]; then
        echo "$target: ${executions:-?} executions in ${seconds:-?} s, no fault"
    else
        echo "$target: FAULT after ${executions:-?} executions; see $work/log"
        failed=1
    fi
done
exit $failed
