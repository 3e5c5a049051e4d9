#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A model made in memory opens no file but the model's and the cache's, and starts no program.
#
#     hermetic.sh ONE_JIT WORK MODEL
set -eu
one_jit=$1 work=$2 model=$3
rm -rf "$work"
mkdir -p "$work/cache"
command -v strace > /dev/null || { echo "no strace: not tested"; exit 77; }
strace -f -o "$work/trace" -e trace=file,process true 2> /dev/null || { echo "strace cannot trace here: not tested"; exit 77; }
strace -f -o "$work/trace" -e trace=file,process "$one_jit" "$model" "$work/cache"
# From the first look at the model on; its own start, the first line, names it, too. What came before is the dynamic
# linker's.
sed -n "1d; \\|\"$model\"|,\$p" "$work/trace" > "$work/ours"
grep -q "$model/pipeline.config" "$work/ours" || { echo "FAILED: nothing was traced"; exit 1; }
grep -q "$work/cache/" "$work/ours" || { echo "FAILED: no cache was written"; exit 1; }
# glibc's malloc asks for overcommit_memory before it gives a thread's memory back.
if grep -E '"' "$work/ours" | grep -v -F -e "\"$model" -e "\"$work/cache" -e 'newfstatat(' -e '"variables/' -e '"saved_model.pb"' \
    -e overcommit_memory; then
    echo "FAILED: other files"
    exit 1
fi
if grep -E 'execve|fork' "$work/ours"; then
    echo "FAILED: another program"
    exit 1
fi
echo "only the model's and the cache's files were opened"
