#!/bin/sh
# Compiles every kernel for hardware that need not be there, and fails when one does not compile, is no valid SPIR-V, or spills.
#   offline.sh write OUT WRITER REFERENCE..   the texts, and OUT/jobs.txt: what is to be compiled for what
#   offline.sh compile OUT I/N                every N-th of these
#   offline.sh report OUT                     what came of them all
#
# WRITER (write_kernels.c) writes the program texts of the test models and of every operation. Those of kernel files go through the
# front end one by one, with their options and with warnings as errors; all, joined by sixteen as drivers get them, are compiled for
#   gfx900, gfx1030   AMD: Vega and RDNA 2, with libclc
#   sm_60             NVIDIA: Pascal, with libclc; then by ptxas for PTXAS_TARGET where the CUDA toolkit is at hand
#   spirv             Intel and others: unoptimised LLVM code, as llvm-spirv wants it, translated and validated; also the CPU's texts
#
# The report, OUT/report.txt, has for each of them the registers, spills, scratch and local memory that the compiler tells of. Tools come
# from the environment: CLANG LLVM_SPIRV SPIRV_VAL LIBCLC, and PTXAS, which may be empty.
set -u

# Registers that a kernel may keep in memory for want of room, and bytes of private memory, on AMD: both cost what the tile was to
# save. No kernel needs any; raise this only with a measurement.
SPILLS_ALLOWED=0
SCRATCH_ALLOWED=0
PTXAS_TARGET=sm_75

# Options of a text: in its first line.
front_end() {
    # shellcheck disable=SC2046
    "$CLANG" -x cl -cl-std=CL1.2 $(sed -n '1s|^// ||p' "$1") "$@"
}

# compile_one TARGET TEXT OUT: the result is OUT.s, OUT.spv; messages go to stdout.
compile_one() {
    case $1 in
    front-end) front_end "$2" -target spir64 -fsyntax-only -Wall -Wno-unused-function -Werror ;;
    gfx*)
        front_end "$2" -target amdgcn-amd-amdhsa -mcpu="$1" -nogpulib -O2 -Wno-linker-warnings -Xclang -mlink-builtin-bitcode \
            -Xclang "$LIBCLC/amdgcn--amdhsa.bc" -S -o "$3.s"
        ;;
    sm_*)
        front_end "$2" -target nvptx64-nvidia-nvcl -Xclang -target-cpu -Xclang "$1" -O2 -Wno-linker-warnings \
            -Xclang -mlink-builtin-bitcode -Xclang "$LIBCLC/nvptx64--nvidiacl.bc" -S -o "$3.s" || return 1
        [ -z "$PTXAS" ] || "$PTXAS" -v -arch=$PTXAS_TARGET "$3.s" -o "$3.cubin"
        ;;
    spirv)
        front_end "$2" -target spir64 -O2 -Xclang -disable-llvm-passes -emit-llvm -c -o "$3.bc" &&
            "$LLVM_SPIRV" "$3.bc" -o "$3.spv" && "$SPIRV_VAL" "$3.spv"
        ;;
    esac
}

# A result depends on the text, on the compilers and on this file alone, so that it can be kept from one build to the next: in the
# folder CLMAML_OFFLINE_CACHE, where that is set. What failed is not kept.
tools_key() {
    { cat "$0" && for tool in "$CLANG" "$LLVM_SPIRV" "$SPIRV_VAL" ${PTXAS:+"$PTXAS"}; do "$tool" --version; done &&
        cat "$LIBCLC/amdgcn--amdhsa.bc" "$LIBCLC/nvptx64--nvidiacl.bc"; } | sha256sum | cut -c 1-16
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
    for kind in s spv log; do [ ! -e "$3.$kind" ] || gzip -1 <"$3.$kind" >"$made/$kind" || rm -rf "$made"; done
    mv -T "$made" "$(kept "$1" "$2")" 2>/dev/null || rm -rf "$made"
}

