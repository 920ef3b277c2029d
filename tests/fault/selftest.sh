# The self-test at the first use of a device: what passes is not tested again, another driver version is; wrong numbers, a crash and a
# hang are refused by name, with --force as the way round. The faults are those of a layer in front of the driver at hand.
. "$(dirname "$0")/../support/cli.sh"
: "${CLMAML_FAULT_ICDS:?the folder of the misbehaving layer}"
unset CLMAML_DEVICE CLMAML_LOG CLMAML_QUIRKS CLMAML_EMULATE CLMAML_FORCE CLMAML_NO_CACHE
export OPENCL_LAYERS="$CLMAML_FAULT_ICDS/fake_layer.so" CLMAML_CACHE_DIR="$work/cache" CLMAML_TEST_FAULT=driver=one

train="train sine --meta-batch 2 --shots 2 --query 2 --iterations 1 --val-tasks 2 --eval-tasks 2 --test-steps 1"
runs=0
# trained NAME ARGUMENT..
trained() {
    name=$1
    shift
    runs=$((runs + 1))
    # shellcheck disable=SC2086
    expect_success "$name" $train --run "$work/run$runs" "$@"
}
tested() { expect_in "$work/err" "^clmaml: note: checking .+ for the first time \.\. ok, [0-9.]+ s$" "$1"; }
not_tested() { ! grep -q "for the first time" "$work/err" || fail "$1: tested: $(cat "$work/err")"; }

expect_success "the layer" devices --verbose
expect_in "$work/out" "driver one" "the layer is in effect"

# What passes is kept, for this version of the driver, and costs nothing.
trained "first use"
tested "first use"
trained "second use"
[ ! -s "$work/err" ] || fail "second use: $(cat "$work/err")"
CLMAML_TEST_FAULT=driver=two
trained "another driver version"
tested "another driver version"
CLMAML_TEST_FAULT=driver=one
trained "the first version again"
not_tested "the first version again"
for file in "$work"/cache/selftest/*; do echo damaged >"$file"; done
trained "damaged entries"
tested "damaged entries"
trained "entries made anew"
not_tested "entries made anew"

# Wrong numbers: the device, its driver and what is wrong are named.
CLMAML_TEST_FAULT=driver=three,skip=conv2d
refusal="driver three\) fails its self-test and is not used: conv2d: relative error .*--force"
# shellcheck disable=SC2086
expect_error "wrong numbers: train" 1 "$refusal" $train --run "$work/refused"
expect_in "$work/err" "^clmaml: note: checking .* FAILED, [0-9.]+ s$" "wrong numbers: train"
[ ! -e "$work/refused/checkpoints/last.safetensors" ] || fail "wrong numbers: trained all the same"
expect_error "wrong numbers: eval" 1 "$refusal" eval "$work/run1" --tasks 2
expect_error "wrong numbers: tune" 1 "$refusal" tune sine --budget 0.1
expect_error "wrong numbers: bench" 1 "$refusal" bench sine --no-peers --no-peaks --rounds 1
trained "wrong numbers: --force" --force
not_tested "wrong numbers: --force"
expect_success "wrong numbers: eval --force" eval "$work/run1" --tasks 2 --force
CLMAML_FORCE=1
export CLMAML_FORCE
trained "wrong numbers: CLMAML_FORCE"
not_tested "wrong numbers: CLMAML_FORCE"
unset CLMAML_FORCE

# A meta-gradient alone is wrong: sums over tasks.
CLMAML_TEST_FAULT=driver=three,skip=group
# shellcheck disable=SC2086
expect_error "a wrong meta-gradient" 1 "fails its self-test and is not used: meta-gradient of .*: relative error" $train --run "$work/refused"

# A failure is not kept.
CLMAML_TEST_FAULT=driver=three
trained "mended"
tested "mended"

# Without a place for the outcome there is no test.
CLMAML_TEST_FAULT=driver=four,skip=conv2d
CLMAML_NO_CACHE=1
export CLMAML_NO_CACHE
trained "without a cache"
not_tested "without a cache"
unset CLMAML_NO_CACHE

# What takes the process along takes only that of the test.
CLMAML_TEST_FAULT=driver=four,crash=conv2d
# shellcheck disable=SC2086
expect_error "a crash" 1 "self-test and is not used: crashed \(signal 11\) at: operations" $train --run "$work/refused"
CLMAML_TEST_FAULT=driver=four,hang=conv2d
CLMAML_PROBE_SECONDS=5
export CLMAML_PROBE_SECONDS
# shellcheck disable=SC2086
expect_error "a hang" 1 "self-test and is not used: said nothing for 20 s at: operations" $train --run "$work/refused"
unset CLMAML_PROBE_SECONDS

# doctor finds the fault in full, and verify is a test of its own.
CLMAML_TEST_FAULT=driver=four,skip=conv2d
clmaml verify "$CLMAML_SOURCE_DIR/tests/golden/mlp_sine_1step.safetensors"
not_tested "verify"
clmaml doctor --quick
[ $status -eq 1 ] || fail "doctor --quick of a faulty device: exit status $status"
expect_in "$work/out" "^  conv2d +relative error .*FAIL$" "doctor --quick of a faulty device"
CLMAML_TEST_FAULT=driver=five
expect_success "doctor --quick" doctor --quick
expect_in "$work/out" "^  conv2d +relative error .*OK$" "doctor --quick"
trained "after doctor --quick"
not_tested "after doctor --quick"

# The host reference is what is compared with.
trained "the host reference" --device host
not_tested "the host reference"

finish
