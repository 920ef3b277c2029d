#!/usr/bin/env bash
# What a card can do with clMAML, in one command and under ten minutes: devices, doctor, reference files, bench (with PyTorch and JAX
# where they are installed), profile, tuning, bench again, a training. One folder of texts and JSON, with a summary.md.
#
#   scripts/gpu-report.sh [--option value ..]
#     --device WHICH        as for clmaml [the one that clmaml devices marks]
#     --out DIR             the folder [gpu-report-DATE-DEVICE]
#     --minutes N           for everything together [10]
#     --only STEP,..        of devices,doctor,verify,bench,peers,profile,tune,again,train [all]
#     --references DIR      more reference files (*.safetensors); may be repeated
#     --data DIR            Omniglot's two zips; without: procedural characters
#     --python PROGRAM      the Python that has PyTorch or JAX [python3]
#     --program FILE        clmaml [build/clmaml, build-test/clmaml, or that of the PATH]
#     --peak GFLOPS         the device's fp32 peak by its data sheet: the summary has the share of it, too
#     --quick               little of everything, for a look at the script itself
#     --pack OUT.tar.gz     instead: this script with all it needs, for a machine without compiler and network (gpu-report-pack.sh)
#
# A step has a time limit and a log of its own; one that fails is said in the summary, and the next goes on. The exit status is 1 when
# doctor or verify did not pass.
#
# shellcheck disable=SC2317 # steps are called by name
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
readonly STEPS="devices doctor verify bench peers profile tune again train"
# The part of the time left that a step may take, relative to those of the steps behind it.
declare -rA WEIGHT=([devices]=2 [doctor]=24 [verify]=20 [bench]=14 [peers]=18 [profile]=3 [tune]=8 [again]=7 [train]=16)
readonly TRAIN_SECONDS=180
# The first, which takes no time itself, has the device's peaks measured.
ITEMS=(sine omniglot-5step omniglot-1step omniglot-20way miniimagenet adaptation omniglot-5step-fo omniglot-1step-fo)

device="" out="" minutes=10 only="" data="" python=python3 program="" quick="" pack="" peak=""
references=() state=() child="" stopped=""

fail() {
    printf 'gpu-report: %s\n' "$*" >&2
    exit 2
}

now() { date +%s; }

# ---- JSON as lines "path<TAB>value", for awk: what jansson writes has a value a line ----

flatten() {
    awk '
    NR == 1 { next }
    { sub(/^ +/, ""); sub(/,$/, "") }
    /^[]}]/ { depth--; next }
    {
        if (match($0, /^"[^"]*": /)) { key = substr($0, 2, RLENGTH - 4); value = substr($0, RLENGTH + 1) }
        else { key = next_index[depth]++; value = $0 }
        where = depth ? path[depth] "." key : key
        if (value == "{" || value == "[") { path[++depth] = where; next_index[depth] = 0 }
        else { gsub(/^"|"$/, "", value); print where "\t" value }
    }' "$1"
}

# value FILE PATH: "" when there is none
value() { [ ! -s "$1" ] || flatten "$1" | awk -F '\t' -v path="$2" '$1 == path { print $2 }'; }

