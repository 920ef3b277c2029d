# Files and names made to do harm: refused with the reason, or harmless. Their bytes are those of the fuzz targets' corpora.
. "$(dirname "$0")/../support/cli.sh"

corpus=$CLMAML_SOURCE_DIR/tests/fuzz/corpus
tiny="--device host --network mlp --hidden 2 --ways 2 --shots 1 --query 1 --iterations 1 --meta-batch 1 --val-tasks 1 --eval-tasks 1 --size 8
    --class-split 2,2,2"

# fill FOLDER NAME..: folders of two pictures each
fill() {
    folder=$1
    shift
    for name in "$@"; do
        mkdir -p "$folder/$name"
        cp "$corpus/picture/grey.png" "$corpus/picture/24.bmp" "$folder/$name"
    done
}

# safetensors NAME FILE: a corpus file (or a file by its whole path) whose header is its first line, as a file of the format
safetensors() {
    case $1 in
    /*) from=$1 ;;
    *) from=$corpus/$1 ;;
    esac
    length=$(head -n 1 "$from" | tr -d '\n' | wc -c)
    {
        # shellcheck disable=SC2059
        printf "\\$(printf %o $((length % 256)))\\$(printf %o $((length / 256 % 256)))\\0\\0\\0\\0\\0\\0"
        head -n 1 "$from" | tr -d '\n'
        tail -n +2 "$from"
    } >"$2"
}

# harmless FILE NAME: UTF-8 without control characters but ends of lines, and without what turns the direction of writing
turning=$(printf '\302[\200-\237]|\342\200[\250-\256]|\342\201[\246-\251]')
harmless() {
    LC_ALL=C tr -d '\n -~\200-\377' <"$1" >"$work/control"
    [ ! -s "$work/control" ] || fail "$2: control characters in $1: $(od -c "$work/control" | head -n 3)"
    LC_ALL=C grep -aEq "$turning" "$1" && fail "$2: control characters in UTF-8 in $1: $(LC_ALL=C grep -aE "$turning" "$1" | od -c | head -n 9)"
    iconv -f UTF-8 -t UTF-8 "$1" >"$work/control" 2>&1 || fail "$2: $1 is not UTF-8"
}

# ---- names with escape codes, ends of lines, markup ----
escape=$(printf 'a\033[2J\033]0;title\007')
line=$(printf 'b\nclmaml: note: <script>alert(1)<x>')
fill "$work/names" "$escape" "$line" "$(printf 'c\rd')" "$(printf 'd\302\233')" '"e",=f' g
# shellcheck disable=SC2086
expect_success "names with escape codes" train "$work/names" $tiny --algorithm protonet --run "$work/run"
harmless "$work/out" "train"
harmless "$work/err" "train, notes"
for file in config.json metrics.jsonl metrics.csv result.json curve.svg; do harmless "$work/run/$file" "$file"; done
expect_success "runs" runs "$work"
harmless "$work/out" "runs"
expect_success "report" report "$work/run" --out "$work/page.html" --device host
harmless "$work/page.html" "report"
grep -q '<script' "$work/page.html" && fail "report: markup of a name in the page"
expect_success "adapt" adapt "$work/run" --support "$work/names" --out "$work/adapted" --device host
for form in "" --csv --json; do
    # shellcheck disable=SC2086
    expect_success "predict $form" predict "$work/adapted" "$work/names" --device host $form
    harmless "$work/out" "predict $form"
done

# Equal pictures in classes whose names have several lines: each note is one line, wherever it is told. Names that are not UTF-8, and such
# that turn the direction of writing.
latin=$(printf 'lat\377in\351\233') turned=$(printf 'x\342\200\256gnp.\342\201\246') run=$work/$(printf 'x\ny\033[31m<b>\377\233\342\200\256')
for split in train val test; do
    fill "$work/forged/$split" "$(printf 'a-%s\nclmaml: note: line\033[31m\302\233' $split)" "$latin" "$turned" plain
done
all="--device host --network mlp --hidden 2 --ways 4 --shots 1 --query 1 --iterations 1 --meta-batch 1 --val-tasks 1 --eval-tasks 1 --size 8"
# shellcheck disable=SC2086
expect_success "forged notes" train "$work/forged" $all --algorithm protonet --run "$run"
harmless "$work/out" "forged notes"
harmless "$work/err" "forged notes"
grep -q '^clmaml: note: line' "$work/err" && fail "forged notes: $(cat "$work/err")"
expect_in "$work/err" '^clmaml: note: .*a-train[?]clmaml: note: line[?]\[31m' "forged notes"
for file in config.json result.json; do
    grep -q '"clmaml: note: line' "$run/$file" && fail "forged notes: $(cat "$run/$file")"
    harmless "$run/$file" "forged notes"
done
expect_success "forged notes, eval" eval "$run" --device host --tasks 2 --json
harmless "$work/out" "forged notes, eval"
grep -q '"clmaml: note: line' "$work/out" && fail "forged notes, eval: $(cat "$work/out")"
expect_success "names that are not UTF-8, report" report "$run" --out "$work/latin.html" --device host
harmless "$work/latin.html" "names that are not UTF-8, report"
expect_in "$work/latin.html" 'lat&#65533;in&#65533;&#65533;' "names that are not UTF-8, report"
expect_in "$work/latin.html" 'y&#65533;\[31m&#60;b&#62;&#65533;' "a run that is not UTF-8, report"
expect_success "names that are not UTF-8, runs" runs "$work"
harmless "$work/out" "names that are not UTF-8, runs"

# Names that a spreadsheet would run: no field of CSV begins like them, and numbers are as they were.
fill "$work/formulas" '=1+1' "'-a" -2 '@SUM(1)' plain
expect_success "adapt to formulas" adapt "$work/run" --support "$work/formulas" --out "$work/formulas.clm" --device host
cp "$work/names/g/grey.png" "$work/=x.png"
(
    cd "$work" || exit 1
    expect_success "formulas" predict formulas.clm =x.png --top 5 --csv --device host
    for field in './=x.png' "'=1+1" "''-a" -2 "'@SUM(1)" plain; do
        grep -qF -- "\"$field\"," out || fail "formulas: no $field: $(cat out)"
    done
    exit $failures
) || fail "formulas"
expect_success "export" export "$work/adapted" --format c --out "$work/model.c"
harmless "$work/model.c" "export --format c"
cp "$work/names/g/grey.png" "$work/$escape.png"
"$CLMAML_PROGRAM" predict "$work/adapted" "$work/$escape.none" --device host >"$work/out" 2>&1 && fail "a file that is not there"
harmless "$work/out" "a message with a name"

# ---- names that lead out ----
mkdir "$work/omniglot"
cp "$corpus/zip/tree.zip" "$work/omniglot/images_evaluation.zip"
for zip in slip slip2; do
    cp "$corpus/zip/$zip.zip" "$work/omniglot/images_background.zip"
    expect_error "zip $zip" 1 "has a name that leads out of the archive" train omniglot --data "$work/omniglot" --device host --run "$work/none"
done
fill "$work/tables" images
printf 'filename,label\n../secret.png,a\n' >"$work/tables/train.csv"
# shellcheck disable=SC2086
expect_error "a list of pictures" 1 "train.csv: line 2 names ../secret.png, which is not below images/" train "$work/tables" $tiny --run "$work/none"
fill "$work/lists/data" a
mkdir -p "$work/lists/splits/x"
printf 'a\n../..\n' >"$work/lists/splits/x/train.txt"
# shellcheck disable=SC2086
expect_error "a list of classes" 1 "line 2 names the class ../.., which is not below data/" train "$work/lists" $tiny --run "$work/none"
fill "$work/linked" a b c d e
fill "$work/outside" secret
ln -s ../outside/secret "$work/linked/f"
ln -s a "$work/linked/within"
# shellcheck disable=SC2086
expect_success "a link" train "$work/linked" $tiny --run "$work/run2"
expect_in "$work/err" "a link leads out of the folder, and is followed: .*linked/f -> .*outside/secret" "a link"
ln -s .. "$work/linked/a/up"
# shellcheck disable=SC2086
expect_error "a link that leads up" 1 "folders nested too deep; is there a link that leads back up?" train "$work/linked" $tiny --run "$work/none"

# ---- much out of little ----
fill "$work/bombs" a b c d e f
for picture in huge.png terabytes.png bomb.png chunk.png huge.gif bomb.gif huge.bmp huge.jpg huge_progressive.jpg; do
    cp "$corpus/picture/$picture" "$work/bombs/a"
    # shellcheck disable=SC2086
    expect_error "picture $picture" 1 "$picture \(a .*picture.*; (make it smaller or remove|replace or remove) it\)" train "$work/bombs" --strict $tiny --run "$work/none"
    rm "$work/bombs/a/$picture"
done
safetensors safetensors/terabytes "$work/terabytes"
expect_error "terabytes" 1 "only 0 bytes follow the header" train sine --device host --init "$work/terabytes" --run "$work/none"
safetensors safetensors/deep "$work/deep"
expect_error "a deep header" 1 "maximum parsing depth" predict "$work/deep" "$work/names" --device host
safetensors checkpoint/huge "$work/huge"
expect_error "a model of terabytes" 1 "more than 2.31 - 1 elements" export "$work/huge" --format c --out "$work/none"
safetensors reference/huge "$work/reference"
"$CLMAML_PROGRAM" verify --device host "$work/reference" >"$work/out" 2>&1 && fail "a reference file of a large model"
expect_in "$work/out" "has 1 elements, the model's 268435456" "a reference file of a large model"
expect_error "a deep model" 1 "maximum parsing depth" model "$corpus/model/deep.json"
expect_error "a nested model" 1 "nested more than 16 deep" model "$corpus/model/nested.json"

# ---- weights that are not finite ----
safetensors checkpoint/sine_nan "$work/nan"
expect_error "--init of NaN" 1 "not finite" train sine --hidden 2 --init "$work/nan" --device host --run "$work/none"
expect_error "eval of NaN" 1 "param.0.weight.*not finite" eval "$work/nan" --device host

# ---- an adapted model whose classes are not those of its outputs: a name would be told of another class ----
for change in 's/\[\\"a\\", /[/' 's/\[\\"a\\", /&\\"c\\", /' 's/ways\\": 2/ways\\": 1/' 's/ways\\": 2/ways\\": 3/'; do
    LC_ALL=C sed "1$change" "$corpus/checkpoint/adapted" >"$work/changed"
    cmp -s "$work/changed" "$corpus/checkpoint/adapted" && fail "$change changes nothing"
    safetensors "$work/changed" "$work/classes"
    expect_error "predict, $change" 1 "it is damaged: it (says|has) . classes, and " predict "$work/classes" "$work/names" --device host
    expect_error "export, $change" 1 "it is damaged: it says . classes, has . names of classes" export "$work/classes" --format c --out "$work/none"
done

finish
