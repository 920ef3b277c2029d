#!/bin/sh
# Nothing of a run is lost or mixed: one process a directory, the data it began with, paths that hold elsewhere, results that are no numbers.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"

# Two processes on one directory: the second stops at once, whether it begins or goes on.
"$CLMAML_PROGRAM" train sine --device host --meta-batch 2 --val-tasks 2 --iterations 1000000 --val-every 500000 --run "$work/one" >"$work/one.out" 2>&1 &
process=$!
wait_until $process grep -qs ',train,' "$work/one/metrics.csv" || fail "a run in the background: $(cat "$work/one.out")"
expect_error "a second run" 1 "which another process is training|is in use by another process" train sine --device host --iterations 2 --run "$work/one"
expect_error "resumed beside it" 1 "is in use by another process" train --resume --run "$work/one" --device host
kill -TERM $process
wait $process
expect_success "resumed behind it" train --resume --run "$work/one" --device host \
    --iterations "$(ls "$work/one/checkpoints" | sed -n 's/^0*\([1-9][0-9]*\)\.safetensors$/\1/p' | sort -n | tail -n 1)"

# Data that have changed; data named from another directory.
make_pictures "$work/d"
mkdir "$work/elsewhere"
cd "$work" || exit 1
expect_success "a relative folder" train d --shots 2 --ways 2 --device host --filters 1 --meta-batch 1 --iterations 1 --size 16 --val-tasks 1 --eval-tasks 2 --run r
cd elsewhere || exit 1
expect_success "eval from elsewhere" eval ../r --device host --tasks 2 --steps 1 --query 1
expect_success "resumed from elsewhere" train --resume --run ../r --device host --iterations 2
cd "$work" || exit 1
cp "$CLMAML_SOURCE_DIR/tests/fuzz/corpus/picture/grey.png" d/train/a/1.png
expect_success "as many other data" train --resume --run r --device host --iterations 3
expect_in "$work/err" "note: the data differ from those that the run was trained on: as many, with other contents" "as many other data"
expect_in r/result.json '"the data differ from those that the run was trained on: as many, with other contents"' "as many other data"
rm -r d/train/e
expect_error "other data" 1 "the data differ from those that the run was trained on, \".*5 train.*\", now \".*4 train" train --resume --run r --device host --iterations 4
mv d gone
expect_error "data that are gone" 1 "d does not exist; say where the data lie with --data" eval r --device host --tasks 2

# A model file's data lie beside it.
mkdir "$work/models"
mv gone "$work/models/pictures"
printf '{"data": "pictures", "layers": [{"op": "flatten"}, {"op": "linear", "out": 2}]}' >"$work/models/net.json"
expect_success "data beside a model file" train models/net.json --shots 1 --ways 2 --size 8 --device host --meta-batch 1 --iterations 1 --val-tasks 1 --eval-tasks 2 \
    --run "$work/beside"

