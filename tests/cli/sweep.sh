# Sweeps: what a file says is what is made, each run is train's own, halving gives the bits of unbroken runs, the same command goes on,
# and what is wrong with a file is said before anything is made.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
cd "$work" || exit 1
fixed='"device": "host", "meta-batch": 3, "shots": 4, "query": 4, "test-steps": 2, "val-tasks": 5, "eval-tasks": 4, "log-every": 1'
ten='"iterations": 10'

# file NAME TEXT
file() { printf '%s\n' "$2" >"$1"; }
# rows: the runs of the table, by their first word, in its order
rows() { sed -n 's/^\([0-9][0-9]*\)  .*/\1/p' "$work/out" | tr '\n' ' '; }
# same_run A B WHAT: the bits of checkpoints, and metrics but for the times
same_run() {
    for checkpoint in last best; do
        cmp "$1/checkpoints/$checkpoint.safetensors" "$2/checkpoints/$checkpoint.safetensors" || fail "$3: $checkpoint.safetensors differs"
    done
    for run in "$1" "$2"; do sed 's/, "seconds": [^,}]*//; s/, "tasks_per_second": [^,}]*//; s/, "data_wait": [^,}]*//' "$run/metrics.jsonl" >"$work/rows.$(basename "$(dirname "$run")")"; done
    cmp "$work/rows.$(basename "$(dirname "$1")")" "$work/rows.$(basename "$(dirname "$2")")" || fail "$3: metrics differ"
    cmp "$1/result.json" "$2/result.json" || fail "$3: result.json differs"
}

# ---- a grid ----
file grid.json "{\"train\": \"sine\", \"options\": {$fixed, $ten}, \"grid\": {\"outer-lr\": [0.001, 0.01], \"steps\": [1, 2], \"anil\": [false, true]}}"
expect_success "dry run" sweep grid.json --dry-run
[ "$(grep -c 'clmaml train sine ' out)" -eq 8 ] || fail "dry run: not eight runs: $(cat out)"
expect_in out "^04  clmaml train sine .*--outer-lr=0.001 --steps=2 --anil\$" "dry run"
[ ! -e runs ] || fail "dry run: something was made"
expect_success "grid" sweep grid.json
[ "$(tail -n +2 runs/grid/sweep.csv | wc -l)" -eq 8 ] || fail "grid: not eight rows: $(cat runs/grid/sweep.csv)"
expect_in runs/grid/sweep.csv "^run,outer-lr,steps,anil,iterations,validation,interval,state\$" "grid"
[ "$(grep -c ',10,[0-9.]*,[0-9.]*,done$' runs/grid/sweep.csv)" -eq 8 ] || fail "grid: $(cat runs/grid/sweep.csv)"
tail -n +2 runs/grid/sweep.csv | cut -d , -f 6 >scores
sort -g -c scores || fail "grid: the best is not first: $(cat scores)"
first=$(sed -n '2s/,.*//p' runs/grid/sweep.csv)
best=$(sed -n 's/.*"validation".*"query_after": \([0-9.]*\).*/\1/p' "runs/grid/$first/metrics.jsonl" | sort -g | head -n 1)
[ "$best" = "$(head -n 1 scores)" ] || fail "grid: $first has validated $best at best, the table says $(head -n 1 scores)"
expect_in "runs/grid/$first/log.txt" "mean squared error" "grid: what train said"
cp out table

# Each is what train makes of the same options; and the last line holds.
eval "$("$CLMAML_PROGRAM" sweep grid.json --dry-run | sed -n 's/^02  clmaml/"$CLMAML_PROGRAM"/p') --run alone/02" >log 2>&1 || fail "a run by itself: $(cat log)"
same_run alone/02 runs/grid/02_* "a run of a grid"
eval "$(sed -n 's/^the runs as a page: clmaml/"$CLMAML_PROGRAM"/p' table)" >out 2>err || fail "report: $(cat err)"
expect_in out "^8 runs: runs/grid.html" "report"

# Nothing is made twice.
fingerprint runs/grid >before
expect_success "the same again" sweep grid.json
fingerprint runs/grid >after
cmp -s before after || fail "the same again: something was made anew"
[ "$(grep -c ' of 8 ' out)" -eq 0 ] || fail "the same again: $(cat out)"

# A run that is gone is made anew, to the same table.
cp runs/grid/sweep.json before
rm -r runs/grid/05_*
expect_success "one is gone" sweep grid.json
expect_in out "^8 runs, 1 of them to be made" "one is gone"
cmp before runs/grid/sweep.json || fail "one is gone: the table differs"

