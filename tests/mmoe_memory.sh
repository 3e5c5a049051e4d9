#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Memory of libmmoe: let the n-th allocation fail, n = 0, 1, 2, ..., until it succeeds. Each time: a status that says so.
#
#     mmoe_memory.sh MMOEC FAIL_MALLOC.so MMOE_MEMORY WORK MODEL
set -u
mmoec=$1 library=$2 program=$3 work=$4 model=$5
rm -rf "$work"
mkdir -p "$work"
"$mmoec" compile "$model" --name m --weights-in file -o "$work/m.so" || exit 1
n=0
while :; do
    FAIL_AT=$n LD_PRELOAD=$library "$program" "$work/m.so" "$work/m.weights" 2> "$work/err"
    status=$?
    [ $status -ne 0 ] || break
    [ $status -eq 5 ] || { echo "FAILED: allocation $n: exit $status"; cat "$work/err"; exit 1; }
    n=$((n + 1))
    [ $n -lt 5000 ] || { echo "FAILED: it never succeeds"; exit 1; }
done
[ $n -gt 10 ] || { echo "FAILED: only $n allocations were counted"; exit 1; }
echo "each of $n allocations failed in turn: a status; then it served"
