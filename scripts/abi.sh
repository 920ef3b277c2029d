#!/usr/bin/env bash
# The public interface as libabigail (abidw, abidiff) sees it, against the one that is committed, tests/library/clmaml.abi.
#
#   scripts/abi.sh             compares; exit status 1 when anything differs, 77 on a machine that the dump is not of
#   scripts/abi.sh --renew     writes the dump anew, after a change on purpose
#
# CC=COMPILER. What is compared is a library made of the headers alone, so that no build needs debug information: for every
# function CLM_API, a constant NAME_ that points to such a function. That the library really built exports these functions and
# no others, is the test library/symbols; that they are defined as they are declared, the compiler sees.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DUMP=tests/library/clmaml.abi
WORK="$(mktemp -d)"
readonly WORK
trap 'rm -rf "$WORK"' EXIT

fail() {
    printf 'abi: %s\n' "$*" >&2
    exit 1
}

# The functions that the headers mark CLM_API: the word before a declaration's first parenthesis, attributes apart.
functions() {
    cat include/clmaml/*.h | grep -v '^ *#' | tr '\n' ' ' | sed 's/__attribute__((\([^()]*([^()]*)\)*[^()]*)) *//g' |
        grep -o 'CLM_API [^(;{]*(' | sed 's/[ (]*$//; s/.*[ *]//' | sort -u
}

dump() {
    local name
    {
        printf '#include <clmaml/clmaml.h>\n'
        while read -r name; do
            printf 'extern __typeof__(&%s) const %s_;\n__typeof__(&%s) const %s_ = 0;\n' "$name" "$name" "$name" "$name"
        done < <(functions)
    } >"$WORK/interface.c"
    # From there, so that the dump names no folder of this machine.
    (top=$PWD && cd "$WORK" && "${CC:-cc}" -std=c11 -g -shared -fPIC -I"$top/include" interface.c -o interface.so) ||
        fail "the headers do not compile with ${CC:-cc}"
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-parameter-names --type-id-style hash --out-file "$1" \
        "$WORK/interface.so"
}

main() {
    local status=0
    command -v abidw >/dev/null || fail "there is no abidw (Debian: apt-get install abigail-tools)"
    if [ "${1:-}" = --renew ]; then
        dump "$DUMP"
        printf 'abi: wrote %s, %d functions\n' "$DUMP" "$(functions | wc -l)"
        return
    fi
    [ $# -eq 0 ] || fail "unknown argument '$1'; usage: $0 [--renew]"
    dump "$WORK/now.abi"
    if [ "$(grep -o -m 1 "architecture='[^']*'" "$WORK/now.abi")" != "$(grep -o -m 1 "architecture='[^']*'" "$DUMP")" ]; then
        printf 'abi: %s is of another machine\n' "$DUMP"
        exit 77
    fi
    abidiff --leaf-changes-only "$DUMP" "$WORK/now.abi" || status=$?
    [ "$status" -eq 0 ] || fail "the public interface is not that of $DUMP. If this is meant: scripts/abi.sh --renew, and" \
        "raise CLMAML_SOVERSION in CMakeLists.txt if programs that are built already no longer fit a released library"
    printf 'abi: %d functions, as in %s\n' "$(functions | wc -l)" "$DUMP"
}

main "$@"
