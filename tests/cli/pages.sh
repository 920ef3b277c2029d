#!/bin/sh
# Help, man pages and completion say the same, because they come from the same tables.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"

# ---- help ----
expect_success "overview" --help
cp "$work/out" "$work/overview"
expect_success "help" help
cmp -s "$work/out" "$work/overview" || fail "help is not --help"
commands=$(sed -n 's/^  \([a-z]\{1,\}\)  .*/\1/p' "$work/overview")
[ "$(echo "$commands" | wc -l)" -gt 10 ] || fail "commands in the overview: $commands"
on_a_line=$(echo "$commands" | tr '\n' ' ' | sed 's/ $//')
for command in $commands; do
    expect_success "$command --help" "$command" --help
    cp "$work/out" "$work/$command"
    grep -n ' $' "$work/$command" && fail "$command --help: lines end with a blank"
    expect_success "help $command" help "$command"
    cmp -s "$work/out" "$work/$command" || fail "help $command is not $command --help"
done
expect_success "train navigation --help" train navigation --help
cp "$work/out" "$work/navigation"
expect_in "$work/out" "^usage: clmaml train navigation " "help of a variant"
grep -n ' $' "$work/navigation" && fail "train navigation --help: lines end with a blank"
expect_success "help train navigation" help train navigation
cmp -s "$work/out" "$work/navigation" || fail "help train navigation is not train navigation --help"
# ---- topics: from the tables, so what they list is what there is ----
topics=$(sed -n 's/^    \([a-z]\{1,\}\)  .*/\1/p' "$work/overview")
[ "$(echo "$topics" | wc -l)" -ge 6 ] || fail "topics in the overview: $topics"
only_topics=
for topic in $topics; do
    expect_success "help $topic" help "$topic"
    cp "$work/out" "$work/topic-$topic"
    grep -n ' $' "$work/topic-$topic" && fail "help $topic: lines end with a blank"
    if ! echo "$commands" | grep -qx "$topic"; then
        only_topics="$only_topics $topic"
        expect_error "$topic as a command" 2 "'$topic' is no command but a topic: clmaml help $topic" "$topic"
    fi
