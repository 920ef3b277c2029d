# shellcheck shell=sh
# Sets $python to an interpreter that imports what is named; without one the test is skipped, exit status 77, or fails with
# CLMAML_REQUIRE_PROOFS=ON. CLMAML_PYTHON names the only one to try; CLMAML_PYTHON_TOOLS is what scripts/install-deps.sh made.
find_python() {
    for python in ${CLMAML_PYTHON:-${CLMAML_PYTHON_TOOLS:-} python3 /usr/bin/python3}; do
        for module in "$@"; do
            "$python" -c "import $module" 2>/dev/null || continue 2
        done
        return
    done
    echo "no Python has $*: scripts/install-deps.sh --tests gets what it can; CLMAML_PYTHON may name one, such as that of a virtual environment"
    [ "${CLMAML_REQUIRE_PROOFS:-OFF}" = OFF ] || exit 1
    echo "skipped"
    exit 77
}
