#!/bin/sh
# Cosines of meta-gradients: the table is a matrix of cosines, groups are the means over pairs of single tasks, and what cannot be compared is said.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
small="--device host --meta-batch 2 --shots 4 --query 4 --iterations 2 --val-tasks 2 --eval-tasks 0"
# shellcheck disable=SC2086
expect_success "functions" train functions --functions line,absolute $small --run "$work/mixed"
# shellcheck disable=SC2086
expect_success "sine" train sine $small --run "$work/<b>sine"
expect_success "glyphs" train glyphs --device host --filters 2 --size 16 --ways 3 --meta-batch 2 --iterations 1 --val-tasks 1 --eval-tasks 0 --run "$work/glyphs"

expect_success "help" tasks --help
expect_in "$work/out" "PREFIX.csv and PREFIX.svg are written" "help"
expect_success "groups" tasks "$work/mixed" --tasks 5 --device host
expect_in "$work/out" "^5 tasks of each group of train functions, at iteration [0-9]+" "groups"
expect_in "$work/out" "^(line|absolute) +-?[0-9.]+ +-?[0-9.]+$" "groups"
expect_success "single" tasks "$work/mixed" --by task --tasks 24 --out "$work/single" --device host
[ "$(wc -l <"$work/single.csv")" -eq 25 ] || fail "single: not 24 rows"
[ "$(grep -c "<rect x=" "$work/single.svg")" -eq 576 ] || fail "single: not 576 cells"
# The first five of each kind, by pairs; symmetric; 1 on the diagonal.
awk -F, '
    { gsub(/"/, "") }
    FILENAME ~ /single/ && FNR == 1 { for (i = 2; i <= NF; i++) { split($i, word, " "); kind[i - 1] = word[2]; chosen[i - 1] = ++seen[word[2]] <= 5 }; n = NF - 1; next }
    FILENAME ~ /single/ { for (j = 2; j <= NF; j++) c[FNR - 1, j - 1] = $j; next }
    FNR == 1 { for (i = 2; i <= NF; i++) name[i - 1] = $i; m = NF - 1; next }
    { for (j = 2; j <= NF; j++) group[$1, name[j - 1]] = $j }
    END {
        for (i = 1; i <= n; i++) {
            if (c[i, i] != 1) { print "diagonal " c[i, i]; bad = 1 }
            for (j = 1; j <= n; j++) {
                if (c[i, j] != c[j, i] || c[i, j] > 1 || c[i, j] < -1) { print "entry " i " " j; bad = 1 }
                if (i != j && chosen[i] && chosen[j]) { sum[kind[i], kind[j]] += c[i, j]; pairs[kind[i], kind[j]]++ }
            }
        }
        for (a = 1; a <= m; a++) for (b = 1; b <= m; b++) {
            k = name[a] SUBSEP name[b]; d = sum[k] / pairs[k] - group[k]
            if (pairs[k] != (a == b ? 20 : 25) || d > 2e-5 || d < -2e-5) { print name[a] " " name[b] ": " sum[k] / pairs[k] ", not " group[k]; bad = 1 }
        }
        exit bad || m != 2
    }' "$work/single.csv" "$work/mixed/tasks.csv" >"$work/said" || fail "groups are not means over pairs: $(cat "$work/said")"

expect_success "several runs" tasks "$work/mixed" "$work/<b>sine" --tasks 3 --out "$work/both" --device host
expect_in "$work/both.csv" '^"mixed line",.*$' "several runs"
expect_in "$work/both.csv" '^"<b>sine sine",.*$' "several runs"
grep -q "<b>" "$work/both.svg" && fail "several runs: a name has become markup"
expect_success "classes stand for themselves" tasks "$work/glyphs" --tasks 4 --device host
[ "$(wc -l <"$work/glyphs/tasks.csv")" -eq 5 ] || fail "glyphs: not 4 tasks"
expect_success "one kind stands for itself" tasks "$work/<b>sine" --tasks 4 --device host
[ "$(wc -l <"$work/<b>sine/tasks.csv")" -eq 5 ] || fail "sine: not 4 tasks"

# One of the two files is named, or a directory for them; nothing of a run is replaced.
for out in named.csv Named.SVG; do
    expect_success "$out" tasks "$work/glyphs" --tasks 2 --device host --out "$work/$out"
    for end in csv svg; do
        [ -s "$work/${out%.*}.$end" ] || fail "$out: no ${out%.*}.$end"
        expect_in "$work/out" "/${out%.*}\\.$end\$" "$out"
        [ ! -e "$work/$out.$end" ] || fail "$out: $out.$end was written"
    done
done
mkdir "$work/into"
expect_success "into a directory" tasks "$work/glyphs" --tasks 2 --device host --out "$work/into"
[ -s "$work/into/tasks.csv" ] || fail "into a directory: $(cat "$work/out")"
cksum "$work/mixed/metrics.csv" >"$work/sum"
for out in metrics metrics.csv; do
    expect_error "onto $out of a run" 2 "metrics.csv is a file of a run" tasks "$work/mixed" --tasks 2 --device host --out "$work/mixed/$out"
done
cksum "$work/mixed/metrics.csv" | cmp - "$work/sum" || fail "a file of a run is replaced"

expect_error "no run" 2 "say of which run" tasks
expect_error "no such run" 1 "does not exist" tasks "$work/nothing"
expect_error "other examples" 1 "its examples are .*, and the model of .* takes" tasks "$work/glyphs" "$work/mixed" --device host
expect_error "single tasks of two runs" 2 "--by task is of one run" tasks "$work/mixed" "$work/<b>sine" --by task --device host
expect_error "too many single tasks" 2 "of single tasks 128 at most" tasks "$work/glyphs" --tasks 200 --device host
expect_error "a checkpoint" 2 "give --out PREFIX" tasks "$work/mixed/checkpoints/last.safetensors" --device host
finish
