#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Code for processors that this machine may lack, and what a compiler could contract.
#
#     other_machines.sh MMOEC SOURCE WORK             all checks, as many at a time as there are processors
#     other_machines.sh MMOEC SOURCE WORK CHECK...    one of them, as WORK/checks has it, after a run of all
#
# AVX-512: SIMDe's emulation in place of the intrinsics (SOURCE/tests/simde_avx512.h). It says whether the sums are
# right, not what a compiler makes of the real intrinsics: those run in one_answer.sh where the processor has them.
# AArch64: cross compilers, and qemu. Contraction: -ffp-contract=fast must find no more to fuse than off does. (But where
# rows are read: there a product that meets a sum is exact, and compiled_rows.sh holds the bits.)
# One line a check.
set -eu
mmoec=$1 source=$2 work=$3
shift 3
strict="-std=c11 -D_GNU_SOURCE"
arm_gcc="aarch64-linux-gnu-gcc"
arm_clang="clang --target=aarch64-linux-gnu"

fail() { echo "FAILED: $*"; exit 1; }

# ---- checks: kernels ---------------------------------------------------------------------------------

# simd ISA: how runtime/kernels.c is told.
simd() { echo "-DSIMD_$(echo "$1" | tr a-z A-Z) -DISA=$1"; }

# kernels OUT TREE ISA COMPILER FLAGS...: an object of runtime/kernels.c.
kernels() {
    out=$1 from=$2 defines=$(simd "$3")
    shift 3
    "$@" $strict -O2 -w $defines -c "$from/runtime/kernels.c" -o "$out"
}

# test_kernels.c says what differs; it also sums up the bits, which check all_kernels compares.
run_kernels() {
    name=$1
    shift
    "$@" > "$name.out" 2>&1 || { grep -v '^\[' "$name.out" | tail -n 5; fail "kernels $name"; }
    grep '^sum of bits' "$name.out" > "$name.sum"
    echo "kernels $name: $(grep '^kernels of' "$name.out" | cut -d ' ' -f 3 | tr '\n' ' ')as plain, $(cat "$name.sum")"
}

# check_x86_kernels NAME ISA COMPILER FLAGS...; plain kernels have a multiply-add of their own unless there is -mfma.
check_x86_kernels() {
    name=$1 isa=$2 tree=$source
    shift 2
    [ "$isa" != avx512 ] || tree=$work/emulated
    kernels "$name.$isa.o" "$tree" "$isa" "$@"
    [ "$isa" = plain ] || kernels "$name.plain.o" "$source" plain "$@"
    gcc $strict -O2 -DTEST_TABLE=mmoe_kernels__$isa "$source/tests/test_kernels.c" "$source/runtime/kernels_table.c" \
        no_tables.o "$name".*.o -lcmocka -lm -o "$name"
    run_kernels "$name" "./$name"
}

# check_arm_kernels NAME COMPILER FLAGS...
check_arm_kernels() {
    name=$1
    shift
    kernels "$name.neon.o" "$source" neon "$@"
    kernels "$name.plain.o" "$source" plain "$@"
    kernels "$name.muladd.o" "$source" muladd "$@"
    $arm_gcc $strict -O2 -static -DTEST_TABLE=mmoe_kernels__neon -I "$source/tests/shim" "$source/tests/test_kernels.c" \
        "$source/runtime/kernels_table.c" "$name.neon.o" "$name.plain.o" "$name.muladd.o" -lm -o "$name"
    run_kernels "$name" qemu-aarch64 "./$name"
}

# ---- checks: generated files ---------------------------------------------------------------------------

# check_model MODEL FILE RUNNER COMPILER FLAGS...: the walk's scores, and on special rows what a native build gives.
check_model() {
    model=$1 file=$2 runner=$3
    shift 3
    at=$model/$file-$(echo "$*" | tr -c 'A-Za-z0-9\n' _)
    "$@" -std=c11 -c "$model/$file.c" -o "$at.o"
    case $runner in -) runner= link=gcc driver=native.o ;; *) link="$arm_gcc -static" driver=arm.o ;; esac
    $link "$at.o" $driver -o "$at"
    $runner "./$at" "$model/x.npy" "$model/y.npy" > "$at.out" || { cat "$at.out"; fail "$model, $*"; }
    grep '^special' "$at.out" | cmp -s - "$model/special" || fail "$model, $*: special rows differ"
    echo "$model, $*: $(tail -n 1 "$at.out")"
}

