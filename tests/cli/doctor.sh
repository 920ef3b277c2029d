# doctor on the device at hand: everything is right, and the report has all that a bug report needs and nothing private.
. "$(dirname "$0")/../support/cli.sh"

# A home of our own, but PoCL's compiled kernels from where they always are.
POCL_CACHE_DIR=${POCL_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pocl/kcache}
export POCL_CACHE_DIR
mkdir -p "$work/home/cache"
HOME=$work/home
CLMAML_CACHE_DIR=$work/home/cache
export HOME CLMAML_CACHE_DIR
unset CLMAML_NO_CACHE

# A report that cannot be written is told at once, not after minutes.
expect_error "report in no directory" 1 "$work/nowhere/report" doctor --device host --report "$work/nowhere/report"
[ ! -s "$work/out" ] || fail "report in no directory: the examination began"

echo "old" >"$work/report"
expect_success "doctor" doctor --report "$work/report"
expect_in "$work/out" "^  first kernel .*OK$" "doctor"
expect_in "$work/out" "^  conv2d .* us +OK$" "doctor"
expect_in "$work/out" "^  CLBlast +(.*error .* OK$|not )" "doctor"
builders=$(sed -n 's/^CLM_API clm_value clm_\([a-z0-9_]*\)(.*/\1/p' "$CLMAML_SOURCE_DIR/include/clmaml/graph.h" | grep -v '^input$')
[ "$(echo "$builders" | wc -l)" -gt 60 ] || fail "doctor: which builders there are is not known"
for builder in $builders; do
    expect_in "$work/out" "^  $builder .* us +OK$" "doctor: every builder"
done
cp "$work/out" "$work/doctor.out"
expect_success "algorithms --json" algorithms --json
for name in $(sed -n '/"algorithm"/,/"loss"/s/^      "name": "\(.*\)",$/\1/p' "$work/out"); do
    grep "relative error .*OK$" "$work/doctor.out" | grep -Fqw -- "$name" || fail "doctor: $name is not examined"
done
printf '[{"op": "none"}]' >"$work/none.json"
clmaml model "$work/none.json" --in-shape 1
layers=$(sed -n 's/.*known: \([^;]*\);.*/\1/p' "$work/err" | tr -d ',')
[ "$(echo "$layers" | wc -w)" -gt 35 ] || fail "doctor: which layers there are is not known"
sed -n '/^layers, /,/^algorithms /p' "$work/doctor.out" >"$work/layers.out"
for layer in $layers; do
    expect_in "$work/layers.out" "^  $layer +relative error .*OK$" "doctor: every layer"
done
cp "$work/doctor.out" "$work/out"
expect_in "$work/out" "^  Conv-4, glyphs, 2 steps +relative error .*OK$" "doctor"
expect_in "$work/out" "^[0-9]+ checks OK, 0 FAIL$" "doctor"
grep -q '^|' "$work/out" && fail "doctor: lines of the report alone are shown"

report=$work/report
for section in warnings environment "OpenCL drivers" devices examination cache; do
    expect_in "$report" "^== $section ==$" "report"
done
expect_in "$report" "^library +clmaml [0-9.]+, .*(gcc|clang)" "report: versions"
expect_in "$report" "^system +[A-Za-z]+ " "report: system"
expect_in "$report" "^result +all is well$" "report: result"
expect_in "$report" "^  CLMAML_PROBE_SECONDS" "report: environment"
expect_in "$report" "^quirks +" "report: quirks"
expect_in "$report" "global memory [0-9]+, largest allocation [0-9]+, local memory [0-9]+ bytes, base alignment [0-9]+ bits" "report: devices"
expect_in "$report" "what tuning has found here, as a section of src/tune/database.txt" "report: tuning"
expect_in "$report" "^  conv2d .* us +OK$" "report: operations"
expect_in "$report" "^kernels of that meta-gradient, the slowest first$" "report: kernels"
expect_in "$report" "^ +[0-9.]+ % +[0-9.]+ .*conv2d" "report: kernels"
expect_in "$report" "^  CLMAML_CACHE_DIR +~/cache$" "report: the home directory is shortened"
expect_in "$report" "^  ~/cache, on, writable$" "report: cache"
expect_in "$report" "^  [0-9]+ files, " "report: cache"
grep -q "$work/home" "$report" && fail "report: the home directory is named: $(grep "$work/home" "$report")"
grep -q "^|" "$report" && fail "report: marks of lines are left"
[ "$(find "$work" -maxdepth 1 -name 'report*')" = "$report" ] || fail "report: temporary files were left"

# The quick one says what libraries are used for, and tries none.
expect_success "doctor --quick" doctor --quick
expect_in "$work/out" "^  CLBlast +(.*, not tried here$|not used|cannot be loaded)" "doctor --quick"
expect_in "$work/out" "^[0-9]+ checks OK, 0 FAIL$" "doctor --quick"

# Every work-around at once changes nothing but speed.
CLMAML_QUIRKS=+oclgrind-writes,+apple-cpu-groups
export CLMAML_QUIRKS
expect_success "training with work-arounds" train sine --meta-batch 2 --shots 2 --query 2 --iterations 2 --val-tasks 2 --eval-tasks 2 \
    --run "$work/run"
CLMAML_QUIRKS=+fast
expect_error "an unknown quirk" 1 "CLMAML_QUIRKS: .\+fast. is not none, \+NAME or -NAME; the names are oclgrind-writes" train sine --run "$work/new"
unset CLMAML_QUIRKS

# The log, where it was asked for.
CLMAML_LOG=info:$work/log
export CLMAML_LOG
expect_success "training with a log" train sine --meta-batch 2 --shots 2 --query 2 --iterations 1 --val-tasks 2 --eval-tasks 2 --run "$work/logged"
[ ! -s "$work/err" ] || fail "training with a log: $(cat "$work/err")"
expect_in "$work/log" "^clmaml\[[0-9]+\] [0-9.]+ info: device [0-9]+:[0-9]+ " "log"
expect_in "$work/log" " info: memory plan: " "log"
CLMAML_LOG=loud
expect_error "a wrong log level" 1 "CLMAML_LOG is \"loud\"; it has to be error, info or debug" train sine --run "$work/new"
unset CLMAML_LOG

finish
