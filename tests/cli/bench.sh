# clmaml bench: one small item from end to end, its JSON, and what is refused. Times are not judged.
. "$(dirname "$0")/../support/cli.sh"

# number KEY FILE: the first number under that key
number() { sed -n "s/.*\"$1\": \([0-9.eE+-]*\).*/\1/p" "$2" | head -n 1; }
# expect_positive KEY FILE
expect_positive() {
    value=$(number "$1" "$2")
    awk -v x="${value:-0}" 'BEGIN { exit !(x > 0) }' || fail "$1 is '$value' in $2"
}

expect_success "bench --help" bench --help
expect_in "$work/out" "^usage: clmaml bench" "bench --help"
expect_in "$work/out" "omniglot-20way" "bench --help"

# On the device, kernels and all.
expect_success "sine" bench sine --tasks 1 --rounds 1 --no-peers --cold --profile --json "$work/sine.json"
expect_in "$work/out" "^matrix product +[0-9.]+ GFLOP/s  clmaml" "sine"
expect_in "$work/out" "^memory +[0-9.]+ GB/s" "sine"
expect_in "$work/out" "^sine +[0-9.]+ +[0-9.]+ " "sine"
expect_in "$work/out" "^ *share +ms +launches +GFLOP/s +GB/s +kernel" "sine --profile"
expect_in "$work/out" "^ *[0-9.]+ % .*( matmul |task kernel of [0-9]+ launches)" "sine --profile"
for key in gflops bytes_per_second flops traffic_bytes limit_ms fraction_of_limit launches device_bytes median min seconds \
    peak_resident_bytes; do
    expect_positive $key "$work/sine.json"
done
expect_in "$work/sine.json" '"item": "sine"' "sine: JSON"
expect_in "$work/sine.json" '"tasks": 1' "sine: JSON"
grep -q '"first_call_cold": null' "$work/sine.json" && fail "sine --cold: the cold call is missing"
if command -v python3 >/dev/null; then
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$work/sine.json" || fail "sine: not JSON"
fi

# What it is held against takes its turns in every round: the BLAS library's product or, on a device without one, ours.
expect_in "$work/sine.json" '"yardstick": \{' "sine: JSON"
for key in best_fraction_of_limit least_limit_ms; do expect_positive $key "$work/sine.json"; done
expect_success "our own product" bench sine --tasks 1 --rounds 1 --no-peers --device host --json "$work/own.json"
expect_in "$work/own.json" '"yardstick": \{' "our own product: JSON"
[ "$(grep -c '"by": "clmaml"' "$work/own.json")" -eq 2 ] || fail "our own product: it is not the one that took turns"
if "$CLMAML_PROGRAM" bench --blas-peak >/dev/null 2>&1; then
    printf 'turn\nturn\n' | "$CLMAML_PROGRAM" bench --blas-turns 64 >"$work/turns" || fail "turns of the BLAS library"
    [ "$(grep -c '^{"ms": \[[0-9]' "$work/turns")" -eq 2 ] || fail "turns of the BLAS library: $(cat "$work/turns")"
fi

# Peers by name, of an active virtual environment; a line tells what is going on, on a terminal alone.
expect_error "a peer that there is not" 2 'peers: "tensorflow" is none of them: torch, jax, or of torch-1-thread' bench sine --peers torch,tensorflow
expect_error "peers and none" 2 "peers says nothing with --no-peers" bench sine --no-peers --peers jax
expect_error "Python for nobody" 2 "python says nothing with --no-peers" bench sine --no-peers --python python3
expect_error "peers of latency" 2 "peers says nothing to latency" bench latency --peers jax
mkdir -p "$work/environment/bin"
printf '#!/bin/sh\necho "$1" >>"%s/asked"\necho "{\\"missing\\": true, \\"error\\": \\"none\\"}"\n' "$work" >"$work/environment/bin/python"
chmod +x "$work/environment/bin/python"
VIRTUAL_ENV="$work/environment" expect_success "a virtual environment" bench sine --device host --tasks 1 --rounds 1 --no-peaks --peers jax,torch-vmap
[ "$(sort "$work/asked" | sed 's/.*\///' | tr '\n' ' ')" = "jax_tasks.py jax_tasks.py torch_vmap.py torch_vmap.py " ] || fail "peers: $(cat "$work/asked")"
grep -q "gets ready" "$work/err" && fail "a line for terminals in a file"

