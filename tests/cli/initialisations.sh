#!/bin/sh
# Several initialisations and several sources: which tasks went where, in a run, in eval, on a page; what excludes them; resuming.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
small="--device host --meta-batch 6 --shots 4 --query 4 --iterations 6 --val-every 3 --val-tasks 6 --eval-tasks 24 --hidden 6 --log-every 1"

# shellcheck disable=SC2086
expect_success "functions" train functions --initialisations 3 --balanced-until 2 --steps 2 --test-steps 3 $small --run "$work/three"
expect_in "$work/out" "61 parameters; 3 initialisations, 183 in all" "numbers in all"
expect_in "$work/out" "lowest support loss after its steps; in equal shares in the first 2 updates" "the protocol"
expect_in "$work/out" "validation .*  tasks( [0-9]+){3} %" "shares of validation tasks"
expect_in "$work/out" "^test tasks of each of 3 initialisations" "the table"
for kind in sine line parabola absolute; do expect_in "$work/out" "^  $kind +[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+ \+-" "the table"; done
sed -n '/^test tasks of each/,/^learning/p' "$work/out" | awk '$1 ~ /^(sine|line|parabola|absolute)$/ { n += $2 + $3 + $4 } END { exit n != 24 }' ||
    fail "the table is not of 24 tasks: $(cat "$work/out")"
head -1 "$work/three/metrics.csv" | grep -q ",share_1,share_2,share_3,unused$" || fail "columns: $(head -1 "$work/three/metrics.csv")"
[ "$(awk -F, '$2 == "train" && $1 <= 2 && ($16 > 0.34 || $17 > 0.34 || $18 > 0.34)' "$work/three/metrics.csv" | wc -l)" -eq 0 ] ||
    fail "shares that are not equal at first: $(cat "$work/three/metrics.csv")"
expect_in "$work/three/result.json" '"count": 3' "the result"
[ "$(grep -c '"chosen"' "$work/three/result.json")" -eq 4 ] || fail "kinds in the result: $(cat "$work/three/result.json")"
expect_in "$work/three/fits.svg" "mean squared error" "fits"

