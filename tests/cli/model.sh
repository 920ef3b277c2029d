# The networks of the zoo: as model files that make the same network again, and trained by name.
. "$(dirname "$0")/../support/cli.sh"

# make_array FILE TYPE SHAPE: a .npy file of the bytes on standard input, as octal escapes.
make_array() {
    head=$(printf "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" "$2" "$3")
    # shellcheck disable=SC2059
    { printf '\223NUMPY\001\000\166\000%-117s\n' "$head"; printf "$(cat)"; } >"$1"
}

# make_sequences DIR: 15 classes of four sequences of 16 places of two numbers, waves of the class's frequency.
make_sequences() {
    mkdir -p "$1"
    awk 'BEGIN { for (e = 0; e < 60; e++) for (t = 0; t < 16; t++) for (k = 0; k < 2; k++) {
        v = int(100 * sin(t * (1 + int(e / 4)) / 5 + e % 4 / 9 + k)); if (v < 0) v += 65536
        printf "\\%03o\\%03o", v % 256, int(v / 256) } }' | make_array "$1/x.npy" '<i2' '(60, 16, 2)'
    awk 'BEGIN { for (e = 0; e < 60; e++) printf "\\%03o", int(e / 4) }' | make_array "$1/y.npy" '|u1' '(60,)'
}

# ---- the list, and files ----
expect_success "model" model
networks=$(sed -n 's/^  \([a-z0-9-]*\)  .*/\1/p' "$work/out")
[ "$(echo "$networks" | wc -w)" -ge 8 ] || fail "model: the networks are $networks"
for net in $networks; do
    expect_success "model $net" model "$net"
    cp "$work/out" "$work/$net.json"
    expect_success "the file of $net" model "$work/$net.json"
    cmp "$work/out" "$work/$net.json" || fail "model $net: its file gives another"
    expect_success "summary of $net" model "$net" --summary
    cp "$work/out" "$work/$net.summary"
    expect_in "$work/out" "^[0-9]+ parameters in [0-9]+ arrays; the last layer's begin with [0-9]+\.weight$" "summary of $net"
    expect_success "summary of the file of $net" model "$work/$net.json" --summary
    cmp "$work/out" "$work/$net.summary" || fail "model $net: the summary of its file is another"
done
expect_in "$work/conv4.json" '^    \{"op": "conv2d", "out": 64, "kernel": 3, "stride": 1, "pad": 1\},$' "model conv4"
expect_in "$work/conv4.summary" "^    0  conv2d         \[64, 28, 28\]            640$" "summary of conv4"
expect_in "$work/conv4.summary" "^112261 parameters in 18 arrays; the last layer's begin with 17.weight$" "summary of conv4"
expect_success "options" model resnet12 --ways 20 --in-shape 3,84,84 --filters 8 --context 3
expect_in "$work/out" '"in_shape": \[3, 84, 84\]' "options"
expect_in "$work/out" '"op": "linear", "out": 20' "options"
expect_in "$work/out" '"op": "film", "size": 3' "options"
expect_success "headless" model mlp --headless --hidden 7 --in-shape 4
grep -q '"out": 5' "$work/out" && fail "headless: it has a last layer"
printf '[{"op": "elu", "alpha": 0.1}, {"op": "linear", "out": 2}]' >"$work/list.json"
expect_success "a list" model "$work/list.json" --in-shape 6
expect_in "$work/out" '"alpha": 0.1}' "a list"

# ---- training, by name and from its file, which is the same network ----
images="train glyphs --device host --size 16 --meta-batch 2 --iterations 2 --val-tasks 2 --eval-tasks 3"
make_sequences "$work/waves"
sequences="train $work/waves --invert no --device host --ways 2 --meta-batch 2 --iterations 2 --val-tasks 2 --eval-tasks 3 --inner-lr 0.01"
numbers="train sine --device host --meta-batch 3 --iterations 2 --val-tasks 2 --eval-tasks 3"
# expect_same NAME SUBJECT OPTION..: SUBJECT is the options of a run, with those of the network as `clmaml model` takes them behind it.
expect_same() {
    network=$1 subject=$2 ways=$3 shape=$4
    shift 4
    # shellcheck disable=SC2086
    {
        expect_success "$network" $subject --network "$network" "$@" --run "$work/run-$network"
        expect_in "$work/out" "  network     $network, " "$network"
        expect_success "file of $network" model "$network" --ways "$ways" --in-shape "$shape" "$@"
        cp "$work/out" "$work/small.json"
        expect_success "$network from its file" $subject --model "$work/small.json" --run "$work/file-$network"
    }
    for run in run file; do
        sed -n 's/^.*"\(mean\|interval\|loss\)": \(.*\)/\1 \2/p' "$work/$run-$network/result.json" >"$work/$run.scores"
        [ -s "$work/$run.scores" ] || fail "$network: the test found no scores"
    done
    cmp "$work/run.scores" "$work/file.scores" || fail "$network: its file learns something else"
}
for net in conv4 conv4-strided resnet12 wrn-16-4; do
    expect_same "$net" "$images" 5 1,16,16 --filters 2
    expect_success "eval of $net" eval "$work/run-$net" --device host --tasks 2 --query 1 --steps 1
