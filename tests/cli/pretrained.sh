#!/bin/sh
# Models that come with the program: listed with their cards, adapted and asked without a run. From an installed tree: the test `install`.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_TEST_DATA:?the program that writes data sets}"
"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
mkdir -p "$work/new/dark" "$work/new/light" "$work/questions"
cp "$work/colours/class00"/1.* "$work/new/dark"
cp "$work/colours/class12"/1.* "$work/new/light"
cp "$work/colours/class00/5.jpg" "$work/questions/dark.jpg"
cp "$work/colours/class12/5.jpg" "$work/questions/light.jpg"

expect_success "list" pretrained
expect_in "$work/out" "^next: clmaml pretrained " "list"
expect_success "list as JSON" pretrained --json
models=$(sed -n 's/^ *"name": "\([^"]*\)",$/\1/p' "$work/out")
[ -n "$models" ] || fail "there is no pretrained model: $(cat "$work/out")"
for model in $models; do
    expect_success "card of $model" pretrained "$model"
    expect_in "$work/out" "^# $model$" "card of $model"
    for row in data protocol training licence; do expect_in "$work/out" "^\| $row \| ." "card of $model"; done
    file=$(sed -n 's/^file: //p' "$work/out")
    [ -s "$file" ] || fail "card of $model: its file '$file' is not there"
    ! grep -aq '"data": "/' "$file" || fail "$model names a directory of the machine that trained it"
    expect_success "adapt $model" adapt --model "$model" --support "$work/new" --out "$work/adapted.safetensors" --device host
    expect_in "$work/out" "2 classes learned from 2 pictures" "adapt $model"
    expect_success "predict by what was adapted from $model" predict "$work/adapted.safetensors" "$work/questions" --device host
    mv "$work/out" "$work/adapted"
    expect_success "predict by $model" predict --model "$model" --support "$work/new" "$work/questions" --device host
    [ -s "$work/out" ] && cmp -s "$work/out" "$work/adapted" || fail "$model: predict says $(cat "$work/out"), after adapt $(cat "$work/adapted")"
    expect_error "predict by $model without support" 2 "--model $model: give --support FOLDER" predict --model "$model" "$work/questions"
    expect_error "$model and a run" 2 "exclude each other" adapt run --model "$model" --support "$work/new" --out "$work/no.safetensors"
    expect_error "onto $model" 2 "is the checkpoint itself" adapt --model "$model" --support "$work/new" --out "$file"
    expect_error "eval of $model without data" 2 "needs --data" eval --model "$model"
done

for command in "adapt --support $work/new --out $work/no.safetensors" "predict $work/questions --support $work/new" eval; do
    # shellcheck disable=SC2086
    expect_error "unknown to ${command%% *}" 2 "no pretrained model is 'nonesuch'; there (is|are) .*$(echo "$models" | head -n 1)" $command --model nonesuch
done
expect_error "card of none" 2 "no pretrained model is 'nonesuch'; there " pretrained nonesuch
expect_error "card as JSON" 2 "is for the list" pretrained "$(echo "$models" | head -n 1)" --json
expect_error "no run and no model" 2 "RUN.CHECKPOINT.--model NAME" adapt --support "$work/new" --out "$work/no.safetensors"
[ ! -e "$work/no.safetensors" ] || fail "a model was left behind by a failure"

# A program that was copied without its models says so.
mkdir "$work/alone"
cp "$CLMAML_PROGRAM" "$work/alone/clmaml"
CLMAML_PROGRAM=$work/alone/clmaml
if "$CLMAML_PROGRAM" --version >"$work/out" 2>&1; then
    expect_success "list without models" pretrained
    expect_in "$work/out" "^no pretrained models lie beside this program$" "list without models"
    expect_error "no models" 2 "no pretrained models lie beside this program" adapt --model nonesuch --support "$work/new" --out "$work/no.safetensors"
fi
finish
