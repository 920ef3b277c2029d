# What is named as a file and is none: pipes, devices, links, directories that cannot be read, empty arguments. Each is an error at once
# that names it, or does what its kind does; nothing waits for ever, and nothing takes the place of a device.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
corpus=$CLMAML_SOURCE_DIR/tests/fuzz/corpus
program=$CLMAML_PROGRAM
CLMAML_PROGRAM=$work/limited # what hangs fails
printf '#!/bin/sh\nexec timeout 900 "%s" "$@"\n' "$program" >"$CLMAML_PROGRAM"
chmod +x "$CLMAML_PROGRAM"

for class in a b c d e f; do
    mkdir -p "$work/data/$class"
    cp "$corpus/picture/grey.png" "$corpus/picture/24.bmp" "$work/data/$class"
done
small="--device host --algorithm protonet --network mlp --hidden 2 --ways 2 --shots 1 --query 1 --iterations 2 --meta-batch 1 --val-tasks 1
    --eval-tasks 1 --size 8 --class-split 2,2,2"
# shellcheck disable=SC2086
expect_success "a run" train "$work/data" $small --run "$work/run"
expect_success "adapt" adapt "$work/run" --support "$work/data" --out "$work/adapted" --device host

# ---- read: a pipe that nobody writes to, a device without end ----
mkfifo "$work/pipe" "$work/pipe.npz" "$work/pipe.csv"
mkdir "$work/omniglot"
mkfifo "$work/omniglot/images_background.zip" "$work/omniglot/images_evaluation.zip"
none="not a regular file"
for file in "$work/pipe" /dev/zero; do
    expect_error "predict by $file" 1 "$file: $none" predict "$file" "$work/data" --device host
    expect_error "adapt $file" 1 "$file: $none" adapt "$file" --support "$work/data" --out "$work/no" --device host
    expect_error "export $file" 1 "$file: $none" export "$file" --format c --out "$work/no"
    expect_error "eval $file" 1 "$file: $none" eval "$file" --device host
    expect_error "model $file" 1 "$file: $none" model "$file"
    expect_error "--model $file" 1 "$file: $none" train sine --model "$file" --device host --run "$work/no"
    expect_error "--init $file" 1 "$file: $none" train sine --init "$file" --device host --run "$work/no"
    clmaml predict "$work/adapted" "$file" --device host
    [ $status -eq 1 ] || fail "predict $file: exit status $status"
    expect_in "$work/err" "cannot read $file: $none" "predict $file"
    clmaml verify --device host "$file"
    [ $status -eq 1 ] || fail "verify $file: exit status $status"
done
expect_error "arrays in a pipe" 1 "pipe.npz: $none" train "$work/pipe.npz" --device host --run "$work/no"
expect_error "a table in a pipe" 1 "pipe.csv: $none" train "$work/pipe.csv" --task-column t --target y --device host --run "$work/no"
expect_error "zips that are pipes" 1 "images_background.zip: $none" train omniglot --data "$work/omniglot" --device host --run "$work/no"
mkfifo "$work/data/a/1.png"
# shellcheck disable=SC2086
expect_success "a picture that is a pipe" train "$work/data" $small --run "$work/beside"
expect_in "$work/err" "left out: 1.png .cannot read it: $none" "a picture that is a pipe"
rm "$work/data/a/1.png"
for file in config.json result.json metrics.jsonl; do
    rm -rf "$work/odd"
    cp -r "$work/run" "$work/odd"
    rm "$work/odd/$file"
    mkfifo "$work/odd/$file"
    expect_error "report, $file is a pipe" 1 "$file: $none" report "$work/odd" --out "$work/no" --device host
done
expect_error "resume, metrics.jsonl is a pipe" 1 "metrics.jsonl: $none" train --resume --run "$work/odd" --iterations 3

# ---- written: a device and a pipe stay what they are, a link leads on ----
if mknod "$work/null" c 1 3 2>/dev/null; then
    mknod "$work/full" c 1 7
    expect_success "export to a device" export "$work/adapted" --format c --out "$work/null"
    expect_success "report to a device" report "$work/run" --device host --out "$work/null"
    expect_success "adapt to a device" adapt "$work/run" --support "$work/data" --out "$work/null" --device host
    [ -c "$work/null" ] || fail "a file took the place of a device"
    expect_error "export to a full device" 1 "full: No space left on device" export "$work/adapted" --format c --out "$work/full"
    expect_error "report to a full device" 1 "full: No space left on device" report "$work/run" --device host --out "$work/full"
