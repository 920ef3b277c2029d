#!/usr/bin/env bash
# Installs what building clMAML needs, on Debian and its relatives: only what is missing, with sudo only when not root.
#
#   scripts/install-deps.sh           to build and to train
#   scripts/install-deps.sh --tests [BUILD]
#                                     and to run the tests; what no package has, or what would register a driver or weigh
#                                     on the system, goes into BUILD [build-test]: Intel's OpenCL runtime for CPUs into
#                                     intel-opencl, compilers for GPUs into compilers; scikit-build-core, where no package
#                                     of Python has it, into python-tools
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config ocl-icd-opencl-dev opencl-c-headers pocl-opencl-icd
    libjansson-dev libzip-dev libpng-dev libjpeg-dev libwebp-dev libgif-dev)
# CLBlast and clFFT, which GPUs can use; a system that does not have them does without.
readonly LIBRARY_PACKAGES=(libclblast1 libclfft2)
readonly TEST_PACKAGES=(check oclgrind mesa-opencl-icd "${LIBRARY_PACKAGES[@]}" mmdebstrap uidmap abigail-tools)
# Compilers for hardware that need not be there; a system that does not have them does without their tests.
readonly COMPILER_PACKAGES=(clang-15 llvm-spirv-15 libclc-15 spirv-tools)
# Likewise, unpacked into the build folder alone: Intel's compiler for its GPUs (the package would register a driver), AMD's bitcode, and
# a clang that knows AMD's newer GPUs.
readonly UNPACKED_PACKAGES=(intel-opencl-icd libigc1 libigdfcl1 libopencl-clang14 libllvmspirvlib14 libclang-cpp14 libllvm14 libigdgmm12
    rocm-device-libs clang-19 libclang-cpp19 libllvm19 libclang-common-19-dev)
# Static analysis, in the versions that the tree is kept clean under.
readonly ANALYSIS_PACKAGES=(cppcheck clang-tidy-14)
# What the Python package is tested with; without them its tests are skipped.
readonly PYTHON_PACKAGES=(python3-numpy python3-pytest python3-venv)
# Several processes and machines, under both implementations; of Debian's alternatives Open MPI stays the first. Without them tests are left out.
readonly MPI_PACKAGES=(libopenmpi-dev openmpi-bin libmpich-dev mpich)
readonly ATTEMPTS=4
ROOT=() # what is put before a command that needs root

say() { printf 'install-deps: %s\n' "$*"; }

fail() {
    printf 'install-deps: %s\n' "$*" >&2
    exit 1
}

# What a system without apt-get must have, in words that fit any of them.
check_by_hand() {
    local missing=() library program
    for program in cc cmake ninja pkg-config; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    for library in OpenCL jansson libzip libpng ${1:+check}; do
        pkg-config --exists "$library" 2>/dev/null || missing+=("$library (development files)")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "no apt-get on this system, but everything needed is there"
        return
    fi
    printf 'install-deps: this system has no apt-get, so the packages must be installed by hand. Missing:\n' >&2
    printf '  %s\n' "${missing[@]}" >&2
    cat >&2 <<'TEXT'
Needed in all: a C11 compiler, CMake 3.22 or later, Ninja, pkg-config, the OpenCL headers and ICD loader, an OpenCL driver (that
of your GPU, or PoCL for the CPU), and the development files of jansson, libzip and libpng; for JPEG, WebP and GIF pictures those of
libjpeg-turbo, libwebp and giflib; for the tests, Check.
  Fedora      dnf install gcc cmake ninja-build pkgconf ocl-icd-devel opencl-headers pocl jansson-devel libzip-devel libpng-devel libjpeg-turbo-devel libwebp-devel giflib-devel check-devel
  Arch Linux  pacman -S gcc cmake ninja pkgconf ocl-icd opencl-headers pocl jansson libzip libpng libjpeg-turbo libwebp giflib check
  openSUSE    zypper install gcc cmake ninja pkgconf ocl-icd-devel opencl-headers pocl libjansson-devel libzip-devel libpng16-devel libjpeg8-devel libwebp-devel giflib-devel check-devel
TEXT
    exit 1
}

