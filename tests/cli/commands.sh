# The subcommands do what they say: help, devices, a run on the chosen device, its evaluation, presets, models from files.
. "$(dirname "$0")/../support/cli.sh"

for command in train eval model devices doctor verify; do
    expect_success "$command --help" $command --help
    expect_in "$work/out" "^usage: clmaml $command" "$command --help"
    expect_in "$work/out" "^  --help" "$command --help"
done
expect_success "overview" --help
expect_success "version" --version
expect_in "$work/out" '^clmaml [0-9]+\.[0-9]+\.[0-9]+$' "version"

expect_success "devices" devices --verbose
expect_in "$work/out" '^\* ' "devices: one is chosen"
expect_in "$work/out" "CLMAML_DEVICE" "devices --verbose"
expect_success "devices --json" devices --json
expect_in "$work/out" '"chosen": true' "devices --json"
expect_in "$work/out" '"name": "CLBlast"' "devices --json"
CLMAML_NO_CLBLAST=1 expect_success "devices without CLBlast" devices
expect_in "$work/out" '^  CLBlast: not used: switched off by CLMAML_NO_CLBLAST' "devices without CLBlast"
CLMAML_EMULATE=type=gpu expect_success "devices, a GPU" devices
expect_in "$work/out" '^  CLBlast ([0-9.]+, for large matrix products .* by a model of its cost|.*left out when this was built)' "devices, a GPU"
CLMAML_EMULATE=type=cpu expect_success "devices, a CPU" devices
expect_in "$work/out" '^  CLBlast ([0-9.]+, for .* which tuning finds it right and faster|.*left out when this was built)' "devices, a CPU"
usual=${CLMAML_DEVICE-}
export CLMAML_DEVICE=nonesuch
expect_success "devices, none of them wanted" devices
expect_in "$work/err" 'CLMAML_DEVICE is "nonesuch"' "devices, none of them wanted"
if [ -n "$usual" ]; then CLMAML_DEVICE=$usual; else unset CLMAML_DEVICE; fi

# On whatever device is chosen by default, kernels and all.
expect_success "glyphs" train glyphs --filters 4 --meta-batch 4 --iterations 4 --val-tasks 4 --eval-tasks 6 --size 16 --log-every 2 \
    --checkpointing recompute --memory-limit 64M --run "$work/glyphs"
expect_in "$work/out" "predicted peak device memory" "glyphs"
expect_in "$work/out" "second-order share of the meta-gradient [0-9.e+]+ %" "glyphs"
expect_in "$work/out" "checkpointing recompute" "glyphs"
expect_in "$work/out" "accuracy on held-out classes [0-9.]+ \+- [0-9.]+ %" "glyphs"
expect_in "$work/glyphs/curve.svg" "</svg>" "glyphs"
expect_in "$work/glyphs/result.json" '"batch_norm": "transductive"' "glyphs"
predicted=$(sed -n 's/.*predicted peak device memory \([0-9.]* [A-Za-z]*\):.*/\1/p' "$work/out")
allocated=$(sed -n 's/.*built from source, \([0-9.]* [A-Za-z]*\) of device memory allocated.*/\1/p' "$work/out")
[ -n "$predicted" ] && [ "$predicted" = "$allocated" ] || fail "predicted '$predicted' and allocated '$allocated' memory"

# What is free on the device is the limit where none is set, and the plan's lines say so.
CLMAML_EMULATE=memory_free=8M expect_success "little is free" train glyphs --filters 4 --meta-batch 4 --iterations 0 --val-tasks 2 --eval-tasks 2 \
    --size 16 --run "$work/little"
expect_in "$work/out" "limit for the meta-gradient [1-7]\.[0-9] MiB, of nine tenths of the memory that is free" "little is free"

expect_success "eval of a run" eval "$work/glyphs" --tasks 6 --steps 2
expect_in "$work/out" "query 15 per class" "eval of a run"
expect_in "$work/out" "^batch-norm +transductive +support-stats" "eval of a run"
expect_success "eval of a checkpoint" eval "$work/glyphs/checkpoints/last.safetensors" --tasks 6 --steps 1 --query 2 --bn support-stats --json
expect_in "$work/out" '"batch_norm": "support-stats"' "eval of a checkpoint"
expect_in "$work/out" '"query": 2' "eval of a checkpoint"

# Presets: the published rate is converted for the mean over the examples, and explicit options win.
expect_success "sine preset" train --preset sine --device host --iterations 2 --val-tasks 2 --eval-tasks 2 --run "$work/sine"
expect_in "$work/out" "^protocol sine" "sine preset"
expect_in "$work/out" "2 iterations of 25 tasks" "sine preset"
for pair in "omniglot-5w1s 2" "omniglot-5w5s 2" "omniglot-20w1s 2" "omniglot-20w5s 2" "omniglot-5w1s-fo 2" "omniglot-20w5s-fo 2"; do
    set -- $pair
    expect_success "$1" train glyphs --preset "$1" --device host --filters 1 --meta-batch 1 --steps 1 --test-steps 1 --iterations 0 --size 14 \
        --val-tasks 1 --eval-tasks 0 --run "$work/$1"
    expect_in "$work/out" "at rate $2 under the mean of the cross-entropy" "$1"
    expect_in "$work/out" "published rate 0.[14]: there the loss is summed over" "$1"
    expect_in "$work/out" "transductive" "$1"
    case $1 in
    *-fo) expect_in "$work/out" "adapted: all parameters, but not 1.,4.,7.,10.: .*; not learned: 1.weight,4.weight,7.weight,10.weight" "$1" ;;
    esac
done

# A folder of pictures.
make_pictures "$work/pictures"
expect_success "folder" train "$work/pictures" --shots 2 --device host --filters 1 --meta-batch 1 --iterations 1 --size 16 --val-tasks 1 \
    --eval-tasks 2 --run "$work/folder"
expect_success "eval of a folder" eval "$work/folder" --device host --tasks 2 --steps 1
expect_in "$work/err" "15 query examples per class are left out" "eval of a folder"

# A model file names its data; every algorithm runs.
printf '{"data": "sine", "layers": [{"op": "linear", "out": 8}, {"op": "tanh"}, {"op": "linear", "out": 1}]}' >"$work/model.json"
for options in "--first-order" "--anil" "--rates per-step" "--rates per-element" "--steps 2 --multi-step even" "--reduction sum" \
    "--optimizer adamw --weight-decay 0.01" "--optimizer momentum --clip-value 1" "--optimizer sgd --adapt 2." "--optimizer lion --cosine" \
    "--optimizer nesterov" "--optimizer rmsprop" "--task-chunk 1"; do
    # shellcheck disable=SC2086
    expect_success "$options" train "$work/model.json" --device host --meta-batch 3 --iterations 3 --val-tasks 2 --eval-tasks 2 $options \
        --run "$work/model $options"
    expect_success "eval after $options" eval "$work/model $options" --device host --tasks 3 --steps 3
done

finish
