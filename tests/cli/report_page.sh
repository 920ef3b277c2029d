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
expect_in "$page" '1 − 2</th><td class="num">[+-][0-9.]+ ± [0-9.]+ points' "the difference"
expect_in "$page" 'Settings that differ' "the settings"
expect_in "$page" '<th>algorithm</th><td>maml</td><td>protonet</td><td>maml</td>' "the algorithms"
expect_in "$page" '3-way 1-shot' "the protocol"
expect_in "$page" 'after: <span class="(right|wrong)">' "predictions after adaptation"
expect_in "$page" 'no inner steps' "protonet compares at once"
expect_in "$page" 'No pictures: the run does not learn from pictures' "why sine has none"
[ "$(grep -o 'src="data:image/png;base64,iVBORw0KGgo' "$page" | wc -l)" -eq 18 ] || fail "pictures are missing"
[ "$(grep -o '<svg ' "$page" | wc -l)" -eq 7 ] || fail "not two diagrams a run and one of both accuracies"
mean=$(awk -F'[:,]' '/^  "mean"/ { printf "%.2f", 100 * $2 }' "$work/maml/result.json")
expect_in "$page" "$mean ± [0-9.]+ %" "the test score"
# the half interval of a difference is that of independent samples
half() { awk -F'[:,]' '/^  "interval"/ { printf "%.9g", $2 }' "$work/$1/result.json"; }
wanted=$(awk -v a="$(half maml)" -v b="$(half protonet)" 'BEGIN { printf "%.2f", 100 * sqrt(a * a + b * b) }')
expect_in "$page" "1 − 2</th><td class=\"num\">[+-][0-9.]+ ± $wanted points" "the interval of the difference"

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

expect_error "nothing" 2 "say what to report" report --out "$page"
expect_error "nowhere to" 2 "give --out FILE" report "$work/maml"
expect_error "no run" 1 "holds no run" report "$work" --out "$work/no.html"
[ ! -e "$work/no.html" ] || fail "a page was left behind by a failure"
echo "{" >"$work/maml/result.json"
expect_error "a damaged file" 1 "result.json" report "$work/maml" --out "$work/no.html"

finish
