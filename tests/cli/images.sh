# Images kept on the host or on the device: the same run either way, also when it changes on resuming; what does not fit or cannot be says so.
. "$(dirname "$0")/../support/cli.sh"

"${CLMAML_TEST_PICTURES:?the program that writes a small Omniglot}" "$work" >"$work/out" 2>&1 || fail "no pictures: $(cat "$work/out")"
omniglot="train omniglot --data $work --size 16 --filters 2 --ways 3 --shots 2 --query 1 --meta-batch 4 --val-tasks 3 --eval-tasks 3 --val-every 3
    --checkpoint-every 3 --log-every 2"

# rows RUN: what came of it, without times
rows() {
    sed 's/, "seconds": [^,}]*//; s/, "tasks_per_second": [^,}]*//; s/, "data_wait": [^,}]*//' "$1/metrics.jsonl"
    cat "$1/result.json"
}

# same NAME RUN RUN
same() {
    rows "$2" >"$work/rows"
    rows "$3" | cmp - "$work/rows" || fail "$1: $2 and $3 are not the same run"
}

# on WHERE RUN ARGUMENT..
on() {
    where=$1 run=$2
    shift 2
    # shellcheck disable=SC2086
    expect_success "images on $where" $omniglot --run "$run" --data-on $where "$@"
}

held='images on the device: 276 in'
for device in host ""; do
    kind=${device:-default}
    # shellcheck disable=SC2086
    set -- --iterations 6 ${device:+--device $device}
    for where in host device auto; do
        on $where "$work/$kind-$where" "$@"
        if [ $where = host ] || [ $kind-$where = host-auto ]; then
            grep -q "$held" "$work/out" && fail "$kind: images on the device with --data-on $where"
        else
            expect_in "$work/out" "$held" "$kind, --data-on $where"
        fi
        if [ $where != host ]; then
            same "$kind, $where" "$work/$kind-host" "$work/$kind-$where"
        fi
        # shellcheck disable=SC2086
        expect_success "$kind: eval" eval "$work/$kind-host" --tasks 20 --steps 2 --query 1,4 --json --data-on $where ${device:+--device $device}
        mv "$work/out" "$work/eval-$where"
    done
    cmp "$work/eval-host" "$work/eval-device" || fail "$kind: eval differs with --data-on device"
    cmp "$work/eval-host" "$work/eval-auto" || fail "$kind: eval differs with --data-on auto"
done

# Test tasks within an alphabet: of a run, and of its evaluation either way.
expect_success "within an alphabet" eval "$work/host-host" --within-alphabet yes --tasks 20 --steps 1 --query 1 --device host
expect_in "$work/out" "test tasks within an alphabet, support and query by different people" "within an alphabet"
expect_success "by numbers" eval "$work/host-host" --within-alphabet yes --tasks 20 --steps 1 --query 1 --device host --data-on host --json
cp "$work/out" "$work/within"
expect_success "by numbers" eval "$work/host-host" --within-alphabet yes --tasks 20 --steps 1 --query 1 --device host --data-on device --json
cmp "$work/out" "$work/within" || fail "within an alphabet: other tasks with the images on the device"
# shellcheck disable=SC2086
expect_success "trained to be tested so" $omniglot --within-alphabet yes --iterations 1 --device host --run "$work/alphabet"
expect_in "$work/out" "within an alphabet" "trained to be tested so"
expect_success "of the run" eval "$work/alphabet" --tasks 4 --steps 1 --query 1 --device host
expect_in "$work/out" "within an alphabet" "of the run"
expect_success "not of the run" eval "$work/alphabet" --within-alphabet no --tasks 4 --steps 1 --query 1 --device host
! grep -q "within an alphabet" "$work/out" || fail "not of the run: $(cat "$work/out")"
expect_error "rotated alphabets" 2 "exclude each other: an alphabet has no rotated" eval "$work/alphabet" --test-rotations yes --device host
expect_error "alphabets of validation" 2 "is for test tasks" eval "$work/alphabet" --within-alphabet yes --split validation --device host
# shellcheck disable=SC2086
expect_error "larger than an alphabet" 1 "9 ways within an alphabet, but the largest of the test split has 8" $omniglot --ways 9 --within-alphabet yes --device host \
    --run "$work/none"

# Two devices; and from one place to the other on resuming.
on device "$work/two" --iterations 6 --device host,0:0 --split 3,1
on host "$work/two-host" --iterations 6 --device host,0:0 --split 3,1
same "two devices" "$work/two" "$work/two-host"
on host "$work/moved" --iterations 3 --device host
expect_success "resumed with images on the device" train --resume --run "$work/moved" --iterations 6 --data-on device
expect_in "$work/out" "$held" "resumed with images on the device"
same "resumed with images on the device" "$work/host-host" "$work/moved"

# shellcheck disable=SC2086
{
    expect_error "no room for images" 1 'data-on host' $omniglot --run "$work/none" --device host --memory-limit 70K --data-on device
    expect_error "numbers of sines" 2 'data-on device: sine makes its examples' train sine --run "$work/none" --data-on device
    expect_error "numbers of glyphs" 2 'data-on device: glyphs makes its examples' train glyphs --run "$work/none" --data-on device
}

# Folders; images that are larger than an allocation stay on the host.
make_pictures "$work/folder"
for i in $(seq 2000); do ln "$work/folder/train/a/1.png" "$work/folder/train/a/more$i.png"; done
folder="train $work/folder --size 16 --filters 2 --shots 1 --query 1 --meta-batch 2 --iterations 2 --val-tasks 2 --eval-tasks 2"
# shellcheck disable=SC2086
{
    expect_success "a folder's images on the device" $folder --device host --data-on device --run "$work/pictures"
    expect_in "$work/out" "images on the device: 2045 in 5" "a folder's images on the device"
    CLMAML_EMULATE=max_allocation=500K expect_success "images larger than an allocation" $folder --run "$work/large"
    grep -q "images on the device" "$work/out" && fail "images on a device that cannot hold them"
    CLMAML_EMULATE=max_allocation=500K expect_error "such images on the device" 1 'data-on device.*2045 images.*keep them on the host' \
        $folder --data-on device --run "$work/none"
}
[ ! -e "$work/none/checkpoints/last.safetensors" ] || fail "a run without its images has begun"

finish
