#!/bin/sh
# rusticl_beside_pocl.sh RUSTICL_ICD POCL_ICD REFERENCE: two implementations in one process, each found by name and by number, and
# both together for one meta-batch.
. "$(dirname "$0")/cli.sh"
mkdir "$work/icds" && cp "$1" "$2" "$work/icds" || exit 1
export OCL_ICD_VENDORS="$work/icds"
shift 2

clmaml devices
cp "$work/out" "$work/devices"
expect_in "$work/devices" 'rusticl' "devices: lists rusticl"
expect_in "$work/devices" 'Portable Computing Language' "devices: lists PoCL"

# number PLATFORM: P:D of its first device
number() { sed -n "s/^[* ] *\([0-9]*:[0-9]*\) .*$1.*/\1/p" "$work/devices" | head -n 1; }
rusticl=$(number rusticl) pocl=$(number 'Portable Computing Language')
[ -n "$rusticl" ] && [ -n "$pocl" ] && [ "$rusticl" != "$pocl" ] || fail "devices: numbers '$rusticl', '$pocl'"

# on PLATFORM SPECIFICATION REFERENCE: the gradients are right, on the device meant
on() {
    expect_success "verify on $2" verify --device "$2" "$3"
    head -n 1 "$work/out" >"$work/first"
    expect_in "$work/first" "$1" "verify on $2: names the device"
}
on rusticl rusticl "$1"
on rusticl "$rusticl" "$1"
on 'Portable Computing Language' 'portable computing' "$1"
on 'Portable Computing Language' "$pocl" "$1"
expect_success "verify on both" verify --device "$pocl,$rusticl" "$1"
finish
