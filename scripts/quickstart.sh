#!/usr/bin/env bash
# From a fresh machine to a trained network: installs what is missing, builds into build/, then trains 5-way 1-shot Conv-4 with
# second-order MAML on procedural characters for a few minutes. Every call makes a run directory of its own. It ends with what is trained already.
#
#   scripts/quickstart.sh [--option value ..]   options are passed on to `clmaml train glyphs`, such as --iterations 1000
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly BUILD=build

configure() {
    local generator=()
    [ -f "$BUILD/CMakeCache.txt" ] || generator=(-G Ninja) # an existing build folder keeps its generator
    cmake -S . -B "$BUILD" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DCLMAML_BUILD_TESTS=OFF
}

# A name that no run has yet.
new_run() {
    local name number=2
    name="runs/quickstart-$(date +%Y%m%d-%H%M%S)"
    while [ -e "$name" ]; do
        name="${name%-n*}-n$number"
        number=$((number + 1))
    done
    printf '%s' "$name"
}

main() {
    local run
    ./scripts/install-deps.sh
    configure
    cmake --build "$BUILD"
    run="$(new_run)"
    printf '\n'
    "./$BUILD/clmaml" train glyphs --ways 5 --shots 1 --query 1 --filters 64 --steps 1 --iterations 300 --run "$run" "$@"
    printf '\nWithout training, models that come with the program:\n\n'
    "./$BUILD/clmaml" pretrained
}

main "$@"
