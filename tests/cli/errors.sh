# Every mistake and mishap gives one clear line on stderr, an exit status that is not 0, and loses nothing.
. "$(dirname "$0")/../support/cli.sh"

# expect_no_run NAME STATUS PATTERN ARGUMENT..: an error before the run began, which leaves no run directory behind.
expect_no_run() {
    rm -rf "$work/new"
    expect_error "$@" --run "$work/new"
    [ ! -e "$work/new" ] || fail "$1: a run directory was left behind"
}

# ---- the command line ----
expect_error "unknown command" 2 "unknown command 'trian'; did you mean 'train'" trian
expect_error "command like none" 2 "unknown command 'predict-all'; the commands are train, eval, .*, tune$" predict-all
expect_error "unknown option" 2 "unknown option --inner-rl; did you mean --inner-lr" train sine --inner-rl 1
expect_error "missing value" 2 "--ways needs a value" train glyphs --ways
expect_error "not a number" 2 "--ways: 'five'" train glyphs --ways five
expect_error "out of range" 2 "--shots: '0' is neither a whole number from 1" train glyphs --shots 0
for option in "train sine --test-steps many" "eval RUN --steps many" "adapt RUN --steps many" "predict RUN --steps many PICTURE"; do
    # shellcheck disable=SC2086
    expect_error "no number of steps" 2 "steps: 'many' is not a whole number from 0 to 100, or auto$" $option
done
expect_error "no seconds" 2 "--tune-budget: 'soon' is not a number from 0 to 1e\+09, or auto$" train sine --tune-budget soon
expect_error "no seed" 2 "--seed: 'any' is not a whole number from 0 to 9007199254740991, or auto$" tasks sine --seed any
expect_error "no word" 2 "--shots: 'auto' is neither a whole number from 1" train glyphs --shots auto
expect_error "not a choice" 2 "--reduction: 'max' is not one of mean\|sum" train glyphs --reduction max
expect_error "memory amount" 2 "--memory-limit: 'much'" train glyphs --memory-limit much
expect_error "unknown preset" 2 "--preset: 'omniglot-5w1' is none of those that .clmaml help presets. lists; did you mean omniglot-5w1s" train --preset omniglot-5w1
expect_error "unknown preset of tune" 2 "--preset: 'everything' is none of those that .clmaml help presets. lists$" tune --preset everything
expect_error "a preset for pictures without any" 2 "--preset cifarfs-5w1s learns from pictures of yours: name their FOLDER, or say --data FOLDER" train --preset cifarfs-5w1s
expect_error "no source" 2 "say what to train on" train
expect_error "unknown source" 2 "did you mean glyphs" train glyph
expect_error "one argument too many" 2 "one argument too many" train sine glyphs
expect_error "both clips" 2 "exclude each other" train sine --clip-norm 1 --clip-value 1
expect_error "loss weights" 2 "2 weights for --steps 3" train sine --steps 3 --multi-step 0.5,0.5
expect_error "loss weights of 0" 2 "weights that are all 0 leave nothing to learn" train sine --steps 2 --multi-step 0,0 --run "$work/new"
expect_error "no parameter of that name" 2 "no parameter's name begins with 'head\.'" train sine --adapt head. --run "$work/new"
expect_error "what is not adapted, frozen" 2 "--freeze: nothing that begins with \"0\.\" is adapted" train sine --anil --freeze 0. --device host --run "$work/new"
expect_error "norms with rows, frozen" 2 "--freeze: nothing that begins with \"1\.\" is adapted, as batch-norm has a row for each step" train glyphs \
    --algorithm maml++ --filters 4 --freeze 1. --device host --run "$work/new"
