#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An embedding table of more than 2^31 bytes: compiled within memory for little more than the table, opened from a
# weights file that is mapped, and looked up in its first and last rows. Needs 7 GB of disk and 8 GB of memory.
#
#     large_table.sh MMOEC UNTRAINED WORK         WORK is emptied
set -eu
mmoec=$1 untrained=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
cd "$work"
trap 'rm -rf "$work"' EXIT
rows=34000000

cat > pipeline.config << C
data_config {
  input_type: CSVInput separator: "," label_fields: "y"
  input_fields { input_name: "y" input_type: INT32 }
  input_fields { input_name: "item" input_type: INT32 }
}
feature_configs { input_names: "item" num_buckets: $rows embedding_dim: 16 }
model_config {
  model_class: "MMoE"
  feature_groups { group_name: "all" feature_names: "item" wide_deep: DEEP }
  mmoe {
    expert_dnn { hidden_units: 8 } num_expert: 2
    task_towers { tower_name: "ctr" label_name: "y" }
  }
}
C
"$untrained" . 1 1
printf '1,%s\n' 0 1 16777216 33554431 33554432 33999998 33999999 34000000 -1 > rows.csv
"$mmoec" score . --rows rows.csv --engine reference > want.csv

began=$(date +%s)
(ulimit -v 3600000 && "$mmoec" compile . --from rows --weights-in file -o large.so)
echo "compiled in $(($(date +%s) - began)) s, $(wc -c < large.weights) bytes of weights, in less than 3.6 GB of memory"
began=$(date +%s)
"$mmoec" score large.so --rows rows.csv > have.csv
echo "opened, digest and all, and scored in $(($(date +%s) - began)) s"
paste -d , want.csv have.csv | awk -F , '
    NR > 1 { n++; d = $1 > $2 ? $1 - $2 : $2 - $1; if (d > 1e-6) bad = 1; if (!seen[$1]++) different++ }
    END { print n " rows, " different " different scores"; exit bad || n != 9 || different < 8 }' || {
    paste want.csv have.csv
    echo "FAILED: other scores"
    exit 1
}