# The example that comes along: both kinds of what varies, and halving.
expect_success "the example" sweep "$CLMAML_SOURCE_DIR/examples/sweep.json" --dry-run
expect_in out "^16 runs below runs/sweep\$" "the example"
expect_in out "^round 4: 2 runs to iteration 800\$" "the example"
[ "$(grep -o 'outer-lr=.*steps=[0-9]' out | sort | uniq -c | awk '$1 == 2' | wc -l)" -eq 8 ] || fail "the example: other draws at other points: $(cat out)"

# ---- random draws ----
random() { file "$1" "{\"train\": \"sine\", \"options\": {$fixed, $ten}, \"random\": {\"draws\": $2, \"seed\": $3, \"ranges\": {\"outer-lr\": {\"log-uniform\": [0.0001, 0.1]}, \"steps\": {\"uniform\": [1, 3]}, \"inner-lr\": {\"uniform\": [0.01, 0.02]}, \"inner-rule\": [\"sgd\", \"adam\"]}}}"; }
draws() { "$CLMAML_PROGRAM" sweep "$1" --dry-run | sed -n 's/^[0-9]*  //p'; }
random r.json 40 1
draws r.json >r
random other.json 40 2
draws other.json >other
random more.json 60 1
draws more.json >more
cmp -s r other && fail "random: another seed draws the same"
head -n 40 more | cmp - r || fail "random: more draws change those before"
[ "$(sort -u r | wc -l)" -gt 35 ] || fail "random: draws repeat: $(cat r)"
sed 's/.*--outer-lr=\([^ ]*\) --steps=\([^ ]*\) --inner-lr=\([^ ]*\) --inner-rule=\(.*\)/\1 \2 \3 \4/' r | awk '
    $1 < 0.0001 || $1 > 0.1 || $2 !~ /^[123]$/ || $3 < 0.01 || $3 > 0.02 || $4 !~ /^(sgd|adam)$/ { print "out of range: " $0 }
    { low += $1 < 0.003162; steps[$2]++; rule[$4]++ }
    END { if (low < 10 || low > 30 || length(steps) != 3 || length(rule) != 2) print "uneven: " low " " length(steps) " " length(rule) }' >said
[ ! -s said ] || fail "random: $(cat said)"

# ---- halving ----
halving() { file "$1" "{\"train\": \"sine\", \"options\": {$fixed, \"schedule\": \"cosine\"}, \"grid\": {\"outer-lr\": [0.0001, 0.001, 0.01, 0.1]}, \"halving\": {\"factor\": 2, \"first\": $2, \"total\": $3}}"; }
halving h.json 4 14
expect_success "halving" sweep h.json
[ "$(grep -Ec ',(14),[^,]*,[^,]*,done$' runs/h/sweep.csv)" -eq 1 ] && [ "$(grep -c ',8,[^,]*,[^,]*,out$' runs/h/sweep.csv)" -eq 1 ] &&
    [ "$(grep -c ',4,[^,]*,[^,]*,out$' runs/h/sweep.csv)" -eq 2 ] || fail "halving: $(cat runs/h/sweep.csv)"
# Those that go on are the best of their round.
for run in runs/h/0*; do
    echo "$(sed -n 's/.*"iteration": [0-4], .*"validation".*"query_after": \([0-9.]*\).*/\1/p' "$run/metrics.jsonl" | sort -g | head -n 1) $run"
done | sort -g >ranks
for run in $(head -n 2 ranks | cut -d ' ' -f 2); do grep -q "\"iteration\": 8," "$run/metrics.jsonl" || fail "halving: $run is one of the best two: $(cat ranks)"; done
for run in $(tail -n 2 ranks | cut -d ' ' -f 2); do [ ! -e "$run/result.json" ] || fail "halving: $run was tested"; done
last=$(sed -n '2s/,.*//p' runs/h/sweep.csv)
eval "$("$CLMAML_PROGRAM" sweep h.json --dry-run | sed -n "s/^${last%%_*}  clmaml/\"\$CLMAML_PROGRAM\"/p") --run unbroken/$last" >log 2>&1 || fail "unbroken: $(cat log)"
same_run "unbroken/$last" "runs/h/$last" "halving in three rounds"

