#!/bin/sh
# The tests of the Python package, with the library of the build.
: "${CLMAML_SOURCE_DIR:?}" "${CLMAML_LIBRARY:?}" "${CLMAML_PROGRAM:?}"
. "$CLMAML_SOURCE_DIR/tests/python/find.sh"
find_python numpy pytest
cd "$CLMAML_SOURCE_DIR" || exit 1
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$CLMAML_SOURCE_DIR/python" exec "$python" -m pytest -q -p no:cacheprovider python/tests