expect_error "everything frozen" 2 "no parameter is adapted" train sine --algorithm cavia --freeze 0. --device host --run "$work/new"
printf '{"layers": [{"op": "linear", "out": 1}]}' >"$work/plain.json"
expect_error "no context" 2 "the model has no layer \"context\" or \"film\"" train sine --algorithm cavia --model "$work/plain.json" --device host --run "$work/new"
expect_error "no batch-norm" 2 "--batch-norm-per-step says nothing to the model .*plain.json" train sine --batch-norm-per-step --model "$work/plain.json" \
    --device host --run "$work/new"
expect_error "nothing proximal" 2 "--proximal 0: it must be more than 0 for --algorithm imaml" train sine --algorithm imaml --proximal 0 --run "$work/new"
expect_error "chunks of other tasks" 2 "--task-chunk 5 does not divide the 2 tasks of --meta-batch" train sine --meta-batch 2 --task-chunk 5 --run "$work/new"
expect_error "weights of one step" 2 "--multi-step even says nothing to a single inner step" train sine --steps 1 --multi-step even --run "$work/new"
expect_error "sets of one step" 2 "--support-per-step says nothing to a single inner step" train sine --steps 1 --support-per-step --run "$work/new"
expect_error "tuning of the host" 2 "--tune-budget says nothing to the host device" train sine --tune-budget 5 --device host --run "$work/new"
expect_error "omniglot without data" 2 "needs --data" train omniglot
expect_error "pixels of a sinusoid" 2 "--size is for glyphs, omniglot, FOLDER; it says nothing to sine" train sine --size 28 --run "$work/new"
expect_error "data of a sinusoid" 2 "--data is for omniglot, table, FOLDER, FILE.npz; it says nothing to sine" train --preset sine --data "$work" --run "$work/new"
expect_error "the split of glyphs" 2 "--omniglot-split is for omniglot; it says nothing to glyphs" train glyphs --omniglot-split 1200 --run "$work/new"
expect_error "the split of tuned glyphs" 2 "--data is for omniglot, table, FOLDER, FILE.npz; it says nothing to glyphs" tune --data "$work"
expect_error "eval without argument" 2 "say what to evaluate" eval
expect_error "verify without argument" 2 "say what to verify" verify
expect_error "verify a directory" 2 "$work is a directory; name the files in it: clmaml verify $work/[*].safetensors" verify "$work"

# ---- devices ----
expect_no_run "unknown device" 1 "no-such-device" train sine --device no-such-device
expect_error "unknown device in doctor" 1 "no-such-device" doctor --device no-such-device
mkdir "$work/empty"
(
    failures=0
    OCL_ICD_VENDORS="$work/empty" OPENCL_VENDOR_PATH="$work/empty" CLMAML_DEVICE=
    export OCL_ICD_VENDORS OPENCL_VENDOR_PATH CLMAML_DEVICE
    expect_no_run "no platform" 1 "OpenCL" train sine
    expect_success "devices without a platform" devices
    expect_in "$work/out" "host" "devices without a platform"
    exit $failures
) || fail "without an OpenCL platform"

# ---- data ----
expect_no_run "no zips" 1 "$work/empty" train omniglot --data "$work/empty" --device host
mkdir "$work/broken"
printf 'PK\003\004 and then nothing' >"$work/broken/images_background.zip"
cp "$work/broken/images_background.zip" "$work/broken/images_evaluation.zip"
expect_no_run "truncated zip" 1 "images_(background|evaluation).zip" train omniglot --data "$work/broken" --device host

make_pictures "$work/pictures"
expect_no_run "more ways than classes" 1 "6" train "$work/pictures" --ways 6 --device host
expect_no_run "more shots than images" 1 "(train|val|test)/[a-e]|class" train "$work/pictures" --shots 3 --device host
rm "$work/pictures/train/b/2.png" "$work/pictures/train/b/3.png"
expect_no_run "a class with too few images" 1 "b" train "$work/pictures" --device host
echo "no picture" >"$work/pictures/train/b/2.png"
expect_no_run "PNG that is none" 1 "strict refuses .*train/b: 1 of 2 pictures is left out: 2.png" train "$work/pictures" --device host --strict
expect_no_run "a class that lacks a PNG that is none" 1 "class b has 1" train "$work/pictures" --device host