write_jobs() {
    rm -rf "$out"
    mkdir -p "$out/results" || exit 1
    "$@" || exit 1
    for kind in gpu cpu; do
        for text in "$out/$kind"/*.cl; do
            name=$kind-$(basename "$text" .cl)
            case $name in
            gpu-joined-*) targets="gfx900 gfx1030 sm_60 spirv" ;;
            cpu-joined-*) targets=spirv ;;
            gpu-generated-* | cpu-*) targets="" ;;
            *) targets=front-end ;;
            esac
            for target in $targets; do echo "$target $text $out/results/$target-$name"; done
        done
    done >"$out/jobs.txt"
    [ -z "${CLMAML_OFFLINE_CACHE:-}" ] || find "$CLMAML_OFFLINE_CACHE" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} + 2>/dev/null
    exit 0
}

compile_shard() {
    key=$(tools_key)
    jobs=0 taken=0
    awk -v i="${1%/*}" -v n="${1#*/}" 'NR % n == i' "$out/jobs.txt" >"$out/jobs-${1%/*}.txt"
    while read -r target text to; do
        jobs=$((jobs + 1))
        if take "$target" "$text" "$to"; then
            taken=$((taken + 1))
        elif compile_one "$target" "$text" "$to" >"$to.log" 2>&1; then
            keep "$target" "$text" "$to"
        else
            { echo "FAIL: $text for $target:" && head -n 20 "$to.log"; } >"$to.failed"
        fi
        echo "$to" >>"$out/done-${1%/*}.txt"
    done <"$out/jobs-${1%/*}.txt"
    echo "$jobs texts, $taken of them compiled before"
    exit 0 # the report tells of failures, with those of the other shards
}

mode=$1 out=$2
shift 2
case $mode in
write)
    writer=$1
    shift
    write_jobs "$writer" "$out" "$@"
    ;;
compile) compile_shard "$1" ;;
report) ;;
*) echo "offline.sh: unknown mode $mode" >&2 && exit 2 ;;
esac

# NAME REGISTERS SPILLS SCRATCH LOCAL for each kernel in AMD's assembly
amd_kernels() {
    cat "$out/results/$1"-*.s | awk '
        $1 == ".group_segment_fixed_size:" { lds = $2 }
        $1 == ".name:" { name = $2 }
        $1 == ".private_segment_fixed_size:" { scratch = $2 }
        $1 == ".vgpr_count:" { registers = $2 }
        $1 == ".vgpr_spill_count:" { print name, registers, $2, scratch, lds }'
}

# likewise from the messages of ptxas; spills are bytes there
nvidia_kernels() {
    cat "$out/results/$1"-*.log | awk '
        /Compiling entry function/ { split($0, part, "\047"); name = part[2] }
        /bytes stack frame/ { scratch = $1; spills = $5 }
        /Used [0-9]+ registers/ {
            lds = 0
            for (i = 1; i < NF; i++) { if ($i == "Used") registers = $(i + 1); if ($(i + 2) == "smem,") lds = $i }
            print name, registers, spills, scratch, lds
        }'
}

# summary TARGET: one line and the heaviest kernels, with the place where they were met first.
summary() {
    sort -k 2,2nr -k 1,1 "$out/$1.kernels" >"$out/$1.sorted"
    awk -v target="$1" '
        { registers[NR] = $2; if ($3 > 0) spilled++; if ($4 > scratch) scratch = $4; if ($5 > 0) locals++; if ($5 > lds) lds = $5 }
        END { printf "%-8s %5d kernels; registers: half of them up to %d, most %d; %d spill, scratch at most %d bytes; %d use local memory, at most %d bytes\n",
                  target, NR, registers[int((NR + 1) / 2)], registers[1], spilled, scratch, locals, lds }' "$out/$1.sorted"
    awk -F '[\t ]' 'NR == FNR { key = $1; sub(/^[^\t]*\t/, ""); place[key] = $0; next }
        FNR <= 6 || $3 > 0 || $4 > 0 {
            file = $1; sub(/.*_/, "_", file)
            for (key in place) if (index(key, file)) where = place[key]
            printf "    %-40s %4d registers, %d spilled, %d bytes of scratch, %d of local memory   %s\n", $1, $2, $3, $4, $5, where }' \
        "$out/gpu/kernels.txt" "$out/$1.sorted"
}

for target in gfx900 gfx1030; do amd_kernels $target >"$out/$target.kernels"; done
nvidia_kernels sm_60 >"$out/sm_60.kernels"
{
    for target in gfx900 gfx1030; do summary $target; done
    if [ -n "$PTXAS" ]; then
        summary sm_60
    else
        echo "sm_60    registers are not known: there is no ptxas, which is part of the CUDA toolkit"
    fi
    echo "spirv    $(ls "$out/results"/spirv-*.spv | wc -l) programs of up to 16 texts, valid"
} >"$out/report.txt"
cat "$out/report.txt"

failures=$(ls "$out/results"/*.failed 2>/dev/null | wc -l)
[ "$failures" -eq 0 ] || cat "$out/results"/*.failed | head -n 200
if [ "$(cat "$out"/done-*.txt | sort -u | wc -l)" -ne "$(sort -u "$out/jobs.txt" | wc -l)" ]; then
    echo "FAIL: not all of $(wc -l <"$out/jobs.txt") texts were compiled"
    failures=$((failures + 1))
fi
for target in gfx900 gfx1030; do
    if [ ! -s "$out/$target.kernels" ]; then
        echo "FAIL: the assembly for $target tells of no kernel"
        failures=$((failures + 1))
    fi
    heavy=$(awk -v s=$SPILLS_ALLOWED -v b=$SCRATCH_ALLOWED '$3 > s || $4 > b' "$out/$target.kernels")
    if [ -n "$heavy" ]; then
        echo "FAIL: kernels that spill on $target (name, registers, spilled, bytes of scratch, bytes of local memory):"
        echo "$heavy"
        failures=$((failures + 1))
    fi
done
if [ -n "$PTXAS" ] && [ ! -s "$out/sm_60.kernels" ]; then
    echo "FAIL: ptxas tells of no kernel"
    failures=$((failures + 1))
fi
exit $((failures > 0))