# The best checkpoint so far is gone.
sine="train sine --device host --meta-batch 2 --val-tasks 2 --eval-tasks 2 --val-every 2 --checkpoint-every 2"
# shellcheck disable=SC2086
expect_success "a run with a best checkpoint" $sine --iterations 4 --run "$work/best"
cp "$work/best/checkpoints/best.safetensors" "$work/kept.safetensors"
chosen=$(sed -n 's/.*"checkpoint_iteration": \([0-9]*\).*/0000000\1.safetensors/p' "$work/best/result.json")
rm "$work/best/checkpoints/best.safetensors"
expect_success "without it, evaluated" eval "$work/best" --device host --tasks 2
expect_in "$work/err" "note: .*best.safetensors is missing; .*last.safetensors is taken" "without it, evaluated"
expect_success "without it, the same state numbered" train --resume --run "$work/best" --device host
expect_in "$work/err" "best.safetensors is missing; .*/$chosen is the same state, and takes its place" "without it, the same state numbered"
cmp "$work/best/checkpoints/best.safetensors" "$work/kept.safetensors" || fail "the best that was put back is another one"
expect_in "$work/best/result.json" '"chosen_by_validation": true' "without it, the same state numbered"
rm "$work/best/checkpoints/best.safetensors" "$work/best/checkpoints/$chosen"
expect_success "without it, ended" train --resume --run "$work/best" --device host
expect_in "$work/err" "best.safetensors is missing; the best is chosen anew from here on" "without it, ended"
expect_in "$work/out" "checkpoint of iteration 4" "without it, ended"
expect_in "$work/best/result.json" '"chosen_by_validation": false' "without it, ended"
expect_success "without it, again" train --resume --run "$work/best" --device host
! grep -q 'chosen anew' "$work/err" || fail "without it, again: $(cat "$work/err")"
expect_in "$work/err" "note: the checkpoint that validation chose is lost: tested is the last one, of iteration 4" "without it, again"
expect_success "a page of it" report "$work/best" --out "$work/best.html"
! grep -q "chosen by" "$work/best.html" || fail "a page of it: $(grep -o 'checkpoint</th><td>[^<]*' "$work/best.html")"
expect_in "$work/best.html" 'checkpoint</th><td>the last one, as the one that validation chose is lost; tested once' "a page of it"
expect_success "without it, going on" train --resume --run "$work/best" --device host --iterations 8
[ -f "$work/best/checkpoints/best.safetensors" ] || fail "no best checkpoint is chosen anew"

# Eight bytes of the numbers of a checkpoint are others: it is refused, and an older one is gone on from, to the same bits.
damage() {
    printf '\001\002\003\004\005\006\007\010' | dd of="$1" bs=1 seek=$(($(wc -c <"$1") - 40)) conv=notrunc 2>/dev/null
}
whole=$work/undamaged run=$work/damaged
# shellcheck disable=SC2086
expect_success "a run to be damaged" $sine --iterations 6 --run "$run"
# shellcheck disable=SC2086
expect_success "one that is not" $sine --iterations 8 --run "$whole"
cp -r "$run" "$work/kept"
changed="its numbers are not those that were written: .*remove \"clmaml.checksum\" from its __metadata__"
# goes_on_from NAME NUMBER: the run, to the end.
goes_on_from() {
    expect_success "$1" train --resume --run "$run" --device host --iterations 8
    expect_in "$work/err" "last.safetensors.*; the run goes on from .*/$2.safetensors instead" "$1"
    for file in last 00000008; do
        cmp "$run/checkpoints/$file.safetensors" "$whole/checkpoints/$file.safetensors" || fail "$1: $file.safetensors differs"
    done
    rm -r "$run"
    cp -r "$work/kept" "$run"
}
damage "$run/checkpoints/last.safetensors"
expect_error "eval of what is damaged" 1 "last.safetensors: $changed" eval "$run/checkpoints/last.safetensors" --device host --tasks 2
goes_on_from "damaged" 00000006
rm "$run/checkpoints/last.safetensors"
goes_on_from "missing" 00000006
for file in last 00000006; do damage "$run/checkpoints/$file.safetensors"; done
goes_on_from "damaged twice" 00000004
for file in last best 00000002 00000004 00000006; do damage "$run/checkpoints/$file.safetensors"; done
expect_error "nothing that is whole" 1 "last.safetensors: $changed" train --resume --run "$run" --device host --iterations 8
expect_error "weights that are damaged" 1 "best.safetensors: $changed" train sine --device host --init "$run" --iterations 1 --run "$work/begun"
LC_ALL=C sed 's/clmaml\.checksum/clmaml.checksun/' "$run/checkpoints/last.safetensors" >"$work/taken.safetensors"
expect_success "taken as it is" eval "$work/taken.safetensors" --device host --tasks 2
rm -r "$run"
# Nothing to go on from is no reason to begin anew, where updates were made.
lost="has made updates, but last.safetensors is missing in .*, and no numbered checkpoint there is whole"
cp -r "$work/kept" "$run"
rm "$run/checkpoints/last.safetensors"
for file in 00000000 00000002 00000004 00000006; do damage "$run/checkpoints/$file.safetensors"; done
expect_error "last missing, the numbered damaged" 1 "$lost" train --resume --run "$run" --device host --iterations 8
rm "$run"/checkpoints/0*
expect_error "the best alone" 1 "$lost" train --resume --run "$run" --device host --iterations 8
cmp "$run/checkpoints/best.safetensors" "$work/kept/checkpoints/best.safetensors" || fail "the best alone is another one"
rm "$run"/checkpoints/*
expect_error "no checkpoint" 1 "$lost" train --resume --run "$run" --device host --iterations 8
cmp "$run/metrics.jsonl" "$work/kept/metrics.jsonl" || fail "metrics of a run without checkpoints are gone"
rm -r "$run"
mv "$work/kept" "$run"
damage "$run/checkpoints/best.safetensors"
expect_success "the best is damaged" train --resume --run "$run" --device host --iterations 8
expect_in "$work/err" "best.safetensors: $changed; the best is chosen anew from here on" "the best is damaged"
expect_success "a best one of after" eval "$run" --device host --tasks 2

# The best of another run, or another state of this one, is not what validation chose here.
# shellcheck disable=SC2086
expect_success "a run with another seed" $sine --iterations 8 --seed 7 --run "$work/foreign"
rm -r "$run"
cp -r "$whole" "$run"
for other in "$work/foreign/checkpoints/best" "$whole/checkpoints/last"; do
    case $other in *foreign*) is="is of another run" ;; *) is="is not the checkpoint of iteration [0-9]+ that validation chose in this run" ;; esac
    cp "$other.safetensors" "$run/checkpoints/best.safetensors"
    expect_error "another best" 1 "best.safetensors $is; name the checkpoint itself, such as .*last.safetensors" \
        eval "$run" --device host --tasks 2
    expect_error "another best to begin with" 1 "best.safetensors $is" train sine --device host --init "$run" --iterations 1 --run "$work/begun"
    expect_success "another best, named" eval "$run/checkpoints/best.safetensors" --device host --tasks 2
    expect_success "another best, last" eval "$run" --checkpoint last --device host --tasks 2
done
rm "$run/result.json"
expect_success "another best, resumed" train --resume --run "$run" --device host
expect_in "$work/err" "best.safetensors $is; the best is chosen anew from here on" "another best, resumed"
expect_in "$run/result.json" '"checkpoint_iteration": 8' "another best, resumed"
cmp "$run/checkpoints/not-chosen.safetensors" "$whole/checkpoints/last.safetensors" || fail "another best is gone"
expect_in "$work/err" "best.safetensors was not this run's, or is damaged: it is kept as .*/not-chosen.safetensors" "another best, resumed"
expect_success "another best, evaluated" eval "$run" --device host --tasks 2
expect_in "$work/out" "last.safetensors, iteration 8" "another best, evaluated"

