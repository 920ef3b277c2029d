# A run that was stopped or killed and resumed is, bit for bit, the run that was never stopped.
. "$(dirname "$0")/../support/cli.sh"

settings="--iterations 40 --val-every 10 --checkpoint-every 4 --rates per-step --steps 2 --cosine --clip-norm 10"

# same NAME RUN: its checkpoints and its metrics but for the times are those of the unbroken run.
same() {
    for checkpoint in last best; do
        cmp "$work/whole/checkpoints/$checkpoint.safetensors" "$2/checkpoints/$checkpoint.safetensors" || fail "$1: $checkpoint.safetensors differs"
    done
    for run in "$work/whole" "$2"; do
        sed 's/, "seconds": [^,}]*//; s/, "tasks_per_second": [^,}]*//; s/, "data_wait": [^,}]*//' "$run/metrics.jsonl" >"$run.rows"
        cut -d , -f 1-12 "$run/metrics.csv" >"$run.columns"
    done
    cmp "$work/whole.rows" "$2.rows" || fail "$1: metrics.jsonl differs"
    cmp "$work/whole.columns" "$2.columns" || fail "$1: metrics.csv differs"
    cmp "$work/whole/result.json" "$2/result.json" || fail "$1: result.json differs"
}

# shellcheck disable=SC2086
{
    tiny_run "$work/whole" $settings
    [ $status -eq 0 ] || fail "unbroken run: $(cat "$work/err")"
    for file in config.json metrics.jsonl metrics.csv events.out.tfevents.clmaml curve.svg result.json checkpoints/last.safetensors checkpoints/best.safetensors; do
        [ -s "$work/whole/$file" ] || fail "unbroken run: no $file"
    done
    [ "$(find "$work/whole/checkpoints" -name '0*.safetensors' | wc -l)" -eq 3 ] || fail "unbroken run: not three numbered checkpoints"

    # In two sessions, the second with more iterations. The cosine's length is that of the first start, so it is given.
    tiny_run "$work/longer" $settings --iterations 20 --cosine-over 40
    tiny_run "$work/longer-whole" $settings --cosine-over 40
    clmaml train --resume --run "$work/longer" --iterations 40
    [ $status -eq 0 ] || fail "more iterations: $(cat "$work/err")"
    sed 's/, "seconds".*//' "$work/longer/metrics.jsonl" >"$work/longer.rows"
    sed 's/, "seconds".*//' "$work/longer-whole/metrics.jsonl" >"$work/longer-whole.rows"
    cmp "$work/longer.rows" "$work/longer-whole.rows" || fail "more iterations: metrics differ"

    # Elsewhere the bits are others, which is said; and under another driver.
    grep -q "its bits" "$work/err" && fail "more iterations, on the same device: $(cat "$work/err")"
    sed -i 's/^  "device": "[^"]*"/  "device": "A card"/; s/^  "driver": "[^"]*"/  "driver": "3.1"/' "$work/longer/config.json"
    clmaml train --resume --run "$work/longer" --iterations 41
    [ $status -eq 0 ] || fail "on another device: $(cat "$work/err")"
    expect_in "$work/err" "^clmaml: note: the run was on A card, driver 3.1 until now: from here on its bits" "on another device"
    sed -i 's/^  "driver": "[^"]*"/  "driver": "3.1"/' "$work/longer/config.json"
    clmaml train --resume --run "$work/longer" --iterations 42
    expect_in "$work/err" "^clmaml: note: the run was on host .*, driver 3.1 until now" "under another driver"
}

# start DIR: the same run in the background. Its checkpoints, each synced to the disk, make it slow enough to be hit.
start() {
    # shellcheck disable=SC2086
    "$CLMAML_PROGRAM" $tiny $settings --run "$1" >"$work/out" 2>"$work/err" </dev/null &
    child=$!
}