done
expect_same vit-tiny "$images" 5 1,16,16 --hidden 4
expect_same mlp "$numbers" 1 1 --hidden 6
# shellcheck disable=SC2086
expect_success "mlp for images" $images --network mlp --run "$work/flat"

expect_same cnn1d "$sequences" 2 16,2 --filters 3
expect_same lstm "$sequences" 2 16,2 --hidden 3

# What suits the data, where nothing is said; it is stored, and goes on.
# shellcheck disable=SC2086
{
    expect_success "images" $images --filters 2 --run "$work/images"
    expect_in "$work/out" "  network     conv4, 2 filters, " "images"
    expect_in "$work/images/config.json" '"network": "conv4"' "images"
    expect_success "sequences" $sequences --filters 2 --run "$work/sequences"
    expect_in "$work/out" "  network     cnn1d, 2 filters, " "sequences"
    expect_success "numbers" $numbers --run "$work/numbers"
    expect_in "$work/out" "  network     mlp, 40 hidden, 1761 parameters" "numbers"
    expect_in "$work/numbers/config.json" '"network": "mlp"' "numbers"
    expect_success "numbers, resumed" train --resume --run "$work/numbers" --iterations 3
    expect_success "fewer hidden units" $numbers --hidden 5 --run "$work/hidden"
    expect_in "$work/out" "  network     mlp, 5 hidden, " "fewer hidden units"
}

# Runs from before have conv4 whatever their network is, and no --hidden.
cp -r "$work/numbers" "$work/old"
rm -r "$work/old/checkpoints" "$work/old/metrics.jsonl" # with updates noted and nothing to go on from, resuming is an error
sed '/^ *"hidden": /d; s/"network": "mlp"/"network": "conv4"/' "$work/numbers/config.json" >"$work/old/config.json"
expect_success "a run from before" train --resume --run "$work/old"
cmp "$work/numbers/checkpoints/last.safetensors" "$work/old/checkpoints/last.safetensors" || fail "a run from before: not the same bits"

# Algorithms that need something of the network.
# shellcheck disable=SC2086
{
    expect_success "vit-tiny without its last layer" $images --network vit-tiny --hidden 4 --algorithm protonet --run "$work/protonet"
    expect_success "a new last layer of wrn-16-4" $images --network wrn-16-4 --filters 2 --algorithm finetune --classes 10 --steps 2 --run "$work/finetune"
    expect_success "context of resnet12" $images --network resnet12 --filters 2 --algorithm cavia --context 3 --run "$work/cavia"
    expect_in "$work/out" "resnet12, 2 filters, 3 numbers of context for a film layer in each block" "context of resnet12"
    expect_error "context of wrn-16-4" 2 "cavia adapts a context, and the network wrn-16-4 has no place for one; conv4, .* have" \
        $images --network wrn-16-4 --algorithm cavia --run "$work/new"
}

# ---- mistakes ----
# shellcheck disable=SC2086
{
    expect_error "a network that is none" 2 "--network: 'resnet' is not one of conv4, .*; did you mean resnet12" $images --network resnet
    expect_error "filters of vit-tiny" 2 "--filters is for the networks conv4, .*cnn1d \(--network\); it says nothing to vit-tiny" $images \
        --network vit-tiny --filters 2 --run "$work/new"
    expect_error "hidden units of conv4" 2 "--hidden is for the networks .*it says nothing to conv4" $images --network conv4 --hidden 2 --run "$work/new"
    expect_error "hidden units of images" 2 "--hidden says nothing to the network of glyphs, conv4; it is for vit-tiny, mlp, lstm" $images \
        --hidden 2 --run "$work/new"
    expect_error "sequences of images" 2 "--network lstm takes sequences \[length, width\]; an example of glyphs is \[1, 16, 16\]: leave it out for conv4" \
        $images --network lstm --run "$work/new"
    expect_error "batch-norm of vit-tiny" 2 "--bn says nothing to the network of glyphs, vit-tiny, which is without batch-norm" $images \
        --network vit-tiny --hidden 4 --bn support-stats --run "$work/new"
    expect_error "hidden units of a file" 2 "--hidden is for the networks of the program; .*mlp.json has its own layers" $images \
        --model "$work/mlp.json" --hidden 3 --run "$work/new"
    expect_error "network of a file" 2 "--network is for the networks of the program" $images --model "$work/mlp.json" --network mlp --run "$work/new"
}
[ ! -e "$work/new" ] || fail "a run directory was left behind"
expect_error "model of what" 2 "'resnet' is neither a network .* nor a model file; did you mean resnet12" model resnet
expect_error "filters of lstm" 2 "--filters says nothing to lstm; it is for conv4, " model lstm --filters 3
expect_error "ways of a file" 2 "--ways is for networks by name" model "$work/conv4.json" --ways 3
expect_error "options of nothing" 2 "say which" model --ways 3
expect_error "a shape that is none" 2 "--in-shape: 0 is not a whole number from 1" model conv4 --in-shape 1,0,28
expect_error "a shape of another kind" 1 "it takes images" model conv4 --in-shape 3
for net in conv4 resnet12; do
    expect_error "an image that is too small for $net" 1 "$net: .*\(maxpool\).*images of 16x16 would do \(--in-shape\)" model $net --in-shape 1,8,8
    expect_success "an image that is large enough for $net" model $net --in-shape 1,16,16