# By hand: --stop-after, then --resume.
# shellcheck disable=SC2086
{
    tiny_run "$work/whole/x" --iterations 9 --val-every 3
    tiny_run "$work/parts/x" --iterations 9 --val-every 3 --stop-after 5
    [ $status -eq 0 ] || fail "--stop-after: exit status $status: $(cat err)"
    expect_in out "^stopped after iteration 5, as --stop-after says; go on with: clmaml train --resume --run" "--stop-after"
    expect_success "--resume --stop-after" train --resume --run "$work/parts/x" --stop-after 6
    expect_success "--resume" train --resume --run "$work/parts/x"
    same_run "$work/whole/x" "$work/parts/x" "--stop-after"
    expect_error "--stop-after the end" 2 "stop-after 9: a run of 9 --iterations ends by itself" $tiny --iterations 9 --stop-after 9 --run "$work/new"
}

# ---- killed, stopped ----
# has_begun PREFIX: that run has metrics.
has_begun() { [ -s "$(echo "$1"*/metrics.jsonl)" ]; }
# start OUT: in the background until something of its second run is there
start() {
    "$CLMAML_PROGRAM" sweep slow.json --out "$1" >out 2>err </dev/null &
    process=$!
    wait_until $process has_begun "$1"/02_ || fail "$1: nothing is made: $(cat err)"
}
file slow.json "{\"train\": \"sine\", \"options\": {$fixed, \"iterations\": 120, \"val-every\": 30}, \"grid\": {\"outer-lr\": [0.001, 0.01, 0.1]}}"
expect_success "undisturbed" sweep slow.json --out undisturbed
for signal in KILL TERM; do
    start "$signal"
    expect_error "two at once" 1 "another process works on this sweep" sweep slow.json --out "$signal"
    "$CLMAML_PROGRAM" runs "$signal" >/dev/null
    trials=$(ps -o pid= --ppid $process)
    kill -$signal $process
    wait $process
    ended=$?
    [ $signal = KILL ] || [ $ended -eq 130 ] || fail "$signal: exit status $ended: $(cat err)"
    for trial in $trials; do # its run ends after it
        while ps -o stat= -p "$trial" | grep -q '^[^Z]'; do sleep 0.1; done
    done
    fingerprint "$signal/01_outer-lr=0.001" >before
    expect_success "on after $signal" sweep slow.json --out "$signal"
    fingerprint "$signal/01_outer-lr=0.001" >after
    cmp -s before after || fail "$signal: what was finished is made anew"
    cmp undisturbed/sweep.json "$signal/sweep.json" || fail "$signal: the table differs"
    for run in undisturbed/0*; do same_run "$run" "$signal/$(basename "$run")" "$signal"; done
done

# ---- in parts ----
halving parts.json 4 14
expect_success "part 1" sweep parts.json --part 1/2
expect_in out "^part 1 of 2: its share of this round is made; when the other parts' are, the same command makes that of the next" "part 1"
expect_success "part 2" sweep parts.json --part 2/2
[ ! -e runs/parts/sweep.csv ] || fail "a part made a table"
for part in 1 2; do
    expect_success "part $part, second round" sweep parts.json --part $part/2
    expect_in out "^part $part of 2: made; the same command without --part makes what is left of other parts, and the table" "part $part, second round"
done
expect_success "the rest" sweep parts.json
cmp runs/h/sweep.json runs/parts/sweep.json || fail "the table of parts differs"

# ---- what fails ----
file fails.json "{\"train\": \"sine\", \"options\": {$fixed, $ten}, \"grid\": {\"outer-lr\": [0.001, 1000000], \"inner-lr\": [0.01, 100000]}}"
expect_success "some fail" sweep fails.json
expect_in runs/fails/sweep.csv ",failed\$" "some fail"
expect_in runs/fails/sweep.csv ",done\$" "some fail"
expect_in out "failed: .* not finite" "some fail"
[ "$(sed -n 's/.*,\(done\|failed\)$/\1/p' runs/fails/sweep.csv | uniq | wc -l)" -eq 2 ] || fail "what failed is not last: $(cat runs/fails/sweep.csv)"
expect_success "not again" sweep fails.json
expect_in out "^[0-9]+ failed, of which" "not again"
[ "$(grep -c ' of [0-9]*  ' out)" -eq 0 ] || fail "what failed was tried again"
expect_success "--retry" sweep fails.json --retry
[ "$(grep -c ' of [0-9]*  .*: failed' out)" -gt 0 ] || fail "--retry: $(cat out)"
file all.json "{\"train\": \"sine\", \"options\": {$fixed, $ten}, \"grid\": {\"device\": [\"nonesuch\"]}}"
sed -i 's/"device": "host", //' all.json
expect_error "all fail" 1 "all 1 runs failed" sweep all.json

