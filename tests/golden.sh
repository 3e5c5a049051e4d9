#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models trained by EasyRec: all engines agree with the double reference and with TensorFlow's scores.
#
#     golden.sh MMOEC MODEL...
set -eu
mmoec=$1
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for model in "$@"; do
    "$mmoec" verify "$model" --outputs all --features "$model/features.npy" --expect "$model" > "$out" || {
        cat "$out"
        exit 1
    }
    echo "$(basename "$model"): $(grep -c '^expected' "$out") outputs as TensorFlow gave them"
done
