#!/usr/bin/env bash
# Installs what is missing, builds, runs the whole test suite. At the end come the ten slowest tests; the last line is
# `N passed, N failed`; the exit status is that of ctest. Without an OpenCL device there is nothing to test on, and that is a failure.
#
#   scripts/test.sh [ctest options]                 such as -R golden, -L unit, -V
#   BUILD_DIR=DIR scripts/test.sh                   builds there instead of build-test/
#   CMAKE_OPTIONS="-DCLMAML_WERROR=ON" scripts/test.sh
#   TARGETS="tests-unit tests-cli" scripts/test.sh -L '^(unit|cli)$'     builds only what tests with these labels run
#   CLMAML_TURN=0/8 scripts/test.sh                 of what is costly and much alike an eighth (tests/turns)
#   SANITIZE=address,undefined scripts/test.sh -L unit     with sanitizers, in build-test-asan/; SANITIZE=thread: build-test-tsan/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${SANITIZE:-} in
"") suffix="" ;;
thread) suffix=-tsan ;;
*) suffix=-asan ;;
esac
readonly BUILD="${BUILD_DIR:-build-test$suffix}"

configure() {
    local generator=() options=() type=(-DCMAKE_BUILD_TYPE=Release)
    [ -f "$BUILD/CMakeCache.txt" ] || generator=(-G Ninja)
    read -r -a options <<<"${CMAKE_OPTIONS:-}"
    [ -z "${SANITIZE:-}" ] || type=(-DCMAKE_BUILD_TYPE=Debug "-DCMAKE_C_FLAGS_DEBUG=-O1 -g" "-DCLMAML_SANITIZE=$SANITIZE")
    cmake -S . -B "$BUILD" "${generator[@]}" "${type[@]}" -DCLMAML_BUILD_TESTS=ON -DCLMAML_BUILD_EXAMPLES=ON \
        "${options[@]}"
}

need_device() {
    local devices
    devices="$("$BUILD/clmaml" devices)"
    printf '%s\n' "$devices"
    if grep -q 'There is no OpenCL device' <<<"$devices"; then
        printf 'test: no OpenCL device, so nothing could be tested\n0 passed, 1 failed\n' >&2
        exit 1
    fi
}

main() {
    local status=0 targets=()
    read -r -a targets <<<"${TARGETS:-all}"
    ./scripts/install-deps.sh --tests "$BUILD"
    configure
    cmake --build "$BUILD" --target clmaml_program "${targets[@]}"
    # shellcheck source=/dev/null
    . "$BUILD/sanitizers.env"
    need_device
    rm -f "$BUILD/junit.xml"
    # One test more than processors: some wait for processes that they stop, or for one thread of a compiler.
    ctest --test-dir "$BUILD" --output-on-failure --no-tests=error --parallel $(($(nproc) + 1)) --output-junit junit.xml "$@" ||
        status=$?
    ./scripts/summary.sh "$BUILD/junit.xml"
    exit "$status"
}

main "$@"