ratio() { awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN { if (a > 0 && b > 0) printf "%.2f", a / b; else printf "-" }'; }

# ---- drivers that no file in the loader's folder names, as in containers ----

driver_candidates() {
    local folder name
    { ldconfig -p 2>/dev/null || true; } | sed -n 's/.*=> //p' | grep -E '/(libnvidia-opencl|libamdocl64|libigdrcl)\.so' || true
    for folder in $(printf '%s' "${LD_LIBRARY_PATH:-}" | tr ':' ' ') /usr/lib64 /usr/lib/x86_64-linux-gnu /usr/local/nvidia/lib64 \
        /usr/lib/aarch64-linux-gnu /opt/rocm*/lib /opt/amdgpu*/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu/intel-opencl /usr/lib/wsl/lib; do
        for name in libnvidia-opencl.so.1 libamdocl64.so libigdrcl.so; do
            [ ! -e "$folder/$name" ] || printf '%s\n' "$folder/$name"
        done
    done
}

# Gives them a folder of .icd files beside those that there are.
find_drivers() {
    local folder="${OPENCL_VENDOR_PATH:-/etc/OpenCL/vendors}" library name known=""
    [ -z "${OCL_ICD_VENDORS:-}" ] || return 0
    mkdir -p "$out/vendors"
    cp "$folder"/*.icd "$out/vendors/" 2>/dev/null || true
    for library in $(driver_candidates); do
        name="$(basename "$library")"
        name="${name%%.so*}"
        ! cat "$out"/vendors/*.icd 2>/dev/null | grep -q "$name" || continue
        printf '%s\n' "$library" >"$out/vendors/$name.icd"
        known="$known $library"
    done
    if [ -z "$known" ]; then
        rm -r "$out/vendors"
        return 0
    fi
    export OCL_ICD_VENDORS="$out/vendors"
    hidden="$known"
}

# ---- running ----

# limited SECONDS LOG COMMAND..: 124 when the time was over. SIGTERM, at which train and bench end in good order; what does not end
# within $grace seconds is killed. Its standard output goes to $output where that is set. Where $until is set it also gets SIGTERM once that
# file has something in it.
grace=5 output="" until=""
limited() {
    local seconds="$1" log="$2" status=0 began
    began="$(now)"
    shift 2
    timeout -k "$grace" "$seconds" "$@" >>"${output:-$log}" 2>>"$log" </dev/null &
    child=$!
    if [ -n "$until" ]; then stop_once "$child" "$until" & fi
    wait "$child" 2>/dev/null || status=$?
    [ -z "$stopped" ] || wait "$child" || true # a signal ends the first wait at once
    child=""
    [ "$status" -ne 137 ] || [ $(($(now) - began)) -ge "$seconds" ] || status=1 # killed, but not for the time
    return "$status"
}

# stop_once PROCESS FILE
stop_once() {
    while kill -0 "$1" 2>/dev/null; do
        if [ -s "$2" ]; then
            kill -TERM "$1" 2>/dev/null
            return
        fi
        sleep 0.2
    done
}

outcome() { # of a status
    case "$1" in
    0) printf 'ok' ;;
    124 | 137) printf 'timed out' ;;
    *) printf 'failed' ;;
    esac
}

# share PARTS_LEFT: seconds for one of so many parts of a step. At least a third of what is left of it: some parts need much more than
# others, and kernels that one has built serve the next.
share() {
    local left=$((step_end - $(now))) part
    part=$((left / ($1 < 3 ? $1 : 3)))
    printf '%d' $((part > 5 ? part : 5))
}

# Of a file that may be empty or missing: then nothing.
last_line() { { grep -v '^ *$' "$1" 2>/dev/null || true; } | tail -n 1 | sed 's/.*\r//; s/^ */after: /' | tr '|' ' ' | cut -c 1-200; }

# run_step NAME: sets the step's limit, runs it, and keeps "name|state|seconds|remark".
run_step() {
    local name="$1" weights=0 step began left status=0
    for step in $STEPS; do
        case ",$only," in *",$step,"*) ;; *) continue ;; esac
        [ "$step" != "$name" ] && [ "$weights" -eq 0 ] || weights=$((weights + WEIGHT[$step]))
    done
    began="$(now)"
    left=$((deadline - began))
    limit=$((left * WEIGHT[$name] / weights))
    [ "$limit" -ge 20 ] || limit=$((left < 20 ? left : 20))
    step_end=$((began + limit))
    remark="" verdict=""
    if [ "$left" -lt 5 ] || [ -n "$stopped" ]; then
        state+=("$name|not run|0|no time left")
        return 0
    fi
    printf 'gpu-report: %-8s at most %4d s .. ' "$name" "$limit"
    "step_$name" || status=$?
    verdict="${verdict:-$(outcome "$status")}"
    if [ "$status" -ne 0 ] && [ -z "$remark" ]; then remark="$(last_line "$out/$name.txt")"; fi
    [ "$status" -eq 0 ] || remark="${remark:-it has written nothing}"
    state+=("$name|$verdict|$(($(now) - began))|$remark")
    printf '%s, %d s%s\n' "$verdict" $(($(now) - began)) "${remark:+: $remark}"
}

state_of() {
    local row
    for row in "${state[@]}"; do
        [ "${row%%|*}" != "$1" ] || printf '%s' "$row" | cut -d '|' -f 2
    done
}

# ---- the steps ----

step_devices() {
    limited "$limit" "$out/devices.txt" "$program" devices --verbose
    [ -n "$device_name" ] || {
        remark="there is no OpenCL device${device:+ named $device; clmaml devices lists what there is}"
        return 1
    }
    remark="$device_name, driver $driver_version"
}

