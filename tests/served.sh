#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two trainings of one structure, compiled, renamed and swapped: served.c. Small with its weights inside; large, with
# weights in a file that lies in huge pages and batches that threads share. Random models of two seeds have other columns:
# without rows they are retrainings of each other.
#
#     served.sh MMOEC RANDOM_MODEL SERVED WORK OTHER_MODEL
set -eu
mmoec=$1 random_model=$2 served=$3 work=$4 other=$5
rm -rf "$work"
mkdir -p "$work"
"$mmoec" compile "$other" --name other -o "$work/other.so"
for kind in m2:c m1:file; do
    shape=${kind%:*} weights_in=${kind#*:}
    dir=$work/$shape
    for seed in 1 2; do
        mkdir -p "$dir/$seed"
        "$random_model" "$dir/$seed" --seed $seed --shape "$shape" --rows 1
    done
    "$mmoec" compile "$dir/1" --from features --name model --weights-in "$weights_in" -o "$dir/training1.so"
    if [ "$weights_in" = c ]; then
        "$mmoec" compile "$dir/2" --from features --name model --weights-in c -o "$dir/training2.so"
    else # the same code
        "$mmoec" compile "$dir/2" --from features --name model --weights-in file -o "$dir/training2"
        cp "$dir/training1.so" "$dir/training2.so"
    fi
    "$mmoec" compile "$dir/1" --from features --name model --weights-in file -o "$dir/kept"
    "$served" "$dir/training1" "$dir/training2" "$dir/kept.weights" "$work/other.so" || {
        echo "FAILED: $kind"
        exit 1
    }
done
echo "retrained models were renamed and swapped in: digests and scores are theirs"
