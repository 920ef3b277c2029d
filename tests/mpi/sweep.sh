# The runs of a sweep are shared out to ranks: each is that of one process, and so is the table; failures and signals are those of one.
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
cd "$work" || exit 1
# The ranks below a process, without the runs that they make.
ranks_of() { for process in $(children "$1"); do ps -o args= -p "$process" | grep -q -e --trial || echo "$process"; done; }

cat >sweep.json <<'END'
{
  "train": "sine",
  "options": {"device": "host", "meta-batch": 3, "shots": 4, "query": 4, "test-steps": 2, "val-tasks": 5, "eval-tasks": 4, "steps": 2},
  "grid": {"outer-lr": [0.0001, 0.001, 0.01, 0.1], "inner-lr": [0.01, 100000]},
  "halving": {"factor": 2, "first": 4, "total": 20}
}
END
expect_success "one process" sweep sweep.json --out one
for n in 2 3; do
    ranks_succeed "$n ranks" $n sweep sweep.json --out "$n"
    cmp one/sweep.csv "$n/sweep.csv" || fail "$n ranks: the table differs"
    sed 's/ one\// '"$n"'\//g' one/sweep.json | sed 's/"why": .*//' >"$work/expected"
    sed 's/"why": .*//' "$n/sweep.json" | cmp "$work/expected" - || fail "$n ranks: sweep.json differs"
    best=$(sed -n '2s/,.*//p' one/sweep.csv)
    expect_same_run "one/$best" "$n/$best" "$n ranks"
    [ "$(grep -c '^run ' "$work/out")" -eq 1 ] || fail "$n ranks: not rank 0 alone is heard: $(cat "$work/out")"
done
grep -q failed one/sweep.csv || fail "nothing fails: $(cat one/sweep.csv)"

# A device for each, dealt out; on whatever is there.
sed 's/"device": "host", //; s/, 100000//' sweep.json >devices.json
CLMAML_DEVICE=host,host ranks_succeed "devices" 2 sweep devices.json --out devices
[ "$(grep -l '"device": "host' devices/0*/config.json | wc -l)" -eq 4 ] || fail "devices: $(grep '"device"' devices/0*/config.json)"

# Has the run whose directory begins so written metrics?
has_begun() { [ -s "$(echo "$1"*/metrics.jsonl)" ]; }
# Stopped by a signal, and on with another number of ranks.
sed 's/"first": 4, "total": 20/"first": 40, "total": 400/; s/, 100000//' sweep.json >slow.json
expect_success "undisturbed" sweep slow.json --out undisturbed
start_ranks 2 sweep slow.json --out stopped
wait_until $launched has_begun stopped/01_ || fail "a sweep that is to be stopped: $(cat "$work/err")"
for process in $(ranks_of $launched); do kill -USR1 "$process" 2>/dev/null; done
wait $launched
ended=$?
[ $ended -eq 130 ] || [ $ended -eq 0 ] || fail "stopped: exit status $ended: $(cat "$work/err")"
ranks_succeed "on with three" 3 sweep slow.json --out stopped
cmp undisturbed/sweep.csv stopped/sweep.csv || fail "stopped: the table differs"

# A rank that is killed takes its run along.
start_ranks 2 sweep slow.json --out killed
wait_until $launched has_begun killed/02_ || fail "a sweep that is to be killed: $(cat "$work/err")"
kill -KILL "$(ranks_of $launched | sed -n 2p)" 2>/dev/null
wait $launched
ranks_succeed "the same command" 2 sweep slow.json --out killed
cmp undisturbed/sweep.csv killed/sweep.csv || fail "killed: the table differs"

# ---- mistakes ----
sed 's/"sine"/"nosuch"/' sweep.json >bad.json
ranks_fail "no such data" "bad.json: .*nosuch" 2 sweep bad.json --out bad
sed 's/0.0001/0.0002/' sweep.json >changed.json
ranks_fail "a changed file" "grid.outer-lr is" 2 sweep changed.json --out one

[ $failures -eq 0 ]