cp "$work/foreign/result.json" "$run/result.json"
expect_success "another run's result" runs "$run" --json
expect_in "$work/err" "result.json is of another run; clmaml train --resume --run .* writes it anew" "another run's result"
expect_in "$work/out" '"test": null' "another run's result"
expect_error "another run's result on a page" 1 "result.json is of another run; .clmaml train --resume --run .*. writes it anew" report "$run" --out "$work/no.html"

# Another run's last: the newest of the run's own is gone on from.
rm -r "$run"
cp -r "$whole" "$run"
cp "$work/foreign/checkpoints/last.safetensors" "$run/checkpoints"
expect_success "another last, the best" eval "$run" --device host --tasks 2
expect_error "another last, evaluated" 1 "last.safetensors is of another run; name the checkpoint itself, such as .*/00000008.safetensors" eval "$run" --checkpoint last --device host --tasks 2
mkdir "$run/checkpoints/00000009.safetensors"
expect_success "another last, resumed" train --resume --run "$run" --device host
expect_in "$work/err" "last.safetensors is of another run; the run goes on from .*/00000008.safetensors instead" "another last, resumed"
rmdir "$run/checkpoints/00000009.safetensors"
rm "$run/checkpoints/last.safetensors"
expect_error "last missing, evaluated" 1 "holds no checkpoints/last.safetensors; name another checkpoint, such as .*/00000008.safetensors" eval "$run" --checkpoint last --device host --tasks 2
expect_success "last missing, resumed" train --resume --run "$run" --device host
expect_success "last written anew" eval "$run" --checkpoint last --device host --tasks 2
expect_success "last missing, going on" train --resume --run "$run" --device host --iterations 9
! grep -q "goes on from" "$work/err" || fail "last missing, going on: $(cat "$work/err")"
rm "$run/checkpoints/last.safetensors" "$run"/checkpoints/best*
expect_success "neither best nor last" eval "$run" --device host --tasks 2
expect_in "$work/err" "note: .* has neither its best nor its last checkpoint; .*/00000009.safetensors is taken" "neither best nor last"
rm "$run/config.json"
mkfifo "$run/config.json"
expect_success "a pipe for config.json" runs "$run"

