# Functions for the tests of the program, sourced by tests/cli/*.sh.
#
# CLMAML_PROGRAM is the program. Tests of behaviour that has nothing to do with kernels run on the host reference, which needs no
# OpenCL and starts at once.
set -u
: "${CLMAML_PROGRAM:?the path of the clmaml program}"
work=$(mktemp -d "${TMPDIR:-/tmp}/clmaml-cli.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# clmaml ARGUMENT..: runs the program; $status, $work/out, $work/err hold the outcome.
clmaml() {
    "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# expect_success NAME ARGUMENT..
expect_success() {
    name=$1
    shift
    clmaml "$@"
    [ $status -eq 0 ] || fail "$name: exit status $status: $(cat "$work/err")"
}

# expect_error NAME STATUS PATTERN ARGUMENT..: that exit status and one line on stderr, which begins with "clmaml: " and holds the
# pattern (extended, case ignored). Remarks ("clmaml: note: ..") do not count.
expect_error() {
    name=$1 wanted=$2 pattern=$3
    shift 3
    clmaml "$@"
    [ $status -eq "$wanted" ] || fail "$name: exit status $status instead of $wanted: $(cat "$work/err")"
    lines=$(grep -vc '^clmaml: note: ' "$work/err")
    [ "$lines" -eq 1 ] || fail "$name: $lines lines on stderr instead of one: $(cat "$work/err")"
    grep -v '^clmaml: note: ' "$work/err" | grep -Eiq "^clmaml: .*($pattern)" || fail "$name: '$pattern' is not in: $(cat "$work/err")"
}

# expect_in FILE PATTERN WHAT
expect_in() { grep -Eq "$2" "$1" || fail "$3: '$2' is not in: $(cat "$1")"; }

# wait_until PROCESS COMMAND..: until the command succeeds, for as long as that child of the shell lives; fails where it never does.
wait_until() {
    awaited=$1
    shift
    until "$@"; do
        kill -0 "$awaited" 2>/dev/null || { "$@" && return || return 1; }
        sleep 0.1
    done
}

# Checksums of all files under a directory.
fingerprint() { find "$1" -type f -exec cksum {} + | sort -k 3; }

# A run that takes no time: small, on the host reference. tiny_run DIR ARGUMENT..
tiny="train sine --device host --meta-batch 3 --shots 4 --query 4 --test-steps 2 --val-tasks 3 --eval-tasks 4 --log-every 1"
tiny_run() {
    directory=$1
    shift
    # shellcheck disable=SC2086
    clmaml $tiny --run "$directory" "$@"
}

# A white picture of 8 x 8 pixels.
png() {
    printf '\211\120\116\107\015\012\032\012\000\000\000\015\111\110\104\122\000\000\000\010\000\000\000\010\010\000\000\000\000\341\144\341'
    printf '\127\000\000\000\016\111\104\101\124\170\234\143\370\017\005\014\224\061\000\367\300\077\301\262\064\101\273\000\000\000\000\111'
    printf '\105\116\104\256\102\140\202'
}

# A folder of pictures: five classes of three in each split.
make_pictures() {
    for split in train val test; do
        for class in a b c d e; do
            mkdir -p "$1/$split/$class"
            for example in 1 2 3; do png >"$1/$split/$class/$example.png"; done
        done
    done
}

finish() {
    [ $failures -eq 0 ] || echo "$failures failures"
    exit $((failures > 0))
}
