#!/bin/sh
# verify: the table, JSON, and what float32 rounding alone gives.
. "$(dirname "$0")/../support/cli.sh"
golden=$(dirname "$0")/../golden

# row LABEL COLUMN: the number of a line of the last table, without the mark of what is above the tolerance
row() { awk -v label="$1" -v column="$2" '$0 ~ "^ *" label { gsub(/!/, ""); sub("^ *" label, "x"); print $column; exit }' "$work/out"; }
# holds EXPRESSION WHAT: of numbers, by awk
holds() { awk "BEGIN { exit !($1) }" || fail "$2: not $1"; }

# In double precision there is nothing to tell until it is asked for.
expect_success "host" verify --device host "$golden/mlp_sine_1step.safetensors"
grep -q 'float32' "$work/out" && fail "host: speaks of rounding"
expect_success "host, rounding" verify --device host --rounding --tolerance 1e-10 "$golden/mlp_sine_1step.safetensors"
expect_in "$work/out" '^1 of 1 pass' "host, rounding: the verdict is that of the device"
second=$(row 'float32 rounding' 7)
holds "$second > 1e-9 && $second < 2e-5" "host, rounding: second-order gradient"

expect_success "rounded reference as the device" verify --device host-float "$golden/mlp_sine_1step.safetensors"
holds "$(row mlp_sine_1step.safetensors 7) == $second" "rounded reference: the same error"

# A case that multiplies rounding: on a device in single precision it is as far off as rounding alone makes it.
clmaml verify "$golden/imaml_mlp.safetensors"
[ $status -eq 1 ] || fail "imaml: exit status $status"
ours=$(row imaml_mlp.safetensors 7) rounding=$(row 'float32 rounding' 7)
holds "$rounding > 2e-5 && $ours < 10 * $rounding" "imaml: rounding explains it"

# A fault is none of rounding's.
LC_ALL=C sed 's/momentum\\": 0.9/momentum\\": 0.8/' "$golden/inner_momentum.safetensors" >"$work/changed.safetensors"
clmaml verify --rounding --device host-float "$golden/inner_momentum.safetensors"
holds "$(row 'float32 rounding' 7) < 2e-5" "momentum: rounding does little"
clmaml verify "$work/changed.safetensors"
[ $status -eq 1 ] || fail "another momentum: exit status $status"
holds "$(row changed.safetensors 7) > 1e-3" "another momentum"

# Masks are nobody else's. The file stays as long as it was.
LC_ALL=C sed 's/\\"relu\\"/\\"dropout\\", \\"rate\\": 0.5/; s/, \\"name\\": \\"mlp_sine_1step\\"/            /' "$golden/mlp_sine_1step.safetensors" \
    >"$work/dropout.safetensors"
expect_error "dropout" 1 'dropout.safetensors: the layers have dropout.*"rate".*0' verify --device host "$work/dropout.safetensors"

# JSON
clmaml verify --json --rounding --device host "$golden/mlp_sine_1step.safetensors" "$golden/cases.json"
[ $status -eq 1 ] || fail "JSON with a file that is none: exit status $status"
for key in '"tolerance": ' '"passed": true' '"float32_rounding": \{' '"meta_grad": [0-9]' '"rate_grad": null' '"message": ".*cases.json'; do
    expect_in "$work/out" "$key" "JSON"
done
[ "$(grep -c '"float32_rounding"' "$work/out")" -eq 1 ] || fail "JSON: rounding of a file that cannot be read"
expect_error "JSON with a table's option" 2 "verbose" verify --json --verbose "$golden/mlp_sine_1step.safetensors"
finish
