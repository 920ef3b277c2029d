#!/usr/bin/env bash
# Static analysis: cppcheck, clang-tidy and the Clang analyser (scan-build). Ends with 1 when one of them finds anything, with 2 when
# a tool is missing. What each looks for, and what is left out and why: .clang-tidy (and examples/.clang-tidy), scripts/cppcheck/.
#
#   scripts/analyse.sh                        all three: cppcheck sees tests too, clang-tidy library, program and examples, scan-build
#                                             library and program
#   scripts/analyse.sh cppcheck clang-tidy    these
#   ANALYSE_FILES="src/ops/conv.c .." scripts/analyse.sh clang-tidy     these files alone
#   ANALYSE_SHARD=3/8 scripts/analyse.sh clang-tidy                     every eighth file, from the fourth
#
# clang-tidy 14 and cppcheck 2.10 are what the tree is kept clean under (label analyse); others may find more.
# BUILD_DIR (build-analyse/) gets the compile database; nothing is compiled but for scan-build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BUILD="${BUILD_DIR:-build-analyse}"
readonly JOBS="${JOBS:-$(nproc)}"
TIDY="$(command -v clang-tidy-14 || echo clang-tidy)"
readonly TIDY

fail() {
    printf 'analyse: %s\n' "$*" >&2
    exit 2
}

# need TOOL PACKAGE
need() { command -v "$1" >/dev/null || fail "there is no $1; install it (Debian: apt-get install $2)"; }

# Assertions stay: they say what the analysers cannot know.
configure() {
    cmake -S . -B "$1" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "${@:2}" >"$1/configure.log" 2>&1 || {
        cat "$1/configure.log" >&2
        fail "the tree cannot be configured"
    }
}

database() {
    mkdir -p "$BUILD"
    [ -f "$BUILD/CMakeCache.txt" ] || set -- -G Ninja
    configure "$BUILD" "$@" -DCLMAML_BUILD_TESTS=ON -DCLMAML_BUILD_EXAMPLES=ON
    cmake --build "$BUILD" --target embedded_kernels.c embedded_peers.c >/dev/null # generated sources
}

run_cppcheck() {
    need cppcheck cppcheck
    local root found=0
    root="$(cd "$BUILD" && pwd)"
    mkdir -p "$BUILD/cppcheck"
    cppcheck --quiet --enable=warning,portability,performance --std=c11 --library=posix --library="$PWD/scripts/cppcheck/jansson.cfg" \
        --suppressions-list=scripts/cppcheck/suppressions.txt --inline-suppr --cppcheck-build-dir="$BUILD/cppcheck" \
        --project="$BUILD/compile_commands.json" -i"$root" --error-exitcode=1 -j "$JOBS" 2>"$BUILD/cppcheck.log" || found=1
    [ ! -s "$BUILD/cppcheck.log" ] || found=1 # what it finds across files does not show in its exit status
    cat "$BUILD/cppcheck.log"
    return $found
}

# The files of the compile database, those that were generated left out.
sources() {
    sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$BUILD/compile_commands.json" | sort -u | while read -r file; do
        case ${file#"$PWD"/} in
        src/* | examples/*) printf '%s\n' "${file#"$PWD"/}" ;;
        esac
    done
}

chosen() {
    local index=0 of=1
    [ -z "${ANALYSE_SHARD:-}" ] || index=${ANALYSE_SHARD%/*} of=${ANALYSE_SHARD#*/}
    sources | awk -v i="$index" -v n="$of" -v only="${ANALYSE_FILES-*}" '
        BEGIN { count = split(only, name, " "); for (k = 1; k <= count; k++) asked[name[k]] = 1 }
        (only == "*" || $0 in asked) && NR % n == i'
}

# Prints findings alone; clang-tidy counts on stderr what it leaves out.
run_clang_tidy() {
    need "$TIDY" clang-tidy-14
    chosen | tr '\n' '\0' | xargs -0 -r -n 1 -P "$JOBS" "${BASH_SOURCE[0]}" --tidy-one "$BUILD"
}

tidy_one() {
    "$TIDY" --quiet -p "$1" "$2" 2>/dev/null && return
    printf 'analyse: clang-tidy is not content with %s\n' "$2"
    return 1
}

# Library and program. The checkers are those of clang-tidy, here with a page for each path that leads to a finding.
run_scan_build() {
    need scan-build clang-tools
    local build="$BUILD-scan" analyser found=0
    analyser=(scan-build --use-cc="${CC:-cc}" -disable-checker valist.Uninitialized)
    rm -rf "$build"
    mkdir -p "$build"
    "${analyser[@]}" cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCLMAML_BUILD_TESTS=OFF -DCLMAML_BUILD_EXAMPLES=OFF \
        >"$build/scan.log" 2>&1 || fail "the tree cannot be configured; see $build/scan.log"
    "${analyser[@]}" --status-bugs -o "$build/reports" cmake --build "$build" -j "$JOBS" >"$build/scan.log" 2>&1 || found=1
    grep -E '(warning|error):|No bugs found' "$build/scan.log" || true
    return $found
}

main() {
    local tool failed=0
    if [ "${1:-}" = --tidy-one ]; then # of run_clang_tidy
        tidy_one "$2" "$3"
        return
    fi
    [ $# -gt 0 ] || set -- cppcheck clang-tidy scan-build
    for tool in "$@"; do
        case $tool in
        cppcheck | clang-tidy | scan-build) ;;
        -h | --help)
            sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            return
            ;;
        *) fail "unknown tool '$tool'; there are cppcheck, clang-tidy and scan-build" ;;
        esac
    done
    database
    for tool in "$@"; do
        printf 'analyse: %s\n' "$tool"
        "run_${tool//-/_}" || failed=1
    done
    [ $failed -ne 0 ] || printf 'analyse: nothing found\n'
    return $failed
}

main "$@"
