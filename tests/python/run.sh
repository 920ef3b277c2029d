#!/bin/sh
# The tests of the Python package, with the library of the build. Exit status 77, skipped, where Python lacks what they need;
# CLMAML_PYTHON names another than python3.
: "${CLMAML_SOURCE_DIR:?}" "${CLMAML_LIBRARY:?}" "${CLMAML_PROGRAM:?}"
python="${CLMAML_PYTHON:-python3}"
if ! "$python" -c 'import numpy, pytest' 2>/dev/null; then
    echo "skipped: $python has no numpy and pytest; CLMAML_PYTHON may name another, such as one of a virtual environment"
    exit 77
fi
cd "$CLMAML_SOURCE_DIR" || exit 1
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$CLMAML_SOURCE_DIR/python" exec "$python" -m pytest -q python/tests
