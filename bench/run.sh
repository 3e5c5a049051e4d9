#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The speed of generated code beside ONNX Runtime's and a plain loop's: installs what is missing (Debian; ONNX Runtime
# from PyPI), builds into build/, prints tables in Markdown. For a quiet machine; it takes ten minutes or so.
#
#     run.sh [--readme] [--tensorflow] [OPTIONS OF bench/bench.c: --models LIST, --rounds N, --json FILE]
#
# --readme puts the tables into README.md. All files are left in build/bench/. What it costs to start from rows is
# measured by bench/rows.sh, which this runs at last, and which can be run alone; --tensorflow is for it.
set -eu
cd "$(dirname "$0")/.."
ort_version=1.32.0
work=build/bench

readme=
tensorflow=
while :; do
    case ${1-} in
    --readme) readme=--readme ;;
    --tensorflow) tensorflow=--tensorflow ;;
    *) break ;;
    esac
    shift
done
models=m1,m2,m3,m4
previous=
for argument in "$@"; do
    [ "$previous" = --models ] && models=$argument
    previous=$argument
done

tests/run.sh --deps gcc clang libc6-dev cmake make pkg-config protobuf-c-compiler libprotobuf-c-dev python3-venv
mkdir -p $work

# logged FILE COMMAND...: quiet unless it fails
logged() {
    log=$1
    shift
    "$@" > "$log" 2>&1 || { cat "$log"; exit 1; }
}
logged $work/configure.log cmake -S . -B build -D MMOEC_BENCH=ON
logged $work/build.log cmake --build build -j2 --target mmoec bench bench_prepare
ort() { find $work/venv -name 'libonnxruntime.so*' 2> /dev/null | head -n 1; }
if [ -z "$(ort)" ]; then
    logged $work/venv.log python3 -m venv $work/venv
    logged $work/pip.log $work/venv/bin/pip install --no-deps onnxruntime==$ort_version
fi

# Instruction sets that this machine has; a target of mmoec's and gcc's options for the plain loop, each.
machine=$(uname -m)
case $machine in
x86_64)
    isas=avx2
    grep -q avx512f /proc/cpuinfo && isas=avx512,avx2
    ;;
aarch64) isas=neon ;;
*)
    echo "run.sh: no instruction sets to measure on $machine" >&2
    exit 1
    ;;
esac
target_of() { [ "$1" = neon ] && echo aarch64 || echo "$1"; }
# What the best one takes from -march=native, and AVX2 beside AVX-512 from the level that has it.
march_of() { [ "$1" = "${isas%%,*}" ] && echo native || echo x86-64-v3; }

# Compiles C three times; the best time in ms and the bytes of text: "build LABEL COMPILER MS TEXT"
measure_build() {
    best=
    for i in 1 2 3; do
        begin=$(date +%s%N)
        "$2" -std=c11 -O2 -c "$3" -o "$3.o"
        ms=$((($(date +%s%N) - begin) / 1000000))
        if [ -z "$best" ] || [ $ms -lt "$best" ]; then best=$ms; fi
    done
    echo "build $1 $2 $best $(size "$3.o" | awk 'NR == 2 { print $1 }')"
    rm "$3.o"
}

# Builds all that is timed of the model in a directory; prints facts of it for the bench.
facts() {
    for isa in $(echo $isas | tr , ' '); do
        generate="build/mmoec compile $1 --target $(target_of "$isa") --weights-in file --name model"
        $generate -o "$1/$isa"
        echo "c $isa $(wc -c < "$1/$isa.c")"
        for compiler in gcc clang; do
            measure_build "$isa" $compiler "$1/$isa.c"
            CC=$compiler $generate -o "$1/$isa-$compiler.so"
        done
        gcc -O3 -march="$(march_of "$isa")" -ffast-math -shared -fPIC "$1/plain.c" -o "$1/plain-$isa.so" -lm
    done
    build/mmoec compile "$1" --weights-in file --name model -o "$1/all"
    echo "c all $(wc -c < "$1/all.c")"
    for compiler in gcc clang; do
        measure_build all $compiler "$1/all.c"
    done
    CC=gcc build/mmoec compile "$1" --weights-in file --name model -o "$1/all-gcc.so"
}

for model in $(echo "$models" | tr , ' '); do
    dir=$work/$model
    rm -rf "$dir"
    mkdir -p "$dir"
    build/bench/bench_prepare "bench/models/$model" "$dir" > "$dir/facts"
    facts "$dir" >> "$dir/facts"
done
build/bench/bench --ort "$(ort)" --isas $isas "$@" $work > $work/speed.md
cat $work/speed.md

if [ -n "$readme" ]; then
    awk -v speed=$work/speed.md '
        !inside { print }
        /^<!-- bench\/run.sh --readme/ { inside = 1; while ((getline line < speed) > 0) print line }
        inside && /^<!-- end -->/ { inside = 0; print }' README.md > $work/README.md
    cp $work/README.md README.md
fi
bench/rows.sh $readme $tensorflow