# ---- models ----
printf '{"data": "sine", "layers": [{"op": "linear", ' >"$work/cut.json"
expect_no_run "malformed model" 1 "cut.json" train sine --model "$work/cut.json" --device host
expect_no_run "malformed model as argument" 1 "cut.json" train "$work/cut.json" --device host
printf '{"data": "sine", "layers": [{"op": "convoluted"}]}' >"$work/unknown.json"
expect_no_run "unknown layer" 1 "convoluted" train "$work/unknown.json" --device host
printf '{"data": "sine", "layers": [{"op": "linear", "out": 3}]}' >"$work/wide.json"
expect_no_run "wrong output" 1 "wide.json" train "$work/wide.json" --device host
expect_no_run "absent model" 1 "absent.json" train sine --model "$work/absent.json" --device host

# ---- memory ----
expect_no_run "memory limit too small" 1 "memory-limit of 1.0 KiB .* raise" train sine --memory-limit 1K --device host
CLMAML_MEMORY_LIMIT=1K
export CLMAML_MEMORY_LIMIT
expect_no_run "memory limit of the environment too small" 1 "CLMAML_MEMORY_LIMIT of 1.0 KiB .* raise" train sine --device host
expect_error "bench under a memory limit" 1 "limit of 1.0 KiB .* raise .*CLMAML_MEMORY_LIMIT" bench sine --device host --no-peaks --no-peers
unset CLMAML_MEMORY_LIMIT

# ---- the run directory ----
if [ "$(id -u)" -eq 0 ]; then
    readonly_directory=/proc/clmaml-run # not even root makes directories there
else
    mkdir "$work/readonly"
    chmod 555 "$work/readonly"
    readonly_directory=$work/readonly/run
fi
tiny_run "$readonly_directory" --iterations 2
[ $status -eq 1 ] || fail "read-only run directory: exit status $status"
[ "$(grep -c '' "$work/err")" -eq 1 ] || fail "read-only run directory: $(cat "$work/err")"
expect_in "$work/err" "^clmaml: .*$readonly_directory" "read-only run directory"

tiny_run "$work/run" --iterations 4 --checkpoint-every 2 --val-every 2
[ $status -eq 0 ] || fail "a tiny run: $(cat "$work/err")"
before=$(fingerprint "$work/run")
# shellcheck disable=SC2086
{
    expect_error "run directory in use" 1 "holds a run already" $tiny --run "$work/run"
    expect_error "not a run directory" 1 "not empty" $tiny --run "$work/pictures"
    expect_error "contradiction" 2 "--inner-lr 0.5 contradicts .* 0.01" $tiny --run "$work/run" --resume --inner-lr 0.5
    expect_error "a word for a number" 2 "--test-steps auto contradicts .*, which was started with 2; leave" $tiny --run "$work/run" --resume --test-steps auto
    expect_error "a flag" 2 "--first-order contradicts .*, which was started without; leave" $tiny --run "$work/run" --resume --first-order
    expect_error "a number that says something" 2 "--clip-norm 3 contradicts .*, which was started with 0 \(never\); leave" $tiny --run "$work/run" --resume --clip-norm 3
    expect_error "another source" 2 "'glyphs' contradicts" train glyphs --run "$work/run" --resume
    expect_error "fewer iterations" 2 "4 iterations already" train --run "$work/run" --resume --iterations 3
    expect_error "resume without a run" 1 "holds no run" train --run "$work/empty" --resume
}
[ "$(fingerprint "$work/run")" = "$before" ] || fail "a refused command changed the run directory"

