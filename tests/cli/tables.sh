# Tables and time series: training, evaluation and resuming on CSV files; adaptation helps; every mistake is one clear line.
. "$(dirname "$0")/../support/cli.sh"

# Tasks y = a sin(x - p) in numbers far from 1; users whose taste goes by colour; stations with a wave of their own.
awk 'BEGIN {
    srand(1); print "id,x,y"
    for (t = 0; t < 30; t++) {
        a = 50 + 450 * rand(); p = 3 * rand()
        for (i = 0; i < 25; i++) { x = 10 * rand() - 5; printf "s%d,%.5f,%.4f\n", t, x, 1000 + a * sin(x - p) }
    }
}' >"$work/waves.csv"
awk 'BEGIN {
    srand(2); print "\"user\";\"age\";\"colour\";\"bought\"\r"; split("red green blue", colour, " ")
    for (t = 0; t < 24; t++) {
        for (k = 1; k <= 3; k++) taste[k] = 2 * rand() - 1
        for (i = 0; i < 24; i++) {
            k = int(1 + 3 * rand())
            printf "u%d;%d;\"%s\";%s\r\n", t, 20 + 40 * rand(), colour[k], (taste[k] > 0.3 ? "yes" : (taste[k] < -0.3 ? "no" : "maybe"))
        }
    }
}' >"$work/shop.csv"
awk 'BEGIN {
    srand(3); print "station\thour\ttemperature\tload"
    for (t = 0; t < 12; t++) {
        p = 6 * rand(); w = 0.2 + 0.3 * rand()
        for (i = 29; i >= 0; i--) printf "%d\t%d\t%.4f\t%.4f\n", t, i, 10 + 5 * sin(w * i + p), 100 + 20 * cos(w * i + p)
    }
}' >"$work/stations.tsv"

tiny="--device host --meta-batch 6 --val-tasks 6 --eval-tasks 20 --log-every 50 --val-every 50 --outer-lr 0.01"

# after_before RUN: the score before adaptation over that after it, times 100
after_before() {
    awk '/"mean"/ { v = $2; sub(",", "", v); if (!("first" in seen)) { seen["first"] = 1; after = v } else if (!("second" in seen)) {
        seen["second"] = 1; before = v } } END { printf "%d\n", 100 * after / before }' "$1/result.json"
}

# ---- regression ----
# shellcheck disable=SC2086
expect_success "a table" train table "$work/waves.csv" --task-column id --target y $tiny --iterations 400 --inner-lr 0.05 --run "$work/waves"
cp "$work/out" "$work/said"
expect_success "its file in the list" runs "$work/waves"
expect_in "$work/out" " table $work/waves.csv " "its file in the list"
expect_success "its file on a page" report "$work/waves" --out "$work/waves.html" --no-pictures
expect_in "$work/waves.html" "<th>data</th><td>table $work/waves.csv<" "its file on a page"
expect_in "$work/waves.html" "test groups" "tasks of a table on a page"
cp "$work/said" "$work/out"
expect_in "$work/out" "750 rows of 30 tasks by id, 1 feature, target y, standardised by the training tasks; tasks: 19 train, 5 validation, 6 test" "a table"
expect_in "$work/out" "regression, 10 support and 10 query points" "a table"
expect_in "$work/out" "network +mlp, 40 hidden, 1761 parameters" "a table"
expect_in "$work/out" "test on 20 tasks of held-out groups" "a table"
expect_in "$work/waves/result.json" '"metric": "mean squared error in the unit of the target"' "a table"
expect_in "$work/waves/config.json" '"task-column": "id"' "a table"
ratio=$(after_before "$work/waves")
[ "$ratio" -lt 70 ] || fail "a table: the error after adaptation is $ratio % of that before"
error=$(awk '/"mean"/ { v = $2; sub(",", "", v); print int(v); exit }' "$work/waves/result.json")
[ "$error" -gt 100 ] || fail "a table: an error of $error is not in the unit of the target"
expect_success "eval of a table" eval "$work/waves" --device host --tasks 10 --steps 2 --query 5,15
expect_in "$work/out" "10 tasks of test groups, seed 1, 10 shots; mean squared error in the unit of the target" "eval of a table"
expect_in "$work/out" "15 query points" "eval of a table"
expect_success "eval of a table as JSON" eval "$work/waves" --device host --tasks 10 --steps 2 --json
expect_in "$work/out" '"metric": "mean squared error in the unit of the target"' "eval of a table as JSON"

