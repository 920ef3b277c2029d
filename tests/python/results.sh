#!/bin/sh
# The scripts of bench/results: every mistake of the command line, and every end of the program that is an error, is one line that names
# culprit and remedy. They run as copies, which leave docs/ as it is, and need Python alone.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
mkdir -p "$work/bench" "$work/docs/figures" "$work/models" "$work/data"
cp -r "$CLMAML_SOURCE_DIR/bench/results" "$work/bench/results"
cp "$CLMAML_SOURCE_DIR/docs/results.md" "$work/docs"
touch "$work/file"
cd "$work" || exit 1
pages=$(fingerprint docs)
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$CLMAML_SOURCE_DIR/python" CLMAML_LIBRARY="$work/no-library.so"

# A program that says something and ends; $CALLED is there when it was started.
CALLED=$work/called
export CALLED
fake() {
    # shellcheck disable=SC2016
    printf '#!/bin/sh\ntouch "$CALLED"\n%s\n' "$1" >"$work/fake"
    chmod +x "$work/fake"
}

# script NAME ARGUMENT..: $status, $work/out and $work/err
script() {
    script=$1
    shift
    case $script in
    run.sh) sh bench/results/run.sh "$@" ;;
    *) python3 "bench/results/$script" "$@" ;;
    esac >"$work/out" 2>"$work/err" </dev/null
    status=$?
}

# refuses STATUS PATTERN SCRIPT ARGUMENT..: one line on stderr
refuses() {
    wanted=$1 pattern=$2
    shift 2
    script "$@"
    [ $status -eq "$wanted" ] || fail "$*: exit status $status instead of $wanted: $(cat "$work/err")"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$*: no single line: $(cat "$work/err")"
    grep -Eq "$pattern" "$work/err" || fail "$*: '$pattern' is not in: $(cat "$work/err")"
}

# ---- every option of every script ----
fake 'exit 0'
for name in run.sh navigation.py ship.py curve.py time_to.py; do
    script $name --help
    [ $status -eq 0 ] || fail "$name --help: exit status $status: $(cat "$work/err")"
    sed -n 's/^  \(--[a-z]*\).*/\1/p' "$work/out" >"$work/options"
    [ -s "$work/options" ] || fail "$name --help lists no options"
    case $name in
    ship.py) row="omniglot-5w1s --data data" ;;
    curve.py | time_to.py) row="--data data" ;;
    navigation.py) row=navigation ;;
    *) row=sine-5s ;;
    esac
    # shellcheck disable=SC2086
    while read -r option; do
        case $option in
        --list | --write | --test | --report) refuses 2 "^$name: $option: .*'x'" $name $row "$option=x" ;;
        *) refuses 2 "^$name: $option: expected one argument; --help lists" $name $row "$option" ;;
        esac
        case $option in
        --iterations | --tasks | --threads | --gradients) kind="a whole number from 1" wrong="0 -3 1.5 many ''" ;;
        --minutes | --hours) kind="a number above 0" wrong="0 -3 nan inf soon ''" ;;
        --data) kind="no folder" wrong="nowhere file ''" ;;
        --runs) kind="is no folder: name one" wrong="file file/x ''" ;;
        --program) kind="no program '.*: build it" wrong="nowhere file bench ''" ;;
        --checkpoint | --way) kind="invalid choice: '.*(best|loop)" wrong="worst" ;;
        --device) kind="is empty" wrong="''" ;;
        *) continue ;;
        esac
        for value in $wrong; do
            [ "$value" != "''" ] || value=
            case $name in curve.py) set -- $row ;; *) set -- $row --program ./fake ;; esac
            refuses 2 "^$name: $option: .*$kind" $name "$@" "$option=$value"
        done
    done <"$work/options"
    # shellcheck disable=SC2086
    refuses 2 "unrecognized arguments: --iteration 3; --help lists" $name $row --iteration 3
done
[ ! -e "$CALLED" ] || fail "the program was started in spite of a mistake"

