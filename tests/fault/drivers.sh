# Drivers that crash, hang, end the process, refuse, or are missing, each beside the good ones: they are named, and everything else works.
# And no driver at all.
. "$(dirname "$0")/../support/cli.sh"
: "${CLMAML_FAULT_ICDS:?the folder of the misbehaving drivers}"
unset CLMAML_DEVICE CLMAML_LOG CLMAML_QUIRKS
export CLMAML_PROBE_SECONDS=120 # which a good one does not need; a hang is waited for

# A folder for temporary files to which nobody else adds.
mkdir "$work/tmp"
export TMPDIR="$work/tmp"

# The drivers at hand, in a folder of our own.
good=$work/good
mkdir "$good"
if [ -f "${OCL_ICD_VENDORS-}" ]; then
    cp "$OCL_ICD_VENDORS" "$good"
else
    cp "${OCL_ICD_VENDORS:-/etc/OpenCL/vendors}"/*.icd "$good"
fi
export OCL_ICD_VENDORS="$good"
unset OPENCL_VENDOR_PATH
clmaml devices
expect_in "$work/out" '^\* [0-9]+:[0-9]+' "the drivers at hand have a device"

# beside BEHAVIOUR: from now on that driver is there too. Its name comes first, so that it is loaded first.
beside() {
    bad=$work/$1/0-$1.icd
    rm -rf "${work:?}/$1"
    mkdir "$work/$1"
    cp "$good"/*.icd "$work/$1"
    cp "$CLMAML_FAULT_ICDS/$1.icd" "$bad"
    export OCL_ICD_VENDORS="$work/$1"
}

# warned NAME PATTERN: one remark names the driver and says this of it.
warned() {
    grep -E "^clmaml: note: .*$bad" "$work/err" | grep -Eq "$2" || fail "$1: '$2' is not said of $bad: $(cat "$work/err")"
}

train="train sine --meta-batch 2 --shots 2 --query 2 --iterations 1 --val-tasks 2 --eval-tasks 2 --test-steps 1"

check() {
    beside "$1"
    expect_success "$1: devices" devices
    expect_in "$work/out" '^\* [0-9]+:[0-9]+ +(cpu|gpu|accelerator)' "$1: devices"
    grep -q '^\* .*Faulty' "$work/out" && fail "$1: the faulty device is chosen"
    warned "$1: devices" "$2"
    [ "$(grep -c '' "$work/err")" -eq 1 ] || fail "$1: devices: more is said than that: $(cat "$work/err")"
    expect_success "$1: devices --json" devices --json
    expect_in "$work/out" "\"left_out\": $3" "$1: devices --json"
    grep -A 9 '"warnings": \[$' "$work/out" | grep -q "$bad" || fail "$1: devices --json: no warning: $(cat "$work/out")"
}

check crash-at-load "left out: crashed \(signal 11\) while being loaded" true
check abort-at-platforms "left out: crashed \(signal 6\) while asking for its platforms" true
check exit-at-platforms "left out: ended the process \(exit status 3\) while asking" true
CLMAML_PROBE_SECONDS=10
check hang-at-devices "left out: said nothing for 10 s while asking" true
CLMAML_PROBE_SECONDS=120
check crash-at-context "left out: crashed \(signal 11\) while opening Faulty device" true
check devices-fail "Faulty.*CL_OUT_OF_HOST_MEMORY" false
check context-fails "creating a context on Faulty device: CL_OUT_OF_RESOURCES" false
check missing-library "libclmaml-no-such-driver" false

# A driver without a device is ordinary: nothing is said.
beside no-device
expect_success "no device: devices" devices --verbose
[ ! -s "$work/err" ] || fail "no device: $(cat "$work/err")"
expect_in "$work/out" "$bad .*: 0 devices" "no device: devices --verbose"

# Training, evaluation and checks go on with what is left.
for behaviour in crash-at-load hang-at-devices crash-at-context context-fails missing-library; do
    beside $behaviour
    [ $behaviour != hang-at-devices ] || CLMAML_PROBE_SECONDS=10
    # shellcheck disable=SC2086
    expect_success "$behaviour: train" $train --run "$work/run-$behaviour"
    CLMAML_PROBE_SECONDS=120
    case $behaviour in
    crash* | hang*) warned "$behaviour: train" "left out" ;;
    esac
    grep -q Faulty "$work/out" && fail "$behaviour: trained on the faulty device"
done
beside crash-at-load
expect_success "eval beside a crash" eval "$work/run-crash-at-load" --tasks 2 --steps 1
# shellcheck disable=SC2086
expect_success "the host reference needs no driver" $train --device host --run "$work/run-host"
[ ! -s "$work/err" ] || fail "the host reference: drivers were tried: $(cat "$work/err")"
[ -z "$(find "$TMPDIR" -mindepth 1 -maxdepth 1 -name 'clmaml-*')" ] || fail "folders of drivers were left: $(ls "$TMPDIR")"

# A device that is asked for by name, and does not work.
beside context-fails
expect_error "a device that refuses" 1 "creating a context on Faulty device: CL_OUT_OF_RESOURCES" $train --device faulty --run "$work/new"
beside crash-at-context
expect_error "a device that is left out" 1 "no device matches .faulty.; there are: 0:0" $train --device faulty --run "$work/new"

# doctor: what crashes is told after what worked, and the report is written all the same.
beside crash-at-build
clmaml doctor --device faulty --report "$work/report"
[ $status -eq 1 ] || fail "doctor of a compiler that crashes: exit status $status"
expect_in "$work/err" "^clmaml: the driver crashed \(signal 11\) after \"quirks" "doctor of a compiler that crashes"
expect_in "$work/report" "^result +the driver crashed \(signal 11\)" "report of a compiler that crashes"
expect_in "$work/report" "Faulty device, GPU" "report of a compiler that crashes"
beside context-fails
clmaml doctor --device faulty --report "$work/report"
[ $status -eq 1 ] || fail "doctor of a device that refuses: exit status $status"
expect_in "$work/err" "CL_OUT_OF_RESOURCES" "doctor of a device that refuses"
expect_in "$work/report" "^result +the device does not open" "report of a device that refuses"
expect_in "$work/report" "driver $bad: creating a context on Faulty device" "report of a device that refuses"
beside crash-at-load
expect_success "doctor beside a crash" doctor --device host --report "$work/report"
warned "doctor beside a crash" "left out"
expect_in "$work/report" "^result +all is well" "report beside a crash"
expect_in "$work/report" "$bad .*LEFT OUT: crashed" "report beside a crash"

# The trial can be switched off, and its limit is checked.
beside devices-fail
CLMAML_PROBE_SECONDS=0
expect_success "no trial" devices --verbose
expect_in "$work/out" "not tried: CLMAML_PROBE_SECONDS is 0" "no trial"
CLMAML_PROBE_SECONDS=soon
expect_error "a wrong limit" 1 "CLMAML_PROBE_SECONDS is 'soon'" devices
CLMAML_PROBE_SECONDS=120

# No driver at all.
mkdir "$work/none"
export OCL_ICD_VENDORS="$work/none"
expect_success "no driver: devices" devices
expect_in "$work/out" "^There is no OpenCL device\. Install .*--device host" "no driver: devices"
expect_in "$work/out" "OCL_ICD_VENDORS is $work/none, where there is no driver" "no driver: devices"
# shellcheck disable=SC2086
{
    expect_error "no driver: train" 1 "no OpenCL device found: install .* \"host\"" $train --run "$work/new"
    expect_success "no driver: train on the host reference" $train --device host --run "$work/run-none"
}
expect_error "no driver: doctor" 1 "no OpenCL device found: install" doctor
expect_success "no driver: doctor of the host reference" doctor --device host

finish
