#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The program as its users meet it: exit codes, messages on stderr, data on stdout, help and manual from one table.
#
#     test_cli.sh MMOEC TESTS WORK
set -u
mmoec=$1 tests=$2 work=$3
tiny=$tests/golden/tiny_mmoe
rm -rf "$work"
mkdir -p "$work"
cd "$work"
failures=0

fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# run EXIT ARGUMENTS...: runs the program into out and err.
run() {
    want=$1
    shift
    "$mmoec" "$@" > out 2> err < /dev/null
    got=$?
    [ $got = "$want" ] || { fail "exit $got, not $want: mmoec $*"; head -n 5 err; }
}
says() { grep -q -e "$1" err || { fail "no message like: $1"; head -n 5 err; }; }
shows() { grep -q -e "$1" out || { fail "no output like: $1"; head -n 5 out; }; }
silent() { [ ! -s "$1" ] || { fail "$1 is not empty"; head -n 3 "$1"; }; }

# ---- usage: 2 ----

run 2; says 'give a command.*\[usage\]'
run 2 compil "$tiny"; says 'did you mean compile'
run 2 compile; says 'needs a MODEL'
run 2 compile "$tiny"; says 'needs -o OUT'
run 2 compile "$tiny" -o x --target sparc; says 'x86-64.*avx512.*avx2.*aarch64.*generic-c'
run 2 compile "$tiny" -o x --target avx521; says 'did you mean avx512'
run 2 compile "$tiny" -o x --weights-in ram; says 'there are c, file'
run 2 compile "$tiny" -o x --name 2fast; says 'C identifier'
run 2 compile "$tiny" -o x --no-such; says 'there is no option "--no-such"'
run 2 compile "$tiny" -o x --taget avx2; says 'did you mean --target'
run 2 compile "$tiny" -o - --weights-in file; says 'needs the name of a file'
run 2 compile "$tiny" -o - --dump plan; says 'both write to standard output'
run 2 compile "$tiny" -o; says 'argument is missing'
run 2 compile "$tiny" more -o x; says 'more than one MODEL'
run 2 inspect "$tiny" -o x; says 'does not take'
run 2 score "$tiny"; says 'needs --rows F.csv or --features'
run 2 score "$tiny" --features x --engine quick; says 'there are jit, walk'
run 2 score "$tiny" --features x --engine refrence; says 'did you mean reference'
run 2 bench "$tiny" --batch 1,,2; says 'needs numbers by commas, not "1,,2"'
for list in 0 x 4,x 1, 65537 -1 1:2 "$(seq -s , 40)"; do run 2 bench "$tiny" "--batch=$list"; silent out; done
run 2 bench "$tiny" --batch; says 'argument is missing'
run 2 bench "$tiny" --engine reference; says 'not made to be fast'
run 2 bench "$tiny" --features x; says 'does not take'
run 2 score "$tiny" --features x --batch 1; says 'does not take'
run 2 verify "$tiny" --expect "$tiny"; says 'needs the rows'
run 2 score "$tiny" --features "$tiny/features.npy" --outputs nope; says 'there are logits_ctr, probs_ctr'
silent out

# ---- the input is wrong: 1; not supported: 3; the system: 5 ----

run 1 compile /no/such/model -o x; says 'error:'
mkdir empty
run 1 compile empty -o x; says 'pipeline.config'
cp "$tiny/pipeline.config" alone.config
run 2 compile alone.config -o x; says 'give --weights'
run 1 compile alone.config --weights nothing -o x; says 'nothing.index'
run 0 compile alone.config --weights "$tiny/model.ckpt-200" -o x
sed 's/num_expert/expert_num/' "$tiny/pipeline.config" > wrong.config
run 1 compile wrong.config --weights "$tiny/model.ckpt-200" -o y
says 'wrong.config:[0-9]*:[0-9]*: error: unknown field "expert_num" in mmoe \[unknown-field\]'
says 'did you mean "num_expert"'
run 1 score "$tiny" --rows missing.csv; says 'there is no such file'
"$mmoec" --version > version
if grep -q 'libtcc yes' version; then jit=jit; else
    jit=
    run 5 score "$tiny" --features "$tiny/features.npy" --engine jit; says 'has no libtcc'