step_doctor() {
    local status=0
    limited "$limit" "$out/doctor.txt" "$program" doctor --report "$out/doctor-report.txt" ${quick:+--quick} || status=$?
    remark="$(grep -E '^[0-9]+ checks OK' "$out/doctor.txt" || last_line "$out/doctor.txt")"
    return "$status"
}

# The tolerance of a reference file, from a table beside the files.
tolerance() { awk -v name="$(basename "$1" .safetensors)" '$1 == name { t = $2 } END { print t ? t : "2e-5" }' "$golden/tolerances.txt"; }

step_verify() {
    local files=() names="" folder file tolerances t status=0 one passed failed
    for folder in "$golden" "${references[@]}"; do
        for file in "$folder"/*.safetensors; do
            case "$names" in *" $(basename "$file") "*) continue ;; esac # the same case in two folders is one
            names="$names $(basename "$file") "
            [ ! -e "$file" ] || files+=("$file")
        done
    done
    [ -z "$quick" ] || files=("$golden"/mlp_sine_1step.safetensors "$golden"/imaml_mlp.safetensors "$golden"/token_layers_2step.safetensors)
    tolerances="$(for file in "${files[@]}"; do tolerance "$file"; done | sort -gu)"
    for t in $tolerances; do
        local group=()
        for file in "${files[@]}"; do [ "$(tolerance "$file")" != "$t" ] || group+=("$file"); done
        one=0
        limited "$(share 1)" "$out/verify.txt" "$program" verify --tolerance "$t" "${group[@]}" || one=$?
        [ "$one" -eq 0 ] || status="$one"
    done
    passed="$(grep -c ' PASS$' "$out/verify.txt" || true)" failed="$(grep -c ' FAIL$' "$out/verify.txt" || true)"
    remark="$passed of ${#files[@]} pass, $failed fail, $((${#files[@]} - passed - failed)) were not reached or could not be used"
    return "$status"
}

# The greatest rate of a matrix product that was measured; "" when none was.
product_peak() {
    local item rate best=""
    for item in "${ITEMS[@]}"; do
        rate="$(value "$out/bench-$item.json" peaks.gflops)"
        best="${best:-$rate}"
    done
    printf '%s' "$best"
}

# bench_items PREFIX PARTS OPTION..: an item a process, so that one that fails takes no other along; each may take the share of one of so
# many parts of what is left of the step.
bench_items() {
    local prefix="$1" left="$2" item one good=0 bad="" known=""
    shift 2
    for item in "${ITEMS[@]}"; do
        one=0
        if [ "$(now)" -ge "$step_end" ] || [ -n "$stopped" ]; then
            bad="$bad $item (no time left)"
            continue
        fi
        known="$quick$(product_peak)"
        limited "$(share "$left")" "$out/$prefix.txt" "$program" bench "$item" ${quick:+--tasks 2} ${known:+--no-peaks} \
            --rounds "${quick:+1}${full:+3}" --json "$out/$prefix-$item.json" "$@" || one=$?
        [ "$left" -eq 1 ] || left=$((left - 1))
        if [ "$one" -eq 0 ]; then
            good=$((good + 1))
        else
            bad="$bad $item ($(outcome "$one"))"
        fi
    done
    remark="$good of ${#ITEMS[@]} items${bad:+; not:$bad}"
    [ -z "$bad" ] || [ "$good" -eq 0 ] || verdict="in part"
    [ "$good" -gt 0 ]
}

step_bench() { bench_items bench "${#ITEMS[@]}" --no-peers; }
step_again() { bench_items again "${#ITEMS[@]}" --no-peers; }

step_peers() {
    if ! "$python" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("torch") or u.find_spec("jax")))' 2>/dev/null; then
        remark="$python has neither PyTorch nor JAX" verdict="not run"
        return 0
    fi
    # Peers load and compile for long: better all of them for a few items than none for any.
    [ -n "$quick" ] || local ITEMS=(omniglot-5step omniglot-1step sine omniglot-20way miniimagenet adaptation omniglot-1step-fo omniglot-5step-fo)
    bench_items peers 1 --no-peaks --python "$python" --peer-seconds "$((limit / 6 > 20 ? limit / 6 : 20))"
}

step_profile() {
    local items=(omniglot-5step omniglot-1step)
    [ -z "$quick" ] || items=(sine)
    limited "$limit" "$out/profile.txt" "$program" bench "${items[@]}" --profile --no-peers --no-peaks --rounds 1
}

step_tune() {
    local what=("omniglot --steps 5" "omniglot" "omniglot --ways 20 --steps 5 --meta-batch 16") left status=0 one words
    [ -z "$quick" ] || what=("sine --meta-batch 2")
    left="${#what[@]}"
    for words in "${what[@]}"; do
        one=0
        # Building what is tried takes time beyond the budget.
        # shellcheck disable=SC2086
        limited "$(share "$left")" "$out/tune.txt" "$program" tune $words --budget "${quick:+3}${full:+$(($(share "$left") / 2))}" || one=$?
        [ "$one" -eq 0 ] || status="$one"
        left=$((left - 1))
    done
    remark="$(grep -E '^[0-9]+ operations? in' "$out/tune.txt" | tail -n 1)"
    # For the database of choices: what was found, as a section of it.
    limited "$(share 1)" "$out/tune.txt" "$program" doctor --quick --report "$out/tuning-report.txt" || true
    sed -n '/^what tuning has found here/,/^  #/p' "$out/tuning-report.txt" 2>/dev/null | sed '1d; s/^  //' >"$out/database.txt" || true
    return "$status"
}

step_train() {
    local source=(glyphs) seconds=$((limit - 25)) status=0 iterations began
    [ -z "$data" ] || source=(omniglot --data "$data")
    [ -n "$quick" ] || [ "$seconds" -le "$TRAIN_SECONDS" ] || seconds="$TRAIN_SECONDS"
    if [ "$seconds" -lt 5 ]; then seconds=8; fi
    grace=30 began="$(now)"
    if [ -n "$quick" ]; then # an iteration is enough, however long its programs are being built
        source+=(--filters 4 --meta-batch 2 --val-tasks 2 --log-every 1)
        until="$out/run/metrics.jsonl"
    fi
    limited "$seconds" "$out/train.txt" "$program" train "${source[@]}" --iterations 10000000 --val-every 10000000 --run "$out/run" || status=$?
    grace=5 until="" seconds=$(($(now) - began))
    iterations="$(sed -n 's/.*stopped after iteration \([0-9]*\).*/\1/p' "$out/train.txt" | tail -n 1)"
    if [ -z "$iterations" ]; then # it has no end of its own
        [ "$status" -ne 124 ] && [ "$status" -ne 137 ] || remark="no iteration was made in $seconds s: kernels were still being built"
        return "$((status ? status : 1))"
    fi
    status=0 output="$out/eval.json"
    limited "$((step_end - $(now) > 10 ? step_end - $(now) : 10))" "$out/train.txt" "$program" eval "$out/run" --checkpoint last \
        --tasks "${quick:+10}${full:+400}" --query 1 --steps 3 --json || status=$?
    output=""
    [ "$status" -eq 0 ] || return "$status"
    remark="${source[0]}: $iterations iterations in $seconds s; accuracy $(value "$out/eval.json" results.0.after_steps.1.mean | cut -c 1-6)"
    remark="$remark after 1 step, $(value "$out/eval.json" results.0.after_steps.3.mean | cut -c 1-6) after 3 ($(value "$out/eval.json" tasks) tasks)"
}