# ---- what is refused ----
file changed.json "$(sed 's/0.01\]/0.02]/' grid.json)"
expect_error "a changed file" 1 "grid.outer-lr is \[0.001,0.01\] there and \[0.001,0.02\] here" sweep changed.json --out runs/grid
file order.json "{\"train\": \"sine\", \"options\": {$fixed, $ten}, \"grid\": {\"steps\": [1, 2], \"outer-lr\": [0.001, 0.01], \"anil\": [false, true]}}"
expect_error "another order" 1 "another order" sweep order.json --out runs/grid
expect_error "something else" 1 "holds something else than a sweep" sweep grid.json --out runs
# refused PATTERN REST: a file with this beside what it trains on
refused() {
    file bad.json "{\"train\": \"sine\", $2}"
    expect_error "$2" 1 "bad.json: .*($1)" sweep bad.json --out refused
    [ ! -e refused ] || fail "$2: something was made"
}
refused 'unknown key "gird"' '"gird": {}'
refused 'nothing varies' '"options": {}'
refused 'no option "outer-l"; did you mean "outer-lr"' '"grid": {"outer-l": [1]}'
refused 'options: .*steps.*is not a whole number' '"options": {"steps": "two"}, "grid": {"outer-lr": [1]}'
refused 'grid: --steps: .0. is not a whole number' '"grid": {"steps": [1, 0]}'
refused 'grid: "steps" is a list' '"grid": {"steps": 1}'
refused 'grid: "anil" is true or false' '"grid": {"anil": ["yes"]}'
refused '"betas" is a number or a text' '"grid": {"betas": [[0.9, 0.99]]}'
refused 'is in "options" as well' '"options": {"steps": 1}, "grid": {"steps": [1]}'
refused 'is in "grid" as well' '"grid": {"steps": [1]}, "random": {"draws": 1, "seed": 1, "ranges": {"steps": [1]}}'
refused 'no "run" here: the sweep names' '"options": {"run": "x"}, "grid": {"steps": [1]}'
refused '"draws" is missing' '"random": {"seed": 1, "ranges": {"steps": [1]}}'
refused 'is \[LEAST, MOST\]' '"random": {"draws": 1, "seed": 1, "ranges": {"outer-lr": {"uniform": [1, 0]}}}'
refused 'begins above 0' '"random": {"draws": 1, "seed": 1, "ranges": {"outer-lr": {"log-uniform": [0, 1]}}}'
refused 'is no number; give a list' '"random": {"draws": 1, "seed": 1, "ranges": {"optimizer": {"uniform": [0, 1]}}}'
refused 'unknown key "normal"' '"random": {"draws": 1, "seed": 1, "ranges": {"outer-lr": {"normal": [0, 1]}}}'
refused '"total" 10, .* not more than "first" 10' '"grid": {"steps": [1]}, "halving": {"factor": 2, "first": 10, "total": 10}'
refused 'no "iterations" beside "halving"' '"options": {"iterations": 5}, "grid": {"steps": [1]}, "halving": {"factor": 2, "first": 10, "total": 20}'
refused 'no multiple of "val-every" 3' '"options": {"val-every": 3}, "grid": {"steps": [1]}, "halving": {"factor": 2, "first": 10, "total": 20}'
refused '"best" or "last"' '"grid": {"steps": [1]}, "judge": "test"'
# What train has against options that do not go together, and against the data.
refused 'steps 1: .*--momentum' '"options": {"momentum": 0.5, "optimizer": "adam"}, "grid": {"steps": [1]}'
refused 'hidden 4: .*--filters' '"options": {"filters": 4}, "grid": {"hidden": [4]}'
file bad.json '{"train": "nosuch", "grid": {"steps": [1]}}'
expect_error "no such data" 1 "bad.json: .*nosuch" sweep bad.json --out refused
file bad.json '{"train": "sine", '
expect_error "no JSON" 1 "bad.json: line [0-9]+" sweep bad.json --out refused
expect_error "no file" 1 "nosuch.json" sweep nosuch.json
expect_error "nothing" 2 "say what to try" sweep
expect_error "a part" 2 "part '3/2' is not I/N" sweep grid.json --part 3/2

finish
