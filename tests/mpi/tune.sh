# Tuning over ranks: what is to be measured is shared out, rank 0 reports all of it, and one process finds it known. Other devices are refused.
. "$(dirname "$0")/../support/cli.sh"
. "$(dirname "$0")/../support/mpi.sh"
printf '{"data": "sine", "layers": [{"op": "linear", "out": 1}]}' >"$work/one.json" # a few small products
one="tune $work/one.json --meta-batch 2 --steps 1 --only kernels"
results() { (cd "$CLMAML_CACHE_DIR/tune" && ls ./*.json); }

# shellcheck disable=SC2086
{
    export CLMAML_CACHE_DIR="$work/alone"
    expect_success "one process" $one
    results >"$work/expected"
    operations=$(sed -n 's/^\([0-9]*\) operations in .*/\1/p' "$work/out")
    [ "$operations" -ge 2 ] || fail "one process: $(cat "$work/out")"

    for n in 2 3; do
        export CLMAML_CACHE_DIR="$work/$n"
        ranks_succeed "$n ranks" $n $one
        expect_in "$work/out" "^$operations operations in [0-9]+ s, 0 of them known" "$n ranks"
        expect_in "$work/out" "[1-9][0-9]* of [0-9]+ candidates tried" "$n ranks"
        expect_in "$work/err" "clmaml: note: ranks 0 and 1 on .* share a device, and disturb each other's timing" "$n ranks"
        [ "$(grep -c '^plan: ' "$work/out")" -eq 1 ] || fail "$n ranks: not rank 0 alone is heard: $(cat "$work/out")"
        results | cmp "$work/expected" - || fail "$n ranks: another set of results"
        (cd "$CLMAML_CACHE_DIR/tune" && cksum ./*.json) >"$work/before"
        expect_success "known after $n ranks" $one
        expect_in "$work/out" "^$operations operations in [0-9]+ s, $operations of them known; 0 candidates tried" "known after $n ranks"
        ranks_succeed "once more" 2 $one
        expect_in "$work/out" "^$operations operations in [0-9]+ s, $operations of them known; 0 candidates tried" "once more"
        (cd "$CLMAML_CACHE_DIR/tune" && cksum ./*.json) | cmp "$work/before" - || fail "$n ranks: what is known is written again"
    done

    # A plan, which rank 0 measures.
    export CLMAML_CACHE_DIR="$work/plans"
    ranks_succeed "plans" 2 tune "$work/one.json" --meta-batch 2 --steps 1 --only plans
    expect_in "$work/out" "^plan: checkpointing .* \\(as measured\\)" "plans"
    expect_success "plans known" tune "$work/one.json" --meta-batch 2 --steps 1 --only plans
    expect_in "$work/out" "times as fast; known already" "plans known"

    # ---- mistakes ----
    expect_success "devices" devices
    pd=$(sed -n 's/^\* \([0-9]*:[0-9]*\) .*/\1/p' "$work/out")
    ranks_fail "two kinds" "rank 1 on .* has other device than rank 0 on .*: host reference .* there, .*driver .* on rank 0" 2 $one --device "$pd,host"
    ranks_fail "the host" "results cannot be kept for host" 2 $one --device host
}

[ $failures -eq 0 ]