fi
run 2 compile "$tiny" --numerics muladd32 -o x; says 'target x86-64 has no --numerics muladd32'
run 2 compile "$tiny" --target cortex-m55-mve --numerics muladd32 -o x; says 'has no --numerics muladd32'
run 2 compile "$tiny" --proof -o x; says 'proof is for targets in plain C alone, and x86-64 is not'
run 2 compile "$tiny" --target generic-c --proof -o -; says 'proof needs the name of a file'
run 0 compile "$tiny" --target generic-c --proof -o proved
gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only proved_proof.c || fail "a driver with warnings"
run 0 verify "$tiny" --target cortex-m0; shows 'walk-muladd.*bits equal'
run 0 verify "$tiny" --target rv32imafc --features "$tiny/features.npy" --expect "$tiny"
mkdir temporary
export TMPDIR="$work/temporary"
CC=/no/cc run 5 compile "$tiny" -o z.so; says 'cannot be run'
CC='cc -no-such-flag' run 5 compile "$tiny" -o z.so; says 'the C compiler cc failed'; says 'note:.*no-such-flag'
[ ! -e z.so ] || fail "a failed build leaves a file"
CC='cc -O1' run 0 compile "$tiny" -o z.so
[ -z "$(ls temporary)" ] || fail "temporary files stay: $(ls temporary)"
unset TMPDIR
run 5 compile "$tiny" -o /no/such/directory/x; says 'error:'
run 1 score "$tests/golden/heads_mmoe" --features "$tiny/features.npy"; says 'it is \[128,21\], needs \[rows,78\]'
if [ -w /dev/full ]; then
    "$mmoec" score "$tiny" --features "$tiny/features.npy" > /dev/full 2> err
    [ $? = 5 ] || fail "a full disk is not exit 5"
    "$mmoec" inspect "$tiny" > /dev/full 2> err
    [ $? = 5 ] || fail "inspect: a full disk is not exit 5"
fi

"$mmoec" score "$tiny" --features "$tiny/features.npy" >&- 2> err
[ $? = 5 ] || fail "a closed standard output is not exit 5"
mkfifo pipe
cat pipe > piped.csv &
run 0 score "$tiny" --features "$tiny/features.npy" -o pipe
wait
[ -p pipe ] && [ "$(wc -l < piped.csv)" = 129 ] || fail "a pipe as output is replaced, or not written"
run 5 score "$tiny" --features "$tiny/features.npy" -o /no/such/directory/y.csv
run 1 score "$tiny" --features "$tiny/pipeline.config"; says 'it is not an .npy file'

# A failed compilation leaves the old output in place.
run 0 compile "$tiny" -o kept
cp kept.c kept.before
run 1 compile wrong.config --weights "$tiny/model.ckpt-200" -o kept
cmp -s kept.c kept.before || fail "a failed compilation touched the old output"

# ---- help, version, manual ----

run 0 --help; shows 'usage: mmoec COMMAND'; silent err
run 0 --version; shows '^ABI 1'; shows 'x86-64'; shows 'libtcc'
for command in compile inspect score verify bench; do
    run 0 $command --help; shows "usage: mmoec $command"
done
run 0 --man
cp out mmoec.1
"$mmoec" --help | grep -o -e '^  --*[a-zA-Z-]*' | tr -d ' ' | while read -r option; do
    escaped=$(printf '%s' "$option" | sed 's/-/\\\\-/g')
    grep -q -e "$escaped" mmoec.1 || echo "FAILED: the manual lacks $option"
