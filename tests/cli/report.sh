# scripts/gpu-report.sh, shortened, on the device at hand taken for a GPU: every step, a stand-in for a peer, faults and time limits, a
# driver that no loader knows of, and the bundle.
. "$(dirname "$0")/../support/cli.sh"
: "${CLMAML_SOURCE_DIR:?the source tree}" "${CLMAML_FAULT_ICDS:?the folder of the misbehaving layer}"
unset CLMAML_DEVICE CLMAML_LOG CLMAML_QUIRKS CLMAML_FORCE
export CLMAML_EMULATE=type=gpu,vector_width=1

# report STATUS NAME ARGUMENT..: into $work/NAME. Time limits are such that a busy machine does not reach them, but for those that a test sets.
report() {
    wanted=$1 name=$2
    shift 2
    "$CLMAML_SOURCE_DIR/scripts/gpu-report.sh" --program "$CLMAML_PROGRAM" --out "$work/$name" --quick --minutes 120 "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    summary=$work/$name/summary.md
    [ $status -eq "$wanted" ] || fail "$name: exit status $status instead of $wanted: $(cat "$work/out" "$work/err" "$summary")"
}

# A peer that takes 1000 ms a step, and says that it computes the same.
cat >"$work/python" <<'PEER'
#!/bin/sh
[ "$1" != -c ] || exit 0
echo '{"name": "stand-in", "loss": 1, "loss_error": 0, "grad_error": 1e-6}'
while read -r word count; do
    case $word in
    steps) echo '{"ms": [1000.0]}' ;;
    *) echo '{"peak_bytes": 1}' ;;
    esac
done
PEER
chmod +x "$work/python"

report 0 all --python "$work/python"
for step in devices doctor verify bench peers profile tune again train; do
    expect_in "$summary" "^\| $step \| ok \| [0-9]+ \|" "all steps"
done
expect_in "$summary" "^\| doctor \| ok \| [0-9]+ \| [0-9]+ checks OK, 0 FAIL" "all steps: doctor"
expect_in "$summary" "^\| verify \| ok \| [0-9]+ \| 3 of 3 pass" "all steps: verify"
expect_in "$summary" "^\| train \| ok .* [0-9]+ iterations in [0-9]+ s; accuracy [0-9.]+ after 1 step" "all steps: train"
expect_in "$summary" "^\| device \| .*\(emulated\) \(gpu\)" "all steps: device"
expect_in "$summary" "^\| sine \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \|" "all steps: before and after tuning"
expect_in "$summary" "^\| sine \| torch-gpu \| 1000.0 \| [0-9.]+ \| 1e-0?6" "all steps: the peer"
grep -q "What is wrong" "$summary" && fail "all steps: $(cat "$summary")"
for file in devices.json bench-sine.json again-sine.json peers-sine.json eval.json summary.json; do
    [ -s "$work/all/$file" ] || fail "all steps: no $file"
    ! command -v python3 >/dev/null || python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$work/all/$file" || fail "$file is no JSON"
done

# A fault is told, and the next step runs.
export OPENCL_LAYERS="$CLMAML_FAULT_ICDS/fake_layer.so" CLMAML_TEST_FAULT=skip=conv2d
report 1 fault --only doctor,verify
expect_in "$summary" "^\| doctor \| failed \| [0-9]+ \| [0-9]+ checks OK, [1-9][0-9]* FAIL" "a fault"
expect_in "$summary" "^\| verify \| ok \|" "a fault"
expect_in "$summary" "^ +conv2d +relative error .*FAIL$" "a fault: what is wrong"
grep -q "^| bench" "$summary" && fail "a fault: --only did more"
CLMAML_TEST_FAULT=hang=conv2d
report 1 hang --only doctor,verify --minutes 0.25
expect_in "$summary" "^\| doctor \| timed out \|" "a hang"
expect_in "$summary" "^\| verify \| not run \| 0 \| no time left" "a hang"
unset OPENCL_LAYERS CLMAML_TEST_FAULT

