# No option is silently ignored: every option of train is tried alone with every source. It is refused with a line that names it, or the run
# comes out otherwise than without it, or it is one of those that are said not to change what is learned. CLMAML_TEST_SHARD=I/N: every N-th
# source alone.
. "${CLMAML_SOURCE_DIR:?}/tests/support/cli.sh"
: "${CLMAML_TEST_DATA:?the program that writes data sets}" "${CLMAML_TEST_PICTURES:?the program that writes a small Omniglot}"
for kind in split nested vectors series; do "$CLMAML_TEST_DATA" $kind "$work/$kind" >"$work/out" || fail "$kind cannot be written: $(cat "$work/out")"; done
mkdir "$work/omniglot"
"$CLMAML_TEST_PICTURES" "$work/omniglot" >"$work/out" || fail "no Omniglot: $(cat "$work/out")"
awk 'BEGIN { srand(1); print "id,x,z,hour,colour,y"
    for (t = 0; t < 12; t++) for (i = 0; i < 12; i++) printf "s%d,%.3f,%.3f,%d,%s,%.3f\n", t, rand(), rand(), 12 - i, (rand() < 0.5 ? "red" : "blue"), rand() + t }' \
    >"$work/rows.csv"
printf '[{"op": "flatten"}, {"op": "linear", "out": 2}]' >"$work/two.json"

# What tells the run with an option from the one without: what it learned and what it says of the data and the protocol.
small="--iterations 2 --meta-batch 2 --shots 2 --query 2 --val-tasks 2 --eval-tasks 2 --val-every 1 --log-every 1 --device host"
arguments_of() {
    case $1 in
        sine) echo "sine $small --hidden 4" ;;
        functions) echo "functions $small --hidden 4" ;;
        glyphs) echo "glyphs $small --ways 2 --size 16 --network conv4-strided --filters 2" ;;
        omniglot) echo "omniglot --data $work/omniglot $small --ways 2 --size 16 --network conv4-strided --filters 2" ;;
        table) echo "table $work/rows.csv --task-column id --target y --ignore colour,hour $small --hidden 4" ;;
        labels) echo "table $work/rows.csv --task-column id --target colour --loss cross-entropy --ignore hour $small --hidden 4" ;;
        windows) echo "table $work/rows.csv --task-column id --target y --ignore colour,hour --window 4 $small --filters 2" ;;
        split) echo "$work/split $small --ways 2 --size 16 --network conv4-strided --filters 2" ;;
        nested) echo "$work/nested $small --ways 2 --size 16 --network conv4-strided --filters 2" ;;
        vectors) echo "$work/vectors $small --ways 2 --hidden 4" ;;
        series) echo "$work/series $small --ways 2 --filters 2" ;;
    esac
}
sources="sine functions glyphs omniglot table labels windows split nested vectors series"
shard=${CLMAML_TEST_SHARD:-0/1}
sources=$(echo $sources | tr ' ' '\n' | awk -v i="${shard%/*}" -v n="${shard#*/}" 'NR % n == i')
[ -n "$sources" ] || fail "there is no part $shard of the sources"

