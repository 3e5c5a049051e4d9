#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into a directory, moves it, and uses it as a user does: by pkg-config (shared and static), by find_package,
# from C++11, with weights apart; libmmoec in the same ways. Then: only the names of the headers are visible.
#
#     test_install.sh CMAKE SOURCE BUILD WORK
set -eu
cmake=$1 source=$2 build=$3 work=$4
rm -rf "$work"
mkdir -p "$work"
model=$source/tests/golden/tiny_mmoe
tail -c +129 "$model/features.npy" > "$work/rows.f32"

fail() { echo "FAILED: $*"; exit 1; }

# ---- install, and move: nothing may remember the place ----
$cmake --install "$build" --prefix "$work/first" > "$work/install.log"
mv "$work/first" "$work/prefix"
prefix=$work/prefix
for file in bin/mmoec include/mmoe.h include/libmmoec.h share/man/man1/mmoec.1 share/doc/mmoec/LICENSE share/doc/mmoec/NOTICE; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
pc=$(find "$prefix" -name mmoe.pc)
lib=$(dirname "$(dirname "$pc")")
PKG_CONFIG_PATH=$(dirname "$pc") LD_LIBRARY_PATH=$lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH
if grep -r -l -e "$work/first" -e "$build" "$lib/cmake" "$pc"; then
    fail "these files know where they were built or installed first"
fi

# ---- what the programs must print ----
mmoec=$prefix/bin/mmoec
"$mmoec" compile "$model" -o "$work/tiny"
"$mmoec" compile "$model" -o "$work/tiny.so"
warnings="-Wall -Wextra -Wpedantic -Werror"
cc -std=c11 -O2 $warnings -I "$work" "$source/examples/score.c" "$work/tiny.c" -o "$work/score"
"$work/score" < "$work/rows.f32" > "$work/want"
[ "$(wc -l < "$work/want")" = 128 ] || fail "score printed $(wc -l < "$work/want") rows"

check() {
    "$1" "$2" < "$work/rows.f32" > "$work/got" || fail "$*"
    [ "$(head -n 1 "$work/got")" = "probs_ctr probs_cvr" ] || fail "$*: $(head -n 1 "$work/got")"
    tail -n +2 "$work/got" | cmp - "$work/want" || fail "$*: other scores"
}

# ---- pkg-config ----
flags="$(pkg-config --cflags mmoe) -pthread"
cc -std=c11 -O2 $warnings $flags "$source/examples/serve.c" $(pkg-config --libs mmoe) -o "$work/shared"
check "$work/shared" "$work/tiny.so"
readelf -d "$work/shared" | grep -q 'NEEDED.*libmmoe.so.0' || fail "not linked with libmmoe.so.0"
cc -std=c11 -O2 $warnings $flags "$source/examples/serve.c" -Wl,-Bstatic $(pkg-config --libs mmoe) -Wl,-Bdynamic \
    $(pkg-config --static --libs mmoe | sed 's/-lmmoe//') -o "$work/static"
check "$work/static" "$work/tiny.so"
readelf -d "$work/static" | grep -q 'NEEDED.*libmmoe' && fail "linked with libmmoe.so"

# ---- find_package ----
mkdir "$work/project"
cat > "$work/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(Threads REQUIRED)
find_package(mmoe 0.1 REQUIRED)
add_executable(by_shared $source/examples/serve.c)
target_link_libraries(by_shared PRIVATE mmoe::mmoe Threads::Threads)
add_executable(by_static $source/examples/serve.c)
target_link_libraries(by_static PRIVATE mmoe::mmoe_static Threads::Threads)
END
{ $cmake -S "$work/project" -B "$work/project/build" -D CMAKE_PREFIX_PATH="$prefix" &&
    $cmake --build "$work/project/build"; } > "$work/project.log" 2>&1 || { cat "$work/project.log"; fail find_package; }
check "$work/project/build/by_shared" "$work/tiny.so"
check "$work/project/build/by_static" "$work/tiny.so"

# ---- C++11: the program, and the header of a model beside mmoe.h ----
c++ -std=c++11 -O2 $warnings -x c++ $flags "$source/examples/serve.c" -x none $(pkg-config --libs mmoe) -o "$work/cpp"
check "$work/cpp" "$work/tiny.so"
printf '#include <mmoe.h>\n#include "tiny.h"\nint main() { return tiny_model.inputs == TINY_INPUTS ? 0 : 1; }\n' \
    > "$work/header.cc"
cc -c -O2 "$work/tiny.c" -o "$work/tiny.o"
c++ -std=c++11 $warnings $flags -I "$work" "$work/header.cc" "$work/tiny.o" -o "$work/header"
"$work/header" || fail "the record differs from the header"

# ---- weights apart ----
mkdir "$work/apart"
"$mmoec" compile "$model" --weights-in file -o "$work/apart/tiny.so"
[ -s "$work/apart/tiny.weights" ] || fail "no weights file"
check "$work/shared" "$work/apart/tiny.so"

