# Functions for the tests of several processes, sourced behind cli.sh. CLMAML_MPIRUN is the launcher.
: "${CLMAML_MPIRUN:?the path of mpirun}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
case $("$CLMAML_MPIRUN" --version 2>&1) in
*"Open MPI"* | *OpenRTE*) launcher="--oversubscribe --bind-to none --mca btl self,vader" ;;
*) launcher="" ;;
esac

# ranks N ARGUMENT..: the program on N ranks; $status, $work/out, $work/err hold the outcome.
ranks() {
    count=$1
    shift
    # shellcheck disable=SC2086
    timeout 300 "$CLMAML_MPIRUN" $launcher -n "$count" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# ranks_succeed NAME N ARGUMENT..
ranks_succeed() {
    name=$1
    shift
    ranks "$@"
    [ $status -eq 0 ] || fail "$name: exit status $status: $(cat "$work/err")"
}

# ranks_fail NAME PATTERN N ARGUMENT..: with one line of the program's that holds the pattern.
ranks_fail() {
    name=$1 pattern=$2
    shift 2
    ranks "$@"
    [ $status -ne 0 ] || fail "$name: exit status 0"
    lines=$(grep '^clmaml: ' "$work/err" | grep -vc '^clmaml: note: ')
    [ "$lines" -eq 1 ] || fail "$name: $lines lines of the program's instead of one: $(cat "$work/err")"
    grep '^clmaml: ' "$work/err" | grep -Eiq -e "$pattern" || fail "$name: '$pattern' is not in: $(cat "$work/err")"
}

# start_ranks N ARGUMENT..: in the background; $launched is the launcher's process.
start_ranks() {
    count=$1
    shift
    # shellcheck disable=SC2086
    timeout 300 "$CLMAML_MPIRUN" $launcher -n "$count" "$CLMAML_PROGRAM" "$@" >"$work/out" 2>"$work/err" </dev/null &
    launched=$!
}

# children PROCESS: all below it whose program is clmaml, one a line.
children() {
    for child in $(ps -o pid= --ppid "$1"); do
        [ "$(ps -o comm= -p "$child")" = "$(basename "$CLMAML_PROGRAM")" ] && echo "$child"
        children "$child"
    done
}

# expect_same_run A B WHAT: the same bits of all that a run leaves, times apart.
expect_same_run() {
    for path in "$1"/checkpoints/*.safetensors "$1"/result.json "$1"/scores.json; do
        cmp -s "$path" "$2/${path#"$1"/}" || fail "$3: ${path#"$1"/} differs"
    done
    for side in "$1" "$2"; do
        sed 's/"seconds": *[-0-9.e+]*//; s/"tasks_per_second": *[-0-9.e+]*//; s/"data_wait": *[-0-9.e+]*//' "$side/metrics.jsonl"
    done >"$work/rows"
    [ "$(sort "$work/rows" | uniq -c | awk '$1 % 2' | wc -l)" -eq 0 ] || fail "$3: metrics.jsonl differs"
}
