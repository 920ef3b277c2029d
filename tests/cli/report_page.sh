#!/bin/sh
# Runs as a page: what it holds, that it needs nothing beside itself, and that names of others stay harmless.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
hostile="$work/<b>&\""
glyphs="train glyphs --device host --ways 3 --shots 1 --size 16 --filters 2 --meta-batch 2 --val-tasks 3 --eval-tasks 4 --log-every 1 --iterations 2"
tiny_run "$hostile" --iterations 3
[ $status -eq 0 ] || fail "sine: $(cat "$work/err")"
for algorithm in maml protonet; do
    # shellcheck disable=SC2086
    expect_success "glyphs by $algorithm" $glyphs --algorithm $algorithm --run "$work/$algorithm"
done

# Every element that is opened is closed, in the order of a stack.
balanced() {
    tr '\n' ' ' <"$1" | grep -o '<[^>]*>' | awk '
        /^<!/ || /^<(meta|img|br)[ >]/ || /\/>$/ { next }
        /^<\// { name = substr($0, 3, length($0) - 3); if (!depth || open[depth--] != name) { print "closes " name; exit 1 }; next }
        { name = substr($0, 2); sub(/[ >].*/, "", name); open[++depth] = name }
        END { if (depth) { print "open: " open[depth]; exit 1 } }' || fail "$2: tags are not balanced"
}
page="$work/report.html"
expect_success "several" report "$work/maml" "$work/protonet" "$hostile" --out "$page" --device host
balanced "$page" "several"
grep -q "http" "$page" && fail "the page refers to something outside: $(grep -o '.\{20\}http.\{20\}' "$page" | head -1)"
grep -Eq "<b>|<script| (src|href)=\"[^d#]" "$page" && fail "a name has become markup, or something is loaded"
expect_in "$page" '&#60;b&#62;&#38;&#34;' "the hostile name"
expect_in "$page" 'prefers-color-scheme:dark' "dark"
expect_in "$page" 'independent samples' "how differences are meant"
expect_in "$page" '1 − 2</th><td class="num">([+]|−)[0-9.]+ ± [0-9.]+ points' "the difference"
expect_in "$page" 'Settings that differ' "the settings"
expect_in "$page" '<th>algorithm</th><td>maml</td><td>protonet</td><td>maml</td>' "the algorithms"
expect_in "$page" '3-way 1-shot' "the protocol"
expect_in "$page" 'tasks a second \(median\); updates wait [0-9]+\.[0-9] % of their time for data \(median\)' "speed and wait"
expect_in "$page" 'after: <span class="(right|wrong)">' "predictions after adaptation"
expect_in "$page" 'no inner steps' "protonet compares at once"
expect_in "$page" 'The data have no names for classes, which are numbered' "classes of glyphs"
[ "$(grep -o '>accuracy</text>' "$page" | wc -l)" -eq 5 ] || fail "not every diagram of accuracies names its axis"
[ "$(grep -o '>mean squared error</text>' "$page" | wc -l)" -eq 2 ] || fail "not every diagram of errors names its axis"
for head in algorithm "test score" metric "test tasks" "tasks a second" device; do
    [ "$(grep -o "data-head=\"$head\"" "$page" | wc -l)" -eq 3 ] || fail "in a narrow window a value lacks '$head'"
