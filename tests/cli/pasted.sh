#!/bin/sh
# Commands that are printed to be pasted are quoted for the shell: they work, whatever the names in them.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
small="--device host --meta-batch 2 --val-tasks 2 --eval-tasks 2"
make_pictures "$work/photos"
mkdir "$work/two"
cp -r "$work/photos/test/a" "$work/photos/test/b" "$work/two"

# paste_line WHAT FILE BEFORE [MORE]: runs the command behind these words in the file, as a shell takes it
paste_line() {
    line=$(sed -n "s/.*$3clmaml \\(.*\\)/\\1/p" "$2" | head -n 1)
    line=${line%% PICTURE*}
    line=${line%% --support FOLDER*}
    line=${line%% shows it*}
    [ -n "$line" ] || fail "$1: no command behind '$3': $(cat "$2")"
    (cd "$work" && eval "\"$CLMAML_PROGRAM\" $line ${4:-}") >"$work/pasted" 2>&1 </dev/null || fail "$1: clmaml $line ${4:-}: $(cat "$work/pasted")"
}

for name in "plain" "s p" "Ü modell" "it's \$(here) & *"; do
    run="$work/$name"
    # shellcheck disable=SC2086
    expect_success "$name" train "$work/photos" $small --size 16 --ways 2 --shots 1 --query 1 --filters 2 --iterations 1 --run "$run"
    cp "$work/out" "$work/said"
    paste_line "adapt, $name" "$work/said" "classes of your own: " "--support two --out no.safetensors --device host"
    expect_success "adapt, $name" adapt "$run" --support "$work/two" --out "$run.safetensors" --device host
    cp "$work/out" "$work/said"
    paste_line "predict, $name" "$work/said" "next: " "two --device host"
    # shellcheck disable=SC2086
    expect_error "a run in its place, $name" 1 "holds a run already" train "$work/photos" $small --run "$run"
    cp "$work/err" "$work/said"
    paste_line "resume, $name" "$work/said" "go on with it: "
    # shellcheck disable=SC2086
    expect_success "of functions, $name" train sine $small --iterations 1 --run "$run of functions"
    cp "$work/out" "$work/said"
    paste_line "eval, $name" "$work/said" "more about it: " "--device host"
done
(cd "$work" && "$CLMAML_PROGRAM" adapt plain --support two --out=-dash.safetensors --device host) >"$work/said" 2>&1
paste_line "a name like an option" "$work/said" "next: " "two --device host"
expect_in "$work/said" "next: clmaml predict ./-dash.safetensors PICTURE" "a name like an option"

# On a terminal a name in quotes stays on a line.
if script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    mkdir "$work/a name of words that is longer than a line of this terminal is"
    cp -r "$work/plain" "$work/a name of words that is longer than a line of this terminal is/run"
    script -qec "stty cols 40; cd '$work'; '$CLMAML_PROGRAM' train sine --device host --run 'a name of words that is longer than a line of this terminal is/run'" \
        /dev/null </dev/null >"$work/said" 2>&1
    expect_in "$work/said" "'a name of words that is longer than a line of this terminal is/run'" "a name in quotes on a terminal"
fi

finish