# Numbers in a checkpoint that cannot be.
for said in 's/("clmaml.iteration": ?")8"/\1-"/' 's/(\\"score\\": ?)[0-9]/\1x/'; do
    LC_ALL=C sed -E "s/clmaml\\.checksum/clmaml.checksun/; $said" "$whole/checkpoints/last.safetensors" >"$work/odd.safetensors"
    expect_error "$said" 1 "odd.safetensors.*its clmaml\\.(iteration|best), .* is no (number of updates|score of validation)" eval "$work/odd.safetensors" --device host --tasks 2
done

# Rows of metrics that are lost in both files are said to be; in one, they come from the other.
rm -r "$run"
cp -r "$whole" "$run"
for rows in 0 1; do
    head -n $rows "$whole/metrics.jsonl" >"$run/metrics.jsonl"
    head -n $((rows + 1)) "$whole/metrics.csv" >"$run/metrics.csv"
    expect_success "metrics, $rows rows" train --resume --run "$run" --device host
    expect_in "$work/err" "metrics.jsonl and metrics.csv are missing or cut: the last row is of iteration [01], the checkpoint of iteration 8" "metrics, $rows rows"
done
for lost in jsonl csv; do
    cp "$whole/metrics.jsonl" "$whole/metrics.csv" "$run"
    rm "$run/metrics.$lost"
    expect_success "metrics without $lost" train --resume --run "$run" --device host
    ! grep -q "missing or cut" "$work/err" || fail "metrics without $lost: $(cat "$work/err")"
    for file in metrics.jsonl metrics.csv; do cmp "$whole/$file" "$run/$file" || fail "metrics without $lost: $file differs"; done
done
for other in jsonl csv; do
    cp "$whole/metrics.jsonl" "$whole/metrics.csv" "$run"
    cp "$work/foreign/metrics.$other" "$run"
    expect_success "another run's metrics.$other" train --resume --run "$run" --device host
    for file in metrics.jsonl metrics.csv; do cmp "$whole/$file" "$run/$file" || fail "another run's metrics.$other: $file differs"; done
done
cp "$work/foreign/metrics.jsonl" "$work/foreign/metrics.csv" "$run"
expect_success "another run's metrics" train --resume --run "$run" --device host
expect_in "$work/err" "metrics.jsonl and metrics.csv are of another run: iteration [0-9]+ scored otherwise in this one" "another run's metrics"
cp "$whole/metrics.jsonl" "$whole/metrics.csv" "$run"
expect_success "metrics as they were" train --resume --run "$run" --device host
! grep -q "missing or cut" "$work/err" || fail "metrics as they were: $(cat "$work/err")"

# Without config.json, or where it is cut, the settings are those of the newest checkpoint; it is written anew.
for harm in rm 'truncate -s 100'; do
    rm -r "$run"
    cp -r "$whole" "$run"
    $harm "$run/config.json"
    expect_success "$harm config.json" train --resume --run "$run" --device host --iterations 10
    expect_in "$work/err" "config.json.*; the settings are those of .*last.safetensors" "$harm config.json"
    sed "s|$run|$whole|; s|\"iterations\": 10|\"iterations\": 8|" "$run/config.json" | cmp - "$whole/config.json" || fail "$harm config.json: $(cat "$run/config.json")"
