# shellcheck shell=sh
# Sets $python to an interpreter that imports what is named; without one the test is skipped, exit status 77. CLMAML_PYTHON names
# the only one to try.
find_python() {
    for python in ${CLMAML_PYTHON:-python3 /usr/bin/python3}; do
        for module in "$@"; do
            "$python" -c "import $module" 2>/dev/null || continue 2
        done
        return
    done
    echo "skipped: no Python has $*; CLMAML_PYTHON may name one, such as that of a virtual environment"
    exit 77
}
