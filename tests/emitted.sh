#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What holds of generated files as files: same bytes from two runs, only their own symbols, two in one program, hostile
# names stay text, the self test sees a broken kernel, and it runs every kernel.
#
#     emitted.sh MMOEC TESTS WORK
set -eu
mmoec=$1 tests=$2 work=$3
rm -rf "$work"
mkdir -p "$work/a" "$work/b/deeper"
golden=$tests/golden

fail() { echo "FAILED: $*"; exit 1; }

# ---- same bytes from two runs in different directories ----

(cd "$work/a" && "$mmoec" compile "$golden/heads_mmoe" --outputs all -o one)
(cd "$work/b/deeper" && cp -r "$golden/heads_mmoe" . && "$mmoec" compile heads_mmoe --outputs all -o one)
cmp "$work/a/one.c" "$work/b/deeper/one.c" || fail "two runs give other bytes"
cmp "$work/a/one.h" "$work/b/deeper/one.h" || fail "two runs give other headers"
! grep -q "$work" "$work/a/one.c" || fail "a path is in the text"

# ---- symbols ----

cd "$work"
"$mmoec" compile "$golden/tiny_mmoe" -o two
cp a/one.c a/one.h .
gcc -std=c11 -O2 -c one.c && gcc -std=c11 -O2 -c two.c
names=$(nm -g --defined-only two.o | cut -d ' ' -f 3 | sort | tr '\n' ' ')
[ "$names" = "two_model two_score two_score_rows two_self_test " ] || fail "symbols of an object: $names"
[ -z "$(nm -u two.o)" ] || fail "an object needs $(nm -u two.o)"
"$mmoec" compile "$golden/tiny_mmoe" -o two.so
names=$(nm -D --defined-only two.so | cut -d ' ' -f 3 | sort | tr '\n' ' ')
[ "$names" = "mmoe_plugin two_score two_self_test " ] || fail "symbols of a shared object: $names"

"$mmoec" compile "$golden/tiny_mmoe" --user-columns user_id,age -o users
"$mmoec" compile "$golden/tiny_mmoe" --user-columns user_id,age -o users.so
gcc -std=c11 -O2 -c users.c
names=$(nm -g --defined-only users.o | cut -d ' ' -f 3 | sort | tr '\n' ' ')
[ "$names" = "users_model users_score users_score_rows users_score_users users_self_test " ] || fail "symbols with user columns: $names"
names=$(nm -D --defined-only users.so | cut -d ' ' -f 3 | sort | tr '\n' ' ')
[ "$names" = "mmoe_plugin users_score users_score_users users_self_test " ] || fail "symbols of a .so with user columns: $names"
for target in x86-64 avx512 avx2; do
    for form in panels ahead lanes calls arguments; do
        "$mmoec" compile "$golden/heads_mmoe" --user-columns user_id,hour --outputs all --target $target --form $form -o formed
        gcc -std=c11 -O1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -c formed.c ||
            fail "user columns make warnings: $target, $form"
    done
done

# ---- two models in one program, and their headers in C++ ----

cat > both.c <<'C'
#include "one.h"
#include "two.h"
#include <stdlib.h>
int main(void)
{
    void *s = aligned_alloc(64, ONE_SCRATCH + TWO_SCRATCH + 128);
    return one_self_test(s) || two_self_test(s);
}
C
gcc -std=c11 -Wall -Wextra -Wpedantic -Werror both.c one.o two.o -o both && ./both || fail "two models in one program"
cp both.c both.cc && g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -c both.cc -o both_cc.o || fail "headers in C++11"

# ---- weights in a file of their own ----

"$mmoec" compile "$golden/taobao_mmoe" --weights-in file -o apart
gcc -std=c11 -O2 -Wall -Wextra -Wpedantic -Wconversion -Werror -c apart.c || fail "a file without weights has warnings"
names=$(nm -g --defined-only apart.o | cut -d ' ' -f 3 | sort | tr '\n' ' ')
[ "$names" = "apart_model " ] || fail "symbols without weights: $names"
"$mmoec" compile "$golden/taobao_mmoe" --weights-in file -o apart.so
"$mmoec" score apart.so --features "$golden/taobao_mmoe/features.npy" -o apart.csv
"$mmoec" score "$golden/taobao_mmoe" --features "$golden/taobao_mmoe/features.npy" -o walk.csv
cmp apart.csv walk.csv || fail "weights in a file give other scores"

# ---- hostile names ----

mkdir hostile
cp "$golden"/nobn_tanh_mmoe/model.ckpt-* hostile
name='a\"; system(\"x */ /* \?\?/ \n%s\\'
NAME=$name awk '{ name = ENVIRON["NAME"]; i = index($0, "tower_name: \"cvr\""); if (i) $0 = substr($0, 1, i - 1) "tower_name: \"" name "\"" \
    substr($0, i + length("tower_name: \"cvr\"")); print }' "$golden/nobn_tanh_mmoe/pipeline.config" > hostile/pipeline.config
"$mmoec" compile hostile --outputs all -o nasty 2> nasty.err || { cat nasty.err; fail "a strange tower name"; }
gcc -std=c11 -O1 -Wall -Wextra -Wpedantic -Wconversion -Werror -trigraphs -c nasty.c || fail "a strange name makes other C"
g++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only nasty.h || fail "a strange name makes another header"
"$mmoec" score hostile --outputs all --features "$golden/nobn_tanh_mmoe/features.npy" -o nasty.npy 2> /dev/null
"$mmoec" score "$golden/nobn_tanh_mmoe" --outputs all --features "$golden/nobn_tanh_mmoe/features.npy" -o plain.npy
cmp nasty.npy plain.npy || fail "a name changes scores"

