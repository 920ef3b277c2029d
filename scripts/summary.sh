#!/usr/bin/env bash
# summary.sh JUNIT.xml..: the ten slowest of all tests that ctest reports, then `N passed, N failed`. A report in a folder of its own
# (asan/junit.xml) gives its tests that folder's name.
set -euo pipefail

# SECONDS STATUS NAME a test; ctest writes a <testcase> on one line. What tests printed has < and > escaped.
tests() {
    local file
    for file in "$@"; do
        [ -s "$file" ] || continue
        sed -n 's/^[[:space:]]*<testcase name="\([^"]*\)".* time="\([^"]*\)" status="\([^"]*\)".*/\2 \3 \1/p' "$file" |
            awk -v build="$(basename "$(dirname "$file")")" '{ print $1, $2, $3 (build ~ /san$/ ? " (" build ")" : "") }'
    done
}

list="$(tests "$@")"
[ -n "$list" ] || exit 0 # nothing was run, as with ctest -N
printf 'the slowest tests, in seconds:\n'
sort -rn <<<"$list" | awk 'NR <= 10 { seconds = $1; $1 = $2 = ""; printf "  %7.1f %s\n", seconds, $0 }'
awk '$2 == "fail" { failed++ } $2 != "fail" && $2 != "run" { skipped++ } $2 == "run" { passed++ }
    END { printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " not run" : "" }' <<<"$list"
