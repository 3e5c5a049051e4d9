#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Models trained by EasyRec: from raw rows, all engines agree with the double reference and with TensorFlow's scores; of
# the first model, from what enters the experts, too. So they do with user columns, half of them.
#
#     golden.sh MMOEC MODEL...
set -eu
mmoec=$1
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# check MODEL OPTION FILE [COLUMNS]
check() {
    "$mmoec" verify "$1" --outputs all "$2" "$1/$3" --expect "$1" ${4:+--user-columns "$4"} > "$out" || {
        cat "$out"
        exit 1
    }
    [ $# -lt 4 ] || grep -q 'users with.*bits equal' "$out" || {
        echo "FAILED: no requests of $1"
        exit 1
    }
    echo "$(basename "$1") $2${4:+, users by $4}: $(grep -c '^expected' "$out") outputs as TensorFlow gave them"
}

check "$1" --features features.npy
for model in "$@"; do
    check "$model" --rows rows.csv
    check "$model" --rows rows.csv "$("$mmoec" inspect "$model" --json | tr -d '\n' | tr '{' '\n' |
        awk -F '"' '$2 == "key" && ++n % 2 == 0 { list = list comma $4; comma = "," } END { print list }')"
done
check "$1" --features features.npy price,user_id
