#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Black box tests of score --rows and verify --rows.
#
#     test_rows.sh MMOEC TESTS WORK
set -u
mmoec=$1 tests=$2 work=$3
tiny=$tests/golden/tiny_mmoe
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1

fail() {
    echo "FAILED: $*"
    cat err
    exit 1
}
# run EXIT ARGUMENTS...: stdout in out, stderr in err
run() {
    want=$1
    shift
    "$mmoec" "$@" > out 2> err < /dev/null
    status=$?
    [ $status = "$want" ] || fail "exit $status, needs $want: mmoec $*"
}
says() { grep -q -e "$1" err || fail "no message \"$1\""; }
lines() { [ "$(wc -l < "$1")" = "$2" ] || fail "$1 has not $2 lines"; }

# ---- rows, with and without labels, from files and pipes ----

run 0 score "$tiny" --rows "$tiny/rows.csv"; lines out 129
[ "$(head -n 1 out)" = probs_ctr,probs_cvr ] || fail "another header"
cp out scores.csv
cut -d, -f3- "$tiny/rows.csv" > no_labels.csv
run 0 score "$tiny" --rows no_labels.csv; cmp -s out scores.csv || fail "without labels: other scores"
sed 's/$/\r/' "$tiny/rows.csv" > crlf.csv
run 0 score "$tiny" --rows crlf.csv; cmp -s out scores.csv || fail "CRLF: other scores"
"$mmoec" score "$tiny" --rows - < no_labels.csv > out 2> err || fail "rows from standard input"
cmp -s out scores.csv || fail "standard input: other scores"
mkfifo pipe
cat no_labels.csv > pipe &
"$mmoec" score "$tiny" --rows pipe > out 2> err || fail "rows from a pipe"
cmp -s out scores.csv || fail "a pipe: other scores"
head -n 50 no_labels.csv > first.csv
tail -n +51 no_labels.csv > second.csv
run 0 score "$tiny" --rows first.csv,second.csv; cmp -s out scores.csv || fail "two files: other scores"
cat "$tiny/rows.csv" "$tiny/rows.csv" "$tiny/rows.csv" > three.csv
run 0 score "$tiny" --rows three.csv; lines out 385
tail -n 128 out > tail.csv
tail -n 128 scores.csv | cmp -s - tail.csv || fail "later blocks: other scores"
for engine in reference aot; do
    run 0 score "$tiny" --rows "$tiny/rows.csv" --engine $engine -v; says "scored by $engine"; lines out 129
done
cmp -s out scores.csv || fail "walk and aot give other scores from rows"
run 0 verify "$tiny" --rows "$tiny/rows.csv" --json; grep -q '"rows":128' out || fail "verify: not 128 rows"

# ---- a header ----

{ echo 'tags,price,other,user_id,age'; awk -F, '{ print $6 "," $5 ",x," $3 "," $4 }' "$tiny/rows.csv"; } > header.csv
run 0 score "$tiny" --rows header.csv --header; cmp -s out scores.csv || fail "a header: other scores"
{ echo 'user_id'; cut -d, -f3 "$tiny/rows.csv"; } > one.csv
run 0 score "$tiny" --rows one.csv --header; says 'warning: the header lacks age and 2 more columns'; lines out 129
run 1 score "$tiny" --rows no_labels.csv --header; says 'no_labels.csv:1:1: error: no name in it'
run 1 score "$tiny" --rows header.csv; says 'header.csv:1:1: error: it has 5 fields, needs the 6 input_fields'

# ---- bad rows ----

{ head -n 2 no_labels.csv; echo 'u1,x,1,'; sed -n 3,4p no_labels.csv; echo 'too,few'; sed -n 5p no_labels.csv; } > bad.csv
run 1 score "$tiny" --rows bad.csv -o not.csv
says 'bad.csv:3:4: error: age: is not a DOUBLE: "x" \[row\]'; says 'keep-going'
[ ! -e not.csv ] || fail "a file of scores in spite of a bad row"
run 1 score "$tiny" --rows bad.csv --keep-going -o kept.csv
says 'bad.csv:3:4: warning: age: is not a DOUBLE'; says 'bad.csv:6:1: warning: it has 2 fields, needs 4'
says 'error: 2 of 7 rows have no scores'
lines kept.csv 8
[ "$(sed -n 4p kept.csv)" = , ] || fail "line 4 is not empty"
[ "$(sed -n 7p kept.csv)" = , ] || fail "line 7 is not empty"
[ "$(sed -n 8p kept.csv)" = "$(sed -n 6p scores.csv)" ] || fail "line 8 is not row 5"
run 1 score "$tiny" --rows bad.csv --keep-going -o kept.npy
[ "$(wc -c < kept.npy)" = $((128 + 7 * 2 * 4)) ] || fail "kept.npy has another size"
run 0 score "$tiny" --features "$tiny/features.npy" -o a.npy
run 0 score "$tiny" --rows "$tiny/rows.csv" -o b.npy
[ "$(head -c 128 a.npy)" = "$(head -c 128 b.npy)" ] || fail "heads of .npy differ"
yes too,few | head -n 1000 > bad.csv
run 1 score "$tiny" --rows bad.csv --keep-going; lines out 1001
[ "$(grep -c warning: err)" = 20 ] || fail "not 20 warnings"
run 1 verify "$tiny" --rows bad.csv; says 'bad.csv:1:1: error'
run 1 score "$tiny" --rows missing.csv; says 'missing.csv: error: cannot be opened'
run 1 score "$tiny" --rows .; says 'it is a directory'

