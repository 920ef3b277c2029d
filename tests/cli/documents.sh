#!/bin/sh
# The commands of the documents: each is one of the program's, with options that it has; those of the pages for newcomers run as they
# stand, one after the other, with smaller numbers and on the host reference.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_TEST_DATA:?the program that writes data sets}"

# commands FILE: the indented lines that call the program, without comments; lines that go on are one
commands() {
    sed -e ':a' -e '/\\$/{N' -e 's/\\\n */ /' -e 'ba' -e '}' "$1" | sed -n 's/^    \(clmaml .*\)/\1/p' | sed 's/  *#.*//'
}

# ---- every document: commands and options are there ----
"$CLMAML_PROGRAM" --help >"$work/overview"
for document in "$CLMAML_SOURCE_DIR"/README.md "$CLMAML_SOURCE_DIR"/docs/*.md "$CLMAML_SOURCE_DIR"/python/README.md; do
    commands "$document" >"$work/commands"
    while read -r _ command arguments; do
        name="${document#"$CLMAML_SOURCE_DIR"/}: clmaml $command $arguments"
        if ! grep -Eq "^  $command  " "$work/overview"; then
            fail "$name: there is no such command"
            continue
        fi
        variant=
        [ "$command ${arguments%% *}" != "train navigation" ] || variant=navigation # which has options of its own
        help=$work/help-$command$variant
        [ -s "$help" ] || "$CLMAML_PROGRAM" "$command" $variant --help >"$help"
        for word in $arguments; do
            case $word in
            --*) grep -Eq "^  --(no-)?${word#--}( |\$)" "$help" || fail "$name: there is no option $word" ;;
            esac
        done
    done <"$work/commands"
done
{ [ -s "$work/help-train" ] && [ -s "$work/help-predict" ]; } || fail "the documents have no commands"

# ---- the pages: they run ----
mkdir "$work/bin" "$work/place"
ln -s "$CLMAML_PROGRAM" "$work/bin/clmaml"
"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
place=$work/place
class=0
while [ $class -lt 32 ]; do # 32 classes of 10
    from=$work/colours/class$(printf %02d $((class % 24))) to=$place/photos/class$class
    mkdir -p "$to"
    cp "$from"/* "$to"
    cp "$from/5.jpg" "$to/8.jpg"
    cp "$from/5.jpg" "$to/9.jpg"
    class=$((class + 1))
done
mkdir -p "$place/birds/kite" "$place/birds/owl" "$place/new"
cp "$work/colours/class00"/[0-2].* "$place/birds/kite"
cp "$work/colours/class12"/[0-2].* "$place/birds/owl"
cp "$work/colours/class12/5.jpg" "$place/new/one.jpg"
cp "$work/colours/class00/5.jpg" "$place/new/two.jpg"
awk 'BEGIN { print "station,hour,wind,load"; for (s = 0; s < 30; s++) for (h = 0; h < 24; h++) {
    w = (7 * s + 5 * h) % 11; print "s" s "," h "," w "," 100 + s + (1 + s % 5) * w } }' >"$place/rows.csv"

# small COMMAND: with smaller numbers, and without those of the device at hand
small() {
    case $1 in
    "clmaml train"*)
        echo "$1 --meta-batch 2 --val-tasks 2 --eval-tasks 2 --device host" |
            sed -e 's/--iterations [0-9]*/--iterations 2/' -e 's/--filters [0-9]*/--filters 4 --size 16/'
        ;;
    "clmaml eval"*) echo "$1 --device host" | sed -e 's/--tasks [0-9]*//' -e 's/$/ --tasks 2/' ;;
    "clmaml runs"* | "clmaml export"*) echo "$1" ;;
    *) echo "$1 --device host" ;;
    esac
}
for page in pictures tables; do
    commands "$CLMAML_SOURCE_DIR/docs/$page.md" >"$work/commands"
    grep -q "clmaml train" "$work/commands" || fail "docs/$page.md trains nothing"
    while read -r command; do
        case $command in *" DIR"*) continue ;; esac # of data that are not here
        (cd "$place" && PATH="$work/bin:$PATH" sh -c "$(small "$command")") >"$work/out" 2>"$work/err" </dev/null ||
            fail "docs/$page.md: $command: $(tail -n 3 "$work/err")"
        case $command in
        *"predict"*"--json"*) expect_in "$work/out" '"class": "(kite|owl)"' "docs/$page.md: $command" ;;
        *"predict"*) [ "$(wc -l <"$work/out")" -eq 2 ] || fail "docs/$page.md: $command: $(cat "$work/out")" ;;
        *"runs") expect_in "$work/out" "runs/photos +maml" "docs/$page.md: $command" ;;
        esac
    done <"$work/commands"
done
for file in runs/photos/scores.json birds.safetensors birds.onnx photos.html runs/load/result.json load.html; do
    [ -s "$place/$file" ] || fail "the pages leave no $file"
done

finish
