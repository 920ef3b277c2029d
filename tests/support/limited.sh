#!/bin/sh
# limited.sh PATTERN FILE..: the environment makes the device a smaller one; `clmaml devices` has to say so, and the reference files have
# to pass on it.
set -u
pattern=$1
shift
{ "$CLMAML_PROGRAM" devices --json && "$CLMAML_PROGRAM" devices --verbose; } | grep -Eq "$pattern" || {
    echo "the device is not as it should be, /$pattern/ is missing:"
    "$CLMAML_PROGRAM" devices --verbose
    exit 1
}
exec "$CLMAML_PROGRAM" verify --tolerance 2e-5 "$@"
