#!/bin/sh
# What GPUs that are not there would be given for one meta-gradient: launches.sh LIST_LAUNCHES. Fails where that is more than it was.
set -u
list=$1
failures=0

# expect NAME AWK-EXPRESSION: true of the listing, whose lines are counted, and of what is counted in them
expect() {
    printf '%s\n' "$launches" | awk -F '\t' '
        { n++; short += $1 ~ /^winograd.*_tiled$/; cpu_short += $1 ~ /^winograd(_bwd_filter)?$/; tiled += $1 ~ /_tiled$/ }
        $1 == "fused" && $9 > 1e7 && $3 > most { most = $3 }
        $1 == "fused" && $3 > 1 && $7 > group { group = $7 }
        { for (i = split($12, operands, " "); i > 0; i--) if (operands[i] !~ /^([0-9]+:)+[01]$/) bad++ }
        END { exit !('"$2"') }' && return
    echo "FAIL: $1: not $2"
    failures=$((failures + 1))
}

large() { "$list" omniglot-1step units=132 mhz=1980 group=1024 local=49152 multiple=32 memory=80000000000 "$@"; }
launches=$(large) || exit 1
expect "launches" "n <= 80"
expect "3x3 convolutions of 14 x 14 and 7 x 7 by short algorithms" "short == 18"
expect "passes over large arrays" "most == 2"
expect "items that share elements" "group == 256"
expect "operands" "!bad"

launches=$("$list" omniglot-1step units=96 mhz=1350 group=512 local=65536 multiple=16 memory=6000000000 unified=1) || exit 1
expect "launches on integrated graphics" "n <= 80"
expect "items that share elements on integrated graphics" "group == 512"

launches=$(large cpu=1 width=16 cache=100000000) || exit 1
expect "tiles in local memory on a CPU" "n > 0 && tiled == 0"
expect "3x3 convolutions of 14 x 14 and 7 x 7 by short algorithms on a CPU" "cpu_short == 18"
exit $((failures > 0))