done

# A directory where a file is to be.
rm "$run/result.json"
mkdir "$run/result.json"
expect_error "a directory for the result" 1 "result.json is a directory, where the run is to write a file: move it away" train --resume --run "$run" --device host --iterations 11
rmdir "$run/result.json"

# A directory where a checkpoint is to be.
rm "$run/checkpoints/last.safetensors"
mkdir "$run/checkpoints/last.safetensors"
expect_error "a directory for the last" 1 "last.safetensors is a directory, where a checkpoint is to be: move it away" train --resume --run "$run" --device host --iterations 12

# The best of an ensemble: those that are missing or damaged are left out, and the run goes on.
# shellcheck disable=SC2086
expect_success "an ensemble" $sine --iterations 8 --ensemble 3 --run "$work/ensemble"
cp "$work/foreign/checkpoints/best.safetensors" "$work/ensemble/checkpoints/kept.safetensors"
mv "$work/ensemble/checkpoints/best-2.safetensors" "$work/best-2"
mv "$work/ensemble/checkpoints/kept.safetensors" "$work/ensemble/checkpoints/best-2.safetensors"
expect_error "another second best" 1 "best-2.safetensors is of another run; a lower --ensemble leaves it out" \
    eval "$work/ensemble" --ensemble 3 --device host --tasks 2
rm -r "$run"
cp -r "$work/ensemble" "$run"
expect_success "another second best, resumed" train --resume --run "$run" --device host
cmp "$run/checkpoints/not-chosen.safetensors" "$work/foreign/checkpoints/best.safetensors" || fail "another second best is gone"
mv "$work/best-2" "$work/ensemble/checkpoints/best-2.safetensors"
expect_success "the second best" eval "$work/ensemble" --ensemble 3 --device host --tasks 2
rm -r "$run"
cp -r "$work/ensemble" "$run"
cp "$run/checkpoints/best-3.safetensors" "$run/checkpoints/best-2.safetensors"
expect_error "one state twice" 1 "best-3.safetensors and another of the best are the same state, of iteration [0-9]+; a lower --ensemble" eval "$run" --ensemble 3 --device host --tasks 2
for ranked in best best-2 best-3; do
    for harm in rm damage; do
        rm -rf "$run"
        cp -r "$work/ensemble" "$run"
        $harm "$run/checkpoints/$ranked.safetensors"
        expect_success "$harm $ranked" train --resume --run "$run" --device host --iterations 8
        expect_in "$work/err" "of the best 3 of this run until now, is missing or damaged" "$harm $ranked"
        back=$(grep -c "is the same state, and takes its place" "$work/err")
        [ "$(find "$run/checkpoints" -name 'best*' | wc -l)" -eq $((2 + back)) ] || fail "$harm $ranked: $(ls "$run/checkpoints"): $(cat "$work/err")"
        expect_success "$harm $ranked, evaluated" eval "$run" --ensemble 2 --device host --tasks 2
        expect_success "$harm $ranked, on" train --resume --run "$run" --device host --iterations 12
        [ -e "$run/checkpoints/best-3.safetensors" ] || fail "$harm $ranked, on: there are no three"
        expect_success "$harm $ranked, again" train --resume --run "$run" --device host --iterations 14
        ! grep -q "missing or damaged" "$work/err" || fail "$harm $ranked, again: $(cat "$work/err")"
    done
done

# Killed as it began, before it had said what it is.
mkdir -p "$work/early/checkpoints"
: >"$work/early/config.json.tmp-1-0"
# shellcheck disable=SC2086
expect_success "a run where one was killed as it began" $sine --iterations 2 --run "$work/early"
mkdir -p "$work/other/checkpoints"
: >"$work/other/checkpoints/mine"
# shellcheck disable=SC2086
expect_error "a directory of something else" 1 "is not empty and holds no run" $sine --iterations 2 --run "$work/other"

