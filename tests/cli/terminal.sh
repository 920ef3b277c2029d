#!/bin/sh
# On a terminal lines are wrapped between words, at the width of the window or at COLUMNS; elsewhere a line is a line.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
if ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    echo "note: without script (util-linux) there is no terminal to try"
    finish
fi

# on_terminal COLUMNS ARGUMENT..: what the program says on a terminal so wide, in out; what was drawn over is left out
on_terminal() {
    width=$1
    shift
    quoted=
    for argument in "$@"; do quoted="$quoted '$argument'"; done
    (unset COLUMNS && script -qec "stty cols $width; '$CLMAML_PROGRAM' $quoted" /dev/null </dev/null >"$work/raw" 2>&1)
    tr -d '\033' <"$work/raw" | sed -e 's/\r*$//' -e 's/.*\r//' -e 's/^\[K//' >"$work/out"
}
# fits NAME COLUMNS: no line is longer than that, unless it is one word; and none ends with a blank
fits() {
    awk -v width="$2" '{ text = $0; sub(/^ */, "", text); if (length($0) >= width && text ~ / /) print }' "$work/out" >"$work/long"
    [ ! -s "$work/long" ] || fail "$1: longer than $2 columns: $(head -n 3 "$work/long")"
}
words() { tr -s ' \n' '\n\n' | sed '/^$/d'; }
# same_words NAME FILE: what is on the terminal says the same as the file
same_words() {
    words <"$2" >"$work/wanted"
    words <"$work/out" >"$work/words"
    cmp -s "$work/wanted" "$work/words" || fail "$1: other words than elsewhere: $(diff "$work/wanted" "$work/words" | head -n 5)"
}

tiny_on_device="train sine --meta-batch 3 --shots 4 --query 4 --val-tasks 3 --eval-tasks 4 --iterations 1"

# ---- errors and notes ----
clmaml train sine --unheard-of
[ "$(wc -l <"$work/err")" -eq 1 ] || fail "an error elsewhere is not one line"
[ "$(wc -c <"$work/err")" -gt 60 ] || fail "the error is too short to try"
for width in 30 50; do
    on_terminal $width train sine --unheard-of
    fits "an error" $width
    same_words "an error" "$work/err"
    [ "$(wc -l <"$work/out")" -gt 1 ] || fail "an error on $width columns is one line"
done
# COLUMNS before the window, and only on a terminal
COLUMNS=30 script -qec "stty cols 100; '$CLMAML_PROGRAM' train sine --unheard-of" /dev/null </dev/null 2>&1 | tr -d '\r' >"$work/out"
fits "an error with COLUMNS" 30
COLUMNS=30 "$CLMAML_PROGRAM" train sine --unheard-of 2>"$work/out"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "COLUMNS wraps what is no terminal"

# ---- usage, help, topics ----
"$CLMAML_PROGRAM" --help >"$work/overview"
for subject in $(sed -n 's/^  \(  \)\{0,1\}\([a-z]\{1,\}\)  .*/\2/p' "$work/overview"); do
    "$CLMAML_PROGRAM" help "$subject" >"$work/plain"
    [ "$(sed -n 2p "$work/plain")" = "" ] || fail "help $subject: its first line is not one line"
    for width in 40 80; do
        on_terminal $width help "$subject"
        fits "help $subject" $width
    done
    same_words "help $subject" "$work/plain"
done
on_terminal 40
fits "the overview" 40
on_terminal 40 help train
expect_in "$work/out" "^usage: clmaml train sine\\|" "usage on 40 columns"

on_terminal 40 help train navigation
fits "help train navigation" 40
# a word of its own that is too long beside its head goes further left
"$CLMAML_PROGRAM" help data >"$work/plain"
awk 'length($0) >= 40' "$work/out" >"$work/long"
[ ! -s "$work/long" ] || fail "help train navigation: a word beyond 40 columns: $(cat "$work/long")"
on_terminal 40 help data
awk 'length($0) >= 40' "$work/out" >"$work/long"
[ ! -s "$work/long" ] || fail "help data: a word beyond 40 columns: $(cat "$work/long")"

