#!/bin/sh
# One adapted model and the same pictures: what `clmaml predict`, the Python package, the exported C file and, where they are
# installed, ONNX Runtime and PyTorch in double precision say of them.
: "${CLMAML_SOURCE_DIR:?}" "${CLMAML_LIBRARY:?}" "${CLMAML_TEST_DATA:?}"
. "$CLMAML_SOURCE_DIR/tests/python/find.sh"
find_python numpy
. "$CLMAML_SOURCE_DIR/tests/support/cli.sh"
"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
mkdir -p "$work/new"
for c in 00 08 16; do
    mkdir -p "$work/new/hue-$c" "$work/questions"
    cp "$work/colours/class$c"/[0-2].* "$work/new/hue-$c"
    cp "$work/colours/class$c/5.jpg" "$work/questions/hue-$c-5.jpg"
    cp "$work/colours/class$c/6.png" "$work/questions/hue-$c-6.png"
done
expect_success "train" train "$work/colours" --ways 3 --shots 2 --query 2 --size 17 --filters 8 --meta-batch 4 --val-tasks 4 --eval-tasks 4 \
    --class-split 16,4,4 --steps 3 --iterations 10 --run "$work/run"
expect_success "adapt" adapt "$work/run" --support "$work/new" --out "$work/hues.safetensors"
expect_success "predict" predict "$work/hues.safetensors" "$work/questions" --json --top 3
cp "$work/out" "$work/predicted.json"
for format in onnx safetensors c; do
    expect_success "$format" export "$work/hues.safetensors" --format $format --out "$work/exported.$format" --name hues
done
cat >"$work/main.c" <<'C'
#include <stdio.h>
#include "exported.c"
int main(void) {
    static float input[HUES_CHANNELS * HUES_HEIGHT * HUES_WIDTH], output[HUES_OUTPUTS];
    while (fread(input, sizeof input, 1, stdin) == 1) {
        hues_predict(input, output);
        fwrite(output, sizeof output, 1, stdout);
    }
    return 0;
}
C
"${CLMAML_TEST_CC:-cc}" -std=c99 -O1 "$work/main.c" -o "$work/exported" -lm || fail "the C file does not compile"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$CLMAML_SOURCE_DIR/python:$CLMAML_SOURCE_DIR/tests/support" \
    "$python" "$CLMAML_SOURCE_DIR/tests/python/same_logits.py" "$work" || fail "they differ"
finish
