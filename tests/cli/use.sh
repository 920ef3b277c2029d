#!/bin/sh
# Photos to prediction: a run learns from folders, learns new classes from a few pictures, tells pictures apart.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_TEST_DATA:?the program that writes data sets}"
"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
train="train $work/colours --ways 3 --shots 2 --query 2 --size 16 --filters 8 --meta-batch 4 --val-tasks 20 --eval-tasks 20 --class-split 16,4,4"

# New classes: examples 0 to 2 to learn from, 5 and 6 to be told apart.
mkdir -p "$work/new" "$work/questions"
for c in 00 08 16; do
    mkdir -p "$work/new/hue-$c"
    cp "$work/colours/class$c"/[0-2].* "$work/new/hue-$c"
    cp "$work/colours/class$c/5.jpg" "$work/questions/hue-$c-5.jpg"
    cp "$work/colours/class$c/6.png" "$work/questions/hue-$c-6.png"
done

for algorithm in maml protonet; do
    # shellcheck disable=SC2086
    expect_success "$algorithm" $train --iterations 150 --algorithm $algorithm --run "$work/$algorithm"
    expect_success "adapt $algorithm" adapt "$work/$algorithm" --support "$work/new" --out "$work/$algorithm.safetensors"
    expect_in "$work/out" "3 classes learned from 9 pictures" "adapt $algorithm"
    expect_success "predict by $algorithm" predict "$work/$algorithm.safetensors" "$work/questions"
    [ "$(wc -l <"$work/out")" -eq 6 ] || fail "predict by $algorithm: not a line a picture: $(cat "$work/out")"
    while read -r file class rest; do
        case $file in
            *"/$class-"*) ;;
            *) fail "predict by $algorithm: $file is said to be $class $rest" ;;
        esac
    done <"$work/out"
    mv "$work/out" "$work/together"
    expect_success "predict at once by $algorithm" predict "$work/$algorithm" --support "$work/new" "$work/questions"
    cmp -s "$work/out" "$work/together" || fail "predict at once by $algorithm: $(diff "$work/out" "$work/together")"
    for picture in "$work/questions"/*; do # what is said of a picture does not depend on the others
        expect_success "predict one by $algorithm" predict "$work/$algorithm.safetensors" "$picture"
        grep -Fqx "$(cat "$work/out")" "$work/together" || fail "predict one by $algorithm: $(cat "$work/out")"
    done
done
# A folder that is in splits already has all its classes learned.
mkdir -p "$work/splits/train" "$work/splits/test"
cp -r "$work/new/hue-00" "$work/new/hue-08" "$work/splits/train"
cp -r "$work/new/hue-16" "$work/splits/test"
expect_success "adapt to splits" adapt "$work/maml" --support "$work/splits" --out "$work/splits.safetensors"
expect_in "$work/out" "3 classes learned from 9 pictures" "adapt to splits"
if [ -x "${CLMAML_EXAMPLE_PREDICT:-}" ]; then # the same in C
    "$CLMAML_EXAMPLE_PREDICT" "$work/maml" "$work/new" "$work/questions/hue-16-5.jpg" >"$work/out" 2>&1 || fail "examples/predict.c: $(cat "$work/out")"
    expect_in "$work/out" "hue-16-5.jpg: hue-16" "examples/predict.c"
fi
# A run that is not over is used, and said to be so.
# shellcheck disable=SC2086
expect_success "a run that is stopped" $train --iterations 150 --stop-after 3 --run "$work/stopped"
expect_success "adapt a run that is not over" adapt "$work/stopped" --support "$work/new" --out "$work/early.safetensors"
expect_in "$work/err" "note: .*/stopped: its training is at iteration 3 of 150; it goes on with: clmaml train --resume --run .*/stopped" "a run that is not over"

# The number of steps that validation chooses is what adapt takes.
# shellcheck disable=SC2086
expect_success "steps by validation" $train --iterations 40 --inner-lr 0.1 --test-steps auto --run "$work/auto"
expect_in "$work/out" "at test as many as serve validation tasks best" "steps by validation"
steps=$(sed -n 's/.*note: \([0-9]*\) inner steps* at test: of 1 to 10 the best on 20 validation tasks.*/\1/p' "$work/err")
expect_in "$work/auto/result.json" "\"test_steps\": ${steps:-none}," "steps by validation"
[ "$steps" = 10 ] || ! grep -q "may be better still" "$work/err" || fail "steps by validation: $steps of 10, and more may be better"
# Steps too small for ten of them: more would be better, and how to find out is said, by a command that works.
# shellcheck disable=SC2086
expect_success "the most steps" train sine --device host --meta-batch 2 --val-tasks 20 --eval-tasks 4 --iterations 0 --inner-lr 0.0001 --test-steps auto \
    --run "$work/slow"
