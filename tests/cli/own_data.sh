#!/bin/sh
# Data of the user's own: every layout is trained and evaluated; colour tells classes apart; every mistake names culprit and remedy.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_TEST_DATA:?the program that writes data sets}"
data() { "$CLMAML_TEST_DATA" "$1" "$work/$1" >"$work/out" || fail "$1 cannot be written: $(cat "$work/out")"; }
small="--ways 2 --shots 2 --query 2 --filters 4 --iterations 3 --meta-batch 2 --val-tasks 3 --eval-tasks 4 --device host"

# Unsplit folders of JPEG and PNG in which colour alone tells classes apart. accuracy FILE: in tenths of a per cent.
accuracy() { sed -n 's/^accuracy on held-out classes \([0-9]*\)\.\([0-9]\).*/\1\2/p' "$1"; }
data colours
colours="train $work/colours --ways 2 --shots 2 --query 2 --size 16 --filters 8 --meta-batch 4 --iterations 200 --steps 3 --inner-lr 0.1 --val-every 50
    --val-tasks 50 --eval-tasks 200"
# shellcheck disable=SC2086
expect_success "colours" $colours --run "$work/colour"
[ "$(accuracy "$work/out")" -ge 950 ] || fail "in colour: $(grep '^accuracy' "$work/out")"
expect_in "$work/out" "192 images of 24 classes, colour, cropped to 16x16; classes: 15 train, 4 validation, 5 test" "colours"
grep -q '"channels": "3"' "$work/colour/config.json" || fail "the run does not say that it is in colour"
grep -q '"preparation": {' "$work/colour/config.json" || fail "the run does not say how pictures are prepared"
grep -aq 'clmaml.preparation' "$work/colour/checkpoints/best.safetensors" || fail "the checkpoint does not say how pictures are prepared"
# shellcheck disable=SC2086
expect_success "in grey" $colours --channels 1 --iterations 100 --run "$work/grey"
expect_in "$work/err" "note: 192 of 192 pictures are in colour; only brightness is used" "in grey"
[ "$(accuracy "$work/out")" -le 750 ] || fail "in grey: $(grep '^accuracy' "$work/out")"
expect_success "eval in colour" eval "$work/colour" --tasks 20 --query 2 --data-on host
mv "$work/colours" "$work/moved"
expect_success "eval of moved data" eval "$work/colour" --tasks 20 --query 2 --data "$work/moved"
expect_success "resume with moved data" train --resume --run "$work/colour" --data "$work/moved" --iterations 210

# Published layouts.
for layout in split nested miniimagenet cifar-fs; do
    data $layout
    # shellcheck disable=SC2086
    expect_success "$layout" train "$work/$layout" $small --size 16 --run "$work/run-$layout"
    expect_success "eval of $layout" eval "$work/run-$layout" --tasks 3 --query 2 --steps 1 --device host
done
# shellcheck disable=SC2086
expect_success "nested" train "$work/nested" $small --size 16 --iterations 0 --eval-tasks 0 --run "$work/nested-again"
expect_in "$work/err" "note: alphabet holds no pictures itself, so the folders in it are classes" "nested"
# shellcheck disable=SC2086
expect_success "class split" train "$work/nested" $small --size 16 --iterations 0 --eval-tasks 0 --class-split 18,4,2 --split-seed 3 --run "$work/drawn"
expect_in "$work/out" "classes: 18 train, 4 validation, 2 test .drawn by split seed 3" "class split"
for how in "--fit stretch --invert yes" "--fit pad --background 0" "--normalise imagenet" "--normalise dataset --channels 1" "--decode-threads 2"; do
    # shellcheck disable=SC2086
    expect_success "$how" train "$work/split" $small --size 16 $how --run "$work/run $how"
    expect_success "eval of $how" eval "$work/run $how" --tasks 3 --query 2 --steps 1 --device host
done

# Augmentation is said, and a run that goes on draws what it would have drawn.
augmented="train $work/split $small --size 16 --flip 0.5 --shift 0.1 --crop 0.7 --jitter 0.2 --log-every 1"
# shellcheck disable=SC2086
expect_success "augmented" $augmented --iterations 6 --run "$work/whole"
expect_in "$work/out" "augmented +training pictures: mirrored with probability 0.5, moved by up to 0.1 of a side, cropped to at least 0.7" "augmented"
# shellcheck disable=SC2086
expect_success "augmented in two" $augmented --iterations 3 --val-every 1 --run "$work/halves"
expect_success "augmented in two, resumed" train --resume --run "$work/halves" --iterations 6
losses() { grep ",train," "$1/metrics.csv" | cut -d, -f1-8; }
[ "$(losses "$work/whole" | tail -n 3)" = "$(losses "$work/halves" | tail -n 3)" ] || fail "augmented: a resumed run draws other pictures"

