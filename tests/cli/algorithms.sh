# Every algorithm trains, is described truly, is evaluated, and resumes to the bit; an option that it does not read is a mistake.
. "$(dirname "$0")/../support/cli.sh"

glyphs="train glyphs --device host --filters 2 --size 16 --meta-batch 2 --iterations 2 --val-tasks 2 --eval-tasks 2"
small="train sine --device host --meta-batch 3 --shots 4 --query 4 --iterations 3 --val-tasks 2 --eval-tasks 2"
trains="maml fomaml anil boil metasgd maml++ cavia reptile imaml protonet protomaml finetune pretrain"

# ---- the tables ----
expect_success "algorithms" algorithms
for name in $trains; do
    grep -Fq "$name: " "$work/out" || fail "algorithms: $name is missing"
done
for name in sgd momentum rmsprop cross-entropy huber adamw lion exponential; do
    expect_in "$work/out" "^  $name  " "algorithms"
done
expect_in "$work/out" "images    --context 100" "algorithms"
expect_success "algorithms --json" algorithms --json
expect_in "$work/out" '"name": "maml\+\+"' "algorithms --json"
expect_in "$work/out" '"defaults_for_regression"' "algorithms --json"
for option in steps inner-rule first-order rates step-weights adapt support-per-step batch-norm-per-step proximal ways inner-lr; do
    expect_in "$work/out" "^ +\"$option\"" "algorithms --json"
done
expect_error "algorithms of what" 2 "one argument too many" algorithms maml
expect_success "train --help" train --help
expect_in "$work/out" "reptile +Reptile \(Nichol et al. 2018\)" "train --help"

# ---- every algorithm ----
for method in $trains; do
    # shellcheck disable=SC2086
    expect_success "$method" $glyphs --algorithm "$method" --run "$work/$method"
    grep -Fq "  algorithm   $method: " "$work/out" || fail "$method: the protocol does not name it"
    cp "$work/out" "$work/$method.out"
    expect_in "$work/$method/result.json" '"algorithm"' "$method"
    expect_in "$work/$method/curve.svg" "</svg>" "$method"
    expect_success "eval of $method" eval "$work/$method" --device host --tasks 2 --query 1
    case $method in
    maml | anil | boil | metasgd | maml++ | cavia | protomaml)
        expect_in "$work/$method.out" "second-order share of the meta-gradient [0-9.e+-]+ %" "$method" ;;
    *) grep -q "second-order share" "$work/$method.out" && fail "$method: a share of the second order" ;;
    esac
done
expect_in "$work/reptile.out" "gradient    parameters before the inner loop less those behind it" "reptile"
expect_in "$work/reptile.out" "sgd at 1, cosine to 0 over 2" "reptile"
expect_in "$work/imaml.out" "implicit, by 5 iterations of conjugate gradients" "imaml"
expect_in "$work/metasgd.out" "inner rates learned per element" "metasgd"
expect_in "$work/maml++.out" "batch-norm's scale and shift learned for each step" "maml++"
expect_in "$work/maml++.out" "multi-step loss, annealed over 1 updates" "maml++"
expect_in "$work/anil.out" "adapted: the last linear or convolution layer, 17 .linear.: 17.weight, 17.bias; [0-9]+ of [0-9]+ numbers$" "anil"
expect_in "$work/finetune.out" "inner loop  at test alone, 100 steps of momentum" "finetune"
expect_in "$work/pretrain.out" "inner loop  at test alone, 10 steps of gradient descent" "pretrain"
expect_in "$work/cavia.out" "100 numbers of context for a film layer in each block" "cavia"
expect_in "$work/protonet.out" "inner loop  none" "protonet"
expect_in "$work/protonet.out" "without a last layer" "protonet"
expect_in "$work/protonet.out" "protonet has no inner steps" "protonet"
grep -q "gradient descent\|second order\|before adaptation" "$work/protonet.out" && fail "protonet: speaks of what it does not do"
expect_success "eval of protonet" eval "$work/protonet" --device host --tasks 2 --query 1
expect_in "$work/out" "^ +0 +[0-9.]+ \+-" "eval of protonet"
grep -q "^ *1  " "$work/out" && fail "eval of protonet: steps that it does not make"
expect_error "steps of protonet" 2 "protonet has no inner steps" eval "$work/protonet" --device host --tasks 2 --steps 3
expect_error "statistics of protonet" 2 "bn says nothing to protonet" eval "$work/protonet" --device host --tasks 2 --bn support-stats
for method in maml cavia reptile imaml maml++; do
    # shellcheck disable=SC2086
    expect_success "$method on sinusoids" $small --algorithm "$method" --run "$work/sine-$method"
