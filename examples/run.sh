#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One run of everything: builds mmoec, compiles a small model that EasyRec trained to C, builds a program with it,
# and prints its scores beside EasyRec's own. Installs what is missing (Debian), writes below build/.
set -eu
cd "$(dirname "$0")/.."
model=tests/golden/tiny_mmoe
out=build/examples

say() { printf '$ %s\n' "$*"; "$@"; }

# The numbers of a float32 .npy file, raw; and one a line. Its head is 128 bytes here.
raw() { tail -c +129 "$1"; }
numbers() { raw "$1" | od -An -v -tf4 -w4; }

tests/run.sh --deps gcc libc6-dev cmake make pkg-config protobuf-c-compiler libprotobuf-c-dev
mkdir -p build
{ cmake -S . -B build && cmake --build build -j2 --target mmoec mmoe_static; } > build/examples.log 2>&1 || {
    cat build/examples.log
    exit 1
}
mkdir -p $out
raw $model/features.npy > $out/rows.f32

# A program with the model linked in.
say build/mmoec compile $model -o $out/tiny
say cc -O2 -I $out examples/score.c $out/tiny.c -o $out/score
echo "\$ $out/score < $out/rows.f32"
$out/score < $out/rows.f32 > $out/scores

numbers $model/probs_ctr.npy > $out/ctr
numbers $model/probs_cvr.npy > $out/cvr
paste -d ' ' $out/scores $out/ctr $out/cvr | awk '
    function far(a, b) { return a > b ? a - b : b - a }
    NR == 1 { printf "%4s  %-12s %-12s  %-12s %s\n", "row", "probs_ctr", "EasyRec", "probs_cvr", "EasyRec" }
    NR <= 8 { printf "%4d  %-12.9f %-12.9f  %-12.9f %.9f\n", NR, $1, $3, $2, $4 }
    { d = far($1, $3); e = far($2, $4); d = d > e ? d : e; most = d > most ? d : most }
    END {
        printf " ...  %d rows; the largest difference is %.1e\n", NR, most
        exit !(NR == 128 && most <= 2e-6)
    }'

# From rows of what users and items have, instead of floats.
say cc -O2 -I $out examples/rows.c $out/tiny.c -o $out/from_rows
say $out/from_rows

# The same model as a shared object, served by libmmoe and swapped meanwhile: the same bits.
say build/mmoec compile $model -o $out/tiny.so
say cc -O2 -pthread -I runtime examples/serve.c build/libmmoe.a -o $out/serve
echo "\$ $out/serve $out/tiny.so < $out/rows.f32 | head -n 3"
$out/serve $out/tiny.so < $out/rows.f32 > $out/served
head -n 3 $out/served
tail -n +2 $out/served | cmp - $out/scores
