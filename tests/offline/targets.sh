# shellcheck shell=sh
# What kernels are compiled for, and how: read by offline.sh. Tools come from the environment, each may be empty where it is optional:
#   CLANG LLVM_SPIRV SPIRV_VAL LIBCLC    of one version of LLVM; needed
#   ROCM           folder of AMD's own bitcode (opencl.bc, ocml.bc, ..)
#   NEW_CLANG      a clang that knows AMD's newer GPUs, 19 or later
#   PTXAS          of the CUDA toolkit
#   OCLOC          Intel's offline compiler
#   COMPILER_LIBS  a folder of libraries that NEW_CLANG and OCLOC load

# target, compiler, the folders of write_kernels.c that are compiled always, those beside in the whole, what it stands for
targets() {
    cat <<'TABLE'
gfx900 libclc discrete,integrated-own,rest discrete-candidates Vega
gfx906 rocm:906:64 - discrete,discrete-candidates Vega 20: Radeon VII, MI50
gfx90a rocm:90a:64 - discrete,discrete-candidates CDNA 2: MI200
gfx942 rocm-new:940:64 - discrete,discrete-candidates CDNA 3: MI300
gfx1030 rocm:1030:32 discrete,integrated-own,rest discrete-candidates RDNA 2: RX 6800
gfx1100 rocm-new:1036:32 - discrete,discrete-candidates RDNA 3: RX 7900
gfx1201 rocm-new:1036:32 discrete discrete-candidates RDNA 4: RX 9070
nvidia ptxas:75:80:90 discrete discrete-candidates -
nvidia-rest ptxas:75 rest - -
skl ocloc - integrated,integrated-candidates Gen9: HD and UHD 5xx, 6xx
tgllp ocloc integrated integrated-candidates Xe-LP: Iris Xe
acm-g10 ocloc - arc,arc-candidates Xe-HPG: Arc A770
spirv spirv discrete,integrated-own,rest,cpu discrete-candidates -
TABLE
}

# Is the compiler of a target there?
have() {
    case $1 in
    rocm:*) [ -n "${ROCM:-}" ] ;;
    rocm-new:*) [ -n "${ROCM:-}" ] && [ -n "${NEW_CLANG:-}" ] ;;
    ptxas:*) [ -n "${PTXAS:-}" ] ;;
    ocloc) [ -n "${OCLOC:-}" ] ;;
    esac
}

# Options of a text: in its first line.
options_of() { sed -n '1s|^// ||p' "$1"; }

# clang_for CLANG TEXT OPTION..
clang_for() {
    clang=$1 text=$2
    shift 2
    # shellcheck disable=SC2046
    "$clang" -x cl -cl-std=CL1.2 $(options_of "$text") "$@" "$text"
}

with_libraries() { LD_LIBRARY_PATH="${COMPILER_LIBS:-}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"; }

