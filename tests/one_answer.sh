#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One answer: generated files give the bits of the plain walk, whatever compiles them and whatever runs them.
#
#     one_answer.sh MMOEC TESTS WORK MODEL...
#
# MODEL is a directory, or DIRECTORY:COLUMNS with --user-columns. For each model: compile it, score its features.npy by
# walk, and run tests/one_answer.c over builds of the generated C by gcc and clang, several -O and -std, flags that
# could change sums, each instruction set, and aarch64 under qemu-aarch64 (more of it: other_machines.sh). All builds
# must also agree on the special rows that the driver prints. The first model, a small one, gets all flags; the second
# all -O and few flags, the others few of both. As many builds at a time as there are processors.
set -eu
mmoec=$1 tests=$2 work=$3
shift 3
rm -rf "$work"
mkdir -p "$work"
warnings="-Wall -Wextra -Wpedantic -Wconversion -Werror"

# build TAG FILE CAPS COMPILER FLAGS...: one line of `jobs`; run_job does it. CAPS: the instruction sets to run, as the
# driver has them, "-" for the file's own choice alone. One build serves all instruction sets: they stand in one file,
# and -include gives the cap a variable.
build() { printf '%s\n' "$dir $*" >> "$work/jobs"; }
# Where the builds of a model lie.
dir_of() { echo "$work/$(basename "${1%:*}")$(echo "$1" | sed -n 's/.*:.*/_users/p')"; }
echo "extern unsigned isa_at_most;" > "$work/cap.h"

cat > "$work/run_job" <<'JOB'
#!/bin/sh
work=$1 dir=$2 tag=$3 file=$4 caps=$5
shift 5
at=$dir/$tag driver=$work/native.o runner= cap_flags=
case $1 in clang) driver=$work/clang.o ;; aarch64*) driver=$work/aarch64.o runner=qemu-aarch64 ;; esac
[ "$caps" = - ] || cap_flags="-include $work/cap.h -DMMOE_ISA_AT_MOST=isa_at_most"
scores() {
    [ "$caps" != - ] || { $runner "$at" "$dir/x.npy" "$dir/y.npy"; return; }
    for cap in $(echo "$caps" | sed 's/./& /g'); do
        "$at" "$dir/x.npy" "$dir/y.npy" "$cap" || return
    done
}
if "$@" $warnings $cap_flags -c "$dir/$file.c" -o "$at.o" 2> "$at.log" &&
    "$@" "$at.o" "$driver" -o "$at" 2>> "$at.log" && scores > "$at.out" 2>> "$at.log"; then
    grep '^special' "$at.out" >> "$dir/special"
    # Sanitizers call their library; clang's AVX-512 headers copy vectors by memcpy at -O0, and only there.
    case $tag in
    *sanitized* | clang-O0*) ;;
    *) ! nm -u "$at.o" | grep -v -E '^ *$|__stack_chk_fail|isa_at_most' || echo "FAILED: undefined symbols in $at.o" ;;
    esac
    echo "$(basename "$dir") $tag: $(grep '^ok' "$at.out" | tr '\n' ' ')"
    rm -f "$at" "$at.o"
else
    echo "FAILED: $at: $*"
    head -n 20 "$at.log" "$at.out" 2> /dev/null
fi
JOB
chmod +x "$work/run_job"

sanitize="-O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
n=0
for model in "$@"; do
    n=$((n + 1))
    dir=$(dir_of "$model")
    mkdir -p "$dir"
    case $model in *:*) users="--user-columns ${model#*:}" ;; *) users= ;; esac
    model=${model%:*}
    cp "$model/features.npy" "$dir/x.npy"
    "$mmoec" score "$model" --outputs all $users --features "$dir/x.npy" -o "$dir/y.npy"
    "$mmoec" compile "$model" --outputs all $users --name m -o "$dir/m"
    "$mmoec" compile "$model" --outputs all $users --name m --target aarch64 -o "$dir/arm"
    [ "$users" ] || "$mmoec" compile "$model" --outputs all --name m --target generic-c -o "$dir/plain"
    for cc in gcc clang; do
        if [ $n -le 2 ]; then
            build $cc-O3 m 012 $cc -std=gnu17 -O3
            build $cc-O1 m 012 $cc -std=gnu17 -O1
            build $cc-O0 m 012 $cc -std=c11 -O0
            build $cc-contract m 012 $cc -std=gnu17 -O2 -mfma -ffp-contract=fast
            build $cc-O2-as-is m - $cc -std=c11 -O2
        else
            build $cc-O2 m 012 $cc -std=c11 -O2
        fi
        [ $n -gt 2 ] && [ $cc = gcc ] || build $cc-sanitized m 01 $cc -std=c11 $sanitize
        [ $n = 1 ] || continue
        build $cc-O2-avx2 m - $cc -std=c11 -O2 -DMMOE_ISA_AT_MOST=1
        build $cc-O2-plain m - $cc -std=gnu17 -O2 -DMMOE_ISA_AT_MOST=0
        build $cc-mfma m 012 $cc -std=gnu17 -O2 -mfma
        build $cc-native m 012 $cc -std=c11 -O3 -march=native
        build $cc-generic plain - $cc -std=c11 -O3
        build $cc-generic-sanitized plain - $cc -std=c11 $sanitize
    done
    # Every kernel and form that a plan may choose, whatever the model's size suggests.
    for form in panels ahead lanes calls arguments; do
        [ $n -le 2 ] || [ "$users" ] || continue
        "$mmoec" compile "$model" --outputs all $users --name m --form $form -o "$dir/$form"
        build gcc-$form $form 012 gcc -std=c11 -O2
        build clang-$form $form 012 clang -std=c11 -O2
        "$mmoec" compile "$model" --outputs all $users --name m --form $form --target aarch64 -o "$dir/arm-$form"
        build arm-$form arm-$form - aarch64-linux-gnu-gcc -static -std=c11 -O2
    done
    arm=aarch64-linux-gnu-gcc
    build arm-O2 arm - $arm -static -std=c11 -O2
    [ $n = 1 ] || continue
    build arm-O0 arm - $arm -static -std=c11 -O0
    build arm-contract arm - $arm -static -std=gnu17 -O3 -ffp-contract=fast
    build arm-generic plain - $arm -static -std=c11 -O2
done

# The driver, once a compiler. Its header is any model's.
driver() { "$@" -I "$dir" -DMODEL_H='"m.h"' -DMODEL=m -O1 $warnings -c "$tests/one_answer.c"; }
driver gcc -std=c11 -o "$work/native.o"
driver clang -std=gnu17 -o "$work/clang.o"
driver aarch64-linux-gnu-gcc -std=c11 -o "$work/aarch64.o"

status=0
export warnings
xargs -a "$work/jobs" -P "$(nproc)" -I {} sh -c "$work/run_job $work {}" > "$work/log" 2>&1 || status=1
for model in "$@"; do
    dir=$(dir_of "$model")
    if [ "$(sort -u "$dir/special" | wc -l)" != 1 ]; then
        echo "FAILED: $dir: builds differ on special rows" >> "$work/log"
        sort "$dir/special" | uniq -c >> "$work/log"
    fi
done
if grep -q FAILED "$work/log"; then
    status=1
    grep -v ': ok ' "$work/log" | head -n 60
fi
good=$(grep -c ': ok ' "$work/log") all=$(wc -l < "$work/jobs")
[ "$good" = "$all" ] || status=1
echo "$good of $all builds gave the same bits"
exit $status
