#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models on small cores: built by cross compilers, run in QEMU (wasm by node), bits compared with this machine's.
#
#     firmware.sh             install what is missing (Debian), build, run all, hold docs/firmware.md to the figures
#     firmware.sh --accept    the same, and write the figures into docs/firmware.md
#
# Each machine runs tests/firmware.c with each model: the self test must pass, and the bits of usual and of special rows
# must be those of a build for this machine of the same numeric class. Objects must need nothing but the compiler's own
# arithmetic (libgcc), and have no writable data. Code, stack and instructions of the model m4 (random_model --shape m4)
# go into a table; instructions are counted by QEMU's -icount.
set -eu
cd "$(dirname "$0")/.."
source=$PWD work=$PWD/build/firmware

if [ "${1-}" != job ]; then
    tests/run.sh --deps gcc libc6-dev cmake make pkg-config protobuf-c-compiler libprotobuf-c-dev libcmocka-dev clang \
        libclang-rt-14-dev lld qemu-system-arm qemu-system-misc qemu-user gcc-arm-none-eabi gcc-riscv64-unknown-elf \
        gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross nodejs
    mkdir -p build
    { cmake -S . -B build -D MMOEC_TESTS=ON && cmake --build build -j2 --target mmoec random_model; } > build/firmware.log 2>&1 || {
        tail -n 100 build/firmware.log
        exit 1
    }
fi
mmoec=$source/build/mmoec
warnings="-Wall -Wextra -Wpedantic -Wconversion -Werror"
strict="-std=c99 -ffreestanding $warnings"

fail() { echo "FAILED: $*"; exit 1; }

# ---- machines: a compiler with its flags, and what runs the result ---------------------------------------------------

arm="arm-none-eabi-gcc -mthumb"
arm_clang="clang --target=arm-none-eabi -mthumb"
riscv=riscv64-unknown-elf-gcc

# compiler MACHINE
compiler() {
    case $1 in
    host-*) echo gcc ;;
    cortex-m0) echo "$arm -mcpu=cortex-m0 -mfloat-abi=soft" ;;
    cortex-m3) echo "$arm -mcpu=cortex-m3 -mfloat-abi=soft" ;;
    cortex-m4f) echo "$arm -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16" ;;
    cortex-m4f-clang) echo "$arm_clang -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16" ;;
    cortex-m7) echo "$arm -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16" ;;
    cortex-m7-sp) echo "$arm -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-sp-d16" ;;
    cortex-m33) echo "$arm -mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16" ;;
    cortex-m55 | cortex-m55-mve) echo "$arm -mcpu=cortex-m55 -mfloat-abi=hard" ;;
    cortex-m55-clang | cortex-m55-mve-clang) echo "$arm_clang -mcpu=cortex-m55 -mfloat-abi=hard" ;;
    rv32imc) echo "$riscv -march=rv32imc -mabi=ilp32" ;;
    rv32imafc) echo "$riscv -march=rv32imafc -mabi=ilp32f" ;;
    rv32imafc-clang) echo "clang --target=riscv32-unknown-elf -march=rv32imafc -mabi=ilp32f -msmall-data-limit=0" ;;
    ppc64) echo powerpc64-linux-gnu-gcc ;;
    wasm32) echo "clang --target=wasm32" ;;
    esac
}

# target MACHINE: of mmoec; big-endian ppc64 has none of its own.
target() {
    case $1 in
    host-fma32 | ppc64) echo generic-c ;;
    host-muladd32) echo cortex-m0 ;;
    cortex-m7-sp) echo cortex-m7 ;;
    *) echo "${1%-clang}" ;;
    esac
}

# link MACHINE OUT OBJECTS...
link() {
    machine=$1 out=$2
    shift 2
    firmware=$source/examples/firmware
    memory=--defsym=ROM=0,--defsym=RAM=0x20000000
    [ $machine != cortex-m33 ] || memory=--defsym=ROM=0x10000000,--defsym=RAM=0x38000000
    case $machine in
    cortex-*-clang) ld.lld --gc-sections --defsym=ROM=0 --defsym=RAM=0x20000000 -T "$firmware/arm.ld" "$@" -o "$out" ;;
    cortex-*) $(compiler $machine) -nostdlib -Wl,--gc-sections,$memory,-T,"$firmware/arm.ld" "$@" -lgcc -o "$out" ;;
    rv32*-clang) ld.lld --gc-sections -T "$firmware/riscv.ld" "$@" -o "$out" ;;
    rv32*) $(compiler $machine) -nostdlib -Wl,--gc-sections,-T,"$firmware/riscv.ld" "$@" -lgcc -o "$out" ;;
    wasm32) wasm-ld --no-entry --export=main --allow-undefined --gc-sections "$@" -o "$out" ;;
    ppc64) powerpc64-linux-gnu-gcc -static "$@" -o "$out" ;;
    host-*) gcc "$@" -o "$out" ;;
    esac
}