done > missing
[ ! -s missing ] || fail "$(cat missing)"
if command -v man > /dev/null; then
    warnings=$(LC_ALL=C.UTF-8 MANROFFSEQ= man -l --warnings -E UTF-8 -Tutf8 -Z mmoec.1 2>&1 > /dev/null)
    [ -z "$warnings" ] || fail "the manual page: $warnings"
fi

# ---- inspect, score, verify ----

run 0 inspect "$tiny"; shows 'the group "all" has 4 features, 21 columns'; shows 'probs_ctr'
run 0 inspect alone.config; shows 'none found, none needed'
run 0 inspect "$tiny" --json; shows '"width":21'
run 0 inspect "$tiny" --feature-order name; shows "order of the columns' names"
# User columns: marked, first in x, and refused where they mean nothing.
run 0 inspect "$tiny" --user-columns price,user_id; shows 'the first 12 are the user'; shows '8 ..   11  price .*user '
shows '12 ..   12  age .*item'
run 0 inspect "$tiny" --user-columns price,user_id --json
shows '"key":"price","kind":"RawFeature","first":8,"width":4,"user":true'
run 0 inspect "$tiny" --user-columns price,user_id --plan; shows 'onto.* from=s'
run 2 inspect "$tiny" --user-columns price,usr_id; says 'usr_id", which is neither'; says 'did you mean "user_id"'
run 2 inspect "$tiny" --user-columns user_id,age,price,tags; says 'items would have none'
run 2 inspect "$tiny" --user-columns price --target generic-c --plan; says 'has no --user-columns'
run 2 compile "$tiny" --user-columns price --target cortex-m4f -o small; says 'has no --user-columns'
run 0 score "$tiny" --user-columns price,user_id --features "$tiny/features.npy"
cp out users.csv
run 0 compile "$tiny" --user-columns price,user_id -o users.so
run 0 score users.so --features "$tiny/features.npy"
cmp -s out users.csv || fail "user columns: a compiled file gives other scores"
run 2 score users.so --features "$tiny/features.npy" --user-columns price; says 'does not apply to a compiled file'
run 0 bench "$tiny" --engine walk --batch 8 --user-columns price; shows "one user's, us"; shows ' 8 .*[0-9]\.[0-9]*$'

for engine in walk $jit aot reference; do
    run 0 score "$tiny" --features "$tiny/features.npy" --engine $engine -v; says "scored by $engine"
    [ "$(wc -l < out)" = 129 ] || fail "$engine: not 128 rows and a header"
    [ "$(head -n 1 out)" = probs_ctr,probs_cvr ] || fail "$engine: another header"
    cp out $engine.csv
done
for engine in aot $jit; do
    cmp -s walk.csv $engine.csv || fail "walk and $engine give other scores"
done
run 0 score "$tiny" --features "$tiny/features.npy" -v; says "scored by ${jit:-walk}"
run 0 compile "$tiny" -o model.so
run 0 score model.so --features "$tiny/features.npy" -v; says 'the compiled file'
cmp -s out walk.csv || fail "a compiled file gives other scores"
run 2 score model.so --features "$tiny/features.npy" --engine reference; says 'does not apply to a compiled file'
run 0 score "$tests/golden/heads_mmoe" --outputs probs_grade,y_grade --features "$tests/golden/heads_mmoe/features.npy"
[ "$(head -n 1 out)" = 'probs_grade[0],probs_grade[1],probs_grade[2],probs_grade[3],y_grade' ] || fail "names of a vector's columns"
run 0 score "$tiny" --features "$tiny/features.npy" -o scores.npy; silent out
"$mmoec" score "$tiny" --features - < "$tiny/features.npy" > out 2> err || fail "features from standard input"
cmp -s out walk.csv || fail "standard input gives other scores"
run 0 verify "$tiny"; shows 'walk-plain'; shows 'aot'
[ -z "$jit" ] || shows 'jit-plain'
run 1 verify "$tiny" --features "$tiny/features.npy" --expect empty; says 'no file for any output'
run 0 verify "$tiny" --json; shows '"bits_equal":true'; shows '"failures":0'
run 0 verify "$tests/golden/heads_mmoe" --features "$tests/golden/heads_mmoe/features.npy" \
    --expect "$tests/golden/heads_mmoe" --outputs all