# ---- the summary ----

percent() { awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN { if (a > 0 && b > 0) printf "%.1f %%", 100 * a / b; else printf "-" }'; }
number() { awk -v x="${1:-}" 'BEGIN { if (x == "") printf "-"; else printf "%.*f", x < 1 ? 3 : x < 100 ? 2 : 1, x }'; }

table_of_items() {
    local item before after source gflops product
    product="$(product_peak)"
    printf '\n## Meta-steps\n\n| item | ms | ms after tuning | times as fast | ms a task | GFLOP/s | of the best product |%s\n' \
        "${peak:+ of the fp32 peak |}"
    printf '|---|---|---|---|---|---|---|%s\n' "${peak:+---|}"
    for item in "${ITEMS[@]}"; do
        before="$(value "$out/bench-$item.json" items.0.ms.median)" after="$(value "$out/again-$item.json" items.0.ms.median)"
        [ -n "$before$after" ] || continue
        source="$out/again-$item.json"
        [ -n "$after" ] || source="$out/bench-$item.json"
        gflops="$(value "$source" items.0.gflops)"
        printf '| %s | %s | %s | %s | %s | %s | %s |%s\n' "$item" "$(number "$before")" "$(number "$after")" "$(ratio "$before" "$after")" \
            "$(number "$(value "$source" items.0.ms_per_task)")" "$(number "$gflops")" "$(percent "$gflops" "$product")" \
            "${peak:+ $(percent "$gflops" "$peak") |}"
    done
    printf '\n'
    [ -z "$product" ] || printf 'The best matrix product measured here, by clMAML or a library, made %s GFLOP/s. ' "$(number "$product")"
    if [ -n "$peak" ]; then
        printf 'The fp32 peak, by the data sheet, is %s GFLOP/s (--peak).\n' "$(number "$peak")"
    else
        printf 'The fp32 peak is not known to OpenCL; --peak GFLOPS adds the share of it.\n'
    fi
    printf 'Convolutions are counted by their definition.\n'
    printf 'Before and after were not timed in turns: on a machine that does other work as well, that shows too.\n'
}

table_of_peers() {
    local item file i key
    printf '\n## Peers, in turns with clMAML\n\n| item | peer | ms | times ours | greatest error | why not |\n|---|---|---|---|---|---|\n'
    for item in "${ITEMS[@]}"; do
        file="$out/peers-$item.json"
        for i in 0 1 2 3 4 5 6 7; do
            key="$(value "$file" "items.0.peers.$i.key")"
            [ -n "$key" ] || break
            printf '| %s | %s | %s | %s | %s | %s |\n' "$item" "$key" "$(number "$(value "$file" "items.0.peers.$i.ms.median")")" \
                "$(number "$(value "$file" "items.0.peers.$i.ratio")")" "$(value "$file" "items.0.peers.$i.grad_error")" \
                "$(value "$file" "items.0.peers.$i.not_run")"
        done
    done
}

write_summary() {
    local row name verdict seconds remark
    printf '# clMAML on %s\n\n' "${device_name:-no device}"
    printf '| | |\n|---|---|\n| date | %s |\n| program | %s |\n' "$(date -u +%Y-%m-%d)" "$("$program" --version)"
    printf '| device | %s (%s), %s compute units |\n' "$device_name" "$device_type" "$device_units"
    printf '| platform | %s, %s |\n| driver | %s |\n' "$platform" "$cl_version" "$driver_version"
    printf '| system | %s, %s |\n' "$(uname -srm)" "$(getconf GNU_LIBC_VERSION 2>/dev/null || printf 'another C library')"
    [ -z "${CLMAML_EMULATE:-}" ] || printf '| emulation | %s |\n' "$CLMAML_EMULATE"
    [ -z "$hidden" ] || printf '| drivers without an entry for the loader |%s |\n' "$hidden"
    [ -z "${CLMAML_BUNDLE_GLIBC:-}" ] || printf '| the bundle needs | glibc %s |\n' "$CLMAML_BUNDLE_GLIBC"
    printf '\n| step | outcome | seconds | |\n|---|---|---|---|\n'
    for row in "${state[@]}"; do
        IFS='|' read -r name verdict seconds remark <<<"$row"
        printf '| %s | %s | %s | %s |\n' "$name" "$verdict" "$seconds" "$remark"
    done
    [ -z "$(state_of bench)$(state_of again)" ] || table_of_items
    case "$(state_of peers)" in "" | "not run") ;; *) table_of_peers ;; esac
    if grep -hE ' FAIL$|^clmaml: ' "$out"/doctor.txt "$out"/verify.txt 2>/dev/null | grep -vE '^clmaml: note|checks OK' >"$out/wrong"; then
        printf '\n## What is wrong\n\n'
        sed 's/^/    /' "$out/wrong"
    fi
    rm -f "$out/wrong"
}