done
expect_in "$work/sine-cavia/config.json" '"op": "context"' "cavia on sinusoids"

# ---- options ----
n=0
while read -r options; do
    n=$((n + 1))
    # shellcheck disable=SC2086
    expect_success "$options" $small $options --run "$work/option-$n"
    expect_success "eval after $options" eval "$work/option-$n" --device host --tasks 2 --steps 3
done <<END
--inner-rule momentum --inner-momentum 0.5 --steps 2
--inner-rule nesterov --inner-weight-decay 0.01
--inner-rule adam --inner-betas 0.8,0.99 --inner-eps 1e-6 --inner-eps-root 1e-6
--inner-rule rmsprop --inner-decay 0.9 --inner-clip-value 1
--inner-clip-norm 1 --steps 2 --first-order-until 2
--freeze 0. --unlearned 4.bias
--steps 2 --multi-step anneal --multi-step-over 2
--loss mae
--loss huber --huber-delta 0.5
--optimizer adamw --betas 0.8,0.9 --eps 1e-6 --weight-decay 0.01
--optimizer rmsprop --decay 0.9
--schedule step --schedule-updates 1 --schedule-factor 0.5
--schedule exponential --warmup 2
--schedule cosine --lr-min 1e-5 --average 0.9
--algorithm imaml --solver neumann --solver-steps 2 --proximal 100 --steps 2
--algorithm cavia --context 3 --rates per-step
--algorithm fomaml --inner-rule momentum
END
# shellcheck disable=SC2086
{
    expect_success "class weights" $glyphs --class-weights 1,1,2,2,3 --label-smoothing 0.1 --run "$work/weights"
    expect_success "eval after class weights" eval "$work/weights" --device host --tasks 2 --query 1
    expect_success "support sets for each step" $glyphs --support-per-step --steps 2 --run "$work/sets"
    expect_success "batch-norm for each step" $glyphs --batch-norm-per-step --steps 2 --run "$work/norm"
    expect_success "an inner rule in words" $small --inner-rule adam --run "$work/words"
    expect_in "$work/out" "1 step of adam \(betas 0.9,0.999, eps 1e-08, eps-root 1e-08\) at rate 0.01" "an inner rule in words"
    expect_success "an algorithm beside a preset" train --preset sine --algorithm reptile --device host --iterations 1 --val-tasks 2 --eval-tasks 2 --run "$work/beside"
    expect_in "$work/out" "5 steps of gradient descent at rate 0.01" "an algorithm beside a preset"
    expect_in "$work/out" "published   maml: " "an algorithm beside a preset"
}

# ---- presets ----
for pair in "5w1s 99.47" "20w1s 97.65"; do
    preset=omniglot-mamlpp-${pair% *}
    expect_success "$preset" train glyphs --preset "$preset" --device host --filters 1 --meta-batch 1 --steps 2 --iterations 0 --size 16 \
        --val-tasks 1 --eval-tasks 0 --run "$work/$preset"
    expect_in "$work/out" "published   ${pair#* } %" "$preset"
    expect_in "$work/out" "multi-step loss, annealed over 5000 updates" "$preset"