# Data larger than memory lie in the cache, and train to the same bits; without a cache they are refused, with what would fit.
# shellcheck disable=SC2086
(
    failures=0
    CLMAML_CACHE_DIR="$work/large"
    CLMAML_HOST_MEMORY=64K
    export CLMAML_CACHE_DIR CLMAML_HOST_MEMORY
    for start in first second; do
        expect_success "larger than memory, $start start" train "$work/split" $small --size 16 --run "$work/run-large-$start"
        cmp "$work/run-split/checkpoints/last.safetensors" "$work/run-large-$start/checkpoints/last.safetensors" >"$work/log" ||
            fail "larger than memory, $start start: $(cat "$work/log")"
    done
    CLMAML_NO_CACHE=1
    export CLMAML_NO_CACHE
    expect_error "larger than memory, without a cache" 1 "192 pictures of 3x16x16 take 144.0 KiB, more than three quarters of the memory .48.0 KiB.*; size 9 would fit" \
        train "$work/split" $small --size 16 --run "$work/new"
    exit $failures
) || fail "larger than memory"

# refused NAME PATTERN ARGUMENT..: exit status 1 or 2, one line, no run directory.
refused() {
    name=$1 wanted=$2 pattern=$3
    shift 3
    # shellcheck disable=SC2086
    expect_error "$name" "$wanted" "$pattern" train $small --run "$work/new" "$@"
    [ ! -e "$work/new" ] || fail "$name: a run directory was left behind"
}
refused "a class split of words" 2 "--class-split: '3,x,2' is not a list of numbers" "$work/nested" --class-split 3,x,2
refused "a class split of two" 2 "must be three numbers" "$work/nested" --class-split 3,2
refused "a class split without training" 2 "leaves no class to train on" "$work/nested" --class-split 0,2,2
refused "a class split of split data" 2 "--class-split 3,2,1 says nothing to .*split, which is split already" "$work/split" --class-split 3,2,1
refused "a seed of split data" 2 "--split-seed 3 says nothing to .*split, which is split already" "$work/split" --split-seed 3 --size 16
refused "two channels" 2 "--channels: '2' is not one of auto.1.3" "$work/split" --channels 2
refused "no such folder" 2 "is neither sine, .*a folder of pictures" "$work/nosuch"
refused "channels of numbers" 2 "--channels is for FOLDER; it says nothing to sine" sine --channels 3
mkdir -p "$work/odd/a" "$work/odd/b" "$work/odd/empty"
for i in 1 2 3 4; do
    png >"$work/odd/a/$i.png"
    png >"$work/odd/b/$i.png"
done
refused "too few classes" 1 "3 ways, but the train split has 2 classes in .*odd; ask for fewer ways or add classes" "$work/odd" --ways 3
printf 'notes' >"$work/odd/a/readme.txt"
refused "strict" 1 "odd: (a: 1 file is no picture .readme.txt|empty: a folder without pictures)" "$work/odd" --strict
printf 'x' >"$work/odd/b/photo.heic"
refused "a kind that is not read" 1 "odd/b/photo.heic: pictures of this kind are not read .*convert it to PNG" "$work/odd"
mv "$work/odd/b/photo.heic" "$work/odd/b/broken.jpg"
refused "a damaged picture" 1 "odd/b/broken.jpg: " "$work/odd"
rm "$work/odd/b/broken.jpg"
mkdir -p "$work/stray/train/a" "$work/stray/testing/b"
png >"$work/stray/train/a/1.png"
png >"$work/stray/testing/b/1.png"
png >"$work/stray/train/alone.png"
clmaml train "$work/stray" --ways 1 --shots 1 --query 1 --run "$work/new"
expect_in "$work/err" "1 shots and 1 queries need 2 images a class, but class a has 1" "a class with too few images"

refused "augmented on the device" 2 "--data-on device and --flip" "$work/split" --flip 0.5 --data-on device
refused "augmented numbers" 2 "--flip is for glyphs, omniglot, FOLDER; it says nothing to sine" sine --flip 0.5

# Arrays.
data vectors
refused "pixels of arrays" 2 "--size is for glyphs, omniglot, FOLDER" "$work/vectors" --size 30
refused "a fit of arrays" 2 "--fit is for FOLDER" "$work/vectors" --fit crop

# The largest number of an option is said.
refused "a seed that is too large" 2 "--seed: '18446744073709551615' is not a whole number from 0 to 9007199254740991" sine --seed 18446744073709551615

finish
