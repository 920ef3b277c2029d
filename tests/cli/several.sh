# Several devices at once: shares by hand and by measurement, resuming, mistakes, parts of a device, two OpenCL implementations.
. "$(dirname "$0")/../support/cli.sh"

# The default device as P:D.
expect_success "devices" devices
pd=$(sed -n 's/^\* \([0-9]*:[0-9]*\) .*/\1/p' "$work/out")
[ -n "$pd" ] || { echo "FAIL: no OpenCL device"; exit 1; }

# several_run DIR ARGUMENT..
run="train sine --shots 4 --query 4 --meta-batch 4 --test-steps 2 --val-tasks 3 --eval-tasks 4 --log-every 1 --iterations 6 --checkpoint-every 2
    --val-every 3 --keep 9"
several_run() {
    directory=$1
    shift
    # shellcheck disable=SC2086
    expect_success "run in $(basename "$directory")" $run --run "$directory" "$@"
}

# losses DIR: iteration and loss of the training rows.
losses() { sed -n 's/.*"iteration": *\([0-9]*\), "kind": "train", "loss": *\([-0-9.e+]*\).*/\1 \2/p' "$1/metrics.jsonl"; }

# expect_same_course A B: the same losses but for rounding.
expect_same_course() {
    losses "$1" >"$work/a"
    losses "$2" >"$work/b"
    [ "$(wc -l <"$work/a")" -eq 6 ] || fail "$1: $(wc -l <"$work/a") losses instead of 6"
    paste -d ' ' "$work/a" "$work/b" | awk '{ d = $2 - $4; if ($1 != $3 || d * d > 1e-6 * $2 * $2) exit 1 }' ||
        fail "$(basename "$1") and $(basename "$2") differ: $(paste "$work/a" "$work/b")"
}

# ---- shares by hand ----
several_run "$work/one" --device "$pd"
several_run "$work/by-hand" --device "$pd,host" --split 3,1
expect_in "$work/out" ": 3 of 4 tasks" "shares by hand"
expect_in "$work/out" "host reference.*: 1 of 4 tasks" "shares by hand"
expect_in "$work/out" "^devices in the last iteration: .* tasks/s \(3 tasks in .* tasks/s \(1 tasks in " "speeds"
expect_same_course "$work/one" "$work/by-hand"
several_run "$work/left-out" --device "host,$pd" --split 0,4
expect_in "$work/out" "host reference.*: 0 of 4 tasks: not used" "a device without tasks"
expect_same_course "$work/one" "$work/left-out"

# ---- measured, kept, resumed ----
several_run "$work/measured" --device "host,$pd"
expect_in "$work/out" "tasks/s in the trial" "measured shares"
expect_in "$work/measured/config.json" '"split": "[0-9]+,[0-9]+"' "measured shares"
cp -r "$work/measured" "$work/again"
cp "$work/measured/checkpoints/00000002.safetensors" "$work/again/checkpoints/last.safetensors"
rm "$work/again/checkpoints/00000006.safetensors" "$work/again/result.json"
expect_success "resume on several devices" train --resume --run "$work/again"
for file in checkpoints/last.safetensors checkpoints/00000006.safetensors result.json; do
    cmp "$work/measured/$file" "$work/again/$file" || fail "resume on several devices: $file differs"
done
expect_success "resume on one device" train --resume --run "$work/again" --device host --iterations 7
expect_in "$work/again/config.json" '"split": ""' "resume on one device"
expect_success "resume with other shares" train --resume --run "$work/measured" --split 2,2 --iterations 7
expect_in "$work/measured/config.json" '"split": "2,2"' "resume with other shares"

# ---- one device is meant ----
expect_success "eval" eval "$work/one" --device "host,$pd" --tasks 4 --steps 1
expect_in "$work/err" "note: .*several devices; this command uses the first that matches: host reference" "eval"
expect_success "devices with a list" devices
for command in "train navigation --run $work/new" "eval $work/one" "tasks $work/one" "tune" "doctor" "bench sine" \
    "report $work/one --out $work/page.html"; do
    # shellcheck disable=SC2086
    expect_error "a part: $command" 2 "--device $pd/2 divides a device into parts, and this command uses a whole one: leave out /2" $command --device "$pd/2"
done

# ---- mistakes ----
# shellcheck disable=SC2086
{
    expect_error "shares that are too many" 2 "3,2 makes up 5 tasks, --meta-batch is 4" $run --run "$work/new" --device "$pd,host" --split 3,2
    expect_error "shares that are none" 2 "--split" $run --run "$work/new" --device "$pd,host" --split a,b
    expect_error "half a task" 2 "3.5 is not a number of tasks" $run --run "$work/new" --device "$pd,host" --split 3.5,0.5
    expect_error "one share for two" 2 "--split 4 is for 1 device, --device gives 2" $run --run "$work/new" --device "$pd,host" --split 4
    expect_error "a device twice" 1 "names before" $run --run "$work/new" --device "$pd,host,$pd"
    expect_error "a device that is not there" 1 "no-such-device" $run --run "$work/new" --device "$pd,no-such-device"
    expect_error "too many parts" 1 "1000 parts" $run --run "$work/new" --device "$pd/1000"
    expect_error "limit of one device" 1 "limit|memory" $run --run "$work/new" --device "$pd,host" --memory-limit 1K
}
[ ! -e "$work/new" ] || fail "a run directory was left behind"

# ---- parts of a device, where the driver makes them ----
# shellcheck disable=SC2086
clmaml $run --run "$work/parts" --device "$pd/2" --split 2,2
if [ $status -eq 0 ]; then
    expect_in "$work/out" "part 1 of 2 .*: 2 of 4 tasks" "parts"
    expect_same_course "$work/one" "$work/parts"
else
    expect_in "$work/err" "2 parts" "parts"
fi

# ---- two implementations in one process ----
if [ -e /etc/OpenCL/vendors/rusticl.icd ] && [ -e /etc/OpenCL/vendors/pocl.icd ]; then
    mkdir "$work/vendors"
    cp /etc/OpenCL/vendors/rusticl.icd /etc/OpenCL/vendors/pocl.icd "$work/vendors"
    OCL_ICD_VENDORS=$work/vendors RUSTICL_ENABLE=llvmpipe
    export OCL_ICD_VENDORS RUSTICL_ENABLE
    several_run "$work/both" --device "portable computing,rusticl" --split 3,1
    expect_in "$work/out" "\(rusticl\).*: 1 of 4 tasks" "PoCL beside rusticl"
    expect_same_course "$work/one" "$work/both"
fi

finish