done
# The others, one of each kind: PRESET, and what the protocol says.
make_pictures "$work/presets-pictures"
preset_runs() {
    preset=$1
    case $preset in
    omniglot-*) from=glyphs ;;
    *) from="--data $work/presets-pictures --shots 1" ;;
    esac
    case $preset in
    *-protonet-*) steps= ;;
    *) steps="${3:+--steps $3} --test-steps 2" ;;
    esac
    # shellcheck disable=SC2086
    expect_success "$preset" train $from --preset "$preset" --device host --filters 1 --meta-batch 1 $steps \
        --iterations 1 --size 16 --query 1 --val-tasks 1 --eval-tasks 0 --run "$work/preset-$preset"
    expect_in "$work/out" "^protocol $preset$" "$preset"
    expect_in "$work/out" "$2" "$preset"
}
preset_runs omniglot-anil-20w1s "published   96.2 " 1
preset_runs omniglot-metasgd-5w1s "inner rates learned per element"
preset_runs omniglot-imaml-5w1s "16 steps of gradient descent at rate 0.1 "
preset_runs omniglot-reptile-5w1s "12 steps of adam .betas 0,0.999.* at rate 0.00044 .*"
preset_runs omniglot-protonet-5w5s "adam at 0.001, step by 0.5 after every 2000"
preset_runs omniglot-cavia-5w1s "2 steps of gradient descent at rate 1 "
preset_runs miniimagenet-5w1s "5 steps of gradient descent at rate 0.05 "
preset_runs miniimagenet-5w5s-fo "published   63.15 "
preset_runs miniimagenet-mamlpp-5w1s "multi-step loss, annealed over 7500 updates"
preset_runs miniimagenet-anil-5w1s "published   46.7 "
preset_runs miniimagenet-metasgd-5w1s "1 step of gradient descent at rate 0.01 "
preset_runs miniimagenet-imaml-5w1s "10 steps of gradient descent"
preset_runs miniimagenet-reptile-5w1s "2 steps of adam .betas 0,0.999.* at rate 0.001" 2
preset_runs miniimagenet-cavia-5w1s "100 numbers of context"
preset_runs miniimagenet-protonet-5w1s "trained with 30 ways"
preset_runs cifarfs-5w1s "gradient clipped to"
preset_runs cifarfs-protonet-5w1s "published   55.5 "

expect_success "sine-cavia" train --preset sine-cavia --device host --iterations 1 --val-tasks 2 --eval-tasks 2 --run "$work/sine-cavia-preset"
expect_in "$work/out" "5 numbers of context beside its input" "sine-cavia"

# ---- resumed to the bit ----
# shellcheck disable=SC2086
expect_success "unbroken run" $glyphs --algorithm maml++ --inner-rule momentum --average 0.7 --ensemble 3 --iterations 20 --steps 2 --keep 99 \
    --multi-step-over 12 --first-order-until 9 --val-every 2 --checkpoint-every 2 --val-tasks 8 --eval-tasks 8 --run "$work/whole"
expect_in "$work/out" "^accuracy of the mean output of the 3 best checkpoints [0-9.]+ " "unbroken run"
expect_in "$work/whole/result.json" '"ensemble"' "unbroken run"
for at in 00000004 00000012; do
    run=$work/again-$at
    cp -r "$work/whole" "$run"
    cp "$run/checkpoints/$at.safetensors" "$run/checkpoints/last.safetensors"
    rm "$run/result.json"
    expect_success "resumed from $at" train --resume --run "$run"
    for file in checkpoints/last checkpoints/best checkpoints/best-2 checkpoints/best-3; do
        cmp "$work/whole/$file.safetensors" "$run/$file.safetensors" || fail "resumed from $at: $file differs"
    done
    cmp "$work/whole/result.json" "$run/result.json" || fail "resumed from $at: result.json differs"
    [ -z "$(find "$run" -name 'best-old*' -o -name 'best-new*')" ] || fail "resumed from $at: files were left"
done
expect_success "eval of an ensemble" eval "$work/whole" --device host --tasks 8 --query 1 --steps 2 --ensemble 3 --json
together=$(sed -n 's/.*"mean": \([0-9.]*\).*/\1/p' "$work/out" | tail -1)
tested=$(sed -n '/"ensemble"/,$s/.*"mean": \([0-9.]*\).*/\1/p' "$work/whole/result.json" | head -1)
[ -n "$tested" ] || fail "eval of an ensemble: the test has no number"
[ "$together" = "$tested" ] || fail "eval of an ensemble: $together, and the test at the end had $tested"
expect_error "an ensemble that is too large" 1 "keeps 3 best checkpoints, not 4" eval "$work/whole" --device host --tasks 2 --ensemble 4
expect_error "an ensemble of a file" 2 "best checkpoints of a run" eval "$work/whole/checkpoints/last.safetensors" --device host --tasks 2 --ensemble 2