expect_in "$work/err" "note: 10 inner steps at test: of 1 to 10 the best on 20 validation tasks, the most that were tried" "the most steps"
more=$(sed -n 's/.*more inner steps at test may be better still: clmaml \(eval .*\) shows it$/\1/p' "$work/err")
[ -n "$more" ] || fail "the most steps: what to do is not said: $(cat "$work/err")"
# shellcheck disable=SC2086
expect_success "more steps" $more --tasks 4 --device host
expect_in "$work/out" "^ +20 " "more steps"
expect_success "adapt by as many" adapt "$work/auto" --support "$work/new" --out "$work/auto.safetensors"
expect_in "$work/out" "by $steps steps? of maml" "adapt by as many"
expect_success "JSON" predict "$work/maml.safetensors" "$work/questions/hue-08-5.jpg" --top 2 --json
tr -d ' \n' <"$work/out" >"$work/flat"
expect_in "$work/flat" '^\[\{"file":"[^"]*hue-08-5.jpg","class":"hue-08","probability":0\.[0-9e-]+,"top":\[\{"class":"hue-08","probability":[0-9.e-]+\},\{"class":"[^"]*","probability":[0-9.e-]+\}\]\}\]$' "JSON"
expect_success "CSV" predict "$work/maml.safetensors" "$work/questions/hue-08-5.jpg" --top 2 --csv
expect_in "$work/out" "^file,class,probability,class_2,probability_2$" "CSV"
expect_in "$work/out" 'hue-08-5.jpg","hue-08",0\.[0-9]+,"hue-' "CSV"
expect_success "two of three classes" predict "$work/maml" --support "$work/new" "$work/questions" --steps 3
rm -r "$work/new/hue-16"
expect_success "fewer ways" adapt "$work/maml" --support "$work/new" --out "$work/two.safetensors"
expect_success "more ways" adapt "$work/protonet" --support "$work/colours" --out "$work/all.safetensors"
expect_in "$work/out" "24 classes learned from 192 pictures" "more ways"

expect_error "more ways than it has" 1 "24 ways: the model tells at most 3 classes apart; train one with more ways \(--ways\), or by protonet" \
    adapt "$work/maml" --support "$work/colours" --out "$work/no.safetensors"
mkdir "$work/single"
cp -r "$work/new/hue-00" "$work/single"
expect_error "the number that stands for auto" 2 "steps: '-1' is not a whole number from 0" \
    adapt "$work/maml" --support "$work/new" --steps -1 --out "$work/no.safetensors"
expect_error "one class" 2 "holds one class" adapt "$work/maml" --support "$work/single" --out "$work/no.safetensors"
expect_error "no support" 2 "give --support FOLDER" adapt "$work/maml" --out "$work/no.safetensors"
expect_error "nowhere to" 2 "give --out FILE" adapt "$work/maml" --support "$work/new"
expect_error "to a directory" 2 "is a directory" adapt "$work/maml" --support "$work/new" --out "$work/new"
cp "$work/maml/checkpoints/best.safetensors" "$work/best.safetensors"
expect_error "onto the checkpoint" 2 "is the checkpoint itself" adapt "$work/best.safetensors" --support "$work/new" --out "$work/./best.safetensors"
cmp -s "$work/maml/checkpoints/best.safetensors" "$work/best.safetensors" || fail "onto the checkpoint: it was changed"
expect_error "onto the model" 2 "is the adapted model itself" export "$work/maml.safetensors" --format safetensors --out "$work/maml.safetensors"
expect_error "not adapted" 2 "is not adapted: give --support" predict "$work/maml" "$work/questions"
expect_error "adapted twice" 2 "is adapted already" predict "$work/maml.safetensors" --support "$work/new" "$work/questions"
expect_error "steps of an adapted model" 2 "steps is for --support" predict "$work/maml.safetensors" --steps 3 "$work/questions"
expect_error "nothing to predict" 2 "say what to predict" predict "$work/maml.safetensors"
expect_error "two formats" 2 "exclude each other" predict "$work/maml.safetensors" "$work/questions" --json --csv
expect_error "no such picture" 1 "nosuch.png does not exist" predict "$work/maml.safetensors" "$work/nosuch.png"
# A name that stands for nothing does not keep the others from being told; it is said, and is the exit status.
expect_error "one name that is none" 1 "1 of the 2 files named is left out" predict "$work/maml.safetensors" "$work/nosuch.png" "$work/questions/hue-08-5.jpg"
expect_in "$work/err" "note: left out: .*nosuch.png does not exist" "one name that is none"
expect_in "$work/out" "hue-08-5.jpg  hue-08" "one name that is none"
mkdir "$work/hollow"
expect_error "an empty folder among others" 1 "1 of the 2 files named is left out" predict "$work/maml.safetensors" "$work/questions/hue-08-5.jpg" "$work/hollow" --json
expect_in "$work/err" "note: left out: .*hollow holds no files" "an empty folder among others"
expect_in "$work/out" '"class": "hue-08"' "an empty folder among others"
expect_error "names that are all none" 1 "none of these 2 names is a picture or a folder" predict "$work/maml.safetensors" "$work/nosuch.png" "$work/hollow"
expect_error "no such run" 1 "does not exist; give a run directory" predict "$work/nosuch" "$work/questions"
[ ! -e "$work/no.safetensors" ] || fail "a model was left behind by a failure"
printf 'words' >"$work/questions/words.txt"
expect_success "a file in a folder that is no picture" predict "$work/maml.safetensors" "$work/questions"
expect_in "$work/err" "note: left out: .*words.txt is not a picture \(PNG, " "a file in a folder that is no picture"
expect_error "a file that is no picture beside one that is" 1 "1 of the 2 files named is left out; see the note above" \
    predict "$work/maml.safetensors" "$work/questions/words.txt" "$work/questions/hue-00-5.jpg"
