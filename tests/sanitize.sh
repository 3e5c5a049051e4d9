#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Everything that runs in several threads or makes code in memory, under ThreadSanitizer, then AddressSanitizer and
# UndefinedBehaviorSanitizer. Takes minutes; builds below DIR.
#
#     sanitize.sh DIR
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
for kind in thread address,undefined; do
    build=$1/${kind%%,*}
    cmake -S "$source" -B "$build" -D CMAKE_BUILD_TYPE=Debug -D "CMAKE_C_FLAGS=-O1 -fsanitize=$kind" > /dev/null
    cmake --build "$build" -j "$(nproc)" --target random_model test_jit test_mmoe test_watch test_libmmoec_static follow
    ctest --test-dir "$build" --output-on-failure -R '^(models|jit|mmoe|watch|libmmoec_static|follow)$'
done