# ---- checks: contraction --------------------------------------------------------------------------------

# How many multiply-adds an object has, of any kind, x86's and aarch64's.
count_fused() {
    objdump=objdump
    case $1 in *neon* | *aarch64*) objdump=aarch64-linux-gnu-objdump ;; esac
    $objdump -d --no-show-raw-insn "$1" | grep -c -E '[[:space:]]v?fn?m(add|sub|la|ls)' || true
}

# compare_fused NAME FILE COMPILER FLAGS...: sets off and fast.
compare_fused() {
    name=$1 file=$2
    shift 2
    for contract in off fast; do
        "$@" $strict -w -ffp-contract=$contract -c "$file" -o "$name-$contract.o"
    done
    off=$(count_fused "$name-off.o") fast=$(count_fused "$name-fast.o")
}

check_contraction() {
    compare_fused "$@"
    [ "$off" -gt 0 ] && [ "$off" = "$fast" ] || fail "contraction $1: $off multiply-adds, $fast with -ffp-contract=fast"
    echo "contraction $1: $off multiply-adds either way"
}

# The class muladd32: nothing is fused, though the compiler's default would.
check_unfused() {
    name=$1 file=$2
    shift 2
    "$@" -std=gnu17 -O3 -w -c "$file" -o "$name.o"
    [ "$(count_fused "$name.o")" = 0 ] || fail "muladd32 $1: $(count_fused "$name.o") multiply-adds"
    echo "muladd32 $name: nothing is fused"
}

# The check itself: where a product meets a sum, it must see more.
check_contraction_is_seen() {
    compare_fused "$@"
    [ "$fast" -gt "$off" ] || fail "contraction $1: a product and a sum were not seen ($off, $fast)"
    echo "contraction $1: a product and a sum are seen ($off, $fast)"
}