# ---- tables ----
"$CLMAML_PROGRAM" devices >"$work/plain" 2>"$work/err"
expect_in "$work/plain" "^  P:D +type +name " "devices as a table"
for width in 40 80; do
    for table in "pretrained" "devices" "devices --verbose" "model" "model conv4" "model conv4 --summary" "algorithms" "doctor --quick" \
        "verify --device host --tolerance 1e-3 --rounding $CLMAML_SOURCE_DIR/tests/golden/mlp_sine_1step.safetensors" \
        "tune sine --filters 4 --budget 1 --only kernels" "bench sine --no-peers --no-peaks --rounds 1" "bench latency --rounds 1"; do
        # shellcheck disable=SC2086
        on_terminal $width $table
        fits "$table" $width
    done
done
on_terminal 40 devices
expect_in "$work/out" "  type host, name" "devices in a list"
! grep -q "P:D" "$work/out" || fail "a list has heads of columns: $(cat "$work/out")"
on_terminal 200 devices
sed 's/ *$//' "$work/plain" >"$work/wanted"
head -n 3 "$work/wanted" | awk '{ print $1, $2, $3 }' >"$work/a"
head -n 3 "$work/out" | awk '{ print $1, $2, $3 }' >"$work/b"
cmp -s "$work/a" "$work/b" || fail "devices on a wide terminal: $(cat "$work/out")"

# ---- while kernels are built ----
export CLMAML_CACHE_DIR="$work/cold"
# shellcheck disable=SC2086
on_terminal 60 $tiny_on_device --run "$work/cold-run"
grep -Eaq "building kernels: [1-9][0-9]* \.\." "$work/raw" || fail "nothing is said while kernels are built: $(cat "$work/raw")"
! grep -q "building kernels" "$work/out" || fail "the line stays: $(cat "$work/out")"
export CLMAML_CACHE_DIR="$work/colder"
# shellcheck disable=SC2086
clmaml $tiny_on_device --run "$work/colder-run"
[ $status -eq 0 ] || fail "cold: $(cat "$work/err")"
! grep -q "building" "$work/out" "$work/err" || fail "without a terminal there is a line: $(cat "$work/err")"
unset CLMAML_CACHE_DIR

# ---- a terminal that cannot draw over a line ----
(
    export TERM=dumb CLMAML_CACHE_DIR="$work/dumb"
    # shellcheck disable=SC2086
    on_terminal 60 $tiny_on_device --run "$work/dumb-run"
)
! grep -q "$(printf '\033')" "$work/raw" || fail "TERM=dumb: there are escapes: $(cat "$work/raw")"
expect_in "$work/raw" "^1/1  loss" "TERM=dumb"

# ---- a run, its evaluation ----
# shellcheck disable=SC2086
on_terminal 60 $tiny --iterations 4 --val-every 2 --test-steps auto --run "$work/run"
fits "a run" 60
expect_in "$work/out" "^accuracy|^mean squared error|^error" "a run"
expect_in "$work/out" "after  1 inner step  " "plurals"
expect_success "pictures" train glyphs --device host --filters 1 --size 16 --meta-batch 1 --iterations 1 --val-tasks 2 --eval-tasks 2 --run "$work/glyphs"
mkdir -p "$work/a folder with a long name/of many runs"
cp -r "$work/run" "$work/glyphs" "$work/a folder with a long name/of many runs"
on_terminal 80 runs "$work/a folder with a long name/of many runs"
fits "runs" 80
expect_in "$work/out" "^directory +method +data +task +done +best +test" "runs on 80 columns are a table"
expect_in "$work/out" "^glyphs +maml +glyphs +5-way " "runs on 80 columns are named from their folder"
expect_success "the table of eval" eval "$work/glyphs" --device host --tasks 2 --steps 1
[ "$(grep -c '^inner steps' "$work/out")" -eq 1 ] || fail "the table of eval is in parts where there is no terminal"
on_terminal 80 eval "$work/glyphs" --device host --tasks 2 --steps 1
fits "the table of eval" 80
[ "$(grep -c '^inner steps' "$work/out")" -eq 3 ] || fail "the table of eval is not in parts: $(cat "$work/out")"

finish