write_json() {
    local row name verdict seconds remark comma=""
    printf '{"device": "%s", "platform": "%s", "driver": "%s", "seconds": %d, "steps": {' "$device_name" "$platform" "$driver_version" \
        $(($(now) - started))
    for row in "${state[@]}"; do
        IFS='|' read -r name verdict seconds remark <<<"$row"
        printf '%s\n  "%s": {"outcome": "%s", "seconds": %s, "remark": "%s"}' "$comma" "$name" "$verdict" "$seconds" "${remark//[\"\\]/}"
        comma=","
    done
    printf '\n}}\n'
}

# ---- the command ----

parse() {
    while [ $# -gt 0 ]; do
        case "$1" in
        -h | --help)
            sed -n '2,/did not pass/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        --quick) quick=yes ;;
        --device | --out | --minutes | --only | --data | --python | --program | --pack | --peak | --references)
            [ $# -gt 1 ] || fail "$1 needs a value"
            if [ "$1" = --references ]; then references+=("$2"); else printf -v "${1#--}" '%s' "$2"; fi
            shift
            ;;
        *) fail "unknown argument '$1' (--help lists all)" ;;
        esac
        shift
    done
    [[ "$minutes" =~ ^[0-9]+(\.[0-9]+)?$ && "$minutes" =~ [1-9] ]] || fail "--minutes: '$minutes' is no number above 0"
    [[ -z "$peak" || ("$peak" =~ ^[0-9]+(\.[0-9]+)?$ && "$peak" =~ [1-9]) ]] || fail "--peak: '$peak' is no number of GFLOP/s above 0"
    local step
    for step in ${only//,/ }; do
        [[ " $STEPS " == *" $step "* ]] || fail "--only: there is no step '$step'; there are: $STEPS"
    done
    for step in "${references[@]}" ${data:+"$data"}; do [ -d "$step" ] || fail "$step is no directory"; done
    only="${only:-${STEPS// /,}}"
}

