#!/bin/sh
# rusticl.sh REFERENCE..: the program on Mesa's rusticl alone, which the environment selects: devices, meta-gradients against
# references, and one iteration of training with a checkpoint that evaluates.
. "$(dirname "$0")/cli.sh"

clmaml devices
expect_in "$work/out" '^\* .*rusticl' "devices: rusticl is the one that would be taken"
expect_success "meta-gradients" verify "$@"
expect_in "$work/out" 'rusticl' "verify: names the device"

expect_success "training" train glyphs --ways 3 --shots 1 --query 1 --filters 4 --steps 1 --meta-batch 2 --iterations 1 \
    --test-steps 1 --val-tasks 2 --eval-tasks 2 --run "$work/run"
expect_success "evaluation" eval "$work/run" --tasks 2 --steps 1 --query 1
finish
