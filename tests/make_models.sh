#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Random model directories for the tests: make_models.sh RANDOM_MODEL DIR
set -eu
for seed in $(seq 1 40); do
    mkdir -p "$2/random/$seed"
    "$1" "$2/random/$seed" --seed "$seed" --rows 40
done
for shape in m1 m2 m4 acts; do
    mkdir -p "$2/shape/$shape"
    "$1" "$2/shape/$shape" --seed 1 --rows 40 --shape $shape
done