# A BLAS library without kernels for this processor is named.
slow=/usr/lib/$(uname -m)-linux-gnu/blas/libblas.so.3
if [ -e "$slow" ] && "$CLMAML_PROGRAM" bench --blas-turns 8 --blas "$slow" >/dev/null 2>&1 </dev/null; then
    expect_success "a slow library" bench sine --tasks 1 --rounds 1 --no-peers --blas "$slow"
    expect_in "$work/err" "note: $slow is slow, [0-9.]+ GFLOP/s where our own product reaches [0-9.]+" "a slow library"
fi

# Three times the tasks, three times the arithmetic: it is counted.
expect_success "three tasks" bench sine --tasks 3 --rounds 1 --no-peers --no-peaks --json "$work/three.json"
expect_in "$work/three.json" '"peaks": null' "without peaks"
expect_in "$work/three.json" '"yardstick": null' "without peaks"
awk -v a="$(number flops "$work/sine.json")" -v b="$(number flops "$work/three.json")" 'BEGIN { exit !(b == 3 * a) }' ||
    fail "arithmetic of three tasks: $(number flops "$work/three.json") after $(number flops "$work/sine.json")"

# The launches of a task kernel one by one.
CLMAML_CHAIN=never
export CLMAML_CHAIN
expect_success "sine, single launches" bench sine --tasks 3 --rounds 1 --no-peers --no-peaks --profile
unset CLMAML_CHAIN
expect_in "$work/out" "^ *[0-9.]+ % .* matmul " "sine --profile without task kernels"

# The learner alone.
expect_success "first call" bench adaptation --first-call
expect_positive peak_bytes "$work/out"
expect_positive step_s "$work/out"

# What one waits for in use: times and how many they are of, on the device and on the host.
expect_success "latency" bench latency --rounds 1 --json "$work/latency.json"
expect_in "$work/out" "^latency +of a trained model: Conv-4 of 64 filters, 5-way 5-shot, 5 steps$" "latency"
for part in "load, from a checkpoint" "adapt to one task" "predict one query" "predict a batch of 25 queries" "load, from an adapted model"; do
    expect_in "$work/out" "^  $part +[0-9.]+ +[0-9.]+   median and least of [1-9][0-9]*$" "latency: $part"
done
expect_in "$work/latency.json" '"item": "latency"' "latency: JSON"
for key in load adapt predict_one predict_batch load_adapted; do
    expect_in "$work/latency.json" "\"$key\": \{" "latency: JSON"
done
[ "$(grep -c '"repetitions": [1-9]' "$work/latency.json")" -eq 5 ] || fail "latency: JSON: not five parts with repetitions"
for key in median min repetitions; do expect_positive $key "$work/latency.json"; done
expect_success "latency on the host" bench latency --rounds 1 --device host
expect_in "$work/out" "^  predict one query +[0-9.]+ +[0-9.]+   median and least of [1-9]" "latency on the host"
expect_error "latency of many tasks" 2 "--tasks says nothing to latency" bench latency --tasks 3
expect_error "latency, first call" 2 "--first-call says nothing to latency" bench latency --first-call

# Reinforcement learning: an iteration of a policy's training.
expect_success "navigation" bench navigation --tasks 2 --rounds 1 --no-peers --profile --json "$work/navigation.json"
expect_in "$work/out" "^navigation +[0-9.]+ +[0-9.]+ +[0-9.]+   an iteration: 20 episodes of 100 steps .* 1 inner step, TRPO$" "navigation"
expect_in "$work/navigation.json" '"item": "navigation"' "navigation: JSON"
for key in tasks trajectories horizon median min ms_per_task; do expect_positive $key "$work/navigation.json"; done
for part in "sampling step: .*, 200" "inner step of sampling, 1" "gradient, 1" "Fisher product, 10" "trial: .*, at least 1"; do
    expect_in "$work/out" "^$part in an iteration$" "navigation --profile"
