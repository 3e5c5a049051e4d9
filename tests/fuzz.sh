#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the readers, and a compiled model, for a while, side by side, after tests/run.sh built them: tests/fuzz.sh [SECONDS [NAME...]], 600 and
# all by default.
# What is found lies in build/tests/fuzz as crash-*.
set -eu
seconds=${1:-600}
[ $# = 0 ] || shift
names=${*:-prototext ckpt rows compiled}
cd "$(dirname "$0")/.."
mkdir -p build/tests/fuzz
jobs=
for name in $names; do
    mkdir -p "build/tests/fuzz/$name"
    build/tests/fuzz_$name -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 -artifact_prefix=build/tests/fuzz/ \
        "build/tests/fuzz/$name" "tests/fuzz/corpus_$name" > "build/tests/fuzz/$name.log" 2>&1 &
    jobs="$jobs $!"
done
status=0
for job in $jobs; do
    wait "$job" || status=1
done
for name in $names; do
    echo "$name: $(grep -a 'number_of_executed_units' "build/tests/fuzz/$name.log" || tail -n 5 "build/tests/fuzz/$name.log")"
done
exit $status