find_program() {
    local candidate
    [ -z "$program" ] || [[ -f "$program" && -x "$program" ]] || fail "--program: $program is no program that can be run"
    for candidate in ${program:+"$program"} "$here/bin/clmaml" "$here/../build/clmaml" "$here/../build-test/clmaml" "$(command -v clmaml || true)"; do
        [ ! -x "$candidate" ] || break
    done
    [ -x "$candidate" ] || fail "there is no clmaml: build it, or say --program FILE"
    program="$(cd "$(dirname "$candidate")" && pwd)/$(basename "$candidate")"
    golden="$here/reference"
    [ -d "$golden" ] || golden="$here/../tests/golden"
}

# The device that is used, in variables, and the folder.
describe() {
    local list number
    list="$(mktemp)"
    timeout 120 "$program" devices --json >"$list" 2>/dev/null </dev/null || true
    number="$(flatten "$list" | awk -F '\t' '/\.chosen\t/ && $2 == "true" { split($1, p, "."); print p[2] }')"
    [ -n "$number" ] && [ "$(value "$list" "devices.$number.type")" != host ] || [ "$device" = host ] || number=none
    device_name="$(value "$list" "devices.$number.name")" device_type="$(value "$list" "devices.$number.type")"
    device_units="$(value "$list" "devices.$number.compute_units")" platform="$(value "$list" "devices.$number.platform")"
    driver_version="$(value "$list" "devices.$number.driver")" cl_version="$(value "$list" "devices.$number.version")"
    mv "$list" "$1"
}

main() {
    parse "$@"
    if [ -n "$pack" ]; then
        find_program
        exec bash "$here/gpu-report-pack.sh" "$pack" "$program" "$golden" "$data" "${references[@]}"
    fi
    full=yes
    if [ -n "$quick" ]; then full="" ITEMS=(sine); fi
    hidden="" device_name=""
    find_program
    [ -z "$device" ] || export CLMAML_DEVICE="$device"
    started="$(now)" deadline=$(($(now) + $(awk -v m="$minutes" 'BEGIN { printf "%d", 60 * m }')))
    local temporary slug step row bad=0
    if [ -z "$out" ]; then
        temporary="$(mktemp -d "$PWD/gpu-report-XXXXXX")" out="$temporary"
    else
        mkdir -p "$out"
        out="$(cd "$out" && pwd)"
        [ -z "$(ls -A "$out")" ] || fail "$out is not empty"
    fi
    find_drivers
    describe "$out/devices.json"
    if [ -n "${temporary:-}" ]; then
        slug="$(printf '%s' "${device_name:-none}" | tr -cs 'A-Za-z0-9' '-' | cut -c 1-40)"
        out="$PWD/gpu-report-$(date +%Y%m%d-%H%M)-${slug%-}"
        [ ! -e "$out" ] || out="$out-$$"
        mv "$temporary" "$out"
        [ -z "$hidden" ] || export OCL_ICD_VENDORS="$out/vendors"
    fi
    trap 'stopped=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' INT TERM
    for step in $STEPS; do
        case ",$only," in *",$step,"*) ;; *) continue ;; esac
        run_step "$step"
        if [ -z "$device_name" ]; then
            bad=1
            break
        fi
    done
    for row in "${state[@]}"; do
        case "$row" in "doctor|ok|"* | "verify|ok|"*) ;; "doctor|"* | "verify|"*) bad=1 ;; esac
    done
    write_summary >"$out/summary.md"
    write_json >"$out/summary.json"
    printf 'gpu-report: %s\n' "$out/summary.md"
    exit "$bad"
}

main "$@"