# A value other than the one at hand for every option; "-": a flag.
value_of() {
    case $1 in
        --size) echo 20 ;; --channels) echo 1 ;; --fit) echo stretch ;; --invert) echo yes ;; --background) echo 0 ;;
        --normalise) echo dataset ;; --class-split) echo 14,5,5 ;; --class-depth) echo 1 ;; --decode-threads) echo 1 ;;
        --flip) echo 0.5 ;; --shift) echo 0.2 ;; --crop) echo 0.5 ;; --jitter) echo 0.5 ;; --omniglot-split) echo 1200 ;;
        --split-seed) echo 5 ;; --rotations) echo no ;; --test-rotations) echo yes ;; --functions) echo line ;;
        --data) echo "$work/split" ;; --task-column) echo z ;; --target) echo x ;; --features) echo x ;; --ignore) echo x,colour,hour ;;
        --categorical) echo x ;; --missing) echo mean ;; --standardise) echo no ;; --window) echo 3 ;; --window-layout) echo channels ;;
        --horizon) echo 1 ;; --time-column) echo hour ;; --task-split) echo 6,3,3 ;; --ways) echo 3 ;; --shots) echo 3 ;; --query) echo 3 ;;
        --network) echo mlp ;; --filters) echo 3 ;; --hidden) echo 5 ;; --model) echo "$work/two.json" ;; --init) echo "$work/weights.safetensors" ;;
        --init-head) echo new ;; --context) echo 3 ;; --algorithm) echo reptile ;; --first-order-until) echo 1 ;; --adapt) echo 0. ;; --freeze) echo 0. ;;
        --unlearned) echo 0. ;; --rates) echo per-step ;; --classes) echo 3 ;; --multi-step) echo even ;; --multi-step-over) echo 2 ;;
        --proximal) echo 0.5 ;; --solver) echo neumann ;; --solver-steps) echo 2 ;; --steps) echo 2 ;; --test-steps) echo 3 ;; --inner-lr) echo 0.02 ;;
        --inner-rule) echo adam ;; --inner-momentum) echo 0.5 ;; --inner-betas) echo 0.5,0.5 ;; --inner-decay) echo 0.5 ;; --inner-eps) echo 0.1 ;;
        --inner-eps-root) echo 0.1 ;; --inner-weight-decay) echo 0.5 ;; --inner-clip-value) echo 0.001 ;; --inner-clip-norm) echo 0.001 ;;
        --bn) echo support-stats ;; --loss) echo huber ;; --reduction) echo sum ;; --label-smoothing) echo 0.3 ;; --class-weights) echo 1,5 ;;
        --huber-delta) echo 0.1 ;; --meta-batch) echo 3 ;; --iterations) echo 3 ;; --optimizer) echo sgd ;; --outer-lr) echo 0.1 ;; --momentum) echo 0.5 ;;
        --betas) echo 0.5,0.5 ;; --decay) echo 0.5 ;; --eps) echo 0.1 ;; --weight-decay) echo 0.5 ;; --clip-norm) echo 0.001 ;; --clip-value) echo 0.0001 ;;
        --schedule) echo cosine ;; --schedule-updates) echo 2 ;; --schedule-factor) echo 0.5 ;; --warmup) echo 2 ;; --cosine-over) echo 2 ;;
        --lr-min) echo 0.0001 ;; --average) echo 0.9 ;; --seed) echo 7 ;; --split) echo 1,1 ;; --memory-limit) echo 8G ;; --checkpointing) echo recompute ;;
        --task-chunk) echo 1 ;; --data-on) echo host ;; --tune-budget) echo 1 ;; --preset) echo sine-5s ;; --on-nan) echo skip ;; --val-every) echo 2 ;;
        --val-tasks) echo 3 ;; --eval-tasks) echo 3 ;; --ensemble) echo 2 ;; --checkpoint-every) echo 2 ;; --log-every) echo 3 ;; --keep) echo 2 ;; --stop-after) echo 1 ;;
        --beside) echo "$work/split:16" ;; --initialisations) echo 2 ;; --balanced-until) echo 1 ;; --within-alphabet) echo yes ;;
        *) echo - ;;
    esac
}

# Those that are there to change where, how fast or how often something is done; or that are told to be without effect here: nothing is
# transparent, no value is missing, nothing is left out, no update fails.
without_effect() {
    case $1 in
        --decode-threads | --memory-limit | --checkpointing | --task-chunk | --data-on | --on-nan | --keep | --checkpoint-every | --force | --strict) return 0 ;;
        --background | --missing) return 0 ;;
        --network) [ "$2" = sine ] || [ "$2" = functions ] || [ "$2" = table ] || [ "$2" = labels ] || [ "$2" = vectors ] ;; # mlp it is already
        --class-depth) [ "$2" = split ] ;;                                                                                  # one folder down it is already
        *) return 1 ;;
    esac
}

# What a run comes to, but for times and for what it was told.
outcome() {
    cut -d, -f 1-10 "$1/metrics.csv" 2>"$work/log"
    grep -v -e seconds -e '"checkpoint"' -e per_second "$1/result.json" 2>"$work/log"
    sed -n '/^protocol/,/^$/p' "$work/out" | grep -e '^protocol' -e '  data' -e '  task' -e '  network' | sed 's| [^ ]*/| |g'
    ls "$1/checkpoints"
}

options=$(clmaml train --help && sed -n 's/^ *\(--[a-z-]*\) .*/\1/p' "$work/out" | sort -u | grep -v -e '--device' -e '--run' -e '--resume' -e '--help')
[ "$(echo "$options" | wc -l)" -gt 90 ] || fail "the options of train are not found: $options"
"$CLMAML_PROGRAM" model mlp >"$work/log" || fail "model mlp"
# shellcheck disable=SC2046,SC2086
for source in $sources; do
    expect_success "$source" train $(arguments_of $source) --run "$work/base-$source"
    outcome "$work/base-$source" >"$work/$source.base"
    cp "$work/base-$source/checkpoints/last.safetensors" "$work/weights.safetensors"
    for option in $options; do
        value=$(value_of "$option")
        [ "$value" = - ] && value=
        rm -rf "$work/run"
        # Given twice, the later one counts: what the line says already is replaced.
        arguments=$(arguments_of $source)
        case " $arguments " in *" $option "*) arguments=$(echo " $arguments " | sed "s| $option [^ ]* | |") ;; esac
        clmaml train $arguments $option $value --run "$work/run"
        if [ $status -eq 2 ] || [ $status -eq 1 ]; then
            [ "$(grep -vc '^clmaml: note: ' "$work/err")" -eq 1 ] || fail "$source $option: $(cat "$work/err")"
            grep -q 'needs a value' "$work/err" && fail "$option has no value in this test: give it one"
            continue
        fi
        [ $status -eq 0 ] || fail "$source $option $value: exit status $status: $(cat "$work/err")"
        outcome "$work/run" >"$work/$source.with"
        cmp -s "$work/$source.base" "$work/$source.with" || continue
        without_effect $option $source || fail "$source: $option $value is taken and changes nothing"
    done
done

finish
