#!/bin/sh
# A row of docs/results.md: trains it, or goes on with it, and writes what came of it. See row.py.
#
#   bench/results/run.sh omniglot-5w1s --data DIR
exec python3 "$(dirname "$0")/row.py" "$@"