# ---- the same as one that was never stopped; one is what there was ----
# shellcheck disable=SC2086
expect_success "halves" train functions --initialisations 3 --balanced-until 2 --steps 2 --test-steps 3 $small --iterations 3 --run "$work/halves"
expect_success "resumed" train --resume --run "$work/halves" --iterations 6
[ "$(sed 's/, "seconds.*//' "$work/three/metrics.jsonl")" = "$(sed 's/, "seconds.*//' "$work/halves/metrics.jsonl")" ] || fail "resumed: other rows"
expect_error "another number" 2 "initialisations 2 contradicts" train --resume --run "$work/halves" --initialisations 2
# shellcheck disable=SC2086
expect_success "one" train functions --initialisations 1 $small --run "$work/one"
# shellcheck disable=SC2086
expect_success "none said" train functions $small --run "$work/none"
sed 's/"run": "[^"]*"//' "$work/one/config.json" >"$work/a"
sed 's/"run": "[^"]*"//' "$work/none/config.json" >"$work/b"
cmp -s "$work/a" "$work/b" || fail "one initialisation is another run than none"
cmp -s "$work/one/checkpoints/last.safetensors" "$work/none/checkpoints/last.safetensors" || fail "one initialisation gives other bits"
grep -q "share" "$work/one/metrics.csv" "$work/one/metrics.jsonl" && grep -q "share_1\|shares" "$work/one/metrics.csv" && fail "shares of one"
grep -q "initialisations\"" "$work/one/result.json" && fail "one in the result"

# ---- eval, report ----
expect_success "eval" eval "$work/three" --tasks 10 --device host
expect_in "$work/out" "^tasks of each initialisation" "eval"
awk '/^tasks of each/ { on = 1; next } on && NF == 2 { n += $2 } END { exit n != 10 }' "$work/out" || fail "eval: not 10 tasks: $(cat "$work/out")"
expect_success "eval in JSON" eval "$work/three" --tasks 10 --device host --json
expect_in "$work/out" '"initialisations": \[' "eval in JSON"
expect_success "report" report "$work/three" "$work/one" --out "$work/page.html" --device host
expect_in "$work/page.html" "Share of validation tasks that each initialisation serves" "the page"
expect_in "$work/page.html" "<th>sine</th><td class=\"num\">" "the page"
expect_error "cosines" 2 "has 3 initialisations" tasks "$work/three" --device host

# ---- what excludes it ----
# shellcheck disable=SC2086
{
    expect_error "ensemble" 2 "--initialisations 2 and --ensemble exclude each other" train functions --initialisations 2 --ensemble 2 $small --run "$work/no"
    expect_error "support per step" 2 "--initialisations 2 and --support-per-step exclude" train functions --initialisations 2 --support-per-step --steps 2 $small --run "$work/no"
    expect_error "a file of weights" 2 "--initialisations 2 and --init exclude" train functions --initialisations 2 --init w.safetensors $small --run "$work/no"
    expect_error "no inner steps" 2 "--initialisations is for the algorithms .*nothing to pretrain|pretrain" train functions --initialisations 2 --algorithm pretrain $small --run "$work/no"
    expect_error "too many" 2 "initialisations" train functions --initialisations 17 $small --run "$work/no"
    expect_error "balanced for longer" 2 "--balanced-until 7 is more than --iterations 6" train functions --initialisations 2 --balanced-until 7 $small --run "$work/no"
    expect_error "balanced with one" 2 "--balanced-until says nothing to a single set" train functions --balanced-until 5 $small --run "$work/no"
}

# ---- sources beside one another ----
for class in a b c d e f g h i; do
    mkdir -p "$work/photos/$class"
    for k in 1 2 3; do png >"$work/photos/$class/$k.png"; done
done
glyphs="train glyphs --device host --size 16 --ways 2 --filters 2 --meta-batch 4 --iterations 2 --val-tasks 2 --eval-tasks 6 --log-every 1 --query 1"
# shellcheck disable=SC2086
expect_success "beside" $glyphs --beside "$work/photos:18,glyphs:20" --class-split 3,3,3 --initialisations 2 --run "$work/beside"
expect_in "$work/out" "glyphs\+photos\+glyphs: tasks of each in turn, padded to \[[13], 20, 20\]" "the data"
for kind in "glyphs" "photos" "glyphs 2"; do expect_in "$work/out" "^  $kind +[0-9]+ +[0-9]+    [0-9.]+" "the table"; done
expect_in "$work/out" "more about it: clmaml eval" "pictures of one's own do not fit"
expect_success "eval beside" eval "$work/beside" --tasks 6 --device host --query 1
expect_success "tasks beside" $glyphs --beside "glyphs:20" --run "$work/two"
expect_success "cosines of sources" tasks "$work/two" --device host --tasks 2
expect_in "$work/two/tasks.csv" "glyphs 2" "cosines of sources"
# shellcheck disable=SC2086
{
    expect_error "beside a regression" 2 "--beside is for .*; it says nothing to sine" train sine --beside glyphs $small --run "$work/no"
    expect_error "a regression beside" 2 "--beside sine: it has no pictures" $glyphs --beside sine --run "$work/no"
    expect_error "nothing there" 2 "--beside: '$work/nothing' does not exist; name glyphs, " $glyphs --beside "$work/nothing" --run "$work/no"
    expect_error "a size" 2 "--beside glyphs:4: the size must be 8 to 512" $glyphs --beside glyphs:4 --run "$work/no"
    expect_error "for nobody" 2 "--omniglot-split is for omniglot" $glyphs --beside glyphs:20 --omniglot-split 1200 --run "$work/no"
    expect_error "augmented" 2 "--flip" $glyphs --beside glyphs:20 --flip 0.5 --run "$work/no"
    expect_error "on the device" 2 "--data-on device: the host pads the pictures of several sources" $glyphs --beside glyphs:20 --data-on device --run "$work/no"
    expect_error "on the device, evaluated" 2 "--data-on device: the host pads" eval "$work/two" --device host --data-on device
    expect_error "a comma at the end" 2 "--beside 'glyphs:20,': a name is empty" $glyphs --beside glyphs:20, --run "$work/no"
    expect_error "one twice" 2 "--beside glyphs: it is named twice" $glyphs --beside glyphs:20,glyphs:20 --run "$work/no"
    expect_error "a folder twice" 2 "--beside .*/photos: it is named twice" $glyphs --beside "$work/photos,$work/photos/" --run "$work/no"
    expect_error "that of the run" 2 "--beside glyphs: that is what the run is on already" $glyphs --beside glyphs:16 --run "$work/no"
    expect_error "a picture" 2 "--beside: '.*/1.png' is a picture" $glyphs --beside "$work/photos/a/1.png" --run "$work/no"
    expect_error "no classes" 1 "--beside: .*/photos/a: its 3 pictures are in no class" $glyphs --beside "$work/photos/a" --run "$work/no"
    expect_error "Omniglot nowhere" 2 "--beside: omniglot needs --data" $glyphs --beside omniglot --run "$work/no"
    expect_error "too few" 1 "photos: 4 ways, but the validation split has 2 classes" $glyphs --ways 4 --beside "$work/photos:18" --class-split 4,2,3 --run "$work/no"
    expect_error "all classes" 2 "beside one another" $glyphs --beside glyphs:20 --algorithm finetune --run "$work/no"
}
finish