# A full disk, as a limit on the size of files: the last checkpoint stays as it was.
(
    failures=0
    trap '' XFSZ
    ulimit -f 8
    clmaml train --run "$work/run" --resume --iterations 8
    [ $status -eq 1 ] || fail "full run directory: exit status $status"
    [ "$(grep -c '' "$work/err")" -eq 1 ] || fail "full run directory: $(cat "$work/err")"
    expect_in "$work/err" "^clmaml: .*$work/run" "full run directory"
    exit $failures
) || fail "full run directory"
for name in last best; do
    [ "$(cksum <"$work/run/checkpoints/$name.safetensors")" = "$(echo "$before" | grep "/$name.safetensors" | cut -d ' ' -f 1,2)" ] ||
        fail "full run directory: $name.safetensors changed"
done
[ -z "$(find "$work/run" -name '*.tmp*')" ] || fail "full run directory: temporary files were left: $(find "$work/run" -name '*.tmp*')"

# ---- checkpoints ----
last=$work/run/checkpoints/last.safetensors
cp "$last" "$work/good"
size=$(wc -c <"$work/good")
rm "$work/run"/checkpoints/0*.safetensors # one of these would take its place
for length in 0 5 100 $((size / 2)) $((size - 1)); do
    head -c "$length" "$work/good" >"$last"
    expect_error "checkpoint cut to $length bytes" 1 "last.safetensors" train --run "$work/run" --resume --iterations 6
    expect_error "eval of a checkpoint cut to $length bytes" 1 "last.safetensors" eval "$last" --device host --tasks 4
done
LC_ALL=C sed 's/\\"out\\": 40/\\"out\\": 41/; s/\\"out\\":40/\\"out\\":41/' "$work/good" >"$last"
cmp -s "$work/good" "$last" && fail "wrong-shaped checkpoint: the test found nothing to change"
expect_error "wrong-shaped checkpoint" 1 "last.safetensors" train --run "$work/run" --resume --iterations 6
expect_error "eval of a wrong-shaped checkpoint" 1 "last.safetensors" eval "$last" --device host --tasks 4
tiny_run "$work/other" --iterations 1 --seed 2
cp "$work/other/checkpoints/last.safetensors" "$last"
expect_error "another run's checkpoint" 1 "belongs to another run" train --run "$work/run" --resume --iterations 6
cp "$work/good" "$last"
expect_success "the checkpoint put back" train --run "$work/run" --resume --iterations 6
expect_error "absent checkpoint" 1 "does not exist" eval "$work/nowhere"
expect_error "run without checkpoint" 1 "holds no checkpoint" eval "$work/empty"

# ---- numbers ----
tiny_run "$work/nan" --iterations 60 --checkpoint-every 1 --val-every 1000 --optimizer sgd --outer-lr 1e6 --inner-lr 10
[ $status -eq 1 ] || fail "loss that is not a number: exit status $status"
[ "$(grep -c '' "$work/err")" -eq 1 ] || fail "loss that is not a number: $(cat "$work/err")"
expect_in "$work/err" "^clmaml: iteration [0-9]+: .*checkpoint of iteration [0-9]+ is kept" "loss that is not a number"
[ -s "$work/nan/checkpoints/last.safetensors" ] || fail "loss that is not a number: no checkpoint is left"