# ---- rows ----
refuses 2 "say which row: --list lists them" run.sh
refuses 2 "say which row: --list lists them" navigation.py
refuses 2 "there is no row 'omniglot-5w1'; did you mean omniglot-5w1s; there are sine-5s, " run.sh omniglot-5w1
refuses 2 "there is no row 'navigatoin'; did you mean navigation" navigation.py navigatoin
refuses 2 "there is no row to ship 'sine-5s'; .*there are omniglot-5w1s" ship.py sine-5s --data data
refuses 2 "required: (ROW, )?--data" ship.py omniglot-5w1s
refuses 2 "required: --data" curve.py
refuses 2 "omniglot-5w1s needs --data DIR" run.sh omniglot-5w1s --program ./fake
refuses 2 "data DIR is needed" time_to.py

# ---- what says nothing to what is done ----
refuses 2 "data says nothing to sine-5s" run.sh sine-5s --data data --program ./fake
refuses 2 "sine-5s says nothing to --list" run.sh sine-5s --list
refuses 2 "iterations says nothing to --write" run.sh --write --iterations 3
refuses 2 "device says nothing to --list" navigation.py --list --device host
refuses 2 "minutes says nothing to --test" run.sh sine-5s --test --program ./fake --minutes 3
refuses 2 "(--test|--list).*not allowed with" run.sh sine-5s --test --list
refuses 2 "iterations says nothing to --gradients" curve.py --data data --gradients 2 --iterations 10
refuses 2 "data says nothing to --report" time_to.py --report --data data

# ---- what is not there ----
refuses 2 "there is no run runs/results/sine-5s: without --test it begins" run.sh sine-5s --test --program ./fake
mv bench/results/omniglot-20w1s row-kept
refuses 2 "omniglot-20w1s was not run yet, .*run.sh omniglot-20w1s first" ship.py omniglot-20w1s --data data --program ./fake
mv row-kept bench/results/omniglot-20w1s
refuses 2 "no .*checkpoints/(best|last).safetensors: run.sh omniglot-5w1s makes it" ship.py omniglot-5w1s --data data --program ./fake
refuses 2 "runs: no folder 'runs/time_to'" time_to.py --report
mkdir -p runs/time_to
refuses 1 "nothing measured of clMAML" time_to.py --report
refuses 1 "(numpy|torch|clmaml|no-library).*(pip install numpy torch)" curve.py --data data
[ ! -e "$CALLED" ] || fail "the program was started in spite of a mistake"

# ---- errors of the program ----
refuses 1 "^sine-5s: exit status 1: clmaml: no device matches \"nowhere\".*; see runs/results/sine-5s.log" \
    run.sh sine-5s --program "$CLMAML_PROGRAM" --device nowhere
refuses 1 "^omniglot-5w1s: exit status 1: clmaml: .*images_background" run.sh omniglot-5w1s --data data --program "$CLMAML_PROGRAM" --device host
refuses 1 "^navigation: exit status 1: clmaml: no device matches" navigation.py navigation --program "$CLMAML_PROGRAM" --device nowhere
fake 'echo "clmaml: broken; mend it"; echo "clmaml: note: something"; echo more; exit 3'
refuses 3 "^sine-5s: exit status 3: clmaml: broken; mend it; see" run.sh sine-5s --program ./fake
fake 'kill -9 $$'
refuses 1 "^sine-5s: signal 9: no message; see" run.sh sine-5s --program ./fake

# --test shows what eval says
clmaml train sine --device host --meta-batch 2 --iterations 3 --val-tasks 2 --eval-tasks 2 --run runs/results/sine-5s
[ "$status" -eq 0 ] || fail "no run: $(cat "$work/err")"
refuses 1 "^sine-5s: exit status 1: clmaml: no device matches" run.sh sine-5s --test --program "$CLMAML_PROGRAM" --device nowhere
refuses 2 "^sine-5s: exit status 2: clmaml: .*has made 3 iterations already; --iterations 1 is less" \
    run.sh sine-5s --iterations 1 --program "$CLMAML_PROGRAM"
[ "$pages" = "$(fingerprint docs)" ] || fail "docs/ was changed in spite of errors"

# ---- and what is right goes on ----
for name in run.sh navigation.py; do
    script $name --list
    { [ $status -eq 0 ] && [ "$(wc -l <"$work/out")" -gt 2 ]; } || fail "$name --list: $(cat "$work/err")"
    script $name --write
    [ $status -eq 0 ] || fail "$name --write: exit status $status: $(cat "$work/err")"
done
cmp -s docs/results.md "$CLMAML_SOURCE_DIR/docs/results.md" || fail "docs/results.md is not what bench/results has"
finish
