# Kernels built by several processes: the same ones as by one, once; and nothing is lost where that does not work. Needs PoCL.
. "$(dirname "$0")/../support/cli.sh"

"$CLMAML_PROGRAM" devices 2>/dev/null | grep -q "^\* .* cpu .* Portable Computing Language" || {
    echo "no PoCL: nothing to test"
    finish
    exit
}

# run NAME COUNT [VARIABLE=VALUE..]: the first call of a small item (32 kernels where no team joins them) with empty caches of its own
run() {
    name=$1 count=$2
    shift 2
    mkdir -p "$work/$name/pocl"
    env CLMAML_CACHE_DIR="$work/$name/own" POCL_CACHE_DIR="$work/$name/pocl" CLMAML_BUILD_PROCESSES="$count" CLMAML_LOG="debug:$work/$name/log" \
        CLMAML_CPU_TEAM=1 "$@" "$CLMAML_PROGRAM" bench adaptation --first-call >"$work/$name/out" 2>"$work/$name/err" ||
        fail "$name: $(cat "$work/$name/err")"
}
kernels() { (cd "$work/$1/pocl" && find . -name '*.so' | sort); }

run three 3
expect_in "$work/three/log" "[0-9]+ kernels built in [0-9.]+ s by 3 processes$" "three processes"
kernels three >"$work/three/kernels"
[ "$(wc -l <"$work/three/kernels")" -gt 20 ] || fail "three processes: PoCL has kept $(wc -l <"$work/three/kernels") kernels"
[ -z "$(find "$work/three/own" -name '*job*')" ] || fail "three processes: a list is left"

# What was built is not built again, unless the driver's cache has gone.
built=$(grep -c "by 3 processes" "$work/three/log")
run three 3
[ "$(grep -c "by 3 processes" "$work/three/log")" -eq "$built" ] || fail "what is there was built again"
cp -r "$work/three/pocl" "$work/kept"
rm -rf "$work/three/pocl"
run three 3
[ "$(grep -c "by 3 processes" "$work/three/log")" -gt "$built" ] || fail "the driver's cache was removed, nothing was built apart"

# Kernels of a team are few: they are not worth the start of processes.
run team 2 CLMAML_CPU_TEAM=2
grep -q "by 2 processes" "$work/team/log" && fail "a team: others were started"
[ "$(wc -l <"$work/three/kernels")" -gt "$((4 * $(kernels team | wc -l)))" ] || fail "a team has $(kernels team | wc -l) kernels"

# A builder that fails or is not there: one process builds, and the same kernels.
run fails 2 CLMAML_BUILDER=/bin/false
expect_in "$work/fails/log" "kernels are built by one process: process 0 of /bin/false ended with 1" "a builder that fails"
kernels fails >"$work/fails/kernels"
cmp -s "$work/fails/kernels" "$work/three/kernels" || fail "three processes: other kernels: $(diff "$work/fails/kernels" "$work/three/kernels")"
for name in missing one; do mkdir -p "$work/$name" && cp -r "$work/kept" "$work/$name/pocl"; done # to be found, not built
run missing 2 CLMAML_BUILDER="$work/nothing"
expect_in "$work/missing/log" "kernels are built by one process: $work/nothing cannot be started: No such file" "no builder"
run one 1
grep -q "by [0-9]* processes" "$work/one/log" && fail "one process: others were started"
kernels one >"$work/one/kernels"
cmp -s "$work/one/kernels" "$work/three/kernels" || fail "one process: other kernels: $(diff "$work/one/kernels" "$work/three/kernels")"

CLMAML_CACHE_DIR="$work/wrong" CLMAML_BUILD_PROCESSES=many CLMAML_CPU_TEAM=1 expect_error "no number" 1 'CLMAML_BUILD_PROCESSES: "many" is no number' \
    bench adaptation --first-call

# What is built next is built by the same processes: evaluation's kernels, then training's.
cat >"$work/builder" <<END
#!/bin/sh
echo >>"$work/started"
exec "$CLMAML_PROGRAM" "\$@"
END
chmod +x "$work/builder"
mkdir -p "$work/again/pocl"
env CLMAML_FORCE=1 CLMAML_BUILDER="$work/builder" CLMAML_BUILD_PROCESSES=2 CLMAML_CACHE_DIR="$work/again/own" POCL_CACHE_DIR="$work/again/pocl" \
    CLMAML_LOG="debug:$work/again/log" "$CLMAML_PROGRAM" train glyphs --filters 8 --steps 1 --iterations 1 --val-tasks 8 --eval-tasks 0 --run "$work/again/run" \
    >"$work/out" 2>"$work/err" || fail "train: $(cat "$work/err")"
[ "$(grep -c "by 2 processes$" "$work/again/log")" -gt 1 ] || fail "train: kernels were not built several times by 2 processes"
[ "$(wc -l <"$work/started")" -eq 2 ] || fail "train: $(wc -l <"$work/started") processes were started"

# Lists that are none.
printf 'clMAML kernels 1 0 0 5 0 4 text' >"$work/short"
printf 'clMAML kernels 2 0 0 0 ' >"$work/other"
for list in "$work/short" "$work/other" "$work/nothing" /; do
    echo "$list" | "$CLMAML_PROGRAM" --build-kernels 0 1 >"$work/out" 2>"$work/err" && fail "$list: taken"
    [ -s "$work/err" ] || fail "$list: nothing is said"
done
"$CLMAML_PROGRAM" --build-kernels 0 1 </dev/null >"$work/out" 2>"$work/err" || fail "no list: $(cat "$work/err")"
"$CLMAML_PROGRAM" --build-kernels 2 1 </dev/null >"$work/out" 2>"$work/err" && fail "process 2 of 1: taken"
expect_in "$work/err" "2 of 1 is no process" "process 2 of 1"
finish