for signal in KILL INT TERM; do
    run=$work/run-$signal
    start "$run"
    wait_until $child grep -qs '"iteration": 7,' "$run/metrics.jsonl" || fail "iteration 7 never appeared in $run/metrics.jsonl"
    kill -$signal $child
    wait $child
    status=$?
    if [ $status -eq 0 ]; then
        echo "the run ended before signal $signal came; nothing was tested by it"
    elif [ $signal = KILL ]; then
        [ $status -eq 137 ] || fail "kill -9: exit status $status"
    else
        [ $status -eq 130 ] || fail "signal $signal: exit status $status: $(cat "$work/err")"
        expect_in "$work/err" "clmaml train --resume --run $run" "signal $signal"
        stopped=$(sed -n 's/.*stopped after iteration \([0-9]*\), .*/\1/p' "$work/err")
        expect_success "runs after $signal" runs "$run"
        expect_in "$work/out" " ${stopped:-none} of [0-9]+ " "runs after $signal: another number than the run said"
    fi
    expect_success "resume after $signal" train --resume --run "$run"
    same "signal $signal" "$run"
done

# Killed before the first checkpoint, of which there is one before the first update, and while a line of metrics was being written.
run=$work/early
cp -r "$work/whole" "$run"
rm -r "$run/checkpoints" "$run/result.json"
head -n 1 "$work/whole/metrics.jsonl" >"$run/metrics.jsonl"
expect_success "resume before the first checkpoint" train --resume --run "$run"
same "before the first checkpoint" "$run"
run=$work/cut
cp -r "$work/whole" "$run"
cp "$run/checkpoints/00000036.safetensors" "$run/checkpoints/last.safetensors"
head -c -20 "$work/whole/metrics.jsonl" >"$run/metrics.jsonl"
expect_success "resume with a line cut short" train --resume --run "$run"
same "a line cut short" "$run"

# What dropout drops goes on as it would have been, in two sessions as in one.
dropout='{"in_shape": [1], "layers": [{"op": "linear", "out": 12}, {"op": "tanh"}, {"op": "dropout", "rate": 0.3}, {"op": "residual", "body":
    [{"op": "linear", "out": 12}, {"op": "tanh"}], "drop_path": 0.2}, {"op": "linear", "out": 1}]}'
echo "$dropout" >"$work/dropout.json"
echo "$dropout" | sed 's/0\.[23]/0/' >"$work/kept.json"
for run in whole-dropout half-dropout kept; do
    model=dropout iterations=8
    [ $run = half-dropout ] && iterations=4
    [ $run = kept ] && model=kept
    tiny_run "$work/$run" --model "$work/$model.json" --iterations $iterations --checkpoint-every 4 --val-every 4 --keep 9
    [ $status -eq 0 ] || fail "dropout, $run: $(cat "$work/err")"
done
expect_success "resume with dropout" train --resume --run "$work/half-dropout" --iterations 8
cmp "$work/whole-dropout/checkpoints/last.safetensors" "$work/half-dropout/checkpoints/last.safetensors" || fail "dropout: last.safetensors differs"
for run in whole-dropout kept; do # validation before the first update, then an iteration
    sed -n '1{s/, "grad_norm".*//;p;q}' "$work/$run/metrics.jsonl" >"$work/$run.before"
    sed -n '2{s/, "grad_norm".*//;p;q}' "$work/$run/metrics.jsonl" >"$work/$run.first"
done
cmp "$work/whole-dropout.before" "$work/kept.before" || fail "dropout: validation drops"
cmp -s "$work/whole-dropout.first" "$work/kept.first" && fail "dropout: nothing was dropped"

# A run that is over, and has lost its picture, has it again.
mv "$work/kept/curve.svg" "$work/curve.svg"
expect_success "without its curve" train --resume --run "$work/kept"
expect_in "$work/out" "^learning curve: .*kept/curve.svg$" "without its curve"
cmp "$work/kept/curve.svg" "$work/curve.svg" || fail "without its curve: it is not drawn anew"

# On the device chosen by default, from an early checkpoint.
expect_success "unbroken run on the device" train glyphs --filters 4 --size 16 --meta-batch 4 --iterations 6 --checkpoint-every 2 --val-every 3 \
    --val-tasks 4 --eval-tasks 4 --keep 9 --run "$work/device"
cp -r "$work/device" "$work/device-again"
cp "$work/device/checkpoints/00000002.safetensors" "$work/device-again/checkpoints/last.safetensors"
rm "$work/device-again/checkpoints/best.safetensors" "$work/device-again/checkpoints/00000006.safetensors" "$work/device-again/result.json"
expect_success "resume on the device" train --resume --run "$work/device-again"
for file in checkpoints/last.safetensors checkpoints/00000006.safetensors result.json; do
    cmp "$work/device/$file" "$work/device-again/$file" || fail "resume on the device: $file differs"
done

finish