is_offered() { apt-cache show "$1" >/dev/null 2>&1; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# apt-get as root, without questions, waiting for another apt-get to finish.
apt() { "${ROOT[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }

# Package servers fail now and then: a few attempts, further and further apart.
update_lists() {
    local attempt
    for ((attempt = 1; attempt <= ATTEMPTS; attempt++)); do
        apt update -o APT::Update::Error-Mode=any && return
        [ "$attempt" -eq "$ATTEMPTS" ] && break
        say "apt-get update failed (attempt $attempt of $ATTEMPTS); again in $((5 * attempt)) s"
        sleep $((5 * attempt))
    done
    say "apt-get update keeps failing; going on with the package lists there are"
}

# Intel's runtime into a folder of the build: from PyPI, these very files, and of them the libraries alone. It is under Intel's
# End User License Agreement for Developer Tools. Tests that need it are left out where it cannot be had.
install_intel_opencl() {
    local into="$1/intel-opencl" wheels why=""
    [ ! -s "$into/intel.icd" ] || return 0
    if [ "$(uname -sm)" != "Linux x86_64" ]; then
        why="it is for Linux on x86-64"
    elif ! python3 -m pip --version >/dev/null 2>&1; then
        why="there is no pip for python3"
    fi
    wheels="$(mktemp -d "${TMPDIR:-/tmp}/clmaml-intel.XXXXXX")"
    if [ -z "$why" ]; then
        say "installing Intel's OpenCL runtime for CPUs into $into"
        python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes -d "$wheels" \
            -r scripts/intel-opencl.txt && python3 scripts/unpack-intel-opencl.py "$into" "$wheels"/*.whl ||
            why="see the messages above"
    fi
    rm -rf "$wheels"
    [ -z "$why" ] || say "no Intel OpenCL runtime ($why); tests that need it are left out"
}

# install_packages TESTS PACKAGE.. -- OPTIONAL..
install_packages() {
    local tests="$1" packages=() optional=() missing=() unknown=() package without="it is done without"
    [ -z "$tests" ] || without="tests that need it are left out"
    shift
    while [ "$1" != -- ]; do
        packages+=("$1")
        shift
    done
    shift
    optional=("$@")
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        check_by_hand "$tests"
        return
    fi
    for package in "${packages[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    for package in "${optional[@]}"; do
        is_installed "$package" || unknown+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ] && [ ${#unknown[@]} -eq 0 ]; then
        say "everything is installed already"
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            [ ${#missing[@]} -eq 0 ] || fail "there is no sudo here; as root, run: apt-get install --no-install-recommends ${missing[*]}"
            say "there is no sudo here to install ${unknown[*]}; $without"
            return
        fi
        ROOT=(sudo)
    fi
    update_lists
    for package in "${unknown[@]}"; do
        if is_offered "$package"; then
            missing+=("$package")
        else
            say "this system has no package $package; $without"
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    apt install -y --no-install-recommends "${missing[@]}" ||
        fail "apt-get could not install: ${missing[*]}; see its messages above"
}

# Packages into a folder of the build, where nothing else sees them; those that the system has are taken from there. Tests that need
# one are left out where it cannot be had.
unpack_compilers() {
    local into="$1/compilers" folder package
    if [ -e "$into/complete" ] || [ -n "${SANITIZE:-}" ]; then return 0; fi # those tests are in no build with sanitizers
    mkdir -p "$into"
    into="$(cd "$into" && pwd)"
    folder="$(mktemp -d "${TMPDIR:-/tmp}/clmaml-compilers.XXXXXX")"
    say "unpacking compilers for GPUs into $into"
    is_offered rocm-device-libs || [ "$(id -u)" -ne 0 ] || update_lists
    for package in "${UNPACKED_PACKAGES[@]}"; do
        case "$package" in libllvm14 | libclang-cpp14 | libigdgmm12) ! is_installed "$package" || continue ;; esac
        if ! (cd "$folder" && apt-get download -o APT::Sandbox::User=root "$package" >log 2>&1) ||
            ! dpkg -x "$folder/$package"_*.deb "$into"; then
            say "no package $package here ($(tail -n 1 "$folder/log")); tests that need it are left out"
            rm -rf "$folder"
            return 0
        fi
        rm -f "$folder"/*.deb
    done
    rm -rf "$folder" "$into/etc/OpenCL" # nothing is to find a driver there
    touch "$into/complete"
}

# NVIDIA's assembler, where the CUDA toolkit is not installed: from PyPI, this very file, under NVIDIA's licence for CUDA.
install_ptxas() {
    local into="$1/compilers/nvidia" wheels
    if command -v ptxas >/dev/null || [ -x /usr/local/cuda/bin/ptxas ] || [ -x "$into/ptxas" ]; then return 0; fi
    wheels="$(mktemp -d "${TMPDIR:-/tmp}/clmaml-ptxas.XXXXXX")"
    say "installing ptxas into $into"
    mkdir -p "$into"
    if python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes -d "$wheels" -r scripts/nvidia-ptxas.txt &&
        python3 -c 'import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
name = next(n for n in archive.namelist() if n.endswith("/bin/ptxas"))
open(sys.argv[2], "wb").write(archive.read(name))' "$wheels"/*.whl "$into/ptxas"; then
        chmod +x "$into/ptxas"
    else
        say "no ptxas (see the messages above); tests that need it are left out"
        rm -f "$into/ptxas"
    fi
    rm -rf "$wheels"
}

# What builds wheels, into a virtual environment in the build, beside the NumPy and pytest of the system: these very files.
install_python_tools() {
    local into="$1/python-tools" python why="no python3 has NumPy and pytest"
    for python in "$into/bin/python" python3 /usr/bin/python3; do
        ! "$python" -c "import numpy, pytest, scikit_build_core" 2>/dev/null || return 0
    done
    for python in python3 /usr/bin/python3; do
        "$python" -c "import numpy, pytest" 2>/dev/null || continue
        say "installing what builds wheels into $into"
        "$python" -m venv --clear --system-site-packages "$into" && "$into/bin/python" -m pip install --quiet --no-deps \
            --disable-pip-version-check --only-binary=:all: --require-hashes -r scripts/python-tools.txt && return
        rm -rf "$into"
        why="see the messages above"
    done
    say "no scikit-build-core ($why); the test of the wheel is left out"
}

main() {
    local build=build-test tests="" packages=("${BUILD_PACKAGES[@]}") optional=("${LIBRARY_PACKAGES[@]}")
    case "${1:-}" in
    "") ;;
    --tests)
        build="${2:-$build}" tests=yes packages+=("${TEST_PACKAGES[@]}") optional=("${COMPILER_PACKAGES[@]}" "${ANALYSIS_PACKAGES[@]}" "${PYTHON_PACKAGES[@]}" "${MPI_PACKAGES[@]}")
        ;;
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        return
        ;;
    *) fail "unknown argument '$1'; usage: $0 [--tests [BUILD]]" ;;
    esac
    [ -z "$tests" ] || install_intel_opencl "$build"
    install_packages "$tests" "${packages[@]}" -- "${optional[@]}"
    [ -n "$tests" ] || return 0
    install_python_tools "$build"
    if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then unpack_compilers "$build"; fi
    install_ptxas "$build"
}

main "$@"
