#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A small model on two machines without an operating system, in QEMU: a Cortex-M4F board and a RISC-V one. Prints its
# scores beside EasyRec's, and what it takes of the part's memory. Installs what is missing (Debian), writes below build/.
set -eu
cd "$(dirname "$0")/../.."
model=tests/golden/tiny_mmoe
out=build/examples/firmware
here=examples/firmware

say() { printf '$ %s\n' "$*"; "$@"; }

tests/run.sh --deps gcc libc6-dev cmake make pkg-config protobuf-c-compiler libprotobuf-c-dev qemu-system-arm \
    qemu-system-misc gcc-arm-none-eabi gcc-riscv64-unknown-elf
mkdir -p $out
{ cmake -S . -B build && cmake --build build -j2 --target mmoec; } > build/examples.log 2>&1 || {
    cat build/examples.log
    exit 1
}

# The first rows of the model's own, as words: the head of a .npy file is 128 bytes here.
{
    echo "#include <stdint.h>"
    echo "#define ROWS 6"
    echo "static const uint32_t rows[ROWS][21] = {"
    tail -c +129 $model/features.npy | head -c $((6 * 21 * 4)) | od -An -v -tx4 -w84 | sed 's/  *\([0-9a-f]*\)/0x\1, /g; s/^/    {/; s/, $/},/'
    echo "};"
} > $out/rows.h

# Beside EasyRec's scores; six decimals.
compare() {
    tail -c +129 $model/probs_ctr.npy | od -An -v -tf4 -w4 | head -n 6 > $out/ctr
    tail -c +129 $model/probs_cvr.npy | od -An -v -tf4 -w4 | head -n 6 > $out/cvr
    paste -d ' ' "$1" $out/ctr $out/cvr | awk '
        function far(a, b) { return a > b ? a - b : b - a }
        NR == 1 { printf "%4s  %-10s %-11s  %-10s %s\n", "row", "probs_ctr", "EasyRec", "probs_cvr", "EasyRec" }
        { printf "%4d  %-10s %-11s  %-10s %s\n", NR, $1, $3, $2, $4 }
        far($1, $3) > 2.5e-6 || far($2, $4) > 2.5e-6 { bad = 1 }
        END { exit bad || NR != 6 }'
}

# build TARGET START LINKER-SCRIPT FLAGS... : the start-up code apart, before the FPU is on.
build() {
    target=$1 start=$2 script=$3
    shift 3
    say build/mmoec compile $model --target $target --name tiny -o $out/$target/tiny
    strict="-std=c99 -ffreestanding -Wall -Wextra -Wpedantic -Wconversion"
    "$@" $strict -O1 -c $here/$start.c -o $out/$target/$start.o
    say "$@" $strict -Os -ffunction-sections -fdata-sections -nostdlib -Wl,--gc-sections -T $here/$script.ld -I $out \
        -I $out/$target -I $here $here/main.c $out/$target/tiny.c $out/$target/$start.o -lgcc -o $out/$target/tiny.elf
}

# memory ELF HEADER: what lies where in the part.
memory() {
    size_of() { readelf -sW "$1" | awk -v name="$2" '$8 == name { print $3 }'; }
    all=$((0x$(readelf -SW "$1" | sed 's/\[ */[/' | awk '$2 == ".text" { print $6 }')))
    weights=$(size_of "$1" weights) expected=$(size_of "$1" expected) rows=$(size_of "$1" rows)
    echo "  flash  $weights bytes of weights, $expected of the self test's bits, $rows of this program's rows,"
    echo "         $((all - weights - expected - rows)) of code: the model's, main.c and the start-up's; $all together"
    echo "  RAM    no .data, no .bss; on the stack $(sed -n 's/^#define TINY_SCRATCH \([0-9]*\).*/\1/p' "$2") bytes of scratch"
}

mkdir -p $out/cortex-m4f $out/rv32imafc
build cortex-m4f start_arm arm arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 \
    -Wl,--defsym=ROM=0,--defsym=RAM=0x20000000
memory $out/cortex-m4f/tiny.elf $out/cortex-m4f/tiny.h
say qemu-system-arm -M mps2-an386 -display none -monitor none -serial none -chardev stdio,id=c0 \
    -semihosting-config enable=on,target=native,chardev=c0 -kernel $out/cortex-m4f/tiny.elf > $out/cortex-m4f/scores
head -n 1 $out/cortex-m4f/scores
sed 1d $out/cortex-m4f/scores > $out/scores
compare $out/scores

build rv32imafc start_riscv riscv riscv64-unknown-elf-gcc -march=rv32imafc -mabi=ilp32f
memory $out/rv32imafc/tiny.elf $out/rv32imafc/tiny.h
say qemu-system-riscv32 -M virt -bios none -display none -monitor none -serial stdio -kernel $out/rv32imafc/tiny.elf \
    > $out/rv32imafc/scores
head -n 1 $out/rv32imafc/scores
sed 1d $out/rv32imafc/scores | cmp - $out/scores
compare $out/scores