# ---- how far it is: on a terminal, and nowhere else ----

# shown COMMAND: what it leaves on a terminal in err; standard output in out
shown() { script -qec "$1 > out" /dev/null > err < /dev/null || fail "exit $?: $1"; }
slowly() { cat three.csv; sleep 0.3; cat three.csv; }   # a line stands for a tenth of a second at least
score="'$mmoec' score '$tiny'"
slowly > pipe &
shown "$score --rows pipe"; lines out 769
grep -q "$(printf '\r')[1-9][0-9]* rows, [0-9]* a second" err || fail "no progress on a terminal"
grep -q "$(printf '\r  *\r')\$" err || fail "the line of progress was not cleared"
cp three.csv long.csv
for i in 1 2 3 4 5 6 7 8 9; do
    cat long.csv long.csv > longer.csv
    mv longer.csv long.csv
done
shown "$score --rows long.csv,three.csv --engine reference" # which takes its time
lines out $((513 * 384 + 1))
grep -q "$(printf '\r')\[=*> *\]  *[0-9]* %  [0-9]* rows, [0-9]* a second" err || fail "no bar on a terminal"
for part in $(tr '\r' '\n' < err | sed -n 's/.*\] *\([0-9]*\) %.*/\1/p'); do
    [ "$part" -ge "${last=0}" ] && [ "$part" -le 100 ] || fail "$part % after $last %"
    last=$part
done
slowly > pipe &
shown "$score --rows pipe 2> nothing"; [ ! -s nothing ] && [ ! -s err ] || fail "progress in a file"
slowly > pipe &
script -qec "$score --rows pipe" /dev/null > err < /dev/null || fail "rows to a terminal"
if grep -q 'a second' err; then fail "progress between scores"; fi

# ---- usage ----

run 2 score "$tiny" --rows a.csv --features b.npy; says 'not both'
run 2 score "$tiny" --features b.npy --header; says 'header needs'
run 2 score "$tiny" --features b.npy --keep-going; says 'keep-going needs'

# ---- what rows cannot give, with features all the same ----

mkdir model
cp "$tiny"/model.ckpt-200.* model
sed 's/input_names: "age" feature_type: RawFeature/& normalizer_fn: "lambda x: x"/' "$tiny/pipeline.config" \
    > model/pipeline.config
run 3 score model --rows "$tiny/rows.csv"; says 'error: "age" cannot be computed from rows'
run 0 score model --features "$tiny/features.npy"

# ---- a graph beside the weights ----

echo 'no graph' > model/model.ckpt-200.meta
run 0 inspect model; says 'model.ckpt-200.meta: warning: the graph does not show the order of the features'
grep -q 'in the order of the config (the default)' out || fail "inspect does not say where the order is from"
run 0 inspect model --feature-order name
grep -q "in the order of the columns' names (from --feature-order)" out || fail "inspect does not say who ordered"
if grep -q 'the graph' err; then fail "a graph was asked in spite of --feature-order"; fi

# ---- tables with the names of EasyRec up to 0.5.7: after inputs, not keys ----

rm model/model.ckpt-200.meta
sed -e 's/input_names: "user_id"/& feature_name: "x"/' -e 's/feature_names: "user_id"/feature_names: "x"/' \
    "$tiny/pipeline.config" > model/pipeline.config
run 0 score model --rows "$tiny/rows.csv" --feature-order config
cmp -s out scores.csv || fail "old names: other scores"
run 0 score "$tiny" --rows "$tiny/rows.csv" --feature-order name
cp out by_name.csv
run 0 score model --rows "$tiny/rows.csv"
says 'index: warning: input_layer/user_id_embedding/embedding_weights is named as EasyRec up to 0.5.7 did'
cmp -s out by_name.csv || fail "old names are not in the order of names"
run 0 inspect model
grep -q "in the order of the columns' names (from the tables' old names)" out || fail "inspect does not know the order"
echo "rows: as asked"