[ "$(grep -c '^expected' out)" = 10 ] || fail "not every output was compared with its file"
run 4 verify "$tiny" --features "$tiny/features.npy" --expect "$tests/golden/nobn_tanh_mmoe"; says 'comparisons failed'

# ---- bench ----

run 0 bench "$tiny" --batch 1,3,1024 --json; silent err
for engine in walk aot; do
    jq -e "[.engines[] | select(.engine == \"$engine\") | .batches | map(.rows) == [1, 3, 1024]] | length > 0 and all" out \
        > engine.out || fail "bench --json: $engine was not timed at 1, 3 and 1024 rows: $(head -c 400 out)"
done
jq -e '[.engines[].batches[] | .us_a_row, .gflops, .of_peak, .of_stream] | all(. > 0)' out > engine.out ||
    fail "bench --json: a number is not positive"
jq -e '.engines | map(.calls) | all(map(.rows) == [1, 256] and all(.[]; .p50_us <= .p90_us and .p90_us <= .p99_us))' out \
    > engine.out || fail "bench --json: percentiles are missing or out of order"
jq -e '.multiply_adds == 524 and (.levels | length) == 4' out > engine.out || fail "bench --json: multiply-adds, levels"
run 0 bench "$tiny" --engine walk
[ "$(awk '$1 == "walk" && NF == 9 { print $3 }' out | head -n 9 | tr '\n' ' ')" = '1 2 3 4 8 16 64 256 1024 ' ] ||
    fail "bench: not the default numbers of rows: $(cat out)"
CC=/no/cc run 0 bench "$tiny" --batch 1; says 'no C compiler: aot is left out'; shows '^walk'
CC=/no/cc run 5 bench "$tiny" --batch 1 --engine aot; says 'cannot be run'

# ---- the rest of compile ----

run 0 compile "$tiny" -o -; shows 'int tiny_mmoe_self_test'
run 0 compile "$tiny" -o dep -MD -MF dep.d
grep -q 'pipeline.config.*model.ckpt-200.index.*data-00000-of-00001' dep.d || fail "the rule for make: $(cat dep.d)"
run 0 compile "$tiny" -o dep -MD
[ -s dep.d ] || fail "-MD alone writes no dep.d"

# The same bytes wherever it runs, in C and built.
mkdir -p here there/below
cp -r "$tiny" there/below/tiny_mmoe
(cd here && "$mmoec" compile "$tiny" -o same && "$mmoec" compile "$tiny" --weights-in file -o same.so)
(cd there/below && "$mmoec" compile tiny_mmoe -o ../same && "$mmoec" compile tiny_mmoe/ --weights-in file -o ../same.so)
for file in same.c same.h same.so same.weights; do
    cmp -s here/$file there/$file || fail "$file differs between two directories"
done
run 0 score here/same.so --features "$tiny/features.npy"
cmp -s out walk.csv || fail "a compiled file with its weights beside it gives other scores"

for stage in model fold fuse tidy plan; do
    run 0 compile "$tiny" --dump $stage; [ -s out ] || fail "--dump $stage shows nothing"
done
for target in x86-64 avx512 avx2 aarch64 generic-c; do
    run 0 compile "$tiny" --target $target -o target
    grep -q -e "--target $target" target.c || fail "the banner lacks the target"
done

# A SavedModel's directory.
mkdir -p saved/assets saved/variables
cp "$tiny/pipeline.config" saved/assets
for part in index data-00000-of-00001; do cp "$tiny/model.ckpt-200.$part" saved/variables/variables.$part; done
: > saved/saved_model.pb
run 0 score saved --features "$tiny/features.npy"
cmp -s out walk.csv || fail "a SavedModel gives other scores"

[ $failures = 0 ] && echo ok
exit $((failures > 0))
