#!/usr/bin/env bash
# Of a bundle that gpu-report-pack.sh made: runs the report with the program and the libraries of this folder. Libraries that the
# machine has itself are taken from there, so that its driver finds those that it was built with; the rest, the OpenCL loader and
# clMAML are taken from here.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
needed="$(cat "$here/glibc")"
machine="$(cat "$here/machine")"
[ "$(uname -m)" = "$machine" ] || {
    printf 'gpu-report: this bundle is for %s, the machine is %s\n' "$machine" "$(uname -m)" >&2
    exit 2
}
have="$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //' || true)"
if [ -z "$have" ] || [ "$(printf '%s\n%s\n' "$needed" "$have" | sort -V | head -n 1)" != "$needed" ]; then
    printf 'gpu-report: the bundle needs glibc %s, this machine has %s: make the bundle on an older system\n' "$needed" \
        "${have:-another C library}" >&2
    exit 2
fi
libraries="$(mktemp -d)"
trap 'rm -rf "$libraries"' EXIT
known="$({ ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true; } | awk '{ print $1 }')"
for file in "$here"/lib/*; do
    name="$(basename "$file")"
    case "$name" in
    libclmaml* | libOpenCL* | libclblast* | libclFFT*) ;;
    *) ! grep -qxF "$name" <<<"$known" || continue ;;
    esac
    ln -s "$file" "$libraries/$name"
done
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" CLMAML_BUNDLE_GLIBC="$needed"
data=()
[ ! -d "$here/data" ] || data=(--data "$here/data")
more=()
[ ! -d "$here/more-references" ] || more=(--references "$here/more-references")
bash "$here/gpu-report.sh" "${data[@]}" "${more[@]}" "$@"
