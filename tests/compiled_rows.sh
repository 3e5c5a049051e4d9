#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rows into compiled models: a feature of every kind, target attention, good rows and bad ones. All engines give the same
# bits, and so does generated C by gcc and clang at several levels, contraction allowed; with the tables in the C file
# and in a weights file, which is refused if a bit of it is another's.
#
#     compiled_rows.sh MMOEC UNTRAINED TESTS WORK
set -eu
mmoec=$1 untrained=$2 tests=$3 work=$4
rm -rf "$work"
mkdir -p "$work"
cd "$work"

fail() { echo "FAILED: $*"; exit 1; }

# scores FILE MODEL: of good rows and bad ones; what is wrong with which row in FILE.err
scores() {
    "$mmoec" score "$2" --rows rows.csv > "$1" || fail "$2 of $model"
    ! "$mmoec" score "$2" --rows bad.csv --keep-going >> "$1" 2> "$1.err" || fail "$2 of $model: no row is bad"
}
same() { cmp -s "$1" "$2" && cmp -s "$1.err" "$2.err" || fail "$model: $3"; }
# build OUT COMPILER FLAGS...
build() {
    out=$1
    shift
    "$@" -std=gnu11 -w -shared -fPIC -DMMOE_PLUGIN model.c -o "$out" || fail "$model: $*"
}

for model in kinds attention; do
    mkdir "$work/$model"
    cd "$work/$model"
    cp "$tests/rows/$model.config" pipeline.config
    "$untrained" . 1 150
    "$mmoec" verify . --rows rows.csv --outputs all > verify.out || { cat verify.out; fail "$model: engines"; }
    users=t,i,pairs_1,steps
    [ $model = kinds ] || users=own,step_items,step_times,step_number_brands
    "$mmoec" verify . --rows rows.csv --user-columns $users > users.out || { cat users.out; fail "$model: requests"; }
    [ "$(grep -c 'users with.*bits equal' users.out)" -ge 3 ] || fail "$model: no requests"

    scores walk .
    "$mmoec" compile . --from rows -o model
    for c in gcc clang; do
        $c -std=c11 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -c model.c || fail "$model: warnings of $c"
        [ -z "$(nm -u model.o)" ] || fail "$model by $c needs $(nm -u model.o)"
    done
    g++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only model.h || fail "$model: the header in C++"
    native=
    [ "$(uname -m)" != x86_64 ] || native=-march=native
    for flags in "gcc -O0" "gcc -O3 $native -ffp-contract=fast" "clang -O3 $native -ffp-contract=fast"; do
        build built.so $flags
        scores built built.so
        same walk built "$flags gives others"
    done

    "$mmoec" compile . --from rows --weights-in file -o apart.so
    scores apart apart.so
    same walk apart "weights in a file give others"
    cp apart.weights kept
    size=$(wc -c < kept)
    printf '\377' | dd of=apart.weights bs=1 seek=$((size - 200)) conv=notrunc 2> dd.log
    ! "$mmoec" score apart.so --rows rows.csv > out 2> err || fail "$model: a damaged table"
    grep -q damaged err || fail "$model: a damaged table is not told"
    head -c $((size - 4)) kept > apart.weights
    ! "$mmoec" score apart.so --rows rows.csv > out 2> err || fail "$model: a table that ends early"
    cp kept apart.weights
    scores apart apart.so
    same walk apart "the file as it was"

    # A row's scores are its own: the same lines in another order.
    tail -n +2 walk | head -n 150 > lines
    paste rows.csv lines | LC_ALL=C sort | cut -f 2 > want
    LC_ALL=C sort rows.csv > sorted.csv
    "$mmoec" score built.so --rows sorted.csv | tail -n +2 > have
    cmp -s want have || fail "$model: rows in another order have other scores"
    echo "$model: engines, compilers and files give the same scores of good and bad rows"
done
