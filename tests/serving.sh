#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Measures libmmoe: what threads gain, what huge pages gain, and what swaps cost the threads that score. Prints figures; for
# a quiet machine. As root, at a real-time priority where that is allowed, so that others disturb less.
#
#     serving.sh MMOEC SERVING MODEL WORK
set -eu
mmoec=$1 serving=$2 model=$3 work=$4
mkdir -p "$work"
"$mmoec" compile "$model" --name model --weights-in file -o "$work/model.so"
first=
chrt -f 2 true 2> /dev/null && first="chrt -f 2"
$first "$serving" "$work/model.so" threads
$first "$serving" "$work/model.so" pages
$first "$serving" "$work/model.so" swaps
