#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Streams rows through a pipe into score --rows, and looks at the memory that this takes beside the model:
#
#     stream.sh MMOEC [GB [MODEL]]        10 GB by default; MODEL with a rows.csv beside it, tiny_mmoe by default
#
# Fails if the peak grows by 100 MB or more from the first rows to the last ones, or if a row has no line of scores.
set -eu
mmoec=$1 gb=${2:-10} model=${3:-$(dirname "$0")/golden/tiny_mmoe}
most=100000 # kB
chunk_bytes=16000000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Rows again and again, to a chunk; as many chunks as it takes.
cp "$model/rows.csv" "$work/chunk"
while [ "$(wc -c < "$work/chunk")" -lt $chunk_bytes ]; do
    cat "$work/chunk" "$work/chunk" > "$work/more"
    mv "$work/more" "$work/chunk"
done
bytes=$(wc -c < "$work/chunk")
chunks=$(((gb * 1000000000 + bytes - 1) / bytes))

mkfifo "$work/in" "$work/out"
"$mmoec" score "$model" --rows "$work/in" > "$work/out" &
pid=$!
wc -l < "$work/out" > "$work/lines" &
counter=$!
peak() { sleep 1; awk '/^VmHWM/ { print $2 }' "/proc/$pid/status"; } # kB, once it waits for more

exec 3> "$work/in"
cat "$model/rows.csv" >&3
before=$(peak)
began=$(date +%s)
for i in $(seq $chunks); do cat "$work/chunk"; done >&3
after=$(peak)
seconds=$(($(date +%s) - began))
exec 3>&-
wait $pid
wait $counter

rows=$((chunks * $(wc -l < "$work/chunk") + $(wc -l < "$model/rows.csv")))
echo "$((chunks * bytes / 1000000)) MB, $rows rows in $seconds s; peak $before kB after the first rows, $after kB after the last"
[ "$(cat "$work/lines")" -eq $((rows + 1)) ] || { echo "FAILED: $(cat "$work/lines") lines of scores"; exit 1; }
[ $((after - before)) -lt $most ] || { echo "FAILED: the peak grew by $((after - before)) kB"; exit 1; }