expect_in "$work/out" "hue-00-5.jpg  hue-00" "the picture beside one that is none"
expect_error "a file that is no picture" 1 "/words.txt is not a picture \(PNG, .* are read\)$" predict "$work/maml.safetensors" "$work/questions/words.txt"
! grep -q note "$work/err" || fail "a file that is no picture: $(cat "$work/err")"
printf 'words' >"$work/questions/words.png"
expect_error "a picture that is none" 1 "words.png: not a PNG, .* picture, whatever its name says; replace or remove it" \
    predict "$work/maml.safetensors" "$work/questions/words.png"
rm "$work/questions/words.png"
mkdir "$work/letters"
for i in 1 2 3 4 5 6 7; do printf 'words' >"$work/letters/$i.txt"; done
expect_error "a folder without pictures" 1 "there is no picture among the 7 files in the folders" predict "$work/maml.safetensors" "$work/letters"
[ "$(grep -c "^clmaml: note: left out: " "$work/err")" -eq 6 ] || fail "a folder without pictures: $(cat "$work/err")"
mkdir -p "$work/alike/one" "$work/alike/two"
cp "$work/new/hue-00"/* "$work/alike/one"
cp "$work/new/hue-00"/* "$work/alike/two"
expect_success "classes that are alike" adapt "$work/maml" --support "$work/alike" --out "$work/two.safetensors"
expect_in "$work/err" "note: [0-9]+ of the examples are in two classes, such as one of class one that is in two" "classes that are alike"
! grep -q "train" "$work/err" || fail "classes that are alike: a support folder is called by the name of a split: $(cat "$work/err")"

# ---- of the best checkpoints together, one that is missing is named ----
tiny_run "$work/three" --iterations 4 --val-every 2 --ensemble 3
expect_success "three together" eval "$work/three" --ensemble 3 --tasks 2 --device host
expect_error "more than are kept" 1 "three keeps 3 best checkpoints, not 4: it was trained with --ensemble 3" eval "$work/three" --ensemble 4 --tasks 2 --device host
rm "$work/three/checkpoints/best-3.safetensors"
for n in 3 4; do
    expect_error "$n together, one missing" 1 "three/checkpoints/best-3.safetensors is missing; a lower --ensemble leaves it out" \
        eval "$work/three" --ensemble $n --tasks 2 --device host
done
expect_success "two together" eval "$work/three" --ensemble 2 --tasks 2 --device host
tiny_run "$work/short" --iterations 1 --val-every 1 --ensemble 3
expect_error "fewer were chosen" 1 "best-3.safetensors is not there: .*short holds 2 of its 3 best checkpoints; a lower --ensemble leaves it out" \
    eval "$work/short" --ensemble 3 --tasks 2 --device host

tiny_run "$work/sine" --iterations 1
expect_error "a regression" 1 "learned from functions, .*clmaml eval .*sine" predict "$work/sine" --support "$work/new" "$work/questions"

finish
