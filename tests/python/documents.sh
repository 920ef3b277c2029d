#!/bin/sh
# The Python of the documents runs: docs/python.md, docs/tables.md and python/README.md, with the library of the build.
: "${CLMAML_SOURCE_DIR:?}" "${CLMAML_LIBRARY:?}" "${CLMAML_TEST_DATA:?}"
. "$CLMAML_SOURCE_DIR/tests/python/find.sh"
find_python numpy
. "$CLMAML_SOURCE_DIR/tests/support/cli.sh"
"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
awk 'BEGIN { print "station,hour,wind,load"; for (s = 0; s < 30; s++) for (h = 0; h < 24; h++) {
    w = (7 * s + 5 * h) % 11; print "s" s "," h "," w "," 100 + s + (1 + s % 5) * w } }' >"$work/rows.csv"
small="--meta-batch 2 --val-tasks 2 --eval-tasks 2 --iterations 2 --device host"
# shellcheck disable=SC2086
expect_success "pictures" train "$work/colours" --ways 3 --shots 2 --query 2 --size 16 --filters 4 --class-split 16,4,4 $small --run "$work/runs/birds"
# shellcheck disable=SC2086
expect_success "rows" train "$work/rows.csv" --task-column station --target load --ignore hour --shots 10 --query 10 $small --run "$work/runs/load"

cat >"$work/pictures.py" <<'PREPARE'
import glob
import numpy
files = sorted(f for c in ("00", "08", "16") for f in glob.glob(f"colours/class{c}/[0-3].*"))
labels = [i // 4 for i in range(12)]
others = sorted(glob.glob("colours/class00/[5-7].*"))
draw = numpy.random.default_rng(1)
def examples(n):
    return draw.random((2, n, 1, 28, 28), dtype=numpy.float32), numpy.tile(numpy.arange(n) % 5, (2, 1))
batches = [examples(5) + examples(15)]
x, y = (a[0] for a in examples(5))
new_x = examples(15)[0][0]
class Network:
    def load_state_dict(self, state):
        assert state
network = Network()
PREPARE
echo "" >"$work/nothing.py"

# run_python DOCUMENT PREPARE: without PyTorch its line is left out
run_python() {
    cp "$CLMAML_SOURCE_DIR/$1" "$work/document.md"
    "$python" -c "import torch" 2>/dev/null || sed -i.all '/torch=True/d' "$work/document.md"
    (cd "$work" && CLMAML_DEVICE=host PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$CLMAML_SOURCE_DIR/python" \
        "$python" "$CLMAML_SOURCE_DIR/tests/python/documents.py" document.md "$2") >"$work/out" 2>&1 || fail "$1: $(tail -n 5 "$work/out")"
}
run_python docs/python.md pictures.py
[ -s "$work/birds.safetensors" ] && [ -s "$work/checkpoint.safetensors" ] || fail "docs/python.md leaves no files"
expect_success "the file of docs/python.md" predict "$work/birds.safetensors" "$work/colours/class08/5.jpg" --device host
expect_in "$work/out" "5.jpg +(kite|osprey|owl)" "the file of docs/python.md"
run_python docs/tables.md nothing.py
run_python python/README.md pictures.py

finish