# A run from before --algorithm was stored: what it says of itself is "anil".
# shellcheck disable=SC2086
expect_success "anil as a flag" $small --anil --run "$work/flag"
expect_in "$work/out" "algorithm   anil" "anil as a flag"
# It goes by the last linear or convolution layer, whatever else has weights behind it.
# anil_of NAME MODEL PATTERN
anil_of() {
    printf '%s' "$2" >"$work/$1.json"
    expect_success "anil of $1" train sine --device host --meta-batch 2 --shots 4 --query 4 --iterations 1 --val-tasks 2 --eval-tasks 0 --anil \
        --model "$work/$1.json" --run "$work/anil-$1"
    expect_in "$work/out" "$3" "anil of $1"
}
anil_of norm '[{"op": "linear", "out": 4}, {"op": "relu"}, {"op": "linear", "out": 1}, {"op": "layernorm"}]' \
    "adapted: the last linear or convolution layer, 2 .linear.: 2.weight, 2.bias, 3.weight, 3.bias; 7 of 15 numbers$"
anil_of lstm '[{"op": "reshape", "shape": [1, 1]}, {"op": "linear", "out": 3}, {"op": "lstm", "out": 1, "last": true}]' \
    "adapted: the last linear or convolution layer, 1 .linear.: 1.weight, 1.bias, 2.weight_ih_l0, .*; 30 of 30 numbers$"
anil_of conv '[{"op": "reshape", "shape": [1, 1, 1]}, {"op": "conv2d", "out": 2}, {"op": "conv2d", "out": 1}, {"op": "groupnorm", "groups": 1}, {"op": "flatten"}]' \
    "adapted: the last linear or convolution layer, 2 .conv2d.: 2.weight, 2.bias, 3.weight, 3.bias; 21 of 41 numbers$"
anil_of residual '[{"op": "linear", "out": 1}, {"op": "residual", "body": [{"op": "linear", "out": 1}, {"op": "layernorm"}]}]' \
    "adapted: the last linear or convolution layer, 1 .residual.: 1.0.weight, 1.0.bias, 1.1.weight, 1.1.bias; 4 of 6 numbers$"
printf '[{"op": "reshape", "shape": [1, 1]}, {"op": "lstm", "out": 1, "last": true}]' >"$work/alone.json"
for word in anil boil; do
    expect_error "$word of an lstm alone" 2 "--adapt: $word goes by the last linear or convolution layer, and the model has none" train sine --device host \
        --algorithm $word --model "$work/alone.json" --run "$work/new"
done
expect_success "anil of an lstm alone, told what" train sine --device host --meta-batch 2 --shots 4 --query 4 --iterations 1 --val-tasks 2 --eval-tasks 0 \
    --algorithm anil --adapt 1.weight --model "$work/alone.json" --run "$work/anil-alone"
expect_in "$work/out" "adapted: 1.weight: 1.weight_ih_l0, 1.weight_hh_l0; 8 of 16 numbers$" "anil of an lstm alone, told what"
cp -r "$work/flag" "$work/old"
rm -r "$work/old/checkpoints" "$work/old/metrics.jsonl" # with updates noted and nothing to go on from, resuming is an error
grep -v '^    "\(algorithm\|inner-rule\|inner-betas\|loss\|schedule\|ensemble\|betas\)"' "$work/flag/config.json" >"$work/old/config.json"
expect_success "a run from before" train --resume --run "$work/old"
cmp "$work/flag/checkpoints/last.safetensors" "$work/old/checkpoints/last.safetensors" || fail "a run from before: not the same bits"