# Names that are not UTF-8: what a run keeps must be, the name of its directory need not.
bytes=$(printf 'x\377')
mkdir "$work/$bytes"
make_pictures "$work/$bytes/d"
expect_error "data not in UTF-8" 2 "is not UTF-8, and a run keeps it as JSON; rename it, or name a link" train "$work/$bytes/d" --ways 2 --shots 2 --size 16 --device host --iterations 1 --run "$work/new"
# shellcheck disable=SC2086
expect_success "a directory not in UTF-8" $sine --iterations 2 --run "$work/$bytes/run"
expect_success "its evaluation" eval "$work/$bytes/run" --device host --tasks 2 --json
expect_success "among runs" runs "$work/$bytes" --json
expect_in "$work/out" '"directory": ".*/run"' "among runs"

# Results that are no numbers.
expect_success "not finite" train sine --device host --inner-lr 1e6 --iterations 0 --test-steps 10 --eval-tasks 2 --val-tasks 2 --run "$work/odd"
expect_in "$work/err" "note: (the result is not finite|adaptation makes the score worse)" "not finite"
grep -Eiq -- '-?nan|[0-9]{40}' "$work/out" && fail "not finite: $(grep -Ei -- '-?nan|[0-9]{40}' "$work/out")"
expect_success "eval of what is not finite" eval "$work/odd" --device host --tasks 2 --steps 40
expect_in "$work/err" "note: the result is not finite" "eval of what is not finite"
expect_in "$work/odd/result.json" '"mean": ' "not finite"
expect_success "eval, not finite" eval "$work/odd" --device host --tasks 2 --steps 10 --json
[ "$(grep -c '"steps"' "$work/out")" -eq 11 ] || fail "eval, not finite: steps are missing: $(cat "$work/out")"
grep -Eq '"mean": *(,|$)' "$work/out" && fail "eval, not finite: a key without a value"
expect_success "no number" train sine --device host --inner-lr 1e6 --iterations 0 --steps 10 --eval-tasks 2 --val-tasks 2 --run "$work/none"
expect_in "$work/out" "^mean squared error not finite, [0-9.]+ before adaptation" "no number"
grep -A 1 '"mean": null' "$work/none/result.json" | grep -q '"interval": [0-9]' && fail "no number: $(cat "$work/none/result.json")"
expect_in "$work/none/result.json" '"interval": null' "no number"
grep -q '"query_after": null, "interval": null' "$work/none/metrics.jsonl" || fail "no number: $(cat "$work/none/metrics.jsonl")"
expect_success "eval, no number" eval "$work/none" --device host --tasks 2 --steps 10 --json
grep -A 1 '"mean": null' "$work/out" | grep -q '"interval": [0-9]' && fail "eval, no number: $(cat "$work/out")"
expect_success "one task" train sine --device host --iterations 0 --eval-tasks 1 --val-tasks 1 --run "$work/single"
expect_in "$work/out" "^mean squared error [0-9.]+ \(no interval\), " "one task"
expect_in "$work/single/result.json" '"interval": null' "one task"
expect_success "diverged" train glyphs --device host --inner-lr 1e6 --filters 2 --size 16 --iterations 5 --meta-batch 2 --val-tasks 2 --eval-tasks 4 --run "$work/diverged"
expect_in "$work/err" "note: (the query loss is .*, where guessing has|the result is not finite)" "diverged"

# ---- runs that begin in one second have directories of their own; one that cannot begin leaves none ----
mkdir "$work/four"
(
    cd "$work/four" || exit 1
    for i in 1 2 3 4; do
        "$CLMAML_PROGRAM" train sine --iterations 2 --val-every 1 --val-tasks 2 --eval-tasks 2 --device host >"$i.log" 2>&1 &
    done
    wait
)
[ "$(find "$work/four/runs" -name result.json | wc -l)" -eq 4 ] || fail "four runs at once: $(cat "$work/four"/*.log)"
(cd "$work/four" && "$CLMAML_PROGRAM" train sine --device nosuch >/dev/null 2>&1) && fail "a device that is none was taken"
[ "$(find "$work/four/runs" -mindepth 1 -maxdepth 1 | wc -l)" -eq 4 ] || fail "a run that did not begin left a directory"

finish
