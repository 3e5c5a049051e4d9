#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Weights files with tables, swapped in by libmmoe while rows are scored: swap_rows.c.
#
#     swap_rows.sh MMOEC UNTRAINED SWAP_ROWS TESTS WORK
set -eu
mmoec=$1 untrained=$2 swap_rows=$3 tests=$4 work=$5
rm -rf "$work"
for seed in 1 2 3; do
    mkdir -p "$work/$seed"
    cp "$tests/rows/kinds.config" "$work/$seed/pipeline.config"
    # The third hashes a feature otherwise; its tables have the same sizes.
    [ $seed != 3 ] || sed -i 's/feature_name: "id_text_number" input_names: "whole"/feature_name: "id_text_number" input_names: "s"/' \
        "$work/$seed/pipeline.config"
    "$untrained" "$work/$seed" $seed 1
    "$mmoec" compile "$work/$seed" --name model --from rows --weights-in file -o "$work/$seed/model"
done
"$mmoec" compile "$work/1" --name model --from rows --weights-in file -o "$work/model.so"
"$swap_rows" "$work/model.so" "$work/1/model.weights" "$work/2/model.weights" "$work/3/model.weights"
echo "swapped while rows were scored: each call by one training; tables of other features are refused"
