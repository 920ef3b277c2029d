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
for file in config.json result.json; do expect_in "$work/grey/$file" '"192 of 192 pictures are in colour; only' "notes in $file"; done
expect_success "eval in grey" eval "$work/grey" --tasks 2 --query 2 --json
expect_in "$work/out" '"192 of 192 pictures are in colour; only' "notes of eval --json"
expect_success "a page of grey" report "$work/grey" --out "$work/grey.html"
expect_in "$work/grey.html" '<th>of the data</th><td>192 of 192 pictures are in colour; only' "notes on the page"
expect_success "eval in colour" eval "$work/colour" --tasks 20 --query 2 --data-on host
grep -q "differ" "$work/err" && fail "eval in colour: data that did not change are said to differ"
cp -r "$work/colours" "$work/copy"
mv "$work/colours" "$work/moved"
expect_success "eval of moved data" eval "$work/colour" --tasks 20 --query 2 --data "$work/moved"
grep -q "differ" "$work/err" && fail "eval of moved data: they are said to differ"

# Data that changed since are said to: as many pictures with other contents, or fewer of them.
first=$(find "$work/copy" -type f | sort | sed -n 1p)
second=$(find "$work/copy" -type f | sort | sed -n 2p)
third=$(find "$work/copy" -type f | sort | sed -n 3p)
cp "$second" "$first"
expect_success "eval of changed data" eval "$work/colour" --tasks 20 --query 2 --data "$work/copy"
[ "$(grep -c "note: .*colour: the data differ from those that the run was trained on: as many, with other contents" "$work/err")" -eq 1 ] ||
    fail "eval of changed data: $(cat "$work/err")"
rm "$third"
expect_success "eval of fewer data" eval "$work/colour" --tasks 20 --query 2 --data "$work/copy" --json
expect_in "$work/err" "colour: the data differ .*trained on, .192 images of 24 classes.*, now .191 images of 24 classes" "eval of fewer data"
mv "$work/copy" "$work/colours"
expect_success "tasks of changed data" tasks "$work/colour" --tasks 2 --device host
expect_in "$work/err" "note: .*colour: the data differ" "tasks of changed data"
expect_success "report of changed data" report "$work/colour" --out "$work/page.html" --device host
expect_in "$work/err" "note: .*colour: the data differ" "report of changed data"
expect_in "$work/page.html" "the data differ from those that the run was trained on" "report of changed data"
rm -r "$work/colours"
expect_success "resume with moved data" train --resume --run "$work/colour" --data "$work/moved" --iterations 210

# Published layouts.
for layout in split nested miniimagenet cifar-fs; do
    data $layout
    # shellcheck disable=SC2086
    expect_success "$layout" train "$work/$layout" $small --size 16 --run "$work/run-$layout"
    expect_success "eval of $layout" eval "$work/run-$layout" --tasks 3 --query 2 --steps 1 --device host