# ---- libmmoec ----
cat > "$work/live.c" <<'END'
#include <libmmoec.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct mmoec_model *model;
    if (argc != 2 || mmoec_jit(argv[1], NULL, &model, NULL) != MMOEC_OK)
        return 1;
    const struct mmoe_model *r = mmoec_record(model);
    float *x = (float *)malloc(r->inputs * sizeof *x), *y = (float *)malloc(r->outputs * sizeof *y);
    void *scratch = aligned_alloc(64, (r->scratch_bytes + 63) / 64 * 64);
    for (size_t j = 0; j < r->outputs; j++)
        printf("%s%c", r->output_names[j], j + 1 < r->outputs ? ' ' : '\n');
    while (fread(x, sizeof *x, r->inputs, stdin) == r->inputs) {
        r->score(r->weights, x, r->inputs, 1, y, scratch);
        for (size_t j = 0; j < r->outputs; j++)
            printf("%.9g%c", (double)y[j], j + 1 < r->outputs ? ' ' : '\n');
    }
    free(scratch);
    free(y);
    free(x);
    mmoec_close(model);
    return 0;
}
END
flags=$(pkg-config --cflags mmoec)
cc -std=c11 -O2 $warnings $flags "$work/live.c" $(pkg-config --libs mmoec) -o "$work/live_shared"
check "$work/live_shared" "$model"
readelf -d "$work/live_shared" | grep -q 'NEEDED.*libmmoec.so.0' || fail "not linked with libmmoec.so.0"
cc -std=c11 -O2 $warnings $flags "$work/live.c" -Wl,-Bstatic $(pkg-config --libs mmoec) -Wl,-Bdynamic \
    $(pkg-config --static --libs-only-l mmoec | sed 's/-lmmoec\?\b//g') -o "$work/live_static"
check "$work/live_static" "$model"
readelf -d "$work/live_static" | grep -q 'NEEDED.*libmmoe' && fail "linked with libmmoec.so"
c++ -std=c++11 -O2 $warnings -x c++ $flags "$work/live.c" -x none $(pkg-config --libs mmoec) -o "$work/live_cpp"
check "$work/live_cpp" "$model"
mkdir "$work/live_project"
cat > "$work/live_project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(mmoec 0.1 REQUIRED)
add_executable(by_shared $work/live.c)
target_link_libraries(by_shared PRIVATE mmoec::mmoec)
add_executable(by_static $work/live.c)
target_link_libraries(by_static PRIVATE mmoec::mmoec_static)
END
{ $cmake -S "$work/live_project" -B "$work/live_project/build" -D CMAKE_PREFIX_PATH="$prefix" &&
    $cmake --build "$work/live_project/build"; } > "$work/live_project.log" 2>&1 || {
    cat "$work/live_project.log"
    fail "find_package(mmoec)"
}
check "$work/live_project/build/by_shared" "$model"
check "$work/live_project/build/by_static" "$model"

# ---- names ----
public="mmoe_close mmoe_hold mmoe_open mmoe_pool_free mmoe_pool_new mmoe_reader_free mmoe_reader_new mmoe_record"
public="$public mmoe_release mmoe_score mmoe_score_parallel mmoe_score_requests mmoe_score_rows mmoe_score_users mmoe_status_text mmoe_swap"
visible() { nm --defined-only "$@" | awk '$2 ~ /^[TDBRVW]$/ { sub(/@.*/, "", $3); print $3 }' | sort | tr '\n' ' '; }
[ "$(visible -D --without-symbol-versions "$lib/libmmoe.so")" = "$public " ] ||
    fail "libmmoe.so shows $(visible -D --without-symbol-versions "$lib/libmmoe.so")"
[ "$(visible -g "$lib/libmmoe.a")" = "$public " ] || fail "libmmoe.a shows $(visible -g "$lib/libmmoe.a")"
declared=$(grep -o -E 'mmoec_[a-z_]+\(' "$prefix/include/libmmoec.h" | tr -d '(' | sort -u | tr '\n' ' ')
[ "$(visible -D --without-symbol-versions "$lib/libmmoec.so")" = "$declared" ] ||
    fail "libmmoec.so shows $(visible -D --without-symbol-versions "$lib/libmmoec.so"), not $declared"
[ "$(visible -g "$lib/libmmoec.a")" = "$declared" ] || fail "libmmoec.a shows $(visible -g "$lib/libmmoec.a")"
names=$(visible -D "$work/tiny.so")
[ "$names" = "mmoe_plugin tiny_score tiny_self_test " ] || fail "tiny.so shows $names"
readelf -d "$lib/libmmoe.so" | grep -q 'SONAME.*\[libmmoe.so.0\]' || fail "the soname is not libmmoe.so.0"
echo "an installed mmoec and libmmoe work"
