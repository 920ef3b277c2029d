#!/bin/sh
# Compiles every kernel for hardware that need not be there, and fails when one does not compile, is no valid SPIR-V, or spills.
#   offline.sh write OUT WRITER REFERENCE..        the texts, and OUT/jobs.txt: what is to be compiled for what; with CLMAML_TURN=I/N
#                                                  in the environment every N-th of it alone
#   offline.sh write-all OUT WRITER REFERENCE..    the same for all targets, the tuner's candidates included
#   offline.sh compile OUT I/N                     every N-th of these
#   offline.sh report OUT                          what came of them all: OUT/report.txt, and OUT/table.md, a table for docs/devices.md
#
# WRITER (write_kernels.c) writes the program texts of the networks that are trained, of the test models and of every operation. Those of
# kernel files go through the front end one by one, with their options and with warnings as errors; all, joined as drivers get them,
# are compiled for the targets in targets.sh, which also says what tools the environment names. A target without its tools is left out.
set -u
here=$(dirname "$0")
# shellcheck source-path=SCRIPTDIR source=targets.sh
. "$here/targets.sh"

# What kernels may cost, by maker: registers kept in memory for want of room, and bytes of private memory; both cost what a tile is to
# save. Intel's compiler keeps a few of the 128 of a lane in memory in sums for batch-norm and in some direct convolutions, which other
# shapes of the same tile do not need: that is bounded. Where it would be many it compiles once more, with all arrays in private memory,
# and tells of no register then; so there the bytes of a thread are bounded too, by what the registers take. Raise these only with a
# measurement.
SPILLED_AMD=0 SPILLED_NVIDIA=0 SCRATCH_AMD=0
SPILLED_INTEL=32 SPILLED_INTEL_CANDIDATES=8 SCRATCH_INTEL=2048
# Kernels for NVIDIA that load floats by four, of all that load any: in a hundred. Of a quarter, some 170
# kernels of 738, the share deviates from that of all (55) by 4 as a rule: 40 is more than three times that below.
WIDE_LEAST=50
case ${CLMAML_TURN:-0/1} in */1) ;; *) WIDE_LEAST=40 ;; esac

mode=$1 out=$2
shift 2

# ---- writing ----

folders() { printf '%s' "$1" | tr ',' ' '; }

write_jobs() {
    rm -rf "$out"
    mkdir -p "$out/results" || exit 1
    writer=$1
    shift
    [ "$mode" = write ] || set -- --candidates "$@"
    "$writer" "$out" "$@" || exit 1
    for text in "$out"/discrete/*.cl "$out"/rest/*.cl; do
        case ${text##*/} in
        joined-* | generated-*) ;;
        *) echo "front-end front-end $text $out/results/front-end-${text##*/}" ;;
        esac
    done >"$out/jobs.txt"
    targets | while read -r target compiler always beside _; do
        have "$compiler" || case $compiler in front-end | libclc | spirv) ;; *) echo "$target" >>"$out/left-out.txt" && continue ;; esac
        [ "$mode" = write ] || always=$always,$beside
        for folder in $(folders "$always"); do
            for text in "$out/$folder"/joined-*.cl; do
                [ ! -e "$text" ] || echo "$target $compiler $text $out/results/$target-$folder-$(basename "$text" .cl)"
            done
        done
    done >>"$out/jobs.txt"
    if [ "$mode" = write ] && [ -n "${CLMAML_TURN:-}" ]; then
        awk -v i="${CLMAML_TURN%/*}" -v n="${CLMAML_TURN#*/}" 'NR % n == i' "$out/jobs.txt" >"$out/jobs-in-turn.txt"
        mv "$out/jobs-in-turn.txt" "$out/jobs.txt"
    fi
    [ -z "${CLMAML_OFFLINE_CACHE:-}" ] || find "$CLMAML_OFFLINE_CACHE" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + 2>/dev/null
    echo "$(wc -l <"$out/jobs.txt") texts to compile"
}

# ---- compiling ----

# A result depends on the text, on the compilers and on targets.sh alone, so that it can be kept from one build to the next: in the
# folder CLMAML_OFFLINE_CACHE, where that is set. What failed is not kept.
tools_key() {
    {
        sed "/^targets() {/,/^}/d" "$here/targets.sh"
        for tool in "$CLANG" "$LLVM_SPIRV" "$SPIRV_VAL" ${PTXAS:+"$PTXAS"} ${NEW_CLANG:+"$NEW_CLANG"}; do
            with_libraries "$tool" --version | grep -v '^InstalledDir' # where it lies is no matter
        done
        cat "$LIBCLC/amdgcn--amdhsa.bc" "$LIBCLC/nvptx64--nvidiacl.bc" ${ROCM:+"$ROCM/opencl.bc"} ${OCLOC:+"$OCLOC"}
    } | sha256sum | cut -c 1-16
}

