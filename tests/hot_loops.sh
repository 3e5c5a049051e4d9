#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The hot loops keep weights and sums in registers: the inner loops of dense layers, as gcc and clang compile them at -O2.
#
#     hot_loops.sh MMOEC MODEL WORK       MODEL: a directory with wide layers
#
# Looked for, in every innermost loop of multiply-adds in the functions of templates/dense_tile.c:
#
#   folded   a fused multiply-add of whole vectors that takes one operand, the weights, from memory. A tile uses each
#            vector of weights for all its rows; folded into every multiply-add it is loaded again for each. gcc 12 does so
#            unless PIN (templates/simd.h) forbids it: row tiles fell from 97 to 75-79 % of the peak on an AMD Zen 4. One
#            float that is broadcast, {1to16}, is a row's input and is welcome there.
#   spilled  whole vectors to or from the stack: sums that found no register.
#
# There must also be a loop of as many multiply-adds as the tile has sums, or nothing was looked at. At the end generated C
# is spoilt in both ways, to show that it would be seen.
set -eu
mmoec=$1 model=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
cd "$work"

# loops FILE.o: a line each: function, multiply-adds, folded, spilled
loops() {
    objdump -d --no-show-raw-insn "$1" | awk '
        function multiply_adds(i, k, n) {
            for (k = start[i]; k <= i; k++)
                n += text[k] ~ /vfmadd[0-9]+ps/
            return n
        }
        # Is there a smaller loop of multiply-adds in this one? (One of prefetches does not count.)
        function holds_another(i, k) {
            for (k in start)
                if (k + 0 < i && start[k] >= start[i] && multiply_adds(k + 0))
                    return 1
            return 0
        }
        function show_loop(i, k, folded, spilled) {
            for (k = start[i]; k <= i; k++) {
                folded += text[k] ~ /vfmadd[0-9]+ps.*\(/ && text[k] !~ /1to/
                spilled += text[k] ~ /[yz]mm/ && text[k] ~ /\(%rsp|-0x[0-9a-f]+\(%rbp\)/
            }
            print name, multiply_adds(i), folded + 0, spilled + 0
        }
        function finish_function(i) {
            for (i in start)
                if (name ~ /^(tile|panel_rows)/ && multiply_adds(i + 0) && !holds_another(i + 0))
                    show_loop(i + 0)
            split("", start)
            split("", at)
            n = 0
        }
        /^[0-9a-f]+ <.*>:$/ { finish_function(); name = $2; gsub(/[<>:]/, "", name); next }
        /^ *[0-9a-f]+:\t/ {
            sub(/:/, "", $1)
            at[$1] = ++n
            text[n] = $0
            if ($2 ~ /^j/ && $3 in at)      # a jump back
                start[n] = at[$3]
        }
        END { finish_function() }'
}

# check FILE.o SUMS: fails, and says what it saw, unless all loops are as they should be
check() {
    loops "$1" > "$1.loops"
    awk -v sums="$2" '
        $3 || $4 { print $1 ": of " $2 " multiply-adds " $3 " folded, " $4 " spilled"; bad = 1 }
        $2 == sums { whole = 1 }
        END { if (!whole) print "no loop of " sums " multiply-adds among " NR; exit bad || !whole }' "$1.loops"
}

sums() { sed -n 's/^#define ACCUMULATORS \([0-9]*\)$/\1/p' "$1" | head -n 1; }

for target in avx512 avx2; do
    "$mmoec" compile "$model" --target $target --weights-in file --name model -o $target
    for compiler in gcc clang; do
        $compiler -std=c11 -O2 -c $target.c -o $target-$compiler.o
        check $target-$compiler.o "$(sums $target.c)" || { echo "FAILED: $target by $compiler"; exit 1; }
        echo "$target by $compiler: $(wc -l < $target-$compiler.o.loops) loops, nothing folded, nothing spilled"
    done

    # Without the pins.
    sed 's/^#define PIN(v) .*/#define PIN(v) ((void)(v))/' $target.c > spoilt-$target.c
    gcc -std=c11 -O2 -w -c spoilt-$target.c -o spoilt.o
    ! check spoilt.o "$(sums $target.c)" > seen || { echo "FAILED: $target without pins passes"; exit 1; }
    grep -q 'of [0-9]* multiply-adds [1-9][0-9]* folded' seen || { echo "FAILED: $target without pins: $(cat seen)"; exit 1; }
done

# More sums than there are registers.
sed 's/^#define ACCUMULATORS 12$/#define ACCUMULATORS 18/' avx2.c > spoilt-avx2.c
gcc -std=c11 -O2 -w -c spoilt-avx2.c -o spoilt.o
! check spoilt.o 18 > seen || { echo "FAILED: 18 sums in 16 registers pass"; exit 1; }
grep -q '[1-9][0-9]* spilled' seen || { echo "FAILED: 18 sums in 16 registers: $(cat seen)"; exit 1; }
echo "spoilt code is seen"