fi
expect_error "export to a pipe that nobody reads" 1 "pipe: nobody reads it" export "$work/adapted" --format c --out "$work/pipe"
expect_error "report to a pipe that nobody reads" 1 "pipe: nobody reads it" report "$work/run" --device host --out "$work/pipe"
expect_success "export" export "$work/adapted" --format onnx --out "$work/model.onnx"
cat "$work/pipe" >"$work/piped" &
exec 9>"$work/pipe" # both ends are open now
expect_success "export to a pipe" export "$work/adapted" --format onnx --out "$work/pipe"
exec 9>&-
wait
cmp -s "$work/piped" "$work/model.onnx" || fail "export to a pipe: what came out differs"
[ -p "$work/pipe" ] || fail "a file took the place of a pipe"
echo old >"$work/real"
ln -s real "$work/link"
expect_success "export to a link" export "$work/adapted" --format onnx --out "$work/link"
[ -L "$work/link" ] || fail "a file took the place of a link"
cmp -s "$work/real" "$work/model.onnx" || fail "export to a link: the file it leads to is another"
printf "<!DOCTYPE html>old" >"$work/real" # a page; nothing else is replaced
expect_success "report to a link" report "$work/run" --device host --out "$work/link"
[ -L "$work/link" ] || fail "report: a file took the place of a link"
expect_in "$work/real" "<!DOCTYPE html>" "report to a link"
ln -s /nowhere/at/all "$work/lost"
expect_error "export to a link that leads nowhere" 1 "lost: No such file" export "$work/adapted" --format c --out "$work/lost"

# ---- directories ----
expect_error "export of a directory" 2 "is a directory; name a file that clmaml adapt wrote" export "$work/data" --format c --out "$work/no"
mkdir -p "$work/runs/deep" "$work/runs/closed"
cp -r "$work/run" "$work/runs/one"
ln -s one "$work/runs/two"
ln -s .. "$work/runs/deep/up"
expect_success "runs with links" runs "$work/runs"
[ "$(grep -c '2 of 2' "$work/out")" -eq 2 ] || fail "runs with links: $(cat "$work/out")"
chmod 0 "$work/runs/closed"
if [ "$(id -u)" -eq 0 ]; then # whom nothing is closed to
    chmod 711 "$work" && chmod -R a+rX "$work/runs/one"
    nobody="setpriv --reuid 65534 --clear-groups"
else
    nobody=
fi
if $nobody true 2>/dev/null && $nobody "$program" --version >"$work/out" 2>&1; then
    $nobody "$program" runs "$work/runs" >"$work/out" 2>"$work/err" || fail "runs beside a closed directory: $(cat "$work/err")"
    expect_in "$work/err" "note: cannot read directory .*/closed: Permission denied" "runs beside a closed directory"
    [ "$(grep -c '2 of 2' "$work/out")" -eq 2 ] || fail "runs beside a closed directory: $(cat "$work/out")"
    for command in eval "report --out $work/runs/no.html" "train --resume --run"; do
        # shellcheck disable=SC2086
        $nobody "$program" $command "$work/runs/closed" >"$work/out" 2>"$work/err" && fail "$command of a closed directory: $(cat "$work/out")"
        expect_in "$work/err" "closed may not be looked into: permission denied" "$command of a closed directory"
    done
fi
chmod 755 "$work/runs/closed"

# A line of the metrics that cannot be read is said, and costs no other.
sed -i '1s/.*/damaged/' "$work/runs/one/metrics.jsonl"
rows=$(grep -c '"iteration"' "$work/runs/one/metrics.jsonl")
expect_success "damaged metrics" runs "$work/runs"
expect_in "$work/err" "metrics.jsonl: 1 of its lines cannot be read" "damaged metrics"
expect_in "$work/out" "2 of 2" "damaged metrics"
expect_success "resumed on damaged metrics" train --resume --run "$work/runs/one" --iterations 3
[ "$(grep -c '"iteration"' "$work/runs/one/metrics.jsonl")" -gt "$rows" ] || fail "resumed on damaged metrics: rows are lost"

# ---- empty arguments, as a variable that is not set leaves them ----
for command in train predict adapt export eval report runs model; do
    expect_error "$command of nothing" 2 "an argument is empty" $command ""
done
expect_error "an empty --run" 2 "--run has an empty value" train sine --run ""
expect_error "an empty --model" 2 "--model has an empty value" train sine --model=
expect_error "an empty --out" 2 "--out has an empty value" export "$work/adapted" --format c --out ""

# ---- the ends of lines in names ----
line=$(printf 'a\nb')
# shellcheck disable=SC2086
expect_success "a run with an end of line" train "$work/data" $small --run "$work/$line"
grep -q '^b' "$work/out" && fail "train prints an end of line of a name: $(cat "$work/out")"
expect_success "adapt with an end of line" adapt "$work/$line" --support "$work/data" --out "$work/$line/m" --device host
grep -q '^b' "$work/out" && fail "adapt prints an end of line of a name: $(cat "$work/out")"
expect_success "export with an end of line" export "$work/$line/m" --format c --out "$work/$line/m.c"
grep -q '^b' "$work/out" && fail "export prints an end of line of a name: $(cat "$work/out")"
expect_success "report with an end of line" report "$work/$line" --out "$work/$line/m.html" --device host
grep -q '^b' "$work/out" && fail "report prints an end of line of a name: $(cat "$work/out")"
cp -r "$work/data" "$work/latin"
mv "$work/latin/f" "$work/latin/$(printf 'r\351d')"
LC_ALL=C expect_error "a class that is not UTF-8" 1 "the name of class [0-9] is not UTF-8: r.d; rename it" adapt "$work/run" --support "$work/latin" --out "$work/no" \
    --device host

finish
