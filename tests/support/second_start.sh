#!/bin/sh
# second_start.sh PLATFORM REFERENCE: on that platform the first start with an empty cache builds programs and stores them, and the
# second builds none.
. "$(dirname "$0")/cli.sh"
export CLMAML_CACHE_DIR="$work/cache" CLMAML_LOG=debug

# start WHAT: the programs that it built and loaded, $built and $loaded
start() {
    expect_success "$1" verify "$2"
    expect_in "$work/out" "$3" "$1: names the platform"
    built=$(grep -c ' built in ' "$work/err") loaded=$(grep -c ' loaded in ' "$work/err")
}
start "first start" "$2" "$1"
[ "$built" -gt 0 ] || fail "first start: built nothing"
[ "$loaded" -eq 0 ] || fail "first start: loaded $loaded programs from an empty cache"
first=$built
start "second start" "$2" "$1"
[ "$built" -eq 0 ] || fail "second start: built $built programs again"
[ "$loaded" -eq "$first" ] || fail "second start: loaded $loaded programs of $first"
finish