done
for option in $(sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$work/train" | grep -vx -e --help); do # each option of train is in one
    grep -q -- "^  $option" "$work"/topic-* || fail "no topic has $option of train"
done
"$CLMAML_PROGRAM" devices --verbose | sed -n 's/^ *\(CLMAML_[A-Z_]*\) *(not set).*/\1/p' | sort -u >"$work/variables"
[ -s "$work/variables" ] || fail "devices --verbose has no variables"
while read -r variable; do
    grep -q "^  $variable " "$work/topic-environment" || fail "help environment lacks $variable"
done <"$work/variables"
tiny_run "$work/run" --iterations 4 --val-every 2
(cd "$work/run" && find . -type f) | sed -e 's/^..//' -e 's/[0-9]\{8\}/NUMBER/' | sort -u >"$work/there"
sed -n '/^In a run directory/,/^$/s/^  \([^ ]\{1,\}\)  .*/\1/p' "$work/topic-files" | sort >"$work/listed"
diff "$work/there" "$work/listed" >"$work/differences" || fail "help files lists other files than a run has: $(cat "$work/differences")"

expect_error "help of no command" 2 "unknown command or topic 'trian'; did you mean 'train'" help trian
expect_error "help of no topic" 2 "did you mean 'environment'" help enviroment
expect_error "help of nothing near" 2 "the topics are data, models" help zzzzz
expect_error "help of two" 2 "one argument too many" help train eval
expect_error "a directory and no date" 2 "give a directory and the date" --write-docs "$work/pages"
expect_error "where no directory can be" 1 "overview" --write-docs "$work/overview/pages" 2000-01-01

# ---- man pages: those of the build are what the program writes, and they render without a warning ----
expect_success "the pages" --write-docs "$work/pages" 2000-01-01
pages=$work/pages
if [ -n "${CLMAML_PAGES-}" ]; then
    [ -s "$CLMAML_PAGES/man1/clmaml.1" ] || fail "the build has written no man pages"
    diff -r -I '^\.TH ' -x written "$CLMAML_PAGES" "$pages" >"$work/differences" || fail "the build's pages differ: $(cat "$work/differences")"
fi
lint() {
    if command -v mandoc >/dev/null 2>&1; then
        mandoc -Tlint -W warning "$1" 2>&1
    elif command -v groff >/dev/null 2>&1; then
        groff -man -ww -z "$1" 2>&1
    fi
}
command -v mandoc >/dev/null 2>&1 || command -v groff >/dev/null 2>&1 || echo "note: without mandoc and groff man pages are not rendered"
for command in $commands; do
    page=$pages/man1/clmaml-$command.1
    [ -s "$page" ] || fail "no man page of $command"
    warnings=$(lint "$page")
    [ -z "$warnings" ] || fail "man page of $command: $warnings"
    for option in $(sed -n 's/^  --\([a-z-]*\).*/\1/p' "$work/$command"); do
        roff=$(printf '%s' "$option" | sed 's/-/\\-/g')
        grep -Fq "\\-\\-$roff\\fR" "$page" || fail "man page of $command: --$option is missing"
    done
    grep -Fq "clmaml\\-$command (1)" "$pages/man1/clmaml.1" || fail "clmaml(1) does not name $command"
done
variant=$pages/man1/clmaml-train-navigation.1
warnings=$(lint "$variant")
[ -z "$warnings" ] || fail "man page of train navigation: $warnings"
grep -Fq "\\-\\-trust\\-region\\fR" "$variant" || fail "man page of train navigation: --trust-region is missing"
for topic in $topics; do
    page=$pages/man7/clmaml-$topic.7 section=7
    echo "$only_topics" | grep -qw "$topic" || page=$pages/man1/clmaml-$topic.1 section=1
    [ -s "$page" ] || fail "no man page of the topic $topic"
    warnings=$(lint "$page")
    [ -z "$warnings" ] || fail "man page of $topic: $warnings"
    sed -n 's/^\([A-Z][^ ]*.*\)/\1/p' "$work/topic-$topic" | sed -n '/^Options of\|^Names of\|^In \|^Networks/p' | while read -r heading; do
        grep -Fq ".SS $heading" "$page" || echo "$heading"
    done >"$work/missing"
    [ ! -s "$work/missing" ] || fail "man page of $topic lacks $(cat "$work/missing")"
    grep -Fq "clmaml\\-$topic ($section)" "$pages/man1/clmaml.1" || fail "clmaml(1) does not name the topic $topic"
done
warnings=$(lint "$pages/man1/clmaml.1")
[ -z "$warnings" ] || fail "clmaml(1): $warnings"

# What helps with one option helps without another page; a page names those that it speaks of, and does not cut names in two.
for command in adapt predict eval; do
    expect_in "$work/$command" "^  --device WHICH +gpu, cpu, accelerator" "help $command: what --device takes"
    ! grep -q "  as for train" "$work/$command" || fail "help $command: an option is said to be as for train"
    expect_in "$pages/man1/clmaml-$command.1" "^.BR clmaml.-train \(1\)" "clmaml-$command(1): SEE ALSO"
    expect_in "$pages/man1/clmaml-$command.1" "^.nh$" "clmaml-$command(1): the synopsis"
done
expect_in "$pages/man1/clmaml-adapt.1" "^.BR clmaml.-predict \(1\)" "clmaml-adapt(1): SEE ALSO"

# ---- completion ----
# complete WORD..: what bash would offer for the last word, on one line
complete_words() {
    (cd "$work/pages" && bash -c '
        . ./clmaml.bash
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _clmaml
        echo "${COMPREPLY[*]}"' bash "$@" 2>&1)
}
# expect_completion WANTED WORD..
expect_completion() {
    wanted=$1
    shift
    offered=$(complete_words "$@")
    [ "$offered" = "$wanted" ] || fail "completion of '$*': '$offered' instead of '$wanted'"
}
if command -v bash >/dev/null 2>&1; then
    expect_completion "$on_a_line help --help --version" clmaml ""
    expect_completion "train" clmaml tr
    expect_completion "$on_a_line$only_topics" clmaml help ""
    expect_completion "environment" clmaml help env
    expect_completion "--fit --filters --first-order --first-order-until" clmaml train sine --fi
    expect_completion "--tolerance" clmaml verify --to
    expect_completion "--help" clmaml bench --he
    expect_completion "stretch crop pad" clmaml train --fit ""
    expect_completion "stretch" clmaml train --fit s
    expect_completion "crop" clmaml train --fit = c
    expect_completion "stretch crop pad" clmaml train --fit =
    expect_completion "onnx" clmaml export model --format o
    expect_completion "metasgd" clmaml train --algorithm metas
    expect_completion "sine" clmaml train si
    expect_completion "navigation" clmaml train na
    expect_completion "--trajectories --trust-region" clmaml train navigation --tr
    expect_completion "trpo vpg" clmaml train navigation --outer ""
    expect_completion "" clmaml train navigation --wa
    expect_completion "even anneal" clmaml train --multi-step ""
    expect_completion "auto" clmaml train --test-steps ""
    expect_completion "conv4 conv4-strided" clmaml train --network conv
    expect_completion "conv4 conv4-strided" clmaml tune --network = conv
    expect_completion "resnet12" clmaml model res
    expect_completion "sine" clmaml bench si
    expect_completion "omniglot-5w1s omniglot-5w5s omniglot-5w1s-fo omniglot-5w5s-fo" clmaml train --preset omniglot-5
    # files by bash's own completion, directories by ours
    mkdir -p "$work/pages/a folder/one" "$work/pages/a folder/two"
    echo >"$work/pages/a folder/file"
    expect_completion "a folder/one a folder/two" clmaml adapt runs/x --support "a folder/"
    expect_completion "a folder/one" clmaml train --run "a folder/o"
    # devices as the program tells them
    expect_success "devices" devices
    devices=$(sed -n 's/^[* ] \([0-9]*:[0-9]*\) .*/\1/p' "$work/out" | tr '\n' ' ' | sed 's/ $//')
    expect_completion "gpu cpu accelerator host${devices:+ $devices}" "$CLMAML_PROGRAM" train --device ""
    expect_completion "gpu cpu accelerator host${devices:+ $devices}" "$CLMAML_PROGRAM" eval runs/x --device =
    expect_completion "gpu" "$CLMAML_PROGRAM" doctor --device g
    expect_completion "gpu,cpu" "$CLMAML_PROGRAM" train --device gpu,cp
    expect_completion "gpu cpu accelerator host" "$work/no/program" train --device ""
    first=${devices%%[ :]*} # bash takes 0:0 for three words, and replaces what follows the colon
    if [ -n "$first" ]; then
        offered=$(echo "$devices" | tr ' ' '\n' | sed -n "s/^$first://p" | tr '\n' ' ' | sed 's/ $//')
        expect_completion "$offered" "$CLMAML_PROGRAM" train --device "$first" :
        expect_completion "${offered%% *}" "$CLMAML_PROGRAM" train --device = "$first" : "${offered%% *}"
        expect_completion "${offered%% *}" "$CLMAML_PROGRAM" train --device "gpu,$first" : "${offered%% *}"
    fi
    expect_completion "" clmaml train --iterations ""
    expect_completion "" clmaml train --model ""
    # the models that come with the program
    models=$("$CLMAML_PROGRAM" pretrained --json | sed -n 's/.*"name": "\(.*\)",*$/\1/p' | tr '\n' ' ' | sed 's/ $//')
    [ -n "$models" ] || fail "there is no pretrained model to complete"
    for command in adapt predict eval; do expect_completion "$models" clmaml $command --model ""; done
    expect_completion "${models%% *}" clmaml pretrained "$(echo "${models%% *}" | cut -c 1-4)"
    # nothing is offered twice
    for command in $commands; do
        for word in "" -- $(sed -n 's/^  \(--[a-z-]*\) .*/\1=/p' "$work/$command"); do
            case $command$word in
            *--device=) [ "$command" = train ] || continue ;; # the program is asked, which takes time
            esac
            case $word in
            *=) offered=$(complete_words "$CLMAML_PROGRAM" "$command" "${word%=}" =) ;;
            *) offered=$(complete_words "$CLMAML_PROGRAM" "$command" "$word") ;;
            esac
            twice=$(echo "$offered" | tr ' ' '\n' | sort | uniq -d)
            [ -z "$twice" ] || fail "completion of '$command $word' offers twice: $twice"
        done
    done
    bash -c ". '$pages/clmaml.bash'; complete -p clmaml" >"$work/out" 2>&1
    expect_in "$work/out" "_clmaml clmaml$" "completion is registered"
