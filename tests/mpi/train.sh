# Several processes make one run: the bits of one, resumed with others, evaluated by some, stopped by a signal, mistaken.
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
export CLMAML_CPU_PARTS=1
sine="train sine --device host --meta-batch 5 --shots 4 --query 4 --test-steps 2 --val-tasks 37 --eval-tasks 41 --log-every 2 --iterations 8
    --val-every 4 --checkpoint-every 2 --keep 9"

# ---- the same bits ----
# shellcheck disable=SC2086
{
    expect_success "one process" $sine --run "$work/plain"
    for n in 1 2 3; do
        ranks_succeed "$n ranks" $n $sine --run "$work/$n"
        expect_same_run "$work/plain" "$work/$n" "$n ranks"
    done
    expect_in "$work/out" "rank 2 on .*: tasks 4 to 4 on host reference" "3 ranks"
    [ "$(grep -c '^run directory' "$work/out")" -eq 1 ] || fail "3 ranks: not rank 0 alone is heard: $(cat "$work/out")"

    # An ensemble, its test and a moving average.
    expect_success "ensemble, one process" $sine --ensemble 2 --average 0.9 --test-steps auto --run "$work/ensemble"
    ranks_succeed "ensemble" 3 $sine --ensemble 2 --average 0.9 --test-steps auto --run "$work/ensemble-3"
    expect_same_run "$work/ensemble" "$work/ensemble-3" "ensemble"

    # On OpenCL, with convolutions and dropout's relatives.
    conv="train glyphs --ways 2 --filters 3 --meta-batch 3 --val-tasks 5 --eval-tasks 7 --log-every 1 --iterations 3 --val-every 3 --memory-limit 400M"
    expect_success "convolutions, one process" $conv --run "$work/conv"
    ranks_succeed "convolutions" 2 $conv --run "$work/conv-2"
    expect_same_run "$work/conv" "$work/conv-2" "convolutions"

    # Tasks of different sizes.
    uneven="train glyphs --device host --ways 2..4 --shots 1..3 --query 2 --size 16 --filters 4 --network conv4-strided --meta-batch 5 --val-tasks 6
        --eval-tasks 8 --log-every 1 --iterations 4"
    expect_success "uneven tasks, one process" $uneven --run "$work/uneven"
    ranks_succeed "uneven tasks" 3 $uneven --run "$work/uneven-3"
    expect_same_run "$work/uneven" "$work/uneven-3" "uneven tasks"

    # Devices of two kinds: twice the same.
    expect_success "devices" devices
    pd=$(sed -n 's/^\* \([0-9]*:[0-9]*\) .*/\1/p' "$work/out")
    for n in a b; do
        ranks_succeed "mixed devices" 2 train sine --device "$pd,host" --meta-batch 3 --iterations 3 --val-tasks 5 --eval-tasks 5 \
            --run "$work/mixed-$n"
    done
    expect_same_run "$work/mixed-a" "$work/mixed-b" "mixed devices"
}

# ---- resumed with others ----
for n in 1 3; do
    cp -r "$work/2" "$work/resumed"
    cp "$work/2/checkpoints/00000004.safetensors" "$work/resumed/checkpoints/last.safetensors"
    rm "$work/resumed/result.json" "$work/resumed/scores.json" "$work/resumed/checkpoints/00000006.safetensors"
    ranks_succeed "resumed with $n" $n train --resume --run "$work/resumed"
    expect_same_run "$work/plain" "$work/resumed" "resumed with $n"
    rm -r "$work/resumed"
done

# ---- evaluated ----
expect_success "eval" eval "$work/plain" --device host --tasks 50 --json --scores "$work/scores"
cp "$work/out" "$work/expected"
for n in 1 2 3; do
    ranks_succeed "eval on $n" $n eval "$work/plain" --device host --tasks 50 --json --scores "$work/scores-$n"
    cmp "$work/expected" "$work/out" || fail "eval on $n ranks differs"
    cmp "$work/scores" "$work/scores-$n" || fail "scores of eval on $n ranks differ"
done

# ---- timed ----
ranks_succeed "bench --scaling" 3 bench sine --scaling --device host --tasks 6 --rounds 1 --json "$work/scaling.json"
[ "$(grep -Ec '^sine +(stays|grows) +[123] ' "$work/out")" -eq 6 ] || fail "bench --scaling: $(cat "$work/out")"
if command -v python3 >/dev/null; then
    python3 "$CLMAML_SOURCE_DIR/bench/scaling_model.py" "$work/scaling.json" >"$work/model" || fail "the model of a step fails"
    expect_in "$work/model" "1000 devices: exchange .* 90 % from a meta-batch of " "the model of a step"
fi
expect_error "bench --scaling alone" 2 "scaling needs several ranks" bench sine --scaling

# ---- stopped ----
# shellcheck disable=SC2086
long="$(echo $sine | sed 's/--iterations 8/--iterations 100000/')"
# shellcheck disable=SC2086
start_ranks 2 $long --run "$work/stopped"
wait_until $launched [ -e "$work/stopped/checkpoints/last.safetensors" ] || fail "a run that is to be stopped: $(cat "$work/err")"
for process in $(children $launched); do kill -USR1 "$process"; done
wait $launched
[ $? -eq 130 ] || fail "stopped: exit status $?"
expect_in "$work/err" "clmaml: stopped after iteration [0-9]+, nothing is lost" "stopped"

# ---- mistakes ----
# shellcheck disable=SC2086
{
    ranks_fail "more ranks than tasks" "3 ranks for --meta-batch 2" 3 train sine --device host --meta-batch 2 --run "$work/new"
    ranks_fail "a split" "--split is for one process" 2 $sine --split 5 --run "$work/new"
    ranks_fail "a run that is there" "holds a run already" 2 $sine --run "$work/plain"
    ranks_fail "navigation" "train navigation is for one process; a launcher started 2" 2 train navigation --device host --run "$work/new"
    CLMAML_MPI_TIMEOUT=soon ranks_fail "no timeout" "CLMAML_MPI_TIMEOUT=soon" 2 $sine --run "$work/new"
    SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0 expect_success "srun without MPI" eval "$work/plain" --device host --tasks 2
    expect_in "$work/err" "clmaml: note: srun started 2 of these, and they know nothing of each other" "srun without MPI"
    # Two commands, as a script that branches on the rank may have it.
    timeout 300 "$CLMAML_MPIRUN" $launcher -n 1 "$CLMAML_PROGRAM" $sine --run "$work/new" : -n 1 "$CLMAML_PROGRAM" eval "$work/plain" >"$work/out" 2>"$work/err" &&
        fail "two commands: exit status 0"
    expect_in "$work/err" "^clmaml: rank 1 on .* has other command than rank 0 on .*: eval of clmaml .* there, train of clmaml .* on rank 0" "two commands"
    # And the same one with other options, of which rank 0's would hold in silence.
    for other in "--outer-lr 0.5" "--device 0:0" "--on-nan skip"; do
        timeout 300 "$CLMAML_MPIRUN" $launcher -n 1 "$CLMAML_PROGRAM" $sine --run "$work/new" : -n 1 "$CLMAML_PROGRAM" $sine --run "$work/new" $other >"$work/out" 2>"$work/err" &&
            fail "$other on rank 1: exit status 0"
        expect_in "$work/err" "^clmaml: rank 1 on .* has other options than rank 0 on .*: $other there, .* on rank 0; start all ranks by the same command" "$other on rank 1"
    done
}
[ ! -e "$work/new" ] || fail "a run that failed left something: $(ls "$work/new")"

[ $failures -eq 0 ]