# run MACHINE PROGRAM
run() {
    semihosting="-display none -monitor none -serial none -chardev stdio,id=c0 -semihosting-config enable=on,target=native,chardev=c0"
    arm_board() { qemu-system-arm -M "$1" $semihosting -icount shift=6,align=off,sleep=off -kernel "$2"; }
    case $1 in
    cortex-m0) arm_board microbit "$2" ;;
    cortex-m3) arm_board mps2-an385 "$2" ;;
    cortex-m4f*) arm_board mps2-an386 "$2" ;;
    cortex-m7*) arm_board mps2-an500 "$2" ;;
    cortex-m33) arm_board mps2-an505 "$2" ;;
    cortex-m55*) arm_board mps3-an547 "$2" ;;
    rv32*) qemu-system-riscv32 -M virt -bios none -display none -monitor none -serial stdio -icount shift=0 -kernel "$2" ;;
    wasm32) node "$source/tests/firmware.js" "$2" ;;
    ppc64) qemu-ppc64 "$2" ;;
    host-*) "$2" ;;
    esac
}

# nanoseconds MACHINE: of a tick of its counter; an instruction takes 64 (RISC-V counts instructions).
nanoseconds() {
    case $1 in cortex-m0) echo 62.5 ;; cortex-m33) echo 50 ;; cortex-m55*) echo 31.25 ;; rv32*) echo 64 ;; *) echo 40 ;; esac
}

# ---- one job: a machine, a model, an -O ------------------------------------------------------------------------------

# What an object may need: the compiler's own helpers, for floats on cores without them, for 64-bit products of the self
# test, for jumps and saved registers at -Os. WebAssembly's imports are checked by firmware.js.
helpers='^__(aeabi_(f[a-z0-9]*|u?i2f|u?l2f|lmul)|(add|sub|mul|div)sf3|(eq|ne|lt|le|gt|ge|unord)sf2|float(un)?sisf|gnu_thumb1_case_.*)$|^_(save|rest)[a-z0-9]*_[0-9]+$'
check_object() {
    [ $machine != wasm32 ] || return 0
    needs=$(readelf -sW "$at.o" | awk '$7 == "UND" && $8 != "" { print $8 }' | grep -v -E "$helpers" | grep -v -x '\.TOC\.' || true)
    [ -z "$needs" ] || fail "$machine $model $o: the object needs $needs"
    writable=$(readelf -SW "$at.o" | sed 's/\[ */[/' | awk '$2 ~ /^\.s?(data|bss)/ && $2 !~ /^\.data\.rel\.ro/ && $6 !~ /^0+$/ { print $2 }')
    [ -z "$writable" ] || fail "$machine $model $o: writable data: $writable"
}

# Bytes that scoring alone needs in a linked program: of the model besides its weights, and of libgcc. By the linker's map.
code_size() {
    $(compiler ${machine%-clang}) -nostdlib -Wl,--gc-sections,-e,${model}_score,-Map,"$at.map" "$at.o" -lgcc -o "$at.alone"
    own=$(sizes_of "$at.o") other=$(sizes_of libgcc.a)
    echo $((0 $own)) $((0 $other))
}

# sizes_of OBJECT: + 0x12 + 0x34 ..., of its sections in the map.
sizes_of() {
    awk -v object="$1" '
        /^Linker script/ { on = 1 }
        on && /^ \.[a-z]/ { section = $1 }
        on && NF > 2 && $(NF - 1) ~ /^0x/ && index($NF, object) && section !~ /weights|comment|attributes|debug|note/ {
            printf "+ %s ", $(NF - 1)
        }' "$at.map"
}

