# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# What the tests of faults share, sourced after tests/support/cli.sh: pictures, runs, and what must hold after a fault.
#
# CLMAML_INJECT_MOST: faults of a kind in a command, spread evenly over the places from which it makes such calls; 0: one at every place.
# CLMAML_INJECT_COMMANDS: names of commands as they are printed, such as "eval,first use", with commas between; else all.
: "${CLMAML_TEST_DATA:?}" "${on_device?the option that names the device, or nothing}"
injected=0

"$CLMAML_TEST_DATA" colours "$work/colours" >"$work/out" || fail "colours cannot be written: $(cat "$work/out")"
mkdir -p "$work/new/red" "$work/new/blue"
cp "$work/colours/class00/1.jpg" "$work/new/red"
cp "$work/colours/class16/2.png" "$work/new/blue"
train="train $work/colours --ways 2 --shots 1 --query 1 --size 16 --filters 2 --meta-batch 2 --val-tasks 2 --eval-tasks 2
    --class-split 16,4,4 --iterations 4 --val-every 2 --checkpoint-every 1 $on_device"

# From "NAME PLACE CALLS" in $work/places: lines "NAME PLACE AT CALLS" in $work/chosen, AT a call in the middle, and how many places there
# are in $places. Where there are more places than faults, another command begins with another place.
turns=0
choose_places() {
    places=$(wc -l <"$work/places")
    sort "$work/places" | awk -v most="${most:?}" -v turn="$turns" '
        { line[NR] = $1 " " $2 " " int(($3 + 1) / 2) " " $3 }
        END {
            stride = most && NR > most ? NR / most : 1
            for (at = turn % (stride > 1 ? stride : 1); at < NR; at += stride) print line[int(at) + 1]
        }' >"$work/chosen"
    turns=$((turns + 1))
}

# What nothing befalls: the whole run, half of it, that one resumed, and a model adapted from it.
# shellcheck disable=SC2086
make_runs() {
    expect_success "whole" $train --run "$work/whole"
    expect_success "half" $train --iterations 2 --run "$work/half"
    cp -r "$work/half" "$work/resumed"
    expect_success "resumed" train --resume --run "$work/resumed" --iterations 4
    expect_success "adapt" adapt "$work/whole" --support "$work/new" --out "$work/adapted.safetensors" $on_device
    [ $failures -eq 0 ] || finish
}

# ended WHAT: by itself, and with a message where the exit status is not 0; a check that fails is one.
ended() {
    [ $status -ne 124 ] || fail "$1: it hangs"
    [ $status -lt 3 ] || fail "$1: exit status $status: $(cat "$work/err")"
    [ $status -eq 0 ] || grep -q "^clmaml: ." "$work/err" || grep -q "FAIL$" "$work/out" || fail "$1: exit status $status without a message: $(cat "$work/err")"
}

# is_asked NAME: for faults in this command.
is_asked() {
    case ,${CLMAML_INJECT_COMMANDS:-$1}, in
    *,"$1",*) ;;
    *) return 1 ;;
    esac
}

# How many there were. Commands that were asked for and are none would pass without one.
say_injected() {
    [ $injected -gt 0 ] || fail "there is no command '${CLMAML_INJECT_COMMANDS-}'"
    echo "$injected faults injected"
}

nothing() { :; }
no_run() { rm -rf "$work/run"; }
half_a_run() { rm -rf "$work/run" && cp -r "$work/half" "$work/run"; }

# same_run WHAT: $work/run has become what $expected is.
same_run() {
    for checkpoint in last best; do
        cmp -s "$expected/checkpoints/$checkpoint.safetensors" "$work/run/checkpoints/$checkpoint.safetensors" ||
            fail "$1: $checkpoint.safetensors differs"
    done
    cmp -s "$expected/result.json" "$work/run/result.json" || fail "$1: result.json differs"
}

# A run that ended well is whole; another goes on, or begins again where it had not begun.
goes_on() {
    if [ $status -eq 0 ]; then
        same_run "$what, exit status 0"
        return
    fi
    if [ -e "$work/run/config.json" ]; then
        clmaml train --resume --run "$work/run" --iterations 4
    else
        rm -rf "$work/run"
        # shellcheck disable=SC2086
        clmaml $train --run "$work/run"
    fi
    [ $status -eq 0 ] || fail "$what, then resumed: exit status $status: $(cat "$work/err")"
    same_run "$what, then resumed"
}

# What was printed, or written, where the exit status is 0. A file that is left out is said.
prints_it_before() { cp "$work/out" "$work/printed"; }
prints_it() {
    [ $status -ne 0 ] || cmp -s "$work/printed" "$work/out" || grep -q "^clmaml: note: left out: " "$work/err" ||
        fail "$what: exit status 0, but it prints: $(cat "$work/out")"
}
no_model() { rm -f "$work/model.safetensors"; }
# A model that is there is whole, whatever befell.
same_model() {
    if [ -e "$work/model.safetensors" ]; then
        cmp -s "$work/adapted.safetensors" "$work/model.safetensors" || fail "$what: the adapted model differs"
    elif [ $status -eq 0 ]; then
        fail "$what: exit status 0, but there is no adapted model"
    fi
}