# Named alone, and moved on resuming: the same run.
# shellcheck disable=SC2086
{
    expect_success "a table alone" train "$work/waves.csv" --task-column id --target y $tiny --val-every 2 --iterations 4 --run "$work/alone"
    expect_success "half a run" train --data "$work/waves.csv" table --task-column id --target y $tiny --val-every 2 --iterations 2 \
        --run "$work/half"
    mv "$work/waves.csv" "$work/moved.csv"
    expect_error "a table that has moved" 1 "waves.csv" train --resume --run "$work/half" --iterations 4
    expect_success "resumed" train "$work/moved.csv" --resume --run "$work/half" --iterations 4 --device host
}
cmp "$work/alone/result.json" "$work/half/result.json" || fail "the run that went on with a table elsewhere is another one"
expect_success "where the table is now" eval "$work/half" --device host --tasks 4 --steps 1 --data "$work/moved.csv"
cp "$work/moved.csv" "$work/waves.csv"

# ---- classes, categories, notes ----
# shellcheck disable=SC2086
expect_success "classes of rows" train "$work/shop.csv" --task-column user --target bought --loss cross-entropy --categorical colour $tiny \
    --iterations 150 --inner-lr 0.2 --test-steps 5 --run "$work/shop"
expect_in "$work/out" "4 features, target bought of 3 classes" "classes of rows"
expect_in "$work/out" "classification of rows, 10 support and 10 query points" "classes of rows"
expect_in "$work/out" "network +mlp, 40 hidden" "classes of rows"
expect_in "$work/out" "accuracy on held-out groups [0-9.]+ \+- [0-9.]+ % .*, 3 classes, 10 support and 10 query rows" "classes of rows"
ratio=$(after_before "$work/shop")
[ "$ratio" -gt 130 ] || fail "classes of rows: the accuracy after adaptation is $ratio % of that before"
expect_success "eval of classes" eval "$work/shop" --device host --tasks 6 --steps 1
expect_in "$work/out" "3 classes, 10 shots; accuracy" "eval of classes"
# shellcheck disable=SC2086
expect_success "weights of classes" train "$work/shop.csv" --task-column user --target bought --loss cross-entropy --ignore colour \
    --class-weights 1,2,3 --algorithm anil $tiny --iterations 1 --run "$work/weights"
{ cat "$work/waves.csv"; printf 'tiny,1,2\n'; } >"$work/small.csv"
# shellcheck disable=SC2086
expect_success "a small task" train "$work/small.csv" --task-column id --target y --task-split 31,0,0 $tiny --iterations 1 --run "$work/small"
expect_in "$work/err" "note: task tiny has 1 row, which make 1 of the 20 examples it needs: it is left out" "a small task"
expect_in "$work/err" "note: table has no test groups: nothing is tested at the end" "a small task"
expect_in "$work/err" "note: table has no validation groups" "a small task"
expect_in "$work/out" "checkpoint  the last one \(no validation groups\); not tested \(no test groups\)" "a small task"

# ---- windows ----
printf '{"layers": [{"op": "lstm", "out": 6, "last": true}, {"op": "linear", "out": 1}]}' >"$work/lstm.json"
printf '{"layers": [{"op": "conv1d", "out": 6}, {"op": "relu"}, {"op": "globalavgpool"}, {"op": "linear", "out": 2}]}' >"$work/cnn.json"
series="train table $work/stations.tsv --task-column station --time-column hour --shots 5 --query 5 $tiny --inner-lr 0.1"
# shellcheck disable=SC2086
{
    expect_success "a forecast" $series --target temperature --features temperature,load --window 6 --horizon 2 --model "$work/lstm.json" \
        --iterations 60 --run "$work/lstm"
    expect_in "$work/out" "2 features in windows of 6 rows, target temperature 2 rows ahead" "a forecast"
    expect_success "several targets" $series --target temperature,load --features temperature,load --window 6 --horizon 1 --window-layout channels \
        --model "$work/cnn.json" --iterations 60 --run "$work/cnn"
    expect_in "$work/cnn/result.json" '"metric": "mean squared error of standardised targets"' "several targets"
    ratio=$(after_before "$work/cnn")
    [ "$ratio" -lt 80 ] || fail "several targets: the error after adaptation is $ratio % of that before"
    expect_success "a window of the perceptron" $series --target temperature --window 4 --network mlp --standardise no --inner-lr 0.0001 --iterations 1 --run "$work/flat"
    expect_in "$work/out" "network +mlp, 40 hidden" "a window of the perceptron"
    expect_success "a window" $series --target temperature --window 16 --filters 4 --inner-lr 0.001 --iterations 1 --run "$work/network"
    expect_in "$work/out" "network +(cnn1d|lstm)" "a window"
}