# The row of the table that this job fills: code, libgcc, stack, instructions a row.
figures() {
    stack=$((0x$(sed -n 's/^# stack //p' "$at.all")))
    ticks=$((0x$(sed -n 's/^# ticks of 4 rows //p' "$at.all")))
    echo "$(code_size) $stack $(awk "BEGIN { printf \"%.0f\", $ticks * $(nanoseconds $machine) / 64 / 4 }")" > "$at.figures"
}

job() {
    machine=$1 model=$2 o=$3 flags=${4-}
    at=$work/$machine/$model$o cc=$(compiler $machine) class=$(numerics $machine) big=$(echo "$model" | tr a-z A-Z)
    from=$work/$(target $machine)
    mkdir -p "$work/$machine"
    names="-I $from -I $source/examples/firmware -DMODEL_H=\"$model.h\" -DMODEL=$model"
    names="$names -DINPUTS=${big}_INPUTS -DOUTPUTS=${big}_OUTPUTS -DSCRATCH=${big}_SCRATCH"
    $cc $strict $o $flags -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables \
        -c "$from/$model.c" -o "$at.o"
    check_object
    case $machine in
    cortex-*) start=firmware/start_arm bare=-DBARE ;;
    rv32*) start=firmware/start_riscv bare=-DBARE ;;
    wasm32) start= bare= ;;
    *) start=host bare= ;;
    esac
    case $start in
    host) $cc -std=c99 -O1 -I "$source/examples/firmware" -c "$source/tests/firmware_host.c" -o "$at.start.o" ;;
    firmware/*) $(compiler ${machine%-clang}) $strict -O1 -ffunction-sections -c "$source/examples/$start.c" -o "$at.start.o" ;;
    esac
    $cc $strict -O1 $bare $names -c "$source/tests/firmware.c" -o "$at.test.o"
    link $machine "$at.elf" "$at.o" "$at.test.o" ${start:+"$at.start.o"}
    run $machine "$at.elf" > "$at.all" || { status=$?; head -n 3 "$at.all"; fail "$machine $model $o: exit $status"; }
    grep -v '^#' "$at.all" > "$at.bits"
    case $machine in
    host-*) ;;
    *) cmp -s "$at.bits" "$work/host-$class/$model-O2.bits" || fail "$machine $model $o: other bits than here" ;;
    esac
    [ $model != m4 ] || [ -z "$bare" ] || figures
    echo "$machine $model $o: $(grep -c . "$at.bits") scores, the bits of $class"
}

# numerics MACHINE
numerics() {
    case $1 in cortex-m0 | cortex-m3 | rv32imc | wasm32 | host-muladd32) echo muladd32 ;; *) echo fma32 ;; esac
}

if [ "${1-}" = job ]; then
    shift
    job "$@"
    exit
fi

# ---- all of them -----------------------------------------------------------------------------------------------------

machines="cortex-m0 cortex-m3 cortex-m4f cortex-m4f-clang cortex-m7 cortex-m7-sp cortex-m33 cortex-m55 cortex-m55-clang
    cortex-m55-mve cortex-m55-mve-clang rv32imc rv32imafc rv32imafc-clang ppc64 wasm32"
rm -rf "$work"
mkdir -p "$work/model"

# Models: m4, two that EasyRec trained with all outputs, and random ones with softplus, Dice and ZILN.
build/tests/random_model "$work/model/m4" --seed 1 --rows 4 --shape m4
for seed in 3 17 23; do
    build/tests/random_model "$work/model/r$seed" --seed $seed --rows 4
done
cp -r tests/golden/tiny_mmoe "$work/model/tiny"
cp -r tests/golden/heads_mmoe "$work/model/heads"
for target in $(for m in host-muladd32 $machines; do target $m; done | sort -u); do
    mkdir -p "$work/$target"
    for model in m4 tiny heads r3 r17 r23; do
        "$mmoec" compile "$work/model/$model" --outputs all --target $target --name $model -o "$work/$target/$model"
    done
    "$mmoec" compile "$work/model/m4" --target $target -o "$work/$target/m4"
done

all() { xargs -P "$(nproc)" -I {} sh -c "'$0' job {} 2>&1 || echo 'FAILED: {}'" >> "$work/log"; }
for class in fma32 muladd32; do
    for model in m4 tiny heads r3 r17 r23; do echo host-$class $model -O2; done
done | all
for machine in $machines; do
    for o in -Os -O2 -O3; do echo $machine m4 $o; done
    for model in tiny heads r3 r17 r23; do echo $machine $model -O2; done
done | all

grep 'the bits of' "$work/log" | awk '{ n[$1]++; c[$1] = $NF } END { for (m in n) print m ": " n[m] " programs gave the bits of " c[m] }' | sort
if grep -q FAILED "$work/log"; then
    grep -v 'the bits of' "$work/log" | head -n 60
    exit 1
fi

# A self test must fail where the code is wrong: here, a coefficient of exp.
mkdir -p "$work/broken"
sed 's/0x1.555492p-3f/0x1.555592p-3f/; s/m4/broken/g' "$work/cortex-m4f/m4.c" > "$work/cortex-m4f/broken.c"
sed 's/m4/broken/g; s/M4/BROKEN/g' "$work/cortex-m4f/m4.h" > "$work/cortex-m4f/broken.h"
"$0" job cortex-m4f broken -O2 > "$work/broken/log" 2>&1 && fail "a broken model passes its self test"
grep -q 'exit 3' "$work/broken/log" || { cat "$work/broken/log"; fail "a broken model fails in another way"; }
echo "cortex-m4f: a broken model fails its self test"

# With scratch on the stack, and with weights in a section of the user's, the same bits.
"$0" job cortex-m4f tiny -O1 -DMMOE_STACK || exit 1
"$0" job rv32imc tiny -O1 '-DMMOE_SECTION=__attribute__((section(".rodata.flash2")))' || exit 1

# The example, which checks its scores against EasyRec's.
examples/firmware/run.sh > "$work/example" 2>&1 || { tail -n 20 "$work/example"; fail "examples/firmware/run.sh"; }
echo "examples/firmware/run.sh: scores on both machines are EasyRec's"

# ---- the table -------------------------------------------------------------------------------------------------------

# version MACHINE
version() {
    case $1 in
    *-clang) echo "clang $(clang -dumpversion)" ;;
    *) echo "gcc $($(compiler $1) -dumpfullversion)" ;;
    esac
}

# "-Os / -O2 / -O3" of a column of the figures.
three() {
    for o in -Os -O2 -O3; do cut -d ' ' -f $2 "$work/$1/m4$o.figures"; done | paste -s -d / | sed 's|/| / |g'
}

table() {
    echo "| machine | compiler | code, bytes | libgcc, bytes | stack, bytes | instructions a row |"
    echo "|---|---|---|---|---|---|"
    for machine in $machines; do
        case $machine in
        cortex-* | rv32*)
            echo "| ${machine%-clang} | $(version $machine) | $(three $machine 1) | $(three $machine 2) | $(three $machine 3) | $(three $machine 4) |" ;;
        esac
    done
}

table > "$work/table"
echo
cat "$work/table"
begin='<!-- figures: tests/firmware.sh --accept -->' end='<!-- end of figures -->'
if [ "${1-}" = --accept ]; then
    awk -v begin="$begin" -v end="$end" -v table="$work/table" '
        $0 == begin { print; while ((getline line < table) > 0) print line; skip = 1 }
        $0 == end { skip = 0 }
        !skip' docs/firmware.md > "$work/docs"
    awk 'NR == FNR { print }' "$work/docs" > docs/firmware.md
fi
# Other versions of the compilers give other figures: those lines are left alone.
status=0
while IFS= read -r line; do
    case $line in "| machine"* | "|---"*) continue ;; esac
    key=$(echo "$line" | cut -d '|' -f 2,3)
    if grep -q -F "|$key|" docs/firmware.md && ! grep -q -x -F "$line" docs/firmware.md; then
        echo "FAILED: docs/firmware.md says otherwise: tests/firmware.sh --accept"
        grep -F "|$key|" docs/firmware.md
        status=1
    fi
done < "$work/table"

# The goals for m4 on Cortex-M4F.
set -- $(cat "$work/cortex-m4f/m4-Os.figures") $(cat "$work/cortex-m4f/m4-O3.figures")
[ "$1" -le 1331 ] || { echo "FAILED: $1 bytes of code at -Os, more than 1331"; status=1; }
[ "$8" -le 4500 ] || { echo "FAILED: $8 instructions a row at -O3, more than 4500"; status=1; }
exit $status
