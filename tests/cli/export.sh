#!/bin/sh
# A run from weights of another program to an adapted model for other programs: --init, export.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_TEST_DATA:?the program that writes data sets}"
"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
train="train $work/colours --ways 3 --shots 1 --query 1 --size 16 --filters 4 --meta-batch 2 --val-tasks 4 --eval-tasks 4 --class-split 16,4,4 --device host"
mkdir -p "$work/new"
for c in 00 08 16; do
    mkdir -p "$work/new/hue-$c"
    cp "$work/colours/class$c"/[0-1].* "$work/new/hue-$c"
done
# shellcheck disable=SC2086
expect_success "train" $train --iterations 1 --run "$work/run"
expect_success "adapt" adapt "$work/run" --support "$work/new" --out "$work/adapted.safetensors" --device host

# shellcheck disable=SC2086
expect_error "more classes than there are" 2 "--classes 500: there are 16 training classes" $train --algorithm finetune --classes 500 --run "$work/no"
expect_error "which checkpoint of a checkpoint" 2 "--checkpoint is for a run directory" eval "$work/run/checkpoints/last.safetensors" --checkpoint last

# ---- export ----
for format in onnx safetensors c; do
    expect_success "$format" export "$work/adapted.safetensors" --format $format --out "$work/birds.$format" --name birds
    [ -s "$work/birds.$format" ] || fail "$format: no file"
done
expect_in "$work/birds.c" "void birds_predict\(const float \*input, float \*output\);" "C"
expect_in "$work/birds.c" '"hue-08"' "class names in C"
expect_in "$work/birds.c" "#define BIRDS_CHANNELS 3" "sizes in C"
"${CLMAML_TEST_CC:-cc}" -std=c99 -Wall -Wextra -Werror -pedantic -c "$work/birds.c" -o "$work/birds.o" || fail "the C file does not compile"
expect_error "a run" 2 "is a run: adapt it" export "$work/run" --format c --out "$work/no"
for format in onnx safetensors c; do
    expect_success "what is next, $format" export "$work/adapted.safetensors" --format $format --out "$work/next.$format"
    expect_in "$work/out" "^next: .*next.$format" "what is next, $format"
done
cp -r "$work/run" "$work/sick"
for harm in "truncate -s 100" rm; do # what a run is does not depend on its best checkpoint, nor the answer on whether one is whole
    $harm "$work/sick/checkpoints/best.safetensors"
    expect_error "a run, its best behind $harm" 2 "sick is a run: adapt it" export "$work/sick" --format c --out "$work/no"
done
rm -r "$work/sick/checkpoints"
expect_error "a run without checkpoints" 2 "sick is a run: adapt it" export "$work/sick" --format c --out "$work/no"
expect_error "a checkpoint" 1 "best.safetensors: .*is not adapted" export "$work/run/checkpoints/best.safetensors" --format c --out "$work/no"
expect_error "no such format" 2 "'onxx' is not one of onnx, safetensors, c; did you mean onnx" export "$work/adapted.safetensors" --format onxx --out "$work/no"
expect_error "no format" 2 "give --format onnx\|safetensors\|c" export "$work/adapted.safetensors" --out "$work/no"
expect_error "nowhere to" 2 "give --out FILE" export "$work/adapted.safetensors" --format c
expect_error "a name that is none" 1 "no identifier" export "$work/adapted.safetensors" --format c --out "$work/no" --name 2nd
expect_error "nothing" 2 "say what to export" export --format c --out "$work/no"
expect_error "no such file" 1 "nosuch" export "$work/nosuch" --format c --out "$work/no"
[ ! -e "$work/no" ] || fail "a file was left behind by a failure"

# ---- --init: from the state dict that was written ----
# shellcheck disable=SC2086
expect_success "init" $train --iterations 0 --init "$work/birds.safetensors" --run "$work/second"
expect_in "$work/err" "birds.safetensors: 18 arrays taken" "init"
expect_in "$work/err" "12 running statistics are not used" "init"
expect_in "$work/second/config.json" '"init": "[^"]*birds.safetensors"' "the run keeps it"
expect_success "what it begins with" adapt "$work/second" --support "$work/new" --steps 0 --out "$work/begins.safetensors" --device host
expect_success "the same weights" export "$work/begins.safetensors" --format c --out "$work/begins.c" --name birds
weights() { sed -n '/birds_0_weight/,/;/p' "$1"; }
[ -n "$(weights "$work/birds.c")" ] || fail "no weights in C"
[ "$(weights "$work/birds.c")" = "$(weights "$work/begins.c")" ] || fail "the run does not begin with the weights of --init"
mv "$work/birds.safetensors" "$work/moved.safetensors"
expect_success "resumed without the file" train --resume --run "$work/second" --iterations 1
expect_error "another --init on resuming" 2 "init .*contradicts" train --resume --run "$work/second" --init "$work/moved.safetensors"
# shellcheck disable=SC2086
expect_success "eval" eval "$work/second" --tasks 2 --device host
# shellcheck disable=SC2086
expect_error "another number of classes" 1 "moved.safetensors: .*17.weight.* has shape \[3, 4\], the model's 17.weight is \[2, 4\]; .*--init-head new" \
    $train --ways 2 --init "$work/moved.safetensors" --iterations 0 --run "$work/third"
! grep -q "new_head" "$work/err" || fail "another number of classes: $(cat "$work/err")"
# shellcheck disable=SC2086
expect_success "a new last layer" $train --ways 2 --init "$work/moved.safetensors" --init-head new --iterations 0 --run "$work/third"
expect_in "$work/err" "16 arrays taken; the last layer is new" "a new last layer"
expect_in "$work/err" "not used: 17.weight, 17.bias|not used: 17.bias, 17.weight" "a new last layer"
# shellcheck disable=SC2086
expect_error "a head of nothing" 2 "give both" $train --init-head new --iterations 0 --run "$work/fourth"
# shellcheck disable=SC2086
expect_error "other layers" 1 "moved.safetensors: it lacks parameters of the model: .*it holds " $train --network conv4-strided --context 3 --algorithm cavia \
    --init "$work/moved.safetensors" --iterations 0 --run "$work/fourth"
# shellcheck disable=SC2086
expect_error "no file of weights" 1 "nosuch.safetensors" $train --init "$work/nosuch.safetensors" --iterations 0 --run "$work/fourth"
[ ! -e "$work/fourth" ] || fail "a run was begun by a failure"

finish
