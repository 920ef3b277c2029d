#!/bin/sh
# Reinforcement learning on the command line: a small run on the host reference, resumed to the bit; its files, its place in the list of
# runs; what other commands say of it; mistakes by name.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"

small="train navigation --device host --hidden 4 --trajectories 3 --horizon 6 --meta-batch 2 --val-every 2 --val-tasks 2 --eval-tasks 3 --test-steps 2"

# shellcheck disable=SC2086
{
    expect_success "a run" $small --cg-steps 2 --iterations 4 --run "$work/runs/whole"
    cp "$work/out" "$work/said"
    expect_success "two of four" $small --cg-steps 2 --iterations 2 --run "$work/runs/parts"
    expect_success "the others" train navigation --resume --run "$work/runs/parts" --iterations 4
    grep -q "its bits" "$work/err" && fail "resumed on the same device: $(cat "$work/err")"
    expect_success "plain policy gradient" $small --outer vpg --outer-lr 0.01 --first-order --steps 2 --iterations 2 --run "$work/runs/plain"
}
expect_in "$work/said" "outer: TRPO within a mean KL divergence of 0.01" "the protocol"
expect_in "$work/said" "^ +4  validation: return -[0-9.]+ before adaptation, -[0-9.]+ \\+- [0-9.]+ after" "validation"
expect_in "$work/said" "^test on 4 held-out tasks" "the test is made up to whole meta-batches"
expect_in "$work/said" "^  after 2 steps  -[0-9.]+ \\+- [0-9.]+$" "the test"
for file in config.json metrics.jsonl metrics.csv curve.svg trajectories.svg result.json checkpoints/last.safetensors checkpoints/best.safetensors; do
    [ -s "$work/runs/whole/$file" ] || fail "there is no $file"
done
for file in result.json trajectories.svg checkpoints/last.safetensors checkpoints/best.safetensors; do
    cmp "$work/runs/whole/$file" "$work/runs/parts/$file" || fail "resumed: $file differs"
done
[ "$(sed 's/,[^,]*$//' "$work/runs/whole/metrics.csv" | cksum)" = "$(sed 's/,[^,]*$//' "$work/runs/parts/metrics.csv" | cksum)" ] ||
    fail "resumed: metrics.csv differs"
# A run that is over, and has lost its pictures, has them again.
# shellcheck disable=SC2086
expect_success "not tested" $small --eval-tasks 0 --iterations 2 --run "$work/untested"
mkdir "$work/pictures"
mv "$work/untested"/*.svg "$work/pictures"
expect_success "without pictures" train navigation --resume --run "$work/untested"
for picture in curve trajectories; do
    cmp "$work/untested/$picture.svg" "$work/pictures/$picture.svg" || fail "without pictures: $picture.svg is not drawn anew"
done
expect_success "tested again" train navigation --resume --run "$work/runs/parts" --eval-trajectories 5 --eval-lr 0.01
expect_in "$work/out" "^test on 4 held-out tasks" "tested again"
cmp -s "$work/runs/whole/result.json" "$work/runs/parts/result.json" && fail "tested again: the same returns by other episodes"
cmp "$work/runs/whole/checkpoints/last.safetensors" "$work/runs/parts/checkpoints/last.safetensors" || fail "tested again: the checkpoint differs"
expect_error "no test" 2 "--eval-lr says nothing with --eval-tasks 0" train navigation --eval-tasks 0 --eval-lr 0.1
sed -i 's/^  "device": "[^"]*"/  "device": "A card"/' "$work/runs/parts/config.json"
expect_success "resumed on another device" train navigation --resume --run "$work/runs/parts" --iterations 4
expect_in "$work/err" "^clmaml: note: the run was on A card, driver .+ until now: from here on its bits" "resumed on another device"
head -n 1 "$work/runs/whole/metrics.csv" >"$work/line"
expect_in "$work/line" "return_before,return_after,interval,surrogate,kl,search," "columns"
[ "$(wc -l <"$work/runs/whole/metrics.csv")" -eq 8 ] || fail "rows: $(cat "$work/runs/whole/metrics.csv")"

expect_success "the list" runs "$work/runs"
expect_in "$work/out" "/whole +maml +navigation +3 episodes +4 of 4 +-[0-9.]+ +-[0-9.]+ \\+- [0-9.]+$" "the list"

expect_error "resumed by the other name" 1 "whole is a run of navigation, .*train navigation --resume --run .*whole" train --resume --run "$work/runs/whole"
expect_error "evaluated" 1 "of a run of navigation, .*train navigation --resume --run .*whole" eval "$work/runs/whole" --device host
tiny_run "$work/sine" --iterations 1 --eval-tasks 0
expect_error "another kind of run" 1 "holds a run of sine, not of navigation" train navigation --resume --run "$work/sine"
expect_error "an option of examples" 2 "unknown option --ways" train navigation --ways 5
expect_error "options in front" 2 "navigation has options of its own and stands in front of them" train --iterations 3 navigation
expect_error "an argument" 2 "one argument too many" train navigation glyphs
expect_error "of the other update" 2 "--outer-lr is for --outer vpg; it says nothing to trpo" train navigation --outer-lr 1
expect_error "of the other update" 2 "--trust-region is for --outer trpo; it says nothing to vpg" train navigation --outer vpg --trust-region 1
expect_error "no rate" 2 "--inner-lr must be more than 0" train navigation --inner-lr 0
expect_error "too many steps" 2 "--steps: '11' is not a whole number from 1 to 10" train navigation --steps 11
expect_error "chunks" 2 "--task-chunk 3 does not divide the 20 tasks" train navigation --task-chunk 3
expect_error "nothing to go on with" 2 "--resume needs --run" train navigation --resume
expect_error "a run that is there" 1 "holds a run already" train navigation --run "$work/runs/whole"
expect_error "another seed" 2 "--seed contradicts .*/parts" train navigation --resume --run "$work/runs/parts" --seed 5
expect_error "fewer iterations" 2 "has made 4 iterations already; --iterations 1 is less" train navigation --resume --run "$work/runs/parts" --iterations 1

expect_error "a page" 1 "whole is a run of episodes, of which there is no page" report "$work/runs/whole" --out "$work/page.html"
[ ! -e "$work/page.html" ] || fail "a page of a run of episodes"

finish
