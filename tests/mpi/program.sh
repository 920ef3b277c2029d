# program.sh PROGRAM: a program in C that makes its communicators itself (program.c); its last part ends all with status 77.
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
CLMAML_PROGRAM=$1
for which in 0 1 2 3; do
    ranks 4 $which
    [ $status -eq 77 ] || fail "part $which: exit status $status instead of 77: $(cat "$work/err")"
    grep -q "^program: " "$work/err" && fail "part $which: $(cat "$work/err")"
    expect_in "$work/out" "^rank 1 is done" "part $which"
done
finish
