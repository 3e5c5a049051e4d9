#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Memory: let the n-th allocation of mmoec and all after it fail, n = 0, 1, 2, ..., until it succeeds. Each time: exit 5,
# a message, nothing written. Allocations are those of malloc and of mmap.
#
#     memory.sh MMOEC ONE_JIT FAIL_MALLOC.so WORK MODEL
set -u
mmoec=$1 one_jit=$2 library=$3 work=$4 model=$5
rm -rf "$work"
mkdir -p "$work"

# until_it_succeeds NAME PROGRAM ARGUMENTS...
until_it_succeeds() {
    name=$1 n=0
    shift
    while :; do
        FAIL_AT=$n LD_PRELOAD=$library "$@" > "$work/out" 2> "$work/err"
        status=$?
        [ $status -ne 0 ] || break
        written=$(ls "$work" | grep -v -E '^(out|err|cache)$')
        if [ $status -ne 5 ] || [ -n "$written" ] || ! grep -q 'error: .*\(memory\|space\)' "$work/err"; then
            echo "FAILED: $name, allocation $n: exit $status, written: $written"
            cat "$work/err"
            exit 1
        fi
        n=$((n + 1))
        [ $n -lt 5000 ] || { echo "FAILED: it never succeeds"; exit 1; }
    done
    [ $n -gt 3 ] || { echo "FAILED: the library did not count"; exit 1; }
    echo "$name: each of $n allocations failed in turn: a message and exit 5; then it succeeded"
}

mkdir "$work/cache"
until_it_succeeds "the library" "$one_jit" "$model" "$work/cache"
[ "$(ls "$work/cache" | wc -l)" = 1 ] || { echo "FAILED: left in the cache: $(ls "$work/cache")"; exit 1; }
rm -r "$work/cache"
if "$mmoec" --version | grep -q 'libtcc yes'; then
    until_it_succeeds "score by jit" "$mmoec" score "$model" --features "$model/features.npy" --engine jit
    [ "$(wc -l < "$work/out")" = 129 ] || { echo "FAILED: no scores at the end"; exit 1; }
fi
until_it_succeeds compile "$mmoec" compile "$model" --name m -o "$work/m"
[ -s "$work/m.c" ] && [ -s "$work/m.h" ] || { echo "FAILED: no output at the end"; exit 1; }