done
expect_error "an image that is too small for conv4" 1 "layer 15 \(maxpool\)" model conv4 --in-shape 1,8,8
expect_error "glyphs that are too small" 1 "images of 16x16 would do \(--size 16" train glyphs --size 12 --device host --run "$work/new"

# ---- arrays of pictures, which have no size to be chosen: alone, and beside others under their own name ----
mkdir "$work/tiny"
awk 'BEGIN { for (i = 0; i < 60 * 64; i++) printf "\\%03o", i * 37 % 256 }' | make_array "$work/tiny/x.npy" '|u1' '(60, 8, 8)'
awk 'BEGIN { for (e = 0; e < 60; e++) printf "\\%03o", int(e / 4) }' | make_array "$work/tiny/y.npy" '|u1' '(60,)'
few="--ways 2 --query 1 --meta-batch 2 --iterations 2 --val-tasks 1 --eval-tasks 2 --device host"
# shellcheck disable=SC2086
{
    expect_error "arrays that are too small" 1 "16x16 would do; those of .*/tiny are taken as they are, so save larger .*\(--network mlp\)" \
        train "$work/tiny" $few --run "$work/new"
    expect_success "what is named" train "$work/tiny" $few --network mlp --run "$work/run-tiny"
    expect_success "beside glyphs" train glyphs --size 16 --filters 2 $few --beside "$work/tiny" --initialisations 2 --run "$work/run-beside"
    expect_in "$work/out" "data +glyphs\+tiny: tasks of each in turn" "beside glyphs"
    expect_in "$work/out" "^  tiny +[0-9]+ +[0-9]+ " "beside glyphs"
    expect_error "a size of arrays" 2 "--beside .*/tiny:20: its pictures are taken as they are; leave out :20" \
        train glyphs --size 16 $few --beside "$work/tiny:20" --run "$work/new"
    expect_error "sequences beside" 2 "--beside: waves has no pictures of classes" train glyphs --size 16 $few --beside "$work/waves" --run "$work/new"
}
printf '[{"op": "flatten"}, {"op": "linear", "out": 2}]' >"$work/two.json"
expect_error "a file of another number of classes" 1 "two.json: the model.s output is \[2\] .*--ways 5 needs \[5\]: give its last layer.*\"out\": 5" \
    train glyphs --device host --model "$work/two.json" --run "$work/new"
printf '[{"op": "conv2d", "out": 2}]' >"$work/image.json"
expect_error "a file that ends in images" 1 "end it with flatten, and linear of \"out\": 5" train glyphs --device host --model "$work/image.json" --run "$work/new"

# Tokens that an embedding has no row for.
printf '[{"op": "flatten"}, {"op": "embedding", "count": 5, "out": 3}, {"op": "meantokens"}, {"op": "linear", "out": 2}]' >"$work/words.json"
words() { # words ODD: 15 classes of four texts of three words 0 .. 4, but for one
    mkdir -p "$work/words"
    awk -v odd="$1" 'BEGIN { for (i = 0; i < 180; i++) { v = i == 100 ? odd : i % 5; printf "\\%03o\\%03o", v % 256, int(v / 256) } }' |
        make_array "$work/words/x.npy" '<i2' '(60, 3)'
    cp "$work/waves/y.npy" "$work/words/y.npy"
}
learn="train $work/words --device host --ways 2 --meta-batch 2 --iterations 2 --val-tasks 2 --eval-tasks 3 --model $work/words.json"
words 4
# shellcheck disable=SC2086
expect_success "tokens" $learn --run "$work/run-words"
words 7
# shellcheck disable=SC2086
expect_error "a token beyond the count" 1 "x: example 33, number 1 is 7: layer 1 \(embedding\) of .count. 5 reads whole .* from 0 to 4; 1 example .*give the layer .count.: 8" \
    $learn --run "$work/new"
expect_error "a token beyond the count, in eval" 1 "example 33, number 1 is 7" eval "$work/run-words" --device host --tasks 2
words 65535
# shellcheck disable=SC2086
expect_error "a token below 0" 1 "example 33, number 1 is -1: layer 1" $learn --run "$work/new"
# shellcheck disable=SC2086
expect_error "pictures for an embedding" 1 "layer 1 \(embedding\)" $images --ways 2 --model "$work/words.json" --run "$work/new"
[ ! -e "$work/new" ] || fail "a run directory was left behind by bad tokens"
printf '{"in_shape": [3, 8, 8], "layers": [{"op": "conv2", "out": 4}]}' >"$work/unknown.json"
expect_error "an unknown layer" 1 "unknown.json: layer 0: unknown operation \"conv2\"; did you mean \"conv2d\"; known: .*clm_model_custom" \
    model "$work/unknown.json"

finish
