#!/usr/bin/env bash
# The bundle of `gpu-report.sh --pack`: program, libraries, reference files and the report's script, for a machine that has a card and its
# driver, and neither compiler nor network. There: tar xf OUT.tar.gz && clmaml-gpu-report/run.sh [options of gpu-report.sh]
#
#   gpu-report-pack.sh OUT.tar.gz PROGRAM REFERENCES DATA|"" [MORE REFERENCES ..]
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
readonly NAME=clmaml-gpu-report
# Of the C library, which has to be the target's own.
readonly OF_THE_SYSTEM='^(linux-vdso|ld-linux|libc|libm|libdl|libpthread|librt|libresolv|libutil)[-.]'

fail() {
    printf 'gpu-report: %s\n' "$*" >&2
    exit 2
}

# "name path" of every library that files load, and of those that these load.
libraries_of() { ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u; }

# The path of an optional library by one of its names, as the program finds it; "" when there is none.
optional() {
    local path=""
    path="$({ ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | awk -v names=" $* " 'index(names, " " $1 " ") { found = $NF } END { print found }')"
    printf '%s' "$path"
}

# The youngest version of glibc that any of the files asks for.
glibc_of() { cat "$@" | grep -aoE 'GLIBC_[0-9]+\.[0-9]+' | sed 's/GLIBC_//' | sort -uV | tail -n 1; }

pack_libraries() {
    local into="$1" program="$2" file name path extra=()
    for path in "$(optional libclblast.so.1)" "$(optional libclFFT.so.2)"; do [ -z "$path" ] || extra+=("$path"); done
    for file in "${extra[@]}"; do cp -L "$file" "$into/$(basename "$file")"; done
    while read -r name path; do
        [[ "$name" =~ $OF_THE_SYSTEM ]] || cp -L "$path" "$into/$name"
    done < <(libraries_of "$program" "${extra[@]}")
    [ -e "$into/libOpenCL.so.1" ] || fail "$program does not load libOpenCL.so.1: there is no loader to pack"
}

main() {
    [ $# -ge 4 ] || fail "usage: gpu-report-pack.sh OUT.tar.gz PROGRAM REFERENCES DATA|\"\" [MORE REFERENCES ..]"
    local out="$1" program="$2" references="$3" data="$4" folder stage
    shift 4
    [[ -d "$(dirname "$out")" && -w "$(dirname "$out")" ]] || fail "--pack: $out cannot be written: its folder is not there or closed"
    stage="$(mktemp -d)"
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$stage'" EXIT
    mkdir -p "$stage/$NAME"/{bin,lib,reference}
    cp -L "$program" "$stage/$NAME/bin/clmaml"
    pack_libraries "$stage/$NAME/lib" "$program"
    cp "$references"/*.safetensors "$references/tolerances.txt" "$stage/$NAME/reference/"
    for folder in "$@"; do
        mkdir -p "$stage/$NAME/more-references"
        cp "$folder"/*.safetensors "$stage/$NAME/more-references/"
    done
    if [ -n "$data" ]; then
        mkdir "$stage/$NAME/data"
        cp "$data"/images_background.zip "$data"/images_evaluation.zip "$stage/$NAME/data/" || fail "$data does not hold Omniglot's two zips"
        [ ! -e "$data/LICENSE" ] || cp "$data/LICENSE" "$stage/$NAME/data/"
    fi
    cp "$here/gpu-report.sh" "$here/bundle/run.sh" "$stage/$NAME/"
    glibc_of "$stage/$NAME"/bin/* "$stage/$NAME"/lib/* >"$stage/$NAME/glibc"
    uname -m >"$stage/$NAME/machine"
    tar -C "$stage" -czf "$out" "$NAME"
    printf 'gpu-report: %s, %s, needs glibc %s on %s; on the machine: tar xf %s && %s/run.sh\n' "$out" "$(du -h "$out" | cut -f 1)" \
        "$(cat "$stage/$NAME/glibc")" "$(uname -m)" "$(basename "$out")" "$NAME"
}

main "$@"
