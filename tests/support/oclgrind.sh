#!/bin/sh
# oclgrind.sh OCLGRIND LOG COMMAND..: runs the command under Oclgrind and fails when it fails or Oclgrind has anything to say.
# CHECKS, from the environment, are its options for what to look for.
oclgrind=$1
log=$2
shift 2
rm -f "$log"
checks=${CHECKS:---data-races --uniform-writes --uninitialized --check-api}
# shellcheck disable=SC2086
CK_FORK=no "$oclgrind" $checks --max-errors 20 --build-options -cl-opt-disable --log "$log" "$@"
status=$?
if [ -s "$log" ]; then
    echo "Oclgrind reports:" >&2
    head -n 200 "$log" >&2
    exit 1
fi
if [ ! -e "$log" ]; then
    echo "Oclgrind wrote no log: it was not used" >&2
    exit 1
fi
exit $status