else
    echo "note: without bash its completion is not tried"
fi
if command -v zsh >/dev/null 2>&1; then
    zsh -n "$pages/_clmaml" || fail "zsh does not read its completion"
fi
grep -q "_describe command commands -- topics" "$pages/_clmaml" || fail "completion of zsh: no topics"
for topic in $only_topics; do
    grep -q "^        '$topic:" "$pages/_clmaml" || fail "completion of zsh: no topic $topic"
done
sed -n '/^_clmaml_devices/,/^}/p' "$pages/_clmaml" | grep -q host && fail "zsh offers host twice"
for wanted in '--model=.*:NAME:(omniglot' "1:subject:{ compadd -- omniglot" '--device=.*: _clmaml_devices gpu cpu' '--support=.*:_files -/' '--algorithm=.*:(maml '; do
    grep -q -- "$wanted" "$pages/_clmaml" || fail "completion of zsh: no $wanted"
done
if command -v fish >/dev/null 2>&1; then
    fish -N -c "source '$pages/clmaml.fish'; complete -C 'clmaml train --fit '" >"$work/out" 2>&1
    expect_in "$work/out" "^stretch" "completion of fish"
    fish -N -c "source '$pages/clmaml.fish'; complete -C '$CLMAML_PROGRAM train --device '" >"$work/out" 2>&1
    expect_in "$work/out" "^host" "devices in fish"
    twice=$(cut -f 1 "$work/out" | sort | uniq -d)
    [ -z "$twice" ] || fail "fish offers devices twice: $twice"
    fish -N -c "source '$pages/clmaml.fish'; complete -C 'clmaml help '" | cut -f 1 | sort >"$work/out"
    printf '%s\n' $commands $only_topics | sort | diff - "$work/out" >"$work/differences" || fail "help in fish: $(cat "$work/differences")"
    fish -N -c "source '$pages/clmaml.fish'; complete -C 'clmaml train --multi-step e'" >"$work/out" 2>&1
    expect_in "$work/out" "^even" "words of a placeholder in fish"
fi

finish