done
[ "$(grep -o 'src="data:image/svg+xml;base64,' "$page" | wc -l)" -eq 1 ] || fail "not one picture of fits, of sine"
[ "$(grep -o 'src="data:image/png;base64,iVBORw0KGgo' "$page" | wc -l)" -eq 18 ] || fail "pictures are missing"
[ "$(grep -o '<svg ' "$page" | wc -l)" -eq 7 ] || fail "not two diagrams a run and one of both accuracies"
mean=$(awk -F'[:,]' '/^  "mean"/ { printf "%.2f", 100 * $2 }' "$work/maml/result.json")
expect_in "$page" "$mean ± [0-9.]+ %" "the test score"

# ---- what the user wrote, and the names of classes ----
words="$work/words.html"
make_pictures "$work/pictures"
pictures="train $work/pictures --device host --ways 2 --shots 1 --size 16 --filters 2 --meta-batch 2 --val-tasks 2 --eval-tasks 3 --iterations 1"
# shellcheck disable=SC2086
{
    expect_success "pictures" $pictures --run "$work/plain"
    expect_success "steps by validation" $pictures --test-steps auto --memory-limit 1G --run "$work/auto"
    expect_success "steps by number" $pictures --test-steps 3 --clip-norm 2.5 --first-order --run "$work/three"
}
expect_success "settings in words" report "$work/plain" "$work/auto" "$work/three" --out "$words" --device host
balanced "$words" "settings in words"
expect_in "$words" '<th>test-steps</th><td>as many as in training</td><td>auto</td><td>3</td>' "the steps"
expect_in "$words" '<th>clip-norm</th><td>never</td><td>never</td><td>2.5</td>' "the clipping"
expect_in "$words" '<th>memory-limit</th><td>–</td><td>1G</td><td>–</td>' "the memory"
expect_in "$words" '<th>first-order</th><td>no</td><td>no</td><td>yes</td>' "the order"
grep -Eq '<th class="class">[a-e]</th>' "$words" || fail "classes are not named: $(grep -o '<th class="class">[^/]*' "$words")"
expect_in "$words" 'alt="support picture of class [a-e]"' "pictures in words"
expect_in "$words" '<span class="(right|wrong)">[a-e]&#160;' "predictions by name"

# ---- a run that nothing validates ----
rm -rf "$work/pictures/val"
# shellcheck disable=SC2086
expect_success "no validation" $pictures --run "$work/alone"
expect_success "no validation: report" report "$work/alone" --out "$work/alone.html" --device host
expect_in "$work/alone.html" "the last one \(no validation classes\); tested once" "no validation: report"
grep -Eq "chosen by|validations are not finite" "$work/alone.html" && fail "a run without validation is said to have chosen by it"

# ---- numbers, columns ----
cp -r "$work/maml" "$work/fast"
sed -i 's/"tasks_per_second": *[0-9.e+]*/"tasks_per_second": 44781.2/' "$work/fast/metrics.jsonl"
expect_success "a fast run" report "$work/fast" --out "$work/fast.html" --no-pictures
expect_in "$work/fast.html" ">44780 tasks a second" "a number of five digits"
! grep -Eq "[0-9]e\+[0-9]" "$work/fast.html" || fail "a number in powers of ten: $(grep -Eo ".{20}[0-9]e\+[0-9]+" "$work/fast.html")"
expect_in "$words" '<table class="runs stack settings">' "settings that differ, in a narrow window"

# ---- differences ----
# The scores of single tasks, a line each: their mean is that of the test.
singles() { (cat "$1" && echo) | sed 's/.*\[\([^][]*\)\]\].*/\1/' | tr ',' '\n'; }
for run in maml protonet; do
    singles "$work/$run/scores.json" >"$work/$run.scores"
    [ "$(wc -l <"$work/$run.scores")" -eq 4 ] || fail "$run: not a score a task: $(cat "$work/$run/scores.json")"
    said=$(awk -F'[:,]' '/^  "mean"/ { printf "%.9f", $2 }' "$work/$run/result.json")
    found=$(awk '{ s += $1 } END { printf "%.9f", s / NR }' "$work/$run.scores")
    [ "$said" = "$found" ] || fail "$run: the mean of single scores is $found, of the test $said"
done
# On the same tasks: mean and interval of the differences, task by task.
wanted=$(paste "$work/maml.scores" "$work/protonet.scores" | awk '{ d = $1 - $2; s += d; q += d * d }
    END { v = (q - s * s / NR) / (NR - 1); printf "%+.2f ± %.2f", 100 * s / NR, 318.2446 * sqrt((v > 0 ? v : 0) / NR) }')
expect_in "$page" "1 − 2</th><td class=\"num\">$(echo "$wanted" | sed 's/+/[+]/; s/^-/−/') points</td><td>(in|out)side</td><td>paired, on the same 4 tasks" "a paired difference"
# Of other tasks: that of independent samples, and why.
half() { awk -F'[:,]' '/^  "interval"/ { printf "%.9g", $2 }' "$work/$1/result.json"; }
# shellcheck disable=SC2086
expect_success "another seed" $glyphs --seed 5 --run "$work/seed"
# shellcheck disable=SC2086
expect_success "more queries" $glyphs --query 2 --run "$work/queries"
cp -r "$work/maml" "$work/old" # as runs were before their single scores were kept, and as a test that was cut off leaves them
rm "$work/old/scores.json"
cp -r "$work/maml" "$work/cut"
cp "$work/seed/scores.json" "$work/cut/scores.json"
cp -r "$work/maml" "$work/content"
sed 's/"content":"[0-9a-f]*"/"content":"0"/' "$work/maml/scores.json" >"$work/content/scores.json"
expect_success "not the same" report "$work/maml" "$work/seed" "$work/queries" "$work/old" "$work/content" --out "$page" --no-pictures
balanced "$page" "not the same"
wanted=$(awk -v a="$(half maml)" -v b="$(half seed)" 'BEGIN { printf "%.2f", 100 * sqrt(a * a + b * b) }')
expect_in "$page" "1 − 2</th><td class=\"num\">([+]|−)[0-9.]+ ± $wanted points</td><td>(in|out)side</td><td>not the same tasks: the seeds differ, 1 and 5<" "another seed"
expect_in "$page" "1 − 3</th>.*not the same tasks: the query examples differ, 1 and 2<" "other sizes"
expect_in "$page" "1 − 4</th>.*not comparable task by task: the scores of single tasks are not there" "an older run"
expect_in "$page" "1 − 5</th>.*not the same tasks: the examples differ, or are prepared differently" "other pictures"
if [ "$(half maml)" != "$(half seed)" ]; then
    expect_success "scores of another test" report "$work/protonet" "$work/cut" --out "$page" --no-pictures
    expect_in "$page" "1 − 2</th>.*scores of single tasks are not there" "scores of another test"
fi
# eval writes the same for tasks of one's choice: the numbers of the run where it asks for the same.
expect_success "eval --scores" eval "$work/maml" --device host --tasks 4 --query 1 --bn run --steps 1 --scores "$work/eval.json"
sed 's/,"scores".*//' "$work/eval.json" >"$work/eval.tasks"
sed 's/,"scores".*//' "$work/maml/scores.json" | cmp - "$work/eval.tasks" || fail "eval --scores: $(cat "$work/eval.tasks")"
[ "$(singles "$work/eval.json")" = "$(cat "$work/maml.scores")" ] || fail "eval --scores: $(singles "$work/eval.json") instead of $(cat "$work/maml.scores")"
# Nothing of a run is replaced, nor what is no page.
cp -r "$work/maml" "$work/kept"
for file in config.json metrics.jsonl metrics.csv result.json checkpoints/best.safetensors checkpoints/last.safetensors; do
    expect_error "a page for $file" 2 "out .*/$file is a file of a run, which goes on from it; give another name" report "$work/maml" --out "$work/maml/$file" --no-pictures
    expect_error "scores for $file" 2 "scores .*/$file is a file of a run" eval "$work/maml" --device host --tasks 4 --query 1 --bn run --scores "$work/maml/$file"
done
(cd "$work/maml" && clmaml report . --out config.json --no-pictures && [ $status -eq 2 ]) || fail "a page for config.json, from within: $(cat "$work/err")"
echo "print(1)" >"$work/script.py"
expect_error "a page for a script" 2 "out .*script.py is there, and is no page; give another name, or remove it" report "$work/maml" --out "$work/script.py" --no-pictures
[ "$(cat "$work/script.py")" = "print(1)" ] || fail "a script is replaced"
diff -r "$work/maml" "$work/kept" || fail "files of a run are replaced"
expect_error "scores of two columns" 2 "--scores holds one column, not 2: give one number for --query and --bn" \
    eval "$work/maml" --device host --tasks 4 --query 1 --scores "$work/two.json"
[ ! -e "$work/two.json" ] || fail "scores of two columns: a file was written"
expect_success "singly" eval "$work/maml" --device host --tasks 4 --query 2 --bn support-stats --singly --steps 2
expect_in "$work/out" "^queries +together +one at a time$" "singly"
awk '/^ +[0-9]+ / { n++; if ($2 != $6 || $4 != $8) exit 1 } END { exit n != 3 }' "$work/out" ||
    fail "single queries score differently under support statistics: $(cat "$work/out")"

# ---- what is missing or not finite is said ----
expect_success "one, no pictures" report "$work/maml" --out "$page" --no-pictures
balanced "$page" "one"
grep -q "<img" "$page" && fail "--no-pictures has pictures"
sed 's/"mean": [0-9.e-]*/"mean": null/' "$work/maml/result.json" >"$work/result" && mv "$work/result" "$work/maml/result.json"
rm "$work/protonet/result.json"
rm -r "$work/protonet/checkpoints"
printf '{"iteration": 9, "kind": "tr' >>"$work/protonet/metrics.jsonl"
expect_success "wanting" report "$work/maml" "$work/protonet" --out "$page" --device host
balanced "$page" "wanting"
expect_in "$page" 'not finite' "a mean that is none"
expect_in "$page" 'not tested yet' "a run without its test"
expect_in "$page" 'No pictures: the run holds no checkpoint' "a run without a checkpoint"

# ---- a best checkpoint that is not what validation chose: of runs with pictures and without ----
notes="$work/notes.html"
# harmed NAME RUN REASON: the page of a run says why, and has no pictures by that checkpoint.
harmed() {
    expect_success "$1" report "$2" --out "$notes" --device host
    balanced "$notes" "$1"
    expect_in "$notes" "<p class=\"note\">Of the best checkpoint: .*best.safetensors$3" "$1"
    ! grep -q "holds no checkpoint" "$notes" || fail "$1: the run is said to hold no checkpoint"
}
for run in seed "<b>&\""; do
    best="$work/$run/checkpoints/best.safetensors"
    mv "$best" "$work/whole"
    expect_success "$run, as it was" report "$work/auto" --out "$notes" --device host
    ! grep -q "Of the best checkpoint" "$notes" || fail "$run: a healthy checkpoint has a note"
    harmed "$run, missing" "$work/$run" " is missing"
    mkdir "$best"
    harmed "$run, a directory" "$work/$run" " is a directory"
    rmdir "$best"
    cp "$work/queries/checkpoints/best.safetensors" "$best"
    harmed "$run, of another run" "$work/$run" " is of another run"
    head -c 200 "$work/whole" >"$best"
    harmed "$run, truncated" "$work/$run" ": .*the file is truncated"
    if [ "$run" = seed ]; then expect_in "$notes" "No pictures: .*best.safetensors: .*the file is truncated" "$run, truncated"; fi
    mv "$work/whole" "$best"
done

# ---- a run that cannot be read does not keep the others from their page ----
for file in result config scores; do
    cp -r "$work/seed" "$work/cut-off"
    head -c 50 "$work/seed/$file.json" >"$work/cut-off/$file.json"
    why="cut-off/$file.json: line [0-9]+: .*; .clmaml train --resume --run .*cut-off. writes it anew"
    expect_error "$file.json, alone" 1 "$why" report "$work/cut-off" --out "$work/no.html" --no-pictures
    [ ! -e "$work/no.html" ] || fail "$file.json, alone: there is a page"
    expect_error "$file.json, one of three" 1 "notes.html holds 2 of 3 runs: what cannot be read is left out" \
        report "$work/auto" "$work/cut-off" "$work/plain" --out "$notes" --no-pictures
    expect_in "$work/err" "note: left out: .*$why" "$file.json, one of three"
    expect_in "$work/out" "^2 runs: " "$file.json, one of three"
    balanced "$notes" "$file.json, one of three"
    expect_in "$notes" "Left out: .*cut-off/$file.json: line [0-9]+: .*clmaml train --resume --run .*cut-off" "$file.json, one of three"
    expect_in "$notes" "<h2 id=\"run-1\">.*auto</h2>" "$file.json, one of three"
    expect_in "$notes" "<h2 id=\"run-2\">.*plain</h2>" "$file.json, one of three"
    expect_success "$file.json, written anew" train --resume --run "$work/cut-off" --device host
    expect_success "$file.json, written anew" report "$work/auto" "$work/cut-off" --out "$notes" --no-pictures
    rm -r "$work/cut-off"
done
expect_error "none of two" 1 "none of 2 runs can be read" report "$work/nosuch" "$work" --out "$work/no.html"
expect_error "one that is none" 1 "holds 1 of 2 runs" report "$work/nosuch" "$work/auto" --out "$notes" --no-pictures
expect_in "$work/err" "note: left out: .*nosuch holds no run" "one that is none"

expect_error "nothing" 2 "say what to report" report --out "$page"
expect_error "nowhere to" 2 "give --out FILE" report "$work/maml"
expect_error "standard output, as others have it" 2 "[-]-out -: name a file; /dev/stdout is standard output" report "$work/maml" --out -
expect_success "standard output" report "$work/maml" --out /dev/stdout
expect_in "$work/out" "^<!DOCTYPE html>" "standard output"
expect_error "no run" 1 "holds no run" report "$work" --out "$work/no.html"
[ ! -e "$work/no.html" ] || fail "a page was left behind by a failure"
echo "{" >"$work/maml/result.json"
expect_error "a damaged file" 1 "result.json" report "$work/maml" --out "$work/no.html"

finish
