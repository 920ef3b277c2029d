#!/bin/sh
# The wheel that scikit-build-core makes, installed into a fresh virtual environment, passes the tests of the package there. Nothing is
# fetched: what builds and tests it is that of the interpreter found, to which the environment gets a path.
: "${CLMAML_SOURCE_DIR:?}"
. "$CLMAML_SOURCE_DIR/tests/python/find.sh"
find_python numpy pytest scikit_build_core venv ensurepip
. "$CLMAML_SOURCE_DIR/tests/support/cli.sh"

# step NAME COMMAND..: or the end, with what it said
step() {
    name=$1
    shift
    "$@" >"$work/log" 2>&1 && return
    fail "$name: $(tail -n 20 "$work/log")"
    finish
}
unset PYTHONPATH CLMAML_LIBRARY
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INDEX=1 PYTHONDONTWRITEBYTECODE=1

step "a virtual environment" "$python" -m venv "$work/fresh"
fresh=$work/fresh/bin/python
packages=$("$fresh" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sys; print("\n".join(p for p in sys.path if p.endswith("-packages")))' >"$packages/tools.pth"
[ -s "$packages/tools.pth" ] || fail "no path to the packages of $python"
"$fresh" -c 'import clmaml' 2>/dev/null && fail "the fresh environment has the package already"

step "the wheel" "$fresh" -m pip wheel --no-build-isolation --no-deps --wheel-dir "$work/wheel" "$CLMAML_SOURCE_DIR"
wheel=$(ls "$work/wheel"/clmaml-*.whl)
case $wheel in
*-py3-none-*) ;;
*) fail "the wheel is for one Python alone: $wheel" ;;
esac
"$fresh" -m zipfile -l "$wheel" >"$work/contents"
expect_in "$work/contents" "^clmaml/libclmaml\\.(so|dylib)" "the library in the wheel"
expect_in "$work/contents" "^clmaml/py\\.typed" "the mark of typed packages in the wheel"
grep -E "tests/|\\.cl |/bin/" "$work/contents" && fail "the wheel has more than the package"

step "installing it" "$fresh" -m pip install --no-deps "$wheel"
cd "$work" || exit 1
where=$("$fresh" -c 'import clmaml; print(clmaml.__file__)')
case $where in
"$packages"/*) ;;
*) fail "not the installed package is imported, but $where" ;;
esac
step "its tests" "$fresh" -m pytest -q -p no:cacheprovider "$CLMAML_SOURCE_DIR/python/tests"
tail -n 1 "$work/log"
grep -q "[1-9][0-9]* passed" "$work/log" || fail "no test has run: $(cat "$work/log")"
finish