# ---- mistakes ----
# expect_mistake NAME PATTERN OPTION..
expect_mistake() {
    mistake=$1 found=$2
    shift 2
    # shellcheck disable=SC2086
    expect_error "$mistake" 2 "$found" $small "$@" --run "$work/new"
}
expect_mistake "an algorithm that is none" "--algorithm: 'mmal' is not one of .*did you mean maml" --algorithm mmal
expect_mistake "the order of reptile" "--first-order is for the algorithms maml, .*; it says nothing to reptile" --algorithm reptile --first-order
expect_mistake "loss weights of imaml" "--multi-step is for the algorithms .*; it says nothing to imaml" --algorithm imaml --multi-step even
expect_mistake "a solver of maml" "--solver-steps is for the algorithm imaml .*; it says nothing to maml" --solver-steps 3
expect_mistake "steps of protonet" "--steps is for .*; it says nothing to protonet" --algorithm protonet --steps 3
expect_mistake "context of maml" "--context is for the algorithm cavia .*; it says nothing to maml" --context 3
expect_mistake "annealed order of fomaml" "--first-order-until .*nothing to fomaml" --algorithm fomaml --first-order-until 3
expect_mistake "annealed order without one" "exclude each other" --first-order --first-order-until 3
expect_mistake "fixed rates of maml++" "--rates fixed contradicts --algorithm maml\+\+" --algorithm maml++ --rates fixed
expect_mistake "anil and another" "--anil is for the algorithms maml, anil .*; it says nothing to boil" --anil --algorithm boil
expect_mistake "momentum of gradient descent" "--inner-momentum is for the inner rules momentum, nesterov .*; it says nothing to sgd" --inner-momentum 0.5
expect_mistake "betas of momentum" "--inner-betas is for the inner rule adam .*nothing to momentum" --inner-rule momentum --inner-betas 0.9,0.9
expect_mistake "one beta" "--inner-betas: '0.9' must be two numbers" --inner-rule adam --inner-betas 0.9
expect_mistake "delta of squares" "--huber-delta is for the loss huber .*nothing to mse" --huber-delta 2
expect_mistake "classes of a sinusoid" "--loss cross-entropy is for classes; sine has numbers" --loss cross-entropy
expect_mistake "weights of numbers" "--class-weights is for the loss cross-entropy" --class-weights 1
expect_mistake "momentum of adam" "--momentum is for the optimisers momentum, nesterov .*nothing to adam" --momentum 0.5
expect_mistake "decay of adam" "--decay is for the optimiser rmsprop .*nothing to adam" --decay 0.5
expect_mistake "the end of no cosine" "--lr-min is for the schedule cosine .*nothing to constant" --lr-min 1e-5
expect_mistake "cosine and steps" "--cosine and --schedule step exclude each other" --cosine --schedule step --schedule-updates 3
expect_mistake "steps of no length" "--schedule step needs --schedule-updates" --schedule step
expect_mistake "annealing nothing" "--multi-step-over is for the multi-step loss anneal" --steps 2 --multi-step even --multi-step-over 3
expect_mistake "nothing frozen by that name" "--freeze: no parameter's name begins with 'head'" --freeze head
expect_mistake "filters of a perceptron" "--filters says nothing to the network of sine" --filters 8
expect_mistake "network of a perceptron" "--network conv4 takes images \[C, H, W\]; an example of sine is \[1\]: leave it out for mlp" --network conv4
expect_mistake "batch-norm of a perceptron" "--bn says nothing to the network of sine" --bn support-stats
expect_mistake "per-step batch-norm of a perceptron" "--batch-norm-per-step says nothing to the network of sine" --batch-norm-per-step
expect_mistake "rates per step of metasgd" "--rates per-step contradicts --algorithm metasgd" --algorithm metasgd --rates per-step
expect_mistake "classes of numbers" "--classes says nothing to sine" --algorithm finetune --classes 30
expect_mistake "a preset of another algorithm" "--preset sine-cavia is of the algorithm cavia" --preset sine-cavia --algorithm maml
expect_mistake "a preset of images" "--preset omniglot-5w1s is for omniglot" --preset omniglot-5w1s
expect_mistake "classes of maml" "--classes is for the algorithm finetune .*; it says nothing to maml" --classes 30
# shellcheck disable=SC2086
{
    expect_error "squares of classes" 2 "--loss mse is for a regression; glyphs has classes" $glyphs --loss mse --run "$work/new"
    expect_error "weights for other ways" 2 "2 weights for --ways 5" $glyphs --class-weights 1,2 --run "$work/new"
    expect_error "context of a model file" 2 "has its own layers" $glyphs --algorithm cavia --context 3 --model "$0" --run "$work/new"
    expect_error "another algorithm on resuming" 2 "algorithm .* contradicts" train --resume --run "$work/boil" --algorithm anil
    expect_error "protonet of numbers" 2 "--algorithm protonet needs classes, and sine is a regression" $small --algorithm protonet --run "$work/new"
}
[ ! -e "$work/new" ] || fail "a run directory was left behind"

finish
