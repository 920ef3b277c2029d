# Ranks that die or hang: all end, within a bounded time and with a message that says which rank and where; the same command goes on from the last
# checkpoint, to the bits of a run that nothing happened to. CLMAML_MPI_KILLS: how many times.
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
kills=${CLMAML_MPI_KILLS:-3}
iterations=$((kills * 300))
run="train sine --device host --meta-batch 4 --shots 4 --query 4 --val-tasks 6 --eval-tasks 10 --log-every 50 --iterations $iterations --val-every 50
    --keep 2"

# shellcheck disable=SC2086
expect_success "undisturbed" $run --run "$work/whole"

# A random number below $1.
below() { od -An -N2 -tu2 /dev/urandom | awk -v n="$1" '{ print $1 % n }'; }

killed=0
# shellcheck disable=SC2086
while [ $killed -lt "$kills" ]; do
    start_ranks 3 $run --resume --run "$work/killed"
    until [ "$(children $launched | wc -l)" -eq 3 ] || ! kill -0 $launched 2>/dev/null; do sleep 0.1; done
    sleep "0.$(below 10)"
    sleep "0.$(below 10)"
    victim=$(children $launched | sed -n "$(($(below 3) + 1))p")
    if [ -z "$victim" ]; then
        wait $launched
        break # it came to its end
    fi
    kill -KILL "$victim" 2>/dev/null
    killed=$((killed + 1))
    began=$(date +%s)
    wait $launched
    ended=$?
    [ $ended -ne 0 ] || break
    [ $ended -ne 124 ] || fail "kill $killed: it hangs"
    [ $(($(date +%s) - began)) -le 60 ] || fail "kill $killed: it took $(($(date +%s) - began)) s to end"
    grep -Eq "rank [0-9]+ (with PID [0-9]+ on node|on|of [0-9]+ on) |KILLED BY SIGNAL|BAD TERMINATION|[Pp]rocess name|lost connection" "$work/err" ||
        fail "kill $killed: nobody says what happened: $(cat "$work/err")"
done
echo "$killed ranks killed"
# shellcheck disable=SC2086
ranks_succeed "the same command" 3 $run --resume --run "$work/killed"
expect_same_run "$work/whole" "$work/killed" "killed $killed times"

# ---- a rank that hangs ----
# shellcheck disable=SC2086
{
    export CLMAML_MPI_TIMEOUT=3
    start_ranks 2 $run --run "$work/hangs" --iterations 1000000
    until [ -e "$work/hangs/checkpoints/last.safetensors" ]; do sleep 0.2; done
    kill -STOP "$(children $launched | sed -n 2p)"
    wait $launched
    ended=$?
    [ $ended -ne 0 ] && [ $ended -ne 124 ] || fail "a rank that hangs: exit status $ended"
    grep -Eq "clmaml: .*rank [01] on .*: (nothing came from rank [01] on .* in 3 s|a rank did not take what was sent)" "$work/err" ||
        fail "a rank that hangs: $(cat "$work/err")"
}

[ $failures -eq 0 ]