# ---- reference files ----
golden=$(dirname "$0")/../golden/mlp_sine_1step.safetensors
head -c 4000 "$golden" >"$work/short.safetensors"
expect_error "truncated reference" 1 "short.safetensors" verify --device host "$work/short.safetensors"
expect_error "checkpoint as a reference" 1 "no reference file" verify --device host "$work/good"
LC_ALL=C sed 's/out.meta_grad.0.weight/out.meta_grad.9.weight/' "$golden" >"$work/renamed.safetensors"
expect_error "reference that lacks an array" 1 "out.meta_grad.0.weight" verify --device host "$work/renamed.safetensors"
LC_ALL=C sed 's/seed\\": /sead\\": /' "$golden" >"$work/unknown.safetensors"
expect_error "reference with an unknown key" 1 "sead" verify --device host "$work/unknown.safetensors"
# A key that is known and says nothing to the case is refused too.
without_effect() { # FILE OLD NEW PATTERN
    LC_ALL=C sed "s/$2/$3/" "$(dirname "$0")/../golden/$1.safetensors" >"$work/changed.safetensors"
    cmp -s "$work/changed.safetensors" "$(dirname "$0")/../golden/$1.safetensors" && fail "$1 does not say $2"
    expect_error "$1 with $3" 1 "$4" verify --device host "$work/changed.safetensors"
}
without_effect imaml_mlp 'algorithm\\": \\"imaml\\"' 'algorithm\\": \\"maml\\" ' 'key "cg" is without effect for the algorithm maml'
without_effect inner_momentum 'momentum\\": 0.9' 'decay\\":    0.9' 'key "decay" is without effect for the inner rule momentum'
without_effect mlp_sine_1step 'name\\": \\"mlp_sine_1step\\"' 'reduction\\": \\"sum\\"      ' 'key "reduction" is without effect for the loss mse'
clmaml verify --device host --tolerance 0 "$golden"
[ $status -eq 1 ] || fail "verify above the tolerance: exit status $status"
expect_in "$work/out" "FAIL" "verify above the tolerance"

# Two gradients that have changed their names are two wrong gradients.
swapped='s/out.meta_grad.0.bias/out.meta_grad.#.bias/; s/out.meta_grad.2.bias/out.meta_grad.0.bias/; s/out.meta_grad.#.bias/out.meta_grad.2.bias/'
for name in mlp_sine_1step inner_adam inner_clip_norm imaml_mlp reptile_adam huber_sine; do
    LC_ALL=C sed "$swapped" "$(dirname "$0")/../golden/$name.safetensors" >"$work/swapped.safetensors"
    clmaml verify --device host "$work/swapped.safetensors"
    [ $status -eq 1 ] || fail "$name with a wrong gradient: exit status $status"
    expect_in "$work/out" "FAIL" "$name with a wrong gradient"
done

# Every number that a reference file says about its algorithm, rule and loss is read: another one must fail.
changed_reference() { # FILE OLD NEW, of the same length
    LC_ALL=C sed "s/$2/$3/" "$(dirname "$0")/../golden/$1.safetensors" >"$work/changed.safetensors"
    cmp -s "$work/changed.safetensors" "$(dirname "$0")/../golden/$1.safetensors" && fail "$1 does not say $2"
    clmaml verify --device host "$work/changed.safetensors"
    [ $status -eq 1 ] || fail "$1 with $3 for $2: exit status $status"
    expect_in "$work/out" "FAIL" "$1 with $3 for $2"
}
changed_reference inner_momentum 'momentum\\": 0.9' 'momentum\\": 0.8'
changed_reference inner_momentum 'rule\\": \\"momentum' 'rule\\": \\"nesterov'
changed_reference inner_nesterov_decay 'weight_decay\\": 0.01' 'weight_decay\\": 0.02'
changed_reference inner_adam '\[0.9, 0.999\]' '[0.8, 0.999]'
changed_reference inner_adam '\[0.9, 0.999\]' '[0.9, 0.995]'
changed_reference inner_adam 'eps\\": 0.001' 'eps\\": 0.002'
changed_reference inner_adam 'eps_root\\": 1e-06' 'eps_root\\": 1e-04'
changed_reference inner_rmsprop 'decay\\": 0.9' 'decay\\": 0.8'
changed_reference inner_clip_norm 'clip_norm\\": 3.0' 'clip_norm\\": 2.0'
changed_reference inner_clip_value_momentum_lslr 'clip_value\\": 0.7' 'clip_value\\": 0.5'
changed_reference imaml_mlp 'lam\\": 2.0' 'lam\\": 3.0'
changed_reference imaml_mlp 'cg\\": 5' 'cg\\": 4'
changed_reference reptile_adam 'alpha\\": 0.02' 'alpha\\": 0.03'

finish