# So it does where a step ends without a word.
printf '#!/bin/sh\ncase $1 in bench) kill -9 $$ ;; esac\nexec "%s" "$@"\n' "$CLMAML_PROGRAM" >"$work/killed"
chmod +x "$work/killed"
"$CLMAML_SOURCE_DIR/scripts/gpu-report.sh" --program "$work/killed" --out "$work/silent" --quick --only profile,devices >"$work/out" 2>"$work/err" </dev/null ||
    fail "a step that is killed: exit status $?"
expect_in "$work/silent/summary.md" "^\| devices \| ok \|" "a step that is killed"
expect_in "$work/silent/summary.md" "^\| profile \| failed \| [0-9]+ \| it has written nothing" "a step that is killed"

# A driver that no file names, as in a container, beside those at hand.
mkdir "$work/none" "$work/good" "$work/hidden"
if [ -f "${OCL_ICD_VENDORS-}" ]; then
    cp "$OCL_ICD_VENDORS" "$work/good"
else
    cp "${OCL_ICD_VENDORS:-/etc/OpenCL/vendors}"/*.icd "$work/good"
fi
ln -s "$(head -n 1 "$CLMAML_FAULT_ICDS/no-device.icd")" "$work/hidden/libnvidia-opencl.so.1"
(
    unset OCL_ICD_VENDORS
    export OPENCL_VENDOR_PATH="$work/good" LD_LIBRARY_PATH="$work/hidden${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    report 0 hidden-driver --only devices
    expect_in "$summary" "drivers without an entry for the loader \| $work/hidden/libnvidia-opencl.so.1" "a hidden driver"
    expect_in "$work/hidden-driver/devices.txt" "vendors/libnvidia-opencl.icd .*: 0 devices" "a hidden driver"
    [ $failures -eq 0 ]
) || failures=$((failures + 1))
(
    export OCL_ICD_VENDORS="$work/none"
    report 1 no-device
    expect_in "$summary" "^\| devices \| failed \| [0-9]+ \| there is no OpenCL device" "no device"
    [ $failures -eq 0 ]
) || failures=$((failures + 1))

# The bundle, and what it asks of the machine.
"$CLMAML_SOURCE_DIR/scripts/gpu-report.sh" --program "$CLMAML_PROGRAM" --pack "$work/bundle.tar.gz" >"$work/out" 2>&1 || fail "pack: $(cat "$work/out")"
expect_in "$work/out" "needs glibc [0-9]+\.[0-9]+ on " "pack"
tar -C "$work" -xzf "$work/bundle.tar.gz" || fail "pack: no archive"
bundle=$work/clmaml-gpu-report
(cd "$work" && "$bundle/run.sh" --quick --only devices,verify --out "$work/unpacked") >"$work/out" 2>&1 || fail "bundle: $(cat "$work/out")"
expect_in "$work/unpacked/summary.md" "^\| verify \| ok \|" "bundle"
expect_in "$work/unpacked/summary.md" "^\| the bundle needs \| glibc [0-9.]+ \|" "bundle"
echo 99.1 >"$bundle/glibc"
"$bundle/run.sh" --quick >"$work/out" 2>&1 && fail "bundle: an old glibc was taken"
expect_in "$work/out" "the bundle needs glibc 99\.1, this machine has " "bundle: an old glibc"

# Mistakes.
for arguments in "--only nothing" "--minutes soon" "--what" "--data $work/nowhere"; do
    # shellcheck disable=SC2086
    "$CLMAML_SOURCE_DIR/scripts/gpu-report.sh" --out "$work/mistake" $arguments >"$work/out" 2>"$work/err"
    status=$?
    [ $status -eq 2 ] || fail "'$arguments': exit status $status"
    expect_in "$work/err" "^gpu-report: " "'$arguments'"
done

finish
