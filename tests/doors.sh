#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Doors: which file may include what. A line that breaks a rule stands on the wrong side of a door.
#
#     doors.sh SOURCE
set -eu
cd "$1"
status=0

# forbid WHY PATTERN FILES...: no include of PATTERN in these files
forbid() {
    why=$1 pattern=$2
    shift 2
    if grep -n -E "^ *# *include.*($pattern)" "$@"; then
        echo "FAILED: $why"
        status=1
    fi
}
# The files of compiler/ but those named.
but() { ls compiler/*.c compiler/*.h | grep -v -x -E "$(printf 'compiler/(%s)' "$1")"; }

forbid "protobuf-c belongs to the config's readers" 'protobuf-c|pb-c' $(but 'prototext.c|features.c|lower_.*.c') runtime/*
forbid "what emitters share is theirs" 'emit\.h' $(but 'emit.c|emit_calls.c|emit_kernels.c|emit_header.c')
forbid "libtcc belongs to jit.c" libtcc $(but jit.c) runtime/*
forbid "intrinsics belong to templates/simd.h; SHA's to sha256_x86.c" 'immintrin|arm_neon|arm_mve' compiler/*.c \
    $(ls runtime/* | grep -v -x runtime/sha256_x86.c) templates/*.c templates/math.h
forbid "templates include simd.h, math.h and each other" '<' templates/act.c templates/argmax.c templates/copy.c templates/dense.c \
    templates/dense_tile.c templates/dice.c templates/math.h templates/max.c templates/mix.c templates/narrow.c templates/softmax.c \
    templates/spread.c templates/store.c templates/ziln.c
forbid "the runtime does not know the compiler" 'mmoec.h|pb-c|libtcc' runtime/*
forbid "processes, paths and terminals belong to few" 'spawn.h' $(but build.c)

# Exit and stderr belong to main.c; everything else goes through the job.
if grep -n -E '\bexit\(|\bstderr\b|\bprintf\(' $(but 'main.c|cli.c|diag.c'); then
    echo "FAILED: something outside of main.c prints or exits"
    status=1
fi
# Memory comes from the arena.
if grep -n -E '\b(malloc|calloc|realloc|free)\(' $(but arena.c); then
    echo "FAILED: memory that is not the arena's"
    status=1
fi
# Every source file says its licence.
for file in $(ls compiler/*.[ch] compiler/*.def runtime/*.[ch] templates/* tests/*.[ch] tests/*.sh bench/*.[ch] bench/*.sh \
    bench/models/*/* examples/*.* examples/*/* cmake/*.c); do
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: ' || { echo "FAILED: no licence line in $file"; status=1; }
done
exit $status
