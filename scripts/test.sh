#!/usr/bin/env bash
# Installs what is missing, builds, runs the whole test suite. The last line is `N passed, N failed`; the exit status is that of
# ctest. Without an OpenCL device there is nothing to test on, and that is a failure.
#
#   scripts/test.sh [ctest options]                 such as -R golden, -L unit, -V
#   BUILD_DIR=DIR scripts/test.sh                   builds there instead of build-test/
#   CMAKE_OPTIONS="-DCLMAML_WERROR=ON" scripts/test.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BUILD="${BUILD_DIR:-build-test}"

configure() {
    local generator=() options=()
    [ -f "$BUILD/CMakeCache.txt" ] || generator=(-G Ninja)
    read -r -a options <<<"${CMAKE_OPTIONS:-}"
    cmake -S . -B "$BUILD" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DCLMAML_BUILD_TESTS=ON -DCLMAML_BUILD_EXAMPLES=ON \
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

# A number of the <testsuite> element of ctest's report.
count() { sed -n "s/^[[:space:]]*$1=\"\([0-9]*\)\".*/\1/p" "$BUILD/junit.xml" | head -n 1; }

summary() {
    local total failed skipped
    [ -s "$BUILD/junit.xml" ] || return 0 # nothing was run, as with ctest -N
    total="$(count tests)" failed="$(count failures)" skipped=$(($(count skipped) + $(count disabled)))
    printf '%d passed, %d failed' $((total - failed - skipped)) "$failed"
    [ "$skipped" -eq 0 ] || printf ', %d not run' "$skipped"
    printf '\n'
}

main() {
    local status=0
    ./scripts/install-deps.sh --tests "$BUILD"
    configure
    cmake --build "$BUILD"
    need_device
    rm -f "$BUILD/junit.xml"
    ctest --test-dir "$BUILD" --output-on-failure --no-tests=error --parallel "$(nproc)" --output-junit junit.xml "$@" || status=$?
    summary
    exit "$status"
}

main "$@"
