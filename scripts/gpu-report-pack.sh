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

write_run() {
    cat <<'RUN'
#!/usr/bin/env bash
# Runs the report with the program and the libraries of this folder. Libraries that the machine has itself are taken from there, so that
# its driver finds those that it was built with; the rest, the OpenCL loader and clMAML are taken from here.
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
RUN
}

main() {
    [ $# -ge 4 ] || fail "usage: gpu-report-pack.sh OUT.tar.gz PROGRAM REFERENCES DATA|\"\" [MORE REFERENCES ..]"
    local out="$1" program="$2" references="$3" data="$4" folder stage
    shift 4
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
    cp "$here/gpu-report.sh" "$stage/$NAME/"
    write_run >"$stage/$NAME/run.sh"
    chmod +x "$stage/$NAME"/{run.sh,gpu-report.sh}
    glibc_of "$stage/$NAME"/bin/* "$stage/$NAME"/lib/* >"$stage/$NAME/glibc"
    uname -m >"$stage/$NAME/machine"
    tar -C "$stage" -czf "$out" "$NAME"
    printf 'gpu-report: %s, %s, needs glibc %s on %s; on the machine: tar xf %s && %s/run.sh\n' "$out" "$(du -h "$out" | cut -f 1)" \
        "$(cat "$stage/$NAME/glibc")" "$(uname -m)" "$(basename "$out")" "$NAME"
}

main "$@"
