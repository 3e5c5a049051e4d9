#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Limits: how long mmoec and gcc take for the model M1 (272 -> 4 x [256,192,128,64], two towers the same), how much text
# it makes, and that 64 experts of 1024 units compile in little more memory than the model has. Prints what it measured.
#
#     limits.sh MMOEC RANDOM_MODEL WORK
set -eu
mmoec=$1 random_model=$2 work=$3
rm -rf "$work"
mkdir -p "$work/m1" "$work/wide"
status=0

# timed MOST_MS WHAT COMMAND...: the best of three runs, in milliseconds
timed() {
    most=$1 what=$2 best=
    shift 2
    for i in 1 2 3; do
        begin=$(date +%s%N)
        "$@"
        ms=$((($(date +%s%N) - begin) / 1000000))
        if [ -z "$best" ] || [ $ms -lt "$best" ]; then best=$ms; fi
    done
    echo "$what: $best ms (at most $most)"
    [ "$best" -le "$most" ] || status=1
}

"$random_model" "$work/m1" --seed 1 --shape m1
timed 300 "mmoec, weights apart" "$mmoec" compile "$work/m1" --weights-in file --name m1 -o "$work/apart"
timed 2000 "gcc -O2, weights apart" gcc -std=c11 -O2 -c "$work/apart.c" -o "$work/apart.o"
timed 300 "mmoec, weights inside" "$mmoec" compile "$work/m1" --name m1 -o "$work/inside"
timed 5000 "gcc -O2, weights inside" gcc -std=c11 -O2 -c "$work/inside.c" -o "$work/inside.o"
text=$(size "$work/apart.o" | awk 'NR == 2 { print $1 }')
echo "text of all instruction sets: $text bytes (at most 100 KB for one)"
[ "$text" -le 300000 ] || status=1

# 262 MB of weights; address space as the measure of memory.
"$random_model" "$work/wide" --seed 1 --shape wide64 --rows 4
model=$(cat "$work"/wide/model.ckpt-*.data-* | wc -c)
if (ulimit -v $((model / 1024 * 13 / 10)) && "$mmoec" compile "$work/wide" --weights-in file --name wide -o "$work/wide_out"); then
    echo "64 experts of 1024 units, $((model / 1000000)) MB: compiles within 1.3 times its size"
else
    status=1
fi
rm -rf "$work"
exit $status