# In the words of the templates: no v_mul inside of a v_add or v_sub.
check_words() {
    cat "$source"/templates/*.[ch] | tr -d '\n' | awk '
        { while (match($0, /v_(add|sub)\(/)) {
              inside = ""; depth = 1
              $0 = substr($0, RSTART + RLENGTH)
              for (i = 1; depth > 0 && i <= length($0); i++) {
                  c = substr($0, i, 1)
                  depth += (c == "(") - (c == ")")
              }
              if ((inside = substr($0, 1, i - 2)) ~ /v_mul\(/) { print "v_add or v_sub of " inside; bad = 1 }
              n++
          } }
        END { exit bad || n < 20 }' > words || { cat words; fail "words: a sum takes a product"; }
    echo "words: no v_add or v_sub takes a v_mul"
}

if [ $# -gt 0 ]; then
    cd "$work"
    "check_$@"
    exit
fi

# ---- all of them ----------------------------------------------------------------------------------------

rm -rf "$work"
mkdir -p "$work/emulated/compiler"
check() { echo "$*" >> "$work/checks"; }

cp -r "$source/templates" "$source/runtime" "$work/emulated"
cp "$source/compiler/acts.def" "$work/emulated/compiler"
cat > "$work/emulate.sed" <<'SED'
s/\b_mm512_/simde_mm512_/g
s/\b__m512/simde__m512/g
s/\b__mmask16/simde__mmask16/g
/simde_mm512_/s/\b_CMP_/SIMDE_CMP_/
s/__attribute__((target("avx512f")))//
s/"+v"(v)/"+m"(v)/
s/<immintrin.h>/"simde_avx512.h"/
SED
sed -f "$work/emulate.sed" "$source/templates/simd.h" > "$work/emulated/templates/simd.h"
for name in tiny heads; do
    at=$work/$name model=$source/tests/golden/${name}_mmoe
    mkdir "$at"
    cp "$model/features.npy" "$at/x.npy"
    "$mmoec" score "$model" --outputs all --features "$at/x.npy" -o "$at/y.npy"
    for target in avx512 avx2 generic-c aarch64 cortex-m0; do
        "$mmoec" compile "$model" --outputs all --from features --name m --target $target -o "$at/$target"
        # Where contraction is looked for, without the pragma that forbids it.
        sed '/pragma STDC FP_CONTRACT/d' "$at/$target.c" > "$at/$target-bare.c"
    done
    sed -f "$work/emulate.sed" "$at/avx512.c" > "$at/emulated.c"
    cp "$at/avx512.h" "$at/m.h"
    sed 's/#define v_fma(a, b, c) .*/#define v_fma(a, b, c) v_add(v_mul(a, b), c)/' "$at/avx2-bare.c" > "$at/split.c"
done
# kernels_table.c names all tables; those that a check does not build are these.
cat > "$work/no_tables.c" <<'C'
#include "runtime/kernels.h"
__attribute__((weak)) const struct mmoe_kernels mmoe_kernels__avx2 = {.isa = "no avx2"};
__attribute__((weak)) const struct mmoe_kernels mmoe_kernels__avx512 = {.isa = "no avx512"};
__attribute__((weak)) const struct mmoe_kernels mmoe_kernels__muladd = {.isa = "no muladd"};
C
gcc -I "$source" -c "$work/no_tables.c" -o "$work/no_tables.o"

driver() { "$@" -std=c11 -O1 -I "$work/tiny" -DMODEL_H='"m.h"' -DMODEL=m -c "$source/tests/one_answer.c"; }
driver gcc -o "$work/native.o"
driver $arm_gcc -o "$work/arm.o"
for name in tiny heads; do
    gcc -std=c11 -O1 "$work/$name/generic-c.c" "$work/native.o" -o "$work/$name/native"
    "$work/$name/native" "$work/$name/x.npy" "$work/$name/y.npy" | grep '^special' > "$work/$name/special"
done

check arm_kernels neon_gcc $arm_gcc
if grep -q -w avx2 /proc/cpuinfo && grep -q -w fma /proc/cpuinfo; then
    ! grep -q -w avx512f /proc/cpuinfo || echo "this processor has AVX-512: one_answer runs the code itself"
    emulated="-mavx2 -mfma -Wno-psabi -I $source/tests"
    for cc in gcc clang; do
        check x86_kernels avx512_$cc avx512 $cc $emulated
        for o in 0 2 3; do
            check model tiny emulated - $cc -O$o $emulated
        done
        check model heads emulated - $cc -O2 $emulated
    done
    check x86_kernels fma plain gcc -mfma
else
    echo "not checked: AVX-512 by emulation takes a processor with AVX2 and FMA"
fi
check x86_kernels software_fma plain gcc
check arm_kernels neon_clang $arm_clang
for cc in "$arm_gcc" "$arm_clang"; do
    for o in 0 2 3; do
        check model tiny aarch64 qemu-aarch64 $cc -O$o
    done
    check model heads aarch64 qemu-aarch64 $cc -O2
    check model tiny generic-c qemu-aarch64 $cc -O3
done

check words
compare() {
    isa=$1 target=$2 gcc=$3 clang=$4
    for cc in gcc clang; do
        compiler=$gcc
        [ $cc = gcc ] || compiler=$clang
        [ $isa = avx512 ] || check contraction kernels-$isa-$cc "$source/runtime/kernels.c" $compiler -O1 "$(simd "$isa")"
        check contraction tiny-$target-$cc tiny/$target-bare.c $compiler -O3
    done
}
compare plain generic-c "gcc -mfma" "clang -mfma"
compare avx2 avx2 "gcc -mavx2 -mfma" "clang -mavx2 -mfma"
compare avx512 avx512 "gcc -mavx512f" "clang -mavx512f"
compare neon aarch64 "$arm_gcc" "$arm_clang"
check unfused unfused-aarch64-gcc tiny/cortex-m0.c $arm_gcc
check unfused unfused-aarch64-clang tiny/cortex-m0.c $arm_clang
for cc in gcc clang; do
    check unfused unfused-$cc tiny/cortex-m0.c $cc -mfma
    check contraction_is_seen split-$cc tiny/split.c $cc -O2
done

status=0
xargs -a "$work/checks" -P "$(nproc)" -I {} sh -c "$0 $mmoec $source $work {} 2>&1 || echo FAILED: {}" > "$work/log" || status=1
cat "$work/log"
! grep -q FAILED "$work/log" || status=1
sums=$(cat "$work"/*.sum | sort -u | wc -l)
[ "$sums" = 1 ] || { status=1; echo "FAILED: kernels differ between machines"; grep . "$work"/*.sum; }
exit $status
