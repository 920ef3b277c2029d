#!/bin/sh
# What is given in the place of something else: one line that names it, and what to give instead.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
make_pictures "$work/photos"
small="--device host --size 16 --ways 2 --shots 1 --query 1 --filters 2 --meta-batch 2 --val-tasks 2 --eval-tasks 2"
picture="$work/photos/test/a/1.png" run="$work/run" model="$work/model.safetensors"
# shellcheck disable=SC2086
expect_success "a run" train "$work/photos" $small --iterations 2 --run "$run"
mkdir "$work/two" "$work/hollow"
cp -r "$work/photos/test/a" "$work/photos/test/b" "$work/two"
expect_success "a model" adapt "$run" --support "$work/two" --out "$model" --device host

# ---- the model forgotten, or something else in its place ----
expect_error "predict: the model forgotten" 1 "1.png is not a safetensors file, .*; give the model first: clmaml predict MODEL" predict "$picture" "$work/two"
expect_error "adapt: a picture" 1 "1.png is not a safetensors file, .*; give a run directory or a checkpoint" \
    adapt "$picture" --support "$work/two" --out "$work/no"
for command in eval tasks; do
    [ $command = tasks ] && more="--out $work/no" || more=
    # shellcheck disable=SC2086
    expect_error "$command: a picture" 1 "1.png is not a safetensors file, .*; give a run directory" $command "$picture" --device host $more
    # shellcheck disable=SC2086
    expect_error "$command: an adapted model" 2 "is an adapted model; give the run that it was made from" $command "$model" --device host $more
done
expect_error "export: a picture" 1 "1.png is not a safetensors file, .*; give a file that .clmaml adapt. wrote" export "$picture" --format c --out "$work/no"
expect_success "weights alone" export "$model" --format safetensors --out "$work/weights.safetensors"
expect_error "eval: weights alone" 1 "weights.safetensors lacks the settings of a run; give a run directory" eval "$work/weights.safetensors" --device host
expect_error "predict: a directory without a run" 1 "hollow holds no checkpoint .*clmaml runs" predict "$work/hollow" "$picture"
expect_error "eval: a directory without a run" 1 "hollow holds no checkpoint .*clmaml runs" eval "$work/hollow"

# ---- --init takes a run, and says what it takes ----
# shellcheck disable=SC2086
expect_success "weights of a run" train "$work/photos" $small --iterations 0 --init "$run" --run "$work/second"
expect_in "$work/err" "run: [0-9]+ arrays taken" "weights of a run"
# shellcheck disable=SC2086
expect_error "a picture for weights" 1 "1.png is not a safetensors file, .*; give weights in a .safetensors file, or a run" \
    train "$work/photos" $small --iterations 0 --init "$picture" --run "$work/third"

# ---- pictures ----
expect_error "--support: a picture" 2 "support .*1.png is a file; give a folder that holds a folder of pictures for each class" \
    adapt "$run" --support "$picture" --out "$work/no"
expect_error "predict: a pattern" 1 "\*.jpeg does not exist; no file matches this pattern: name pictures" predict "$model" "$work/two/*.jpeg"
expect_error "predict: no such file" 1 "lost.png does not exist; name pictures, or folders of them" predict "$model" "$work/lost.png"
expect_error "predict: an empty folder" 1 "hollow holds no files; name a folder of pictures" predict "$model" "$work/hollow"

# ---- --out ----
expect_error "adapt: nowhere" 1 "out $work/nodir/x: $work/nodir is not there; make the directory" adapt "$run" --support "$work/two" --out "$work/nodir/x"
expect_error "export: nowhere" 1 "nodir is not there; make the directory" export "$model" --format c --out "$work/nodir/x"
expect_error "report: nowhere" 1 "nodir is not there; make the directory" report "$run" --out "$work/nodir/x"
expect_error "tasks: nowhere" 1 "nodir is not there; make the directory" tasks "$run" --out "$work/nodir/x" --device host
expect_error "adapt: below a file" 1 "out $model/x: $model is no directory" adapt "$run" --support "$work/two" --out "$model/x"
# Another file than an adapted model is not replaced; one is.
echo "a page" >"$work/page.html"
cp "$work/weights.safetensors" "$work/state.safetensors"
for file in page.html state.safetensors; do
    cp "$work/$file" "$work/before"
    expect_error "adapt: in place of $file" 2 "$file is there, and is no adapted model; give another name" adapt "$run" --support "$work/two" --out "$work/$file"
    cmp -s "$work/$file" "$work/before" || fail "$file is another"
done
expect_success "adapt: in place of an adapted model" adapt "$run" --support "$work/two" --out "$model" --device host
expect_error "report: no such device" 1 "fpga" report "$run" --device fpga --out "$work/no"
expect_error "report: a device for nothing" 2 "device is for pictures" report "$run" --device host --no-pictures --out "$work/no"
[ ! -e "$work/no" ] || fail "a file was left behind by a failure"

# ---- the program itself ----
for word in version -v -V; do expect_error "$word" 2 "unknown command '$word'; clmaml --version prints the version" $word; done
expect_error "help version" 2 "clmaml --version" help version
expect_success "help help" help help
expect_in "$work/out" "^usage: clmaml COMMAND" "help help"

finish