# rocm CLANG TARGET:ISA:WAVE TEXT OUT: with the newest description of an instruction set that AMD's libraries of that day have.
rocm() {
    clang=$1 isa=${2#*:} target=${2%%:*} text=$3 to=$4
    wave=oclc_wavefrontsize64_off
    [ "${isa#*:}" = 32 ] || wave=oclc_wavefrontsize64_on
    set -- -target amdgcn-amd-amdhsa "-mcpu=$target" -nogpulib -mcode-object-version=4 -O2 -Wno-linker-warnings -S -o "$to.s"
    for library in opencl ocml ockl oclc_correctly_rounded_sqrt_on oclc_daz_opt_off oclc_finite_only_off oclc_unsafe_math_off \
        oclc_abi_version_400 "$wave" "oclc_isa_version_${isa%%:*}"; do
        set -- "$@" -Xclang -mlink-builtin-bitcode -Xclang "$ROCM/$library.bc"
    done
    clang_for "$clang" "$text" "$@"
}

# Figures, a line for each kernel: TARGET NAME REGISTERS SPILLED SCRATCH LOCAL PARALLEL WIDE NARROW, where PARALLEL is waves (AMD), warps
# that the registers have room for (NVIDIA), lanes of a thread (Intel); WIDE and NARROW are loads of four floats and of one in PTX.
amd_figures() {
    awk -v target="$1" '
        /-- Begin function/ { name = $NF }
        /^; Occupancy:/ { waves[name] = $3 }
        $1 == ".group_segment_fixed_size:" { lds = $2 }
        $1 == ".name:" { name = $2 }
        $1 == ".private_segment_fixed_size:" { scratch = $2 }
        $1 == ".vgpr_count:" { registers = $2 }
        $1 == ".vgpr_spill_count:" { print target, name, registers, $2, scratch, lds, waves[name], 0, 0 }' "$2"
}

# nvidia_figures ARCH PTX LOG: registers come in eights for each of 32 lanes, out of 65536; spills are bytes.
nvidia_figures() {
    awk -v arch="$1" '
        NR == FNR && /\.entry / { name = $0; sub(/.*\.entry /, "", name); sub(/[( ].*/, "", name) }
        NR == FNR && /ld\.global[.a-z]*\.v4\.f32/ { wide[name]++ }
        NR == FNR && /ld\.global[.a-z]*\.f32/ && !/\.v[24]\./ { narrow[name]++ }
        NR == FNR { next }
        /Compiling entry function/ { split($0, part, "\047"); name = part[2] }
        /bytes stack frame/ { scratch = $1; spills = $5 }
        /Used [0-9]+ registers/ {
            lds = 0
            for (i = 1; i < NF; i++) { if ($i == "Used") registers = $(i + 1); if ($(i + 2) ~ /^smem/) lds = $i }
            warps = int(65536 / (32 * 8 * int((registers + 7) / 8))); most = arch == 75 ? 32 : 64
            print "sm_" arch, name, registers, spills, scratch, lds, warps < most ? warps : most, wide[name] + 0, narrow[name] + 0
        }' "$2" "$3"
}

# intel_figures TARGET BINARY LOG: of the description in the binary, and the compiler's word on spills.
intel_figures() {
    awk -v target="$1" -v said="$3" '
        function out() { if (name != "" && simd) print target, name, grf, spilled[name] + 0, scratch, local, simd, 0, 0; simd = 0 }
        FILENAME == said && /spilled around/ { for (i = 1; i < NF; i++) if ($i == "kernel") name = $(i + 1); spilled[name] = $NF }
        FILENAME == said { next }
        FNR == 1 { name = "" }
        /^  - name: / { out(); name = $3; local = scratch = grf = 0 }
        $1 == "simd_size:" { simd = $2 }
        $1 == "grf_count:" { grf = $2 }
        $1 == "slm_size:" { local = $2 }
        /^    [a-z_]+:$/ { buffers = $1 == "per_thread_memory_buffers:" }
        buffers && $1 == "size:" { scratch += $2 }
        END { out() }' "$3" "$2"
}

# compile_one TARGET COMPILER TEXT OUT: figures in OUT.fig, messages to stdout.
compile_one() {
    # shellcheck disable=SC2153 # CLANG is of the environment
    case $2 in
    front-end) clang_for "$CLANG" "$3" -target spir64 -fsyntax-only -Wall -Wno-unused-function -Werror ;;
    libclc)
        clang_for "$CLANG" "$3" -target amdgcn-amd-amdhsa "-mcpu=$1" -nogpulib -O2 -Wno-linker-warnings -Xclang -mlink-builtin-bitcode \
            -Xclang "$LIBCLC/amdgcn--amdhsa.bc" -S -o "$4.s" && amd_figures "$1" "$4.s" >"$4.fig"
        ;;
    rocm:*) rocm "$CLANG" "$1:${2#*:}" "$3" "$4" && amd_figures "$1" "$4.s" >"$4.fig" ;;
    rocm-new:*) with_libraries rocm "$NEW_CLANG" "$1:${2#*:}" "$3" "$4" && amd_figures "$1" "$4.s" >"$4.fig" ;;
    ptxas:*) # from one PTX for several
        clang_for "$CLANG" "$3" -target nvptx64-nvidia-nvcl -Xclang -target-cpu -Xclang sm_60 -O2 -Wno-linker-warnings \
            -Xclang -mlink-builtin-bitcode -Xclang "$LIBCLC/nvptx64--nvidiacl.bc" -S -o "$4.s" || return 1
        for arch in $(printf '%s' "${2#*:}" | tr ':' ' '); do
            "$PTXAS" -v "-arch=sm_$arch" "$4.s" -o "$4.cubin" >"$4.ptxas" 2>&1 || { cat "$4.ptxas" && return 1; }
            nvidia_figures "$arch" "$4.s" "$4.ptxas" >>"$4.fig"
        done
        ;;
    ocloc)
        with_libraries "$OCLOC" compile -file "$3" -device "$1" -options "-cl-std=CL1.2 $(options_of "$3")" \
            -internal_options -cl-intel-allow-zebin -out_dir "$4.d" -output x -output_no_suffix >"$4.said" 2>&1 ||
            { cat "$4.said" && return 1; }
        cat "$4.said"
        LC_ALL=C grep -a '^ *[-a-z_]*[a-z_ -]*: *[A-Za-z0-9_]*$' "$4.d/x" >"$4.ze"
        intel_figures "$1" "$4.ze" "$4.said" >"$4.fig"
        ;;
    spirv)
        clang_for "$CLANG" "$3" -target spir64 -O2 -Xclang -disable-llvm-passes -emit-llvm -c -o "$4.bc" &&
            "$LLVM_SPIRV" "$4.bc" -o "$4.spv" && "$SPIRV_VAL" "$4.spv" && echo "spirv" >"$4.fig"
        ;;
    esac
}
