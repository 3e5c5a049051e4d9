#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What it costs to start from rows instead of the experts' input (bench/rows.c): with tables in the cache, and with
# tables of 10 million rows, where the machine has 8 GB to spare. Prints tables in Markdown; takes two to three minutes.
#
#     rows.sh [--readme] [--tensorflow] [--rounds N]
#
# --readme puts the tables into README.md. --tensorflow times TensorFlow's SavedModel on the same rows, where PyPI has a
# TensorFlow for this machine. All files are left in build/bench/, but for the large checkpoint.
set -eu
cd "$(dirname "$0")/.."
tensorflow_version=2.21.0
work=build/bench

readme=
tensorflow=
rounds=101
while [ $# -gt 0 ]; do
    case $1 in
    --readme) readme=yes ;;
    --tensorflow) tensorflow=yes ;;
    --rounds) rounds=$2; shift ;;
    *) echo "rows.sh: $1?" >&2; exit 2 ;;
    esac
    shift
done

tests/run.sh --deps gcc libc6-dev cmake make pkg-config protobuf-c-compiler libprotobuf-c-dev
mkdir -p $work

# logged FILE COMMAND...: quiet unless it fails
logged() {
    log=$1
    shift
    "$@" > "$log" 2>&1 || { cat "$log"; exit 1; }
}
logged $work/configure.log cmake -S . -B build -D MMOEC_BENCH=ON
logged $work/build.log cmake --build build -j2 --target mmoec bench_prepare bench_rows

# changed FILE PATTERN TEXT TO: a copy of generated C with another text in the one place of the pattern
changed() {
    sed "s/$2/$3/" "$1" > "$4"
    [ "$(diff "$1" "$4" | grep -c '^<')" = 1 ] || { echo "rows.sh: $1 has not one place of $2" >&2; exit 1; }
}

# The model of a directory with and without experts, with and without prefetching, and with a lookup at a time.
build_model() {
    build/mmoec compile "$1" --weights-in file --from rows --name model -o "$1/model"
    changed "$1/model.c" '^ *score(weights_of, r\.x, .*' '' "$1/features.c"
    for code in model features; do
        changed "$1/$code.c" 'PREFETCH(from + j)' '(void)0' "$1/$code-blind.c"
        changed "$1/$code-blind.c" '^#define ROW_LOOKUPS .*' '#define ROW_LOOKUPS 1' "$1/$code-plain.c"
        for c in $code $code-blind $code-plain; do
            gcc -std=c11 -O2 -shared -fPIC -DMMOE_PLUGIN "$1/$c.c" -o "$1/$c.so"
        done
    done
}

prepare() {
    rm -rf "$2"
    mkdir -p "$2"
    build/bench/bench_prepare "$1" "$2" > "$2/facts"
    build_model "$2"
}

tf=$work/tensorflow
install_tensorflow() {
    [ -e $tf/installed ] && return
    python3 -m venv $tf && $tf/bin/pip install tensorflow-cpu==$tensorflow_version && touch $tf/installed
}

# A line of TensorFlow's for the table.
time_tensorflow() {
    if ! install_tensorflow > $work/tensorflow.log 2>&1; then
        echo "rows.sh: TensorFlow $tensorflow_version cannot be installed here: $work/tensorflow.log" >&2
        return
    fi
    build/bench/bench_rows --csv $work/rows/rows.csv $work/rows
    build/mmoec score $work/rows --rows $work/rows/rows.csv -o $work/rows/scores.csv
    if ! $tf/bin/python bench/saved_model.py $work/rows 2> $work/tensorflow.log; then
        cat $work/tensorflow.log >&2
        exit 1
    fi
}

prepare bench/models/rows $work/rows
{
    printf '#### Tables in the cache\n\n'
    build/bench/bench_rows --rounds "$rounds" $work/rows
    [ -z "$tensorflow" ] || time_tensorflow
    echo
} > $work/rows.md

large='user_id|adgroup_id|customer|tag_brand_list'
if [ "$(awk '/^MemAvailable/ { print int($2 / 1000000) }' /proc/meminfo)" -ge 8 ]; then
    mkdir -p $work/large.model
    sed -E "/\"($large)\" feature_type/s/10000/10000000/" bench/models/rows/pipeline.config \
        > $work/large.model/pipeline.config
    prepare $work/large.model $work/large
    rm $work/large/model.ckpt-1.*
    {
        printf '#### Four tables of 10 million rows\n\n'
        build/bench/bench_rows --rounds "$rounds" $work/large
        echo
    } >> $work/rows.md
else
    echo "rows.sh: no 8 GB of memory to spare for large tables" >&2
fi
cat $work/rows.md

if [ -n "$readme" ]; then
    awk -v speed=$work/rows.md '
        !inside { print }
        /^<!-- bench\/rows.sh --readme/ { inside = 1; while ((getline line < speed) > 0) print line }
        inside && /^<!-- end -->/ { inside = 0; print }' README.md > $work/README.md
    cp $work/README.md README.md
fi
