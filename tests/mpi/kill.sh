# Ranks that die or hang: all end, before what starts them gives them up and with a message that says which rank and where; the same command goes on from the last
# checkpoint, to the bits of a run that nothing happened to. CLMAML_MPI_KILLS: how many times.
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
kills=${CLMAML_MPI_KILLS:-3}
iterations=$((kills * 300))
run="train sine --device host --meta-batch 4 --shots 4 --query 4 --val-tasks 6 --eval-tasks 10 --log-every 50 --iterations $iterations --val-every 50
    --keep 2"

began=$(date +%s)
# shellcheck disable=SC2086
expect_success "undisturbed" $run --run "$work/whole"
span=$(($(date +%s) - began + 1)) # seconds of a run, at most

# A random number below $1.
below() { od -An -N2 -tu2 /dev/urandom | awk -v n="$1" '{ print $1 % n }'; }

# What the launcher or a rank says of one that was killed. MPICH's mpirun says it on stdout.
said="rank [0-9]+ (with PID [0-9]+ on node|on|of [0-9]+ on) |PID [0-9]+ RUNNING AT |KILLED BY SIGNAL|[Pp]rocess name|lost connection"

# Runs that come to their end before they are killed are compared, and another is begun.
killed=0 ended_runs=0
# shellcheck disable=SC2086
while [ $killed -lt "$kills" ] && [ $ended_runs -le "$kills" ]; do
    start_ranks 3 $run --resume --run "$work/killed"
    until [ "$(children $launched | wc -l)" -eq 3 ] || ! kill -0 $launched 2>/dev/null; do sleep 0.1; done
    # within two seconds, and where a run is short within the first half of it, so that most kills come before its end
    sleep "$(awk -v ms="$(below $((span < 4 ? span * 500 : 2000)))" 'BEGIN { print ms / 1000 }')"
    victim=$(children $launched | sed -n "$(($(below 3) + 1))p")
    [ -z "$victim" ] || kill -KILL "$victim" 2>/dev/null
    wait $launched
    ended=$?
    if [ $ended -eq 0 ]; then
        expect_same_run "$work/whole" "$work/killed" "killed $killed times"
        rm -r "$work/killed"
        ended_runs=$((ended_runs + 1))
        continue
    fi
    killed=$((killed + 1))
    [ $ended -ne 124 ] || fail "kill $killed: it hangs"
    grep -Eq "$said" "$work/out" "$work/err" || fail "kill $killed: nobody says what happened: $(cat "$work/out" "$work/err")"
done
echo "$killed ranks killed before the end of a run; $ended_runs kills came too late"
[ $killed -eq "$kills" ] || fail "$killed kills instead of $kills"
# shellcheck disable=SC2086
ranks_succeed "the same command" 3 $run --resume --run "$work/killed"
expect_same_run "$work/whole" "$work/killed" "killed $killed times"

# ---- a rank that hangs ----
# shellcheck disable=SC2086
{
    export CLMAML_MPI_TIMEOUT=3
    start_ranks 2 $run --run "$work/hangs" --iterations 1000000
    wait_until $launched [ -e "$work/hangs/checkpoints/last.safetensors" ] || fail "a run that is to hang: $(cat "$work/err")"
    kill -STOP "$(children $launched | sed -n 2p)"
    wait $launched
    ended=$?
    [ $ended -ne 0 ] && [ $ended -ne 124 ] || fail "a rank that hangs: exit status $ended"
    grep -Eq "clmaml: .*rank [01] on .*: (nothing came from rank [01] on .* in 3 s|rank [01] on .* did not take in 3 s)" "$work/err" ||
        fail "a rank that hangs: $(cat "$work/err")"
}

[ $failures -eq 0 ]
