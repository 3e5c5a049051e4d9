#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# examples/follow.c: scores in threads while a new checkpoint arrives, and one of another model.
#
#     follow.sh FOLLOW WORK MODEL OTHER_MODEL
set -eu
follow=$1 work=$2 model=$3 other=$4
rm -rf "$work"
mkdir -p "$work/model"
cp "$model/pipeline.config" "$model"/model.ckpt-* "$work/model"

# deliver FROM STEP: data first, the index last and at once.
deliver() {
    prefix=$(ls "$1"/model.ckpt-*.index | tail -n 1)
    prefix=${prefix%.index}
    cp "$prefix.data-00000-of-00001" "$work/model/model.ckpt-$2.data-00000-of-00001"
    cp "$prefix.index" "$work/index"
    mv "$work/index" "$work/model/model.ckpt-$2.index"
}

"$follow" "$work/model" 5 3 perf > "$work/out" 2> "$work/err" &
pid=$!
sleep 1
deliver "$model" 1000
sleep 1
deliver "$other" 2000
wait $pid || { echo "FAILED: exit $?"; cat "$work/err"; exit 1; }
for want in 'serves after' 'taken: .*model.ckpt-1000' 'refused: .*model.ckpt-2000'; do
    grep -q "$want" "$work/err" || { echo "FAILED: nothing like: $want"; cat "$work/err"; exit 1; }
done
grep -q 'by 3 threads in 5 s' "$work/out" || { echo "FAILED: $(cat "$work/out")"; exit 1; }
if grep -q 'jit serves' "$work/err"; then
    grep -q ' mmoec_jit_model$' /tmp/perf-$pid.map || { echo "FAILED: no map for perf"; exit 1; }
    rm /tmp/perf-$pid.map
fi
cat "$work/out"
