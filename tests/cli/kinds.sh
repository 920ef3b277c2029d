#!/bin/sh
# Runs of other things than pictures: each command says in one line what such a run is, and what it names instead works.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
small="--device host --meta-batch 2 --iterations 2 --val-tasks 2 --eval-tasks 2"
glyphs="train glyphs $small --size 16 --ways 2 --filters 2 --query 1"
make_pictures "$work/photos"

# shellcheck disable=SC2086
{
    expect_success "navigation" train navigation --first-order --hidden 4 --trajectories 3 --horizon 6 --val-every 2 --test-steps 2 \
        --cg-steps 2 $small --run "$work/navigation"
    expect_success "functions" train functions $small --hidden 4 --run "$work/functions"
    expect_success "beside" $glyphs --beside glyphs:20 --run "$work/beside"
    expect_success "starts" $glyphs --beside glyphs:20 --initialisations 2 --run "$work/starts"
}
# As a program of one's own leaves a run, which keeps no settings of the program.
cp -r "$work/navigation" "$work/own"
sed -i -e '/^  "settings": {/,/^  },/c\  "settings": null,' -e 's/"environment": "navigation"/"environment": "cart_poles"/' "$work/own/config.json"
for file in "$work"/own/checkpoints/*.safetensors; do
    LC_ALL=C sed -i -e 's/\\"source\\": *\\"navigation\\"/\\"no one\\": \\"navigation\\"/' \
        -e 's/\(\\"environment\\": *\\"\)navigation\\"/\1cart_poles\\"/' "$file"
done

# refused RUN PATTERN: by all that take examples or classes
refused() {
    expect_error "$1: eval" 1 "$2" eval "$work/$1" --device host
    expect_error "$1: eval of a checkpoint" 1 "$2" eval "$work/$1/checkpoints/last.safetensors" --device host
    expect_error "$1: tasks" 1 "$2" tasks "$work/$1" --device host
    expect_error "$1: train --resume" 1 "$2" train --resume --run "$work/$1"
    not_pictures "$1" "$2" "$2"
}
not_pictures() {
    expect_error "$1: adapt" 1 "$2" adapt "$work/$1" --support "$work/photos" --out "$work/no" --device host
    expect_error "$1: predict" 1 "$2" predict "$work/$1" "$work/photos" --support "$work/photos" --device host
    expect_error "$1: predict without a folder" 1 "$2" predict "$work/$1" "$work/photos" --device host
    expect_error "$1: export" 1 "$3" export "$work/$1" --format c --out "$work/no"
    expect_error "$1: export of a checkpoint" 1 "$3" export "$work/$1/checkpoints/last.safetensors" --format c --out "$work/no"
}

next="go on with it, or test it again: clmaml train navigation --resume --run $work/navigation$"

refused navigation "a run of navigation, of episodes instead of examples; $next"
expect_error "another run in its place" 1 "navigation holds a run already: choose another --run, or $next" train sine --run "$work/navigation"
expect_success "what is named" train navigation --resume --run "$work/navigation"
own="of an environment of one's own, cart_poles, of episodes .*by the program that began it .*: clmaml runs $work/own$"
refused own "$own"
expect_error "not to be gone on with" 1 "$own" train navigation --resume --run "$work/own"
expect_error "a page" 1 "own is a run of episodes" report "$work/own" --out "$work/page.html"
expect_success "what is named" runs "$work/own"

not_pictures functions "learned from functions, .* .clmaml eval .*functions. tests it, Python and C" "learned from functions, .*Python and C .*clmaml export"
not_pictures beside "learned from several sources .*--beside.* .clmaml eval .*beside. tests it" "several sources .*clmaml export"
for run in functions beside starts; do expect_success "what is named" eval "$work/$run" --tasks 2 --device host; done
expect_error "which cannot be compared" 2 "has 2 initialisations: .* .clmaml eval $work/starts. counts the tasks" tasks "$work/starts" --device host
expect_success "a page of several sources" report "$work/beside" --device host --out "$work/page.html"
expect_in "$work/page.html" "pictures of several sources, padded to one shape, are not shown" "a page of several sources"

expect_error "a topic is named" 1 "Python and C adapt it to arrays \(clmaml help arrays\)" adapt "$work/functions" --support "$work/photos" --out "$work/no"
expect_success "what is named" help arrays
expect_in "$work/out" "clmaml.load.*adapt.*predict" "the topic"

# ---- the list ----
expect_success "the list" runs "$work"
expect_in "$work/out" "/beside +maml +glyphs,glyphs:20 +2-way 1-shot " "several sources"
expect_in "$work/out" "/starts +maml, 2 initialisations +glyphs,glyphs:20 " "several initialisations"
expect_in "$work/out" "/navigation +maml, first order +navigation +3 episodes +2 of 2 +-[0-9.]+ " "navigation"
expect_in "$work/out" "/own +maml, first order +cart_poles +3 episodes +2 of 2 +-[0-9.]+ +-[0-9.]+ " "an environment of one's own"
expect_success "the list in JSON" runs "$work/own" --json
expect_in "$work/out" '"episodes": 3' "the list in JSON"
grep -q '"shots"' "$work/out" && fail "shots of episodes: $(cat "$work/out")"

finish
