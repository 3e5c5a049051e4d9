#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The templates of numbers stand in generated files: each chunk with those that it needs compiles without a warning, and
# none needs a symbol of a C library, memset and memcpy among them, whatever the compiler makes of a loop.
#
#     freestanding.sh TEMPLATES WORK
set -eu
templates=$1 work=$2
rm -rf "$work"
mkdir -p "$work"
cd "$work"

fail() { echo "FAILED: $*" >&2; exit 1; }

# chunk FILE NAME: its text
chunk() {
    awk -v name="$2" '/^\/\*@ end \*\/$/ { on = 0 } on { print; n++ } $0 == "/*@ begin " name " */" { on = 1 }
        END { exit n == 0 }' "$templates/$1" || fail "no chunk $2 in $1"
}

chunks_of() { sed -n 's,^/\*@ begin \(.*\) \*/$,\1,p' "$templates/$1"; }

# needs NAME: the chunks of functions.c that it calls, and those that they call, each after what it needs
needs() {
    chunks_of functions.c > names
    echo "$1" > wanted
    for name in $(tac names); do
        ! grep -q -x "$name" wanted || chunk functions.c "$name" | grep -o -w -F -f names >> wanted || fail "$name"
    done
    grep -x -F -f wanted names
}

head='#include <stddef.h>\n#include <stdint.h>\n'
read='int (*const use_%s)(const char *, size_t, %s *) = read_%s;\n'

# number NAME CHUNKS...: a file with these chunks of number.c, and the line on standard input
number() {
    { printf "$head"; for name in $2; do chunk number.c "$name"; done; cat; } > "$1.c"
}
number read_whole "letters read_whole" << 'C'
int (*const use_whole)(const char *, size_t, int64_t, int64_t, int64_t *) = read_whole;
C
printf "$read" float float float | number read_float "letters big read read_float"
printf "$read" double double double | number read_double "letters big read read_double"
echo 'size_t (*const use_print_whole)(int64_t, char *) = print_whole;' | number print_whole print_whole
number print_fixed "big print_fixed" << 'C'
size_t (*const use_fixed)(double, int, char *) = print_fixed; char room[FIXED_ROOM];
C

functions=$(chunks_of functions.c | grep '^fn_')
for f in $functions; do
    { printf "$head"; for name in $(needs "$f"); do chunk functions.c "$name"; done
      echo "float (*const use_$f)(float) = $f;"; } > "$f.c"
done
for f in exp_of log_of; do
    { printf "$head"; for name in $(needs "$f"); do chunk functions.c "$name"; done
      echo "double (*const use_$f)(double) = $f;"; } > "$f.c"
done

# All of them, one after the other, in one file.
{ printf "$head"
  for name in $(chunks_of number.c); do chunk number.c "$name"; done
  for name in $(chunks_of functions.c); do chunk functions.c "$name"; done
  for f in *.c; do [ "$f" = all.c ] || grep '(\*const use_' "$f"; done; } > all.c

warnings="-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
for cc in gcc clang; do
    for f in *.c; do
        $cc $warnings -O2 -c "$f" -o one.o || fail "$cc warns of $f"
    done
    for optimise in -O0 -O1 -O2 -O3 -Os; do
        for library in "" -ffreestanding; do
            $cc $warnings $optimise $library -c all.c -o all.o || fail "$cc $optimise $library warns"
            [ -z "$(nm -u all.o)" ] || fail "$cc $optimise $library: $(nm -u all.o)"
        done
    done
done
echo "ok"