# take TARGET TEXT OUT, keep TARGET TEXT OUT: from and to the cache
kept() { echo "$CLMAML_OFFLINE_CACHE/$key-$1-$(sha256sum <"$2" | cut -c 1-32)"; }
take() {
    [ -n "${CLMAML_OFFLINE_CACHE:-}" ] || return 1
    from=$(kept "$1" "$2")
    [ -d "$from" ] || return 1
    touch "$from"
    for file in "$from"/*; do gzip -dc "$file" >"$3.${file##*/}" || return 1; done
}
keep() {
    [ -n "${CLMAML_OFFLINE_CACHE:-}" ] || return 0
    made=$CLMAML_OFFLINE_CACHE/.$$
    rm -rf "$made"
    mkdir -p "$made" || return 0
    for kind in fig log; do [ ! -e "$3.$kind" ] || gzip -1 <"$3.$kind" >"$made/$kind" || rm -rf "$made"; done
    mv -T "$made" "$(kept "$1" "$2")" 2>/dev/null || rm -rf "$made"
}

compile_shard() {
    key=$(tools_key)
    jobs=0 taken=0
    awk -v i="${1%/*}" -v n="${1#*/}" 'NR % n == i' "$out/jobs.txt" >"$out/jobs-${1%/*}.txt"
    while read -r target compiler text to; do
        jobs=$((jobs + 1))
        rm -rf "$to".*
        if take "$target" "$text" "$to"; then
            taken=$((taken + 1))
        elif compile_one "$target" "$compiler" "$text" "$to" >"$to.log" 2>&1; then
            keep "$target" "$text" "$to"
        else
            { echo "FAIL: $text for $target:" && head -n 20 "$to.log"; } >"$to.failed"
        fi
        rm -rf "$to.s" "$to.bc" "$to.spv" "$to.cubin" "$to.ptxas" "$to.said" "$to.ze" "$to.d"
        echo "$to" >>"$out/done-${1%/*}.txt"
    done <"$out/jobs-${1%/*}.txt"
    echo "$jobs texts, $taken of them compiled before" # report tells of failures, with those of the other shards
}

# ---- the report ----

