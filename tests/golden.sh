#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models trained by EasyRec: from raw rows, all engines agree with the double reference and with TensorFlow's scores; of
# the first model, from what enters the experts, too.
#
#     golden.sh MMOEC MODEL...
set -eu
mmoec=$1
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# check MODEL OPTION FILE
check() {
    "$mmoec" verify "$1" --outputs all "$2" "$1/$3" --expect "$1" > "$out" || {
        cat "$out"
        exit 1
    }
    echo "$(basename "$1") $2: $(grep -c '^expected' "$out") outputs as TensorFlow gave them"
}

check "$1" --features features.npy
for model in "$@"; do
    check "$model" --rows rows.csv
done