# ---- mistakes ----
table="train table $work/waves.csv --device host --run $work/none"
roles="--task-column id --target y"
# shellcheck disable=SC2086
{
    expect_error "no file" 2 "table needs a file: clmaml train table FILE.csv" train table $roles
    expect_error "no task column" 2 "table needs --task-column NAME, the column of .*waves.csv" $table --target y
    expect_error "no target" 2 "table needs --target NAME" $table --task-column id
    expect_error "an absent file" 2 "nothing.csv does not exist" train "$work/nothing.csv" $roles
    expect_error "an absent column" 1 "waves.csv has no column 'ID'; its columns are id, x, y" $table --task-column ID --target y
    expect_error "an option without its value" 2 "--categorical needs a value: .*what follows it, --run, is an option itself" $table $roles \
        --categorical --run r
    expect_error "a folder as a table" 2 "table needs a file, and .* is a folder" train table "$work" $roles
    expect_error "two files" 2 "one argument too many" train "$work/waves.csv" "$work/shop.csv" $roles
    expect_error "a file of sines" 2 "one argument too many" train sine "$work/waves.csv"
    expect_error "a file twice" 2 "--data and .*waves.csv' both name a table" $table $roles --data "$work/shop.csv"
    expect_error "ways of a table" 2 "--ways is 1 for a regression, not 5" $table $roles --ways 5
    expect_error "ways of classes" 2 "--ways is 1 for a table, not 5" train "$work/shop.csv" --task-column user --target bought --loss cross-entropy \
        --ignore colour --ways 5
    expect_error "features and ignored" 2 "nothing to ignore" $table $roles --features x --ignore x
    expect_error "a text" 1 "shop.csv: line 2, column colour: '[a-z]*' is no number; .*categorical" train "$work/shop.csv" --task-column user --target age
    expect_error "classes as numbers" 1 "shop.csv: line 2, column bought: .*cross-entropy" train "$work/shop.csv" --task-column user --target bought
    expect_error "too few rows" 1 "no task has the 110 examples.*, has 25" $table $roles --shots 100
    expect_error "prototypes" 2 "protonet needs examples of every class" train "$work/shop.csv" --task-column user --target bought --loss cross-entropy \
        --algorithm protonet
    expect_error "a loss of nothing here" 2 "'bce' is not one of" $table $roles --loss bce
    expect_error "weights of too few classes" 2 "2 weights for 3 classes" train "$work/shop.csv" --task-column user --target bought --loss cross-entropy \
        --categorical colour --class-weights 1,2
    expect_error "part of a split" 2 "three numbers of tasks" $table $roles --task-split 5,5
    expect_error "a layout without a window" 2 "give a window \(--window N\)" $table $roles --window-layout channels
    expect_error "the initial layout without a window" 2 "--window-layout is the order of .*give a window \(--window N\)" $table $roles --window-layout rows
    expect_error "a window that no task has" 1 "a window of 40 rows needs 40 rows of a task, and the longest, s0, has 25 rows; give a shorter one" \
        $table $roles --window 40
    for network in "" "--network cnn1d" "--network lstm"; do
        expect_error "a sequence network of channels" 2 "(cnn1d|lstm) takes \[length, width\]: use --window-layout rows" $series --target load \
            --window 16 --window-layout channels $network --run "$work/none"
    done
    expect_error "time without a window" 2 "time column x .*give one" $table --task-column id --target y --time-column x
    expect_error "a window of an lstm that is none" 1 "lstm.json: layer 0 .*sequence" $table $roles --model "$work/lstm.json"
    expect_error "outputs of another number" 1 "cnn.json: the model's output is \[2\] .* 1 target needs \[1\]" $series --target load --window 6 --window-layout \
        channels --model "$work/cnn.json" --run "$work/none"
    expect_error "outputs of classes" 1 "model's output is \[1\] .* 3 classes need \[3\]" train "$work/shop.csv" --task-column user --target bought \
        --loss cross-entropy --ignore colour --window 4 --shots 5 --query 5 --model "$work/lstm.json" --device host --run "$work/none"
    expect_error "the option of a table" 2 "--window is for table; it says nothing to sine" train sine --window 3
    expect_error "an option of images" 2 "--invert is for FOLDER, FILE.npz; it says nothing to table" $table $roles --invert yes
    expect_error "on the device" 2 "data-on device: table makes its examples" $table $roles --data-on device
    expect_error "tuning for a table" 2 "table needs --task-column" tune "$work/waves.csv"
    expect_error "a strict table" 1 "small.csv: strict refuses 1 thing .*task tiny has 1 row" train "$work/small.csv" $roles --strict --task-split 31,0,0
}
bad() {
    printf '%b' "$3" >"$work/bad.csv"
    # shellcheck disable=SC2086
    expect_error "$1" 1 "bad.csv.*($2)" train "$work/bad.csv" $roles --device host --run "$work/none"
}
# Times are numbers or texts, all of them.
sed '5s/\t[0-9]*\t/\t5x\t/' "$work/stations.tsv" >"$work/times.tsv"
sed 's/\t\([0-9]*\)\t/\t\1h\t/; 1s/hourh/hour/; 7s/h\t/\t/' "$work/stations.tsv" >"$work/texts.tsv"
sed 's/\t\([0-9][0-9]*\)\t/\t\1h\t/' "$work/stations.tsv" >"$work/lengths.tsv"
hourly="--task-column station --time-column hour --target load --window 4 --shots 5 --query 5 --device host --network mlp"
# shellcheck disable=SC2086
{
    expect_error "a time that is no number" 1 "times.tsv: line 5, column hour: '5x' is no number, 359 of 360 times are numbers" \
        train table "$work/times.tsv" $hourly --run "$work/none"
    expect_error "a time that is a number" 1 "texts.tsv: line 7, column hour: '[0-9]*' is a number, 359 of 360 times are none" \
        train table "$work/texts.tsv" $hourly --run "$work/none"
    expect_success "times of other lengths" train table "$work/lengths.tsv" $hourly --iterations 0 --eval-tasks 0 --run "$work/lengths"
}
expect_in "$work/err" "note: column hour: times are ordered as texts, bytewise, and their lengths differ \(29h, 9h\)" "times of other lengths"
bad "an empty file" "is empty" ''
bad "a headline alone" "no rows below its headline" 'id,x,y\n'
bad "a missing value" "line 3, column x: no value; .*missing mean" 'id,x,y\na,1,2\na,,2\n'
bad "a missing field" "line 2 has 2 fields, the headline 3; write 1 more" 'id,x,y\na,1\n'
bad "a field too many" "line 2 has 4 fields, the headline 3; a delimiter inside a field needs quotes" 'id,x,y\na,1,2,3\n'
bad "a spreadsheet" "a zip file or a spreadsheet, and no text; save it as CSV" 'PK\0003\0004 and more\n'
bad "an open quote" "line 2: the quoted field that begins here has no end" 'id,x,y\n"a,1,2\n'
bad "a zero byte" "line 1 holds a byte of 0,.*UTF-8" 'i\0000d,x,y\na,1,2\n'
bad "Latin-1" "line 2 holds a byte of 233,.*UTF-8" 'id,x,y\na\0351,1,2\n'
bad "UTF-16" "line 1 holds a byte of 255,.*UTF-8" '\0377\0376i\0000d\0000,\0000x\0000\n\0000'
bad "a decimal comma" "line 2, column x: '1,5' is no number; .*decimal point" 'id;x;y\na;1,5;2\n'
bad "a missing headline" "two columns are called 0; is the headline missing" '0,1,0\na,1,2\n'
bad "another missing headline" "has no column 'id'; its columns are 7, 1, 2: is the headline missing" '7,1,2\n7,1,3\n'
bad "a name twice" "two columns are called x" 'id,x,x,y\na,1,1,2\n'
head -c 100000 /dev/zero | tr '\0' ',' >"$work/bad.csv"
# shellcheck disable=SC2086
expect_error "a long line" 1 "bad.csv: line 1 has more than 4096 fields" train "$work/bad.csv" $roles
[ ! -e "$work/none" ] || fail "a run of a bad table has begun"

finish