# "GROUP TARGET NAME REGISTERS SPILLED SCRATCH LOCAL PARALLEL WIDE NARROW" of all kernels, GROUP "used" or "candidate". One that several
# folders have counts once.
gather() {
    for group in used candidate; do
        for file in "$out"/results/*.fig; do
            case $file:$group in
            *-candidates-joined-*:used) continue ;;
            *-candidates-joined-*:candidate) ;;
            *:candidate) continue ;;
            esac
            [ ! -s "$file" ] || sed "s/^/$group /" "$file"
        done
    done | awk 'NF > 3 && !seen[$1, $2, $3]++'
}

report_lines() {
    awk '
        { print | "sort -k 1,1r -k 2,2 -k 4,4nr -k 3,3" }' "$out/figures.txt" | awk '
        function out(i, n, m) {
            if (!key) return
            n = count; m = int((n + 1) / 2)
            printf "%-20s %5d kernels; registers: half of them up to %d, most %d; %d spill, at most %d; %d use private memory, at most %d bytes; ",
                key, n, registers[n - m + 1], registers[1], spilling, spilled, private, scratch
            printf "local memory at most %d bytes; waves or lanes: least %d\n", local, least
            for (i = 1; i <= shown; i++) print lines[i]
        }
        {
            if ($1 " " $2 != key) { out(); key = $1 " " $2; count = spilling = spilled = private = scratch = local = shown = 0; least = 1e9 }
            registers[++count] = $4
            if ($5 > 0) { spilling++; if ($5 > spilled) spilled = $5 }
            if ($6 > 0) { private++; if ($6 > scratch) scratch = $6 }
            if ($7 > local) local = $7
            if ($8 < least) least = $8
            if (count <= 4 || $5 > 0 || $6 > 0)
                lines[++shown] = sprintf("    %-44s %4d registers, %d spilled, %d bytes private, %d local, %d waves or lanes", $3, $4, $5, $6, $7, $8)
        }
        END { out() }'
}

# A row of the table for a target: used kernels, then candidates.
row() {
    awk -v target="$1" -v what="$2" '
        $2 != target { next }
        {
            g = $1; n[g]++
            if ($5 > 0) spills[g]++
            if ($5 > spilled[g]) spilled[g] = $5
            if ($8 > 0) at[g, $8]++
            if (g == "used" && $10 + $9 > 0) { loading++; if ($9 > 0) wide++ }
            registers[g, n[g]] = $4
        }
        function median(g, i, k, v) { # of registers, by counting
            for (i = 1; i <= n[g]; i++) bin[registers[g, i]]++
            k = 0
            for (v = 0; v <= 512; v++) { k += bin[v]; if (k >= n[g] / 2) return v }
        }
        function most(g, i, m) { for (i = 1; i <= n[g]; i++) if (registers[g, i] > m) m = registers[g, i]; return m + 0 }
        function lanes(g, w, v, text) {
            for (v = 1; v <= 64; v++) if (at[g, v]) text = text (text ? ", " : "") at[g, v] " x " v
            return text
        }
        function middle(g, v, k) { for (v = 1; v <= 64; v++) { k += at[g, v]; if (k >= n[g] / 2) return v } }
        function spilling(g) { return spills[g] ? spills[g] " (" spilled[g] ")" : "none" }
        function least(g, v) { for (v = 1; v <= 64; v++) if (at[g, v]) return v }
        END {
            if (!n["used"]) exit
            intel = target !~ /^(gfx|sm)/
            printf "| %s | %s | %d | %s | %s | %s | %s |", target, what, n["used"], intel ? "-" : median("used") ", " most("used"),
                intel ? lanes("used") : middle("used") ", " least("used"), spilling("used"), target ~ /^sm/ ? sprintf("%d of %d", wide, loading) : "-"
            if (n["candidate"]) printf " %d | %s |\n", n["candidate"], spilling("candidate")
            else print " - | - |"
        }' "$out/figures.txt"
}

write_table() {
    cat <<'TABLE'
| target | stands for | kernels | registers: median, most | waves or warps: median, least; Intel: kernels x lanes | spill (registers, at most) | with loads of four floats | candidates | of them spill |
|---|---|---|---|---|---|---|---|---|
TABLE
    targets | while read -r target _ _ _ what; do
        case $target in
        nvidia)
            row sm_75 "Turing: T4, RTX 20"
            row sm_80 "Ampere: A100"
            row sm_90 "Hopper: H100, H200"
            ;;
        nvidia-rest | spirv) ;;
        *) row "$target" "$what" ;;
        esac
    done
}

failures=0
failed() {
    printf 'FAIL: %s\n' "$1"
    failures=$((failures + 1))
}

# judge GROUP PATTERN OF SPILLED SCRATCH: kernels that are over
judge() {
    heavy=$(awk -v g="$1" -v t="$2" -v s="$4" -v b="$5" '$1 == g && $2 ~ t && ($5 > s || $6 > b) { print "    " $0 }' "$out/figures.txt")
    [ -z "$heavy" ] || failed "$3 that spill (group, target, kernel, registers, spilled, private, local, waves or lanes):
$heavy"
}

report() {
    gather >"$out/figures.txt"
    report_lines >"$out/report.txt"
    echo "spirv: $(find "$out/results" -name 'spirv-*.fig' | wc -l) programs of some dozen texts, valid" >>"$out/report.txt"
    [ ! -s "$out/left-out.txt" ] || echo "left out, for want of a compiler: $(tr '\n' ' ' <"$out/left-out.txt")" >>"$out/report.txt"
    write_table >"$out/table.md"
    cat "$out/report.txt"
    if ls "$out/results"/*.failed >/dev/null 2>&1; then failed "$(cat "$out/results"/*.failed | head -n 200)"; fi
    if [ "$(cat "$out"/done-*.txt | sort -u | wc -l)" -ne "$(sort -u "$out/jobs.txt" | wc -l)" ]; then
        failed "not all of $(wc -l <"$out/jobs.txt") texts were compiled"
    fi
    awk '$1 != "front-end" && $1 != "spirv" { print $1 }' "$out/jobs.txt" | sort -u >"$out/targets.txt"
    while read -r target; do
        case $target in nvidia) target=sm_90 ;; nvidia-rest) target=sm_75 ;; esac
        grep -q "^used $target " "$out/figures.txt" || failed "the compiler for $target tells of no kernel"
    done <"$out/targets.txt"
    wide=$(awk '$1 == "used" && $2 == "sm_90" && $9 + $10 > 0 { n++; if ($9 > 0) wide++ } END { if (n) print int(100 * wide / n) }' "$out/figures.txt")
    [ "${wide:-$WIDE_LEAST}" -ge $WIDE_LEAST ] || failed "$wide % of the kernels for sm_90 load four floats at once, at least $WIDE_LEAST have to"
    judge used '^gfx' "kernels for AMD" $SPILLED_AMD $SCRATCH_AMD
    judge candidate '^gfx' "candidates for AMD" $SPILLED_AMD $SCRATCH_AMD
    judge used '^sm_' "kernels for NVIDIA" $SPILLED_NVIDIA 0
    judge candidate '^sm_' "candidates for NVIDIA" $SPILLED_NVIDIA 0
    judge used '^(skl|tgllp|acm)' "kernels for Intel" $SPILLED_INTEL $SCRATCH_INTEL
    judge candidate '^(skl|tgllp|acm)' "candidates for Intel" $SPILLED_INTEL_CANDIDATES $SCRATCH_INTEL
    exit $((failures > 0))
}

case $mode in
write | write-all) write_jobs "$@" ;;
compile) compile_shard "$1" ;;
report) report ;;
*) echo "offline.sh: unknown mode $mode" >&2 && exit 2 ;;
esac
