#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One answer: generated files give the bits of the plain walk, whatever compiles them and whatever runs them.
#
#     one_answer.sh MMOEC TESTS WORK MODEL...
#
# For each model directory: compile it, score its features.npy by walk, and run tests/one_answer.c over builds of the
# generated C by gcc and clang, several -O and -std, flags that could change sums, instruction sets capped by
# -DMMOE_ISA_AT_MOST, and aarch64 under qemu-aarch64. All builds must also agree on the special rows that the driver
# prints. Builds run two at a time.
set -eu
mmoec=$1 tests=$2 work=$3
shift 3
rm -rf "$work"
mkdir -p "$work"

# build DIR TAG FILE RUNNER COMPILER FLAGS...: one line of jobs.txt; run_job does it.
build() { printf '%s\n' "$*" >> "$work/jobs.txt"; }

cat > "$work/run_job" <<'JOB'
#!/bin/sh
tests=$1; shift
dir=$1 tag=$2 file=$3 runner=$4
shift 4
[ "$runner" = - ] && runner=
if "$@" -DMODEL_H="\"$file.h\"" -DMODEL="$file" -I "$dir" -Wall -Wextra -Wpedantic -Wconversion -Werror -c \
        "$dir/$file.c" -o "$dir/$tag.o" 2> "$dir/$tag.log" &&
    "$@" -DMODEL_H="\"$file.h\"" -DMODEL="$file" -I "$dir" "$dir/$tag.o" "$tests/one_answer.c" -o "$dir/$tag" \
        2>> "$dir/$tag.log" &&
    $runner "$dir/$tag" "$dir/x.npy" "$dir/y.npy" > "$dir/$tag.out" 2>> "$dir/$tag.log"; then
    grep '^special' "$dir/$tag.out" >> "$dir/special"
    # Sanitizers call their library; clang's AVX-512 headers copy vectors by memcpy at -O0, and only there.
    case $tag in *sanitized* | clang-O0*) ;; *) if nm -u "$dir/$tag.o" | grep -v -E '^ *$|__stack_chk_fail' | grep . ; then echo "FAILED: undefined symbols in $dir/$tag.o"; fi ;; esac
    echo "$(basename "$dir") $tag: $(tail -n 1 "$dir/$tag.out")"
    case $tag in *keep*) ;; *) rm -f "$dir/$tag" "$dir/$tag.o" ;; esac
else
    echo "FAILED: $dir/$tag: $*"
    head -n 20 "$dir/$tag.log" "$dir/$tag.out" 2> /dev/null
fi
JOB
chmod +x "$work/run_job"

for model in "$@"; do
    dir=$work/$(basename "$model")
    mkdir -p "$dir"
    cp "$model/features.npy" "$dir/x.npy"
    "$mmoec" score "$model" --outputs all --features "$dir/x.npy" -o "$dir/y.npy"
    "$mmoec" compile "$model" --outputs all --name m -o "$dir/m"
    "$mmoec" compile "$model" --outputs all --name arm --target aarch64 -o "$dir/arm"
    "$mmoec" compile "$model" --outputs all --name plain --target generic-c -o "$dir/plain"
    for cc in gcc clang; do
        for o in 0 1 2 3; do
            std=c11
            [ $((o % 2)) = 0 ] || std=gnu17
            build "$dir" "$cc-O$o" m - $cc -std=$std -O$o
            build "$dir" "$cc-O$o-avx2" m - $cc -std=$std -O$o -DMMOE_ISA_AT_MOST=1
            build "$dir" "$cc-O$o-plain" m - $cc -std=$std -O$o -DMMOE_ISA_AT_MOST=0
        done
        for isa in 0 2; do
            build "$dir" "$cc-mfma-$isa" m - $cc -std=gnu17 -O2 -mfma -DMMOE_ISA_AT_MOST=$isa
            build "$dir" "$cc-native-$isa" m - $cc -std=c11 -O3 -march=native -DMMOE_ISA_AT_MOST=$isa
            build "$dir" "$cc-contract-$isa" m - $cc -std=gnu17 -O2 -mfma -ffp-contract=fast -DMMOE_ISA_AT_MOST=$isa
        done
        build "$dir" "$cc-sanitized" m - $cc -std=c11 -O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
            -DMMOE_ISA_AT_MOST=1
        build "$dir" "$cc-sanitized-plain" plain - $cc -std=c11 -O0 -g -fsanitize=address,undefined \
            -fno-sanitize-recover=all
    done
    for o in 0 2 3; do
        build "$dir" "arm-gcc-O$o" arm qemu-aarch64 aarch64-linux-gnu-gcc -static -std=c11 -O$o
    done
    build "$dir" arm-contract arm qemu-aarch64 aarch64-linux-gnu-gcc -static -std=gnu17 -O3 -ffp-contract=fast
    build "$dir" arm-generic plain qemu-aarch64 aarch64-linux-gnu-gcc -static -std=c11 -O2
done

status=0
xargs -a "$work/jobs.txt" -P 2 -I {} sh -c "$work/run_job $tests {}" > "$work/log" 2>&1 || status=1
for model in "$@"; do
    dir=$work/$(basename "$model")
    if [ "$(sort -u "$dir/special" | wc -l)" != 1 ]; then
        echo "FAILED: $dir: builds differ on special rows" >> "$work/log"
        sort "$dir/special" | uniq -c >> "$work/log"
    fi
done
if grep -q FAILED "$work/log"; then
    status=1
    grep -v ': ok ' "$work/log" | head -n 60
fi
echo "$(grep -c ': ok ' "$work/log") builds gave the same bits"
exit $status