# ---- the self test sees every kernel ----

# One build serves all instruction sets: the cap is a variable, the program's argument.
cat > only_test.c <<'C'
#include "one.h"
#include <stdio.h>
#include <stdlib.h>
unsigned isa_at_most;
int main(int argc, char **argv)
{
    isa_at_most = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    int result = one_self_test(aligned_alloc(64, (ONE_SCRATCH + 63) / 64 * 64));
    printf("%d %s\n", result, one_model.chosen_isa());
    return result;
}
C
echo "extern unsigned isa_at_most;" > cap.h
capped="-std=c11 -w -include cap.h -DMMOE_ISA_AT_MOST=isa_at_most"

# Every function of the instruction set that serves runs during the self test: gcov counts.
all_run() {
    gcc $capped -O0 --coverage only_test.c one.c -o counted
    for cap in 0 1 2; do
        rm -f ./*.gcda
        ./counted $cap > counted.out || fail "counted self test"
        isa=$(cut -d ' ' -f 2 counted.out)
        gcov -f -n counted-one.gcda 2> /dev/null | awk -v isa="__$isa'" '
            /^Function/ { f = $2; named = index(f, isa) > 0 }
            /^File/ { named = 0 }
            /^Lines executed:0.00%/ && named { print f; bad = 1 }
            /^Lines executed/ && named { n++ }
            END { if (n < 8) print "only " n " functions"; exit bad || n < 8 }' > idle || fail "the self test does not run: $(cat idle)"
        echo "cap $cap: every function of $isa runs in the self test"
    done
}
all_run

# Break one kernel at a time, in all instruction sets or in those named: the self test must fail with 3.
break_kernel() {
    sed "$2" one.c > broken.c
    ! cmp -s one.c broken.c || fail "nothing to break: $1"
    gcc $capped -O0 only_test.c broken.c -o broken
    for cap in ${3:-0 1 2}; do
        ! ./broken $cap > broken.out || fail "broken $1, yet the self test passes ($(cat broken.out))"
        grep -q '^3 ' broken.out || fail "broken $1: $(cat broken.out)"
    done
    echo "broken $1: seen"
}
break_kernel "tile: a missing input" 's/for (size_t k = 0; k < p->in; k++, x++,/for (size_t k = 0; k + 1 < p->in; k++, x++,/'
break_kernel "dense: rows of a panel" 's/x += n \* xs, y += n \* ys) {/x += n * xs, y += n * ys + 1) {/' 0
break_kernel "dense: rows of a tile" 's/y + i \/ vecs \* ys/y + (rows - 1 - i \/ vecs) * ys/' "1 2"
break_kernel "dense in lanes: a missing input" 's/k < p->in; k++, x += LANES/k + 1 < p->in; k++, x += LANES/' "1 2"
break_kernel "dense: relu" 's/16 - (relu < 16 ? relu : 16)/16/'
break_kernel "dense in lanes: relu" 's/column < p->relu ? 0 : 16/16/' "1 2"
break_kernel "mixture: a missing expert" 's/for (size_t e = 0; e < \([0-9]*\); e++)/for (size_t e = 1; e < \1; e++)/'
break_kernel "softmax: the sum" 's/sum\[0\] += sum\[j\];/sum[0] += 2 * sum[j];/; s/v_add(all, v_lane(e, j))/v_add(all, v_lane(e, 0))/'
break_kernel "softmax in lanes: the sum" 's/v_add(sum\[0\], sum\[j\])/v_add(sum[0], sum[0])/' "1 2"
break_kernel "exp: a coefficient" 's/0x1.555492p-3f/0x1.555592p-3f/'
break_kernel "argmax" 's/best = from\[j\] > from\[best\]/best = from[j] < from[best]/'
break_kernel "argmax in lanes" 's/v_select(v_lt(top, a), v_all((float)j), best)/v_select(v_lt(a, top), v_all((float)j), best)/' "1 2"
break_kernel "max" 's/top = from\[j\] > top/top = from[j] < top/'
break_kernel "max in lanes" 's/top = v_max(v_load(x + j/top = v_min(v_load(x + j/' "1 2"
break_kernel "gelu" 's/0\.044715f/0.044716f/'
break_kernel "store" 's/v_select(v_eq(x, x), x, v_float/v_select(v_eq(x, x), v_add(x, x), v_float/'

# The same with user columns: items in lanes, where there are vectors, and in panels.
"$mmoec" compile "$golden/heads_mmoe" --outputs all --user-columns user_id,hour,embed -o one
all_run
break_kernel "requests: the user's sums in lanes" 's/acc\[i\] = v_all(from\[c + i/acc[i] = v_all(w[i/' "1 2"
break_kernel "requests: whose items" 's/items + first \* is/items/'
break_kernel "requests: whose columns" 's/n > 0; n--, users += us, offsets++/n > 0; n--, offsets++/'
"$mmoec" compile "$golden/heads_mmoe" --outputs all --user-columns user_id,hour,embed --form panels -o one
all_run
break_kernel "requests: the user's sums" 's/return v_load(from + column);/return v_load(from);/'
break_kernel "requests: the item's weights" 's/{w + 18 \* pitch/{w + 17 * pitch/'
echo "ok"
