# other.sh MPICC MPIRUN [SCRIPT]: this build's program with another MPI than it was built with, as a build with that one would have it: the
# library of communicators is made anew and lies beside a copy of the program. Then a test of its own, or another of these scripts.
mpicc=$1 script=${3:-}
export CLMAML_MPIRUN="$2"
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
mkdir "$work/other"
"$mpicc" -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -Wall -Werror -fPIC -shared -fvisibility=hidden -I"$CLMAML_SOURCE_DIR/include" -I"$CLMAML_SOURCE_DIR/src" \
    "$CLMAML_SOURCE_DIR"/src/mpi/*.c -L"$(dirname "$CLMAML_PROGRAM")" -lclmaml -o "$work/other/libclmaml_mpi.so.0" || exit 1
cp "$CLMAML_PROGRAM" "$work/other/clmaml"
export LD_LIBRARY_PATH="$(dirname "$CLMAML_PROGRAM"):${LD_LIBRARY_PATH:-}"
export CLMAML_PROGRAM="$work/other/clmaml"
if [ -n "$script" ]; then
    sh "$script"
    exit
fi

sine="train sine --device host --meta-batch 5 --shots 4 --query 4 --test-steps 2 --val-tasks 7 --eval-tasks 9 --iterations 6 --val-every 3"
# shellcheck disable=SC2086
{
    expect_success "one process" $sine --run "$work/plain"
    ranks_succeed "two ranks" 2 $sine --run "$work/2" --stop-after 3
    ranks_succeed "on with three" 3 $sine --resume --run "$work/2"
    expect_same_run "$work/plain" "$work/2" "two ranks, then three"
    expect_in "$work/out" "rank 2 on .*: tasks 4 to 4 on host reference" "three ranks"
    [ "$(grep -c '^run directory' "$work/out")" -eq 1 ] || fail "three ranks: not rank 0 alone is heard: $(cat "$work/out")"
    ranks_fail "a run that is there" "holds a run already" 2 $sine --run "$work/2"
}
expect_success "eval" eval "$work/plain" --device host --tasks 20 --json
cp "$work/out" "$work/expected"
ranks_succeed "eval on two" 2 eval "$work/plain" --device host --tasks 20 --json
cmp "$work/expected" "$work/out" || fail "eval on two ranks differs"

# ---- the launcher of the MPI that is not the library's ----
CLMAML_MPIRUN=$CLMAML_OTHER_MPIRUN
. "$(dirname "$0")/../support/mpi.sh"
# shellcheck disable=SC2086
ranks 2 $sine --run "$work/wrong"
[ $status -ne 0 ] || fail "the wrong mpirun: exit status 0"
expect_in "$work/err" "clmaml: .*it is the launcher of another MPI than clmaml was built with" "the wrong mpirun"
finish
