#!/bin/sh
# offline.sh OUT WRITER REFERENCE..: compiles every kernel for hardware that need not be there, and fails when one does not
# compile, is no valid SPIR-V, or spills.
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

if [ "$1" = compile ]; then
    compile_one "$2" "$3" "$4" >"$4.log" 2>&1 && exit 0
    { echo "FAIL: $3 for $2:" && head -n 20 "$4.log"; } >"$4.failed"
    exit 0
fi

out=$1 writer=$2
shift 2
rm -rf "$out"
mkdir -p "$out/results" || exit 1
"$writer" "$out" "$@" || exit 1

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
xargs -P "$(nproc)" -n 3 sh "$0" compile <"$out/jobs.txt"

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