done
[ "$(grep -c "^ *share  *ms" "$work/out")" -eq 5 ] || fail "navigation --profile: not five tables"
[ "$(grep -c "^ *[0-9.]* % .*matmul" "$work/out")" -gt 5 ] || fail "navigation --profile: no products"
expect_error "navigation, first call" 2 "--first-call says nothing to navigation" bench navigation --first-call
for option in --checkpointing=store --memory-limit=1G --tune-plans=1 --cold --blas=none.so; do
    expect_error "navigation $option" 2 "${option%%=*} says nothing to navigation" bench navigation $option
done
expect_error "navigation, chunk that does not divide" 1 "task_chunk 2 does not divide the 3 tasks" bench navigation --tasks 3 --chunk 2 --no-peers
expect_error "navigation, scaling" 2 "--scaling says nothing to navigation" bench navigation --scaling
expect_error "latency, scaling" 2 "--scaling says nothing to latency" bench latency --scaling
printf '#!/bin/sh\ncase $1 in *torch_navigation.py) ;; *) exit 1 ;; esac\necho "{\\"name\\": \\"wrong\\", \\"loss\\": 1, \\"loss_error\\": 0, \\"grad_error\\": 0.7}"\n' >"$work/apart"
chmod +x "$work/apart"
expect_success "navigation, a wrong peer" bench navigation --tasks 2 --rounds 1 --python "$work/apart"
expect_in "$work/out" "torch-linearised +not run: wrong computes something else" "navigation, a wrong peer"

# A peer that is not there, or says nothing of use, is a row less and no failure.
expect_success "no Python" bench sine --tasks 1 --rounds 1 --no-peaks --device host --python "$work/nowhere" --json "$work/none.json"
expect_in "$work/none.json" '"missing": true' "no Python"
printf '#!/bin/sh\necho nonsense\n' >"$work/silly"
chmod +x "$work/silly"
expect_success "a silly Python" bench sine --tasks 1 --rounds 1 --no-peaks --device host --python "$work/silly"
expect_in "$work/out" "not run: .*nonsense" "a silly Python"
printf '#!/bin/sh\necho "{\\"name\\": \\"wrong\\", \\"loss\\": 1, \\"loss_error\\": 0, \\"grad_error\\": 0.7}"\n' >"$work/wrong"
chmod +x "$work/wrong"
expect_success "a wrong peer" bench sine --tasks 1 --rounds 1 --no-peaks --device host --python "$work/wrong"
expect_in "$work/out" "not run: wrong computes something else" "a wrong peer"
printf '#!/bin/sh\necho "{\\"name\\": \\"quick\\", \\"loss\\": 1, \\"loss_error\\": 0, \\"grad_error\\": 0}"
while read -r line; do
    case $line in
    steps*) echo "{\\"ms\\": [1, 3, 2]}" ;;
    memory) echo "{\\"peak_bytes\\": 1048576}" ;;
    esac
done\n' >"$work/quick"
chmod +x "$work/quick"
expect_success "a peer" bench sine --tasks 1 --rounds 2 --no-peaks --device host --python "$work/quick" --json "$work/quick.json"
expect_in "$work/out" "^  quick +2.00 +1.00 +2.00 .* 1.0 MiB" "a peer"
expect_in "$work/quick.json" '"peak_bytes": 1048576' "a peer"

# The real ones, when they are installed: they must compute the same.
if python3 -c 'import torch' 2>/dev/null; then
    expect_success "PyTorch" bench sine adaptation --tasks 2 --rounds 1 --no-peaks --json "$work/torch.json"
    expect_in "$work/out" "PyTorch .* loop, 1 thread .* same within" "PyTorch"
    grep "computes something else" "$work/out" && fail "PyTorch computes something else"
fi

# What is refused.
expect_error "unknown item" 2 "unknown work item 'omniglot'.*omniglot-" bench omniglot
expect_error "unknown item, far from all" 2 "unknown work item 'xyz'.*--help" bench xyz
expect_error "unknown device" 1 "nonesuch" bench sine --device nonesuch --no-peers
expect_error "no rounds" 2 "--rounds" bench sine --rounds 0
expect_error "chunk that does not divide" 1 "sine: .*cannot be run 2 at a time" bench sine --tasks 3 --chunk 2 --device host --no-peaks --no-peers
expect_error "library without turns" 1 "nolib.so has no cblas_sgemm" bench --blas-turns 64 --blas "$work/nolib.so"
expect_error "library without a product" 1 "nolib.so has no cblas_sgemm" bench --blas-peak --blas "$work/nolib.so"

finish