done
cp -r "$work/miniimagenet" "$work/lacking"
rm "$work/lacking/val.csv"
# shellcheck disable=SC2086
expect_success "a list that lacks" train "$work/lacking" $small --size 16 --iterations 0 --run "$work/run-lacking"
expect_in "$work/err" "note: there is no val.csv: no validation classes" "a list that lacks"
expect_in "$work/out" "checkpoint  the last one \(no validation classes\); tested once" "a list that lacks"
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
refused "a class depth of lists" 2 "--class-depth 1 says nothing to .*cifar-fs, whose lists name the classes; leave it out" "$work/cifar-fs" --class-depth 1
refused "a class depth of tables" 2 "--class-depth 2 says nothing to .*miniimagenet, whose lists name the classes" "$work/miniimagenet" --class-depth 2
refused "a class depth below the pictures" 2 "--class-depth 5., but its 192 pictures are at most 2 folders down .*; ask for fewer" "$work/nested" --class-depth 5
refused "a class split of words" 2 "--class-split: '3,x,2' is not a list of numbers" "$work/nested" --class-split 3,x,2
refused "a class split of two" 2 "must be three numbers" "$work/nested" --class-split 3,2
refused "a class split without training" 2 "leaves no class to train on" "$work/nested" --class-split 0,2,2
refused "a class split of split data" 2 "--class-split 3,2,1 says nothing to .*split, which is split already" "$work/split" --class-split 3,2,1
refused "a seed of split data" 2 "--split-seed 3 says nothing to .*split, which is split already" "$work/split" --split-seed 3 --size 16
refused "two channels" 2 "--channels: '2' is not one of auto.1.3" "$work/split" --channels 2
for name in Train:Test:train training:val:train TRAIN:Val:train train:Testing:test; do
    rm -rf "$work/named"
    wrong=${name%%:*} other=${name#*:} right=${name##*:}
    other=${other%%:*}
    mkdir -p "$work/named"
    cp -r "$work/split/train" "$work/named/$wrong"
    cp -r "$work/split/train" "$work/named/$other"
    refused "folders $wrong and $other" 1 "looks like a split; rename it to (train|test|val)/" "$work/named"
done
expect_error "one way" 2 "--ways 1: with one class there is nothing to tell apart; give 2 at least" train "$work/split" --ways 1 --size 16 --run "$work/new"
expect_error "one way at least" 2 "--ways 1..3: with one class" train "$work/split" --ways 1..3 --size 16 --run "$work/new"
refused "data beside a folder" 2 "--data .*nested beside .*split: a new run takes what it is given by name" "$work/split" --data "$work/nested"
refused "no such folder" 2 "nosuch' does not exist, and is none of sine, " "$work/nosuch"
refused "channels of numbers" 2 "--channels is for FOLDER; it says nothing to sine" sine --channels 3
# What is brought instead of a folder, arrays or a table: what to do with it is said.
for name in photos.zip photos.tar.gz PHOTOS.ZIP cat.jpg sheet.xlsx words.txt all.h5 net.safetensors; do printf 'x' >"$work/$name"; done
refused "an archive" 2 "photos.zip' is an archive; unpack it, and name the folder" "$work/photos.zip"
refused "a packed archive" 2 "photos.tar.gz' is an archive; unpack it" "$work/photos.tar.gz"
refused "an archive in capitals" 2 "PHOTOS.ZIP' is an archive; unpack it" "$work/PHOTOS.ZIP"
refused "one picture" 2 "cat.jpg' is a picture; name the folder that holds a folder of pictures for each class" "$work/cat.jpg"
refused "a spreadsheet" 2 "sheet.xlsx' is a table of another program; save it as CSV" "$work/sheet.xlsx"
refused "a text" 2 "words.txt' is no kind of file .*clmaml train table FILE" "$work/words.txt"
refused "arrays of another program" 2 "all.h5' is arrays of another program; save them by numpy.savez" "$work/all.h5"
refused "a model" 2 "net.safetensors' is a model, no data; .*--init" "$work/net.safetensors"
mkdir "$work/packed" "$work/tabular"
mv "$work/photos.zip" "$work/packed"
printf 'id,x,y\na,1,2\n' >"$work/tabular/rows.csv"
refused "a folder of an archive" 1 "packed: no picture CLASS/. inside, but photos.zip: unpack it there" "$work/packed"
refused "a folder of a table" 1 "tabular: no picture CLASS/. inside, but rows.csv: a table is named itself, not its folder" "$work/tabular"
refused "a table that is a picture" 1 "a picture, and no table" table "$(find "$work/split" -name '*.png' | head -n 1)" --task-column id --target y
mkdir -p "$work/odd/a" "$work/odd/b" "$work/odd/empty"
for i in 1 2 3 4; do
    png >"$work/odd/a/$i.png"
    png >"$work/odd/b/$i.png"
done
make_pictures "$work/parts"
rm -r "$work/parts/val"
# shellcheck disable=SC2086
expect_success "no validation classes" train "$work/parts" $small --query 1 --size 16 --run "$work/run-parts"
expect_error "a split without classes" 1 "the validation split has no classes in .*parts; train has 5, test 5; take one that has, or add classes to it" \
    eval "$work/run-parts" --split validation --tasks 2 --query 1 --device host
refused "too few classes" 1 "3 ways, but the train split has 2 classes in .*odd; ask for fewer ways or add classes" "$work/odd" --ways 3
printf 'notes' >"$work/odd/a/readme.txt"
refused "strict" 1 "odd: strict refuses 2 things that would be left out: a: 1 file is no picture .readme.txt.; empty: a folder without pictures" "$work/odd" --strict
printf 'x' >"$work/odd/b/photo.heic"
printf 'x' >"$work/odd/b/broken.jpg"
refused "strict, of damaged pictures too" 1 "odd: strict refuses 3 things .*a: 1 file .*empty: .*b: 2 of 6 pictures are left out: broken.jpg .*photo.heic .*convert it to PNG" \
    "$work/odd" --strict
for k in 1 2 3 4; do # unsplit, so enough classes for all splits
    mkdir "$work/odd/more$k"
    for i in 1 2 3 4; do png >"$work/odd/more$k/$i.png"; done
done
# shellcheck disable=SC2086
expect_success "pictures that cannot be read" train "$work/odd" $small --class-split 2,2,2 --size 16 --iterations 1 --run "$work/run-odd"
expect_in "$work/err" "note: 24 of 26 pictures are read, 2 are left out" "pictures that cannot be read"
expect_in "$work/err" "note: b: 2 of 6 pictures are left out: broken.jpg \(not a PNG.*\), photo.heic \(of a kind that is not read .*convert it to PNG\)" \
    "pictures that cannot be read"
rm -r "$work"/odd/more? "$work/odd/b/broken.jpg" "$work/odd/b/photo.heic"
mkdir -p "$work/stray/train/a" "$work/stray/more/b"
png >"$work/stray/train/a/1.png"
png >"$work/stray/more/b/1.png"
mkdir -p "$work/stray/train/c"
png >"$work/stray/train/c/1.png"
png >"$work/stray/train/alone.png"
clmaml train "$work/stray" --ways 2 --shots 1 --query 1 --run "$work/new"
expect_in "$work/err" "1 shot and 1 query need 2 images a class, but class a has 1, .*, as 1 more has too few: c; ask for fewer, add images or leave them out" "classes with too few images"

refused "augmented on the device" 2 "--data-on device and --flip" "$work/split" --flip 0.5 --data-on device
refused "augmented numbers" 2 "--flip is for glyphs, omniglot, FOLDER; it says nothing to sine" sine --flip 0.5

# Arrays.
data vectors
refused "pixels of arrays" 2 "--size is for glyphs, omniglot, FOLDER" "$work/vectors" --size 30
refused "a fit of arrays" 2 "--fit is for FOLDER" "$work/vectors" --fit crop
refused "numbers inverted" 2 "vectors.*: only pictures of bytes can be inverted; leave invert out" "$work/vectors" --invert yes
refused "numbers as colours" 2 "vectors.*: normalisation by ImageNet's colours is for pictures" "$work/vectors" --normalise imagenet

# The largest number of an option is said.
refused "a seed that is too large" 2 "--seed: '18446744073709551615' is not a whole number from 0 to 9007199254740991" sine --seed 18446744073709551615

finish
