# SPDX-License-Identifier: Apache-2.0
"""saved_model.py DIR

M1 with its 17 features as a SavedModel of TensorFlow's, from the checkpoint in DIR that bench_prepare wrote, as EasyRec
exports it for serving: one tensor a column, strings but for the price. Times it on DIR/rows.csv, on one thread; prints
a line for the table of bench/rows.c. Before, its scores are held against DIR/scores.csv, mmoec's of the same rows.

Timed are calls of the model's signature from Python, with tensors made before, by the process's own clock.
"""
import csv
import os
import statistics
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf

BATCHES = (1, 16, 64, 256, 1024)
TOLERANCE = 5e-6                    # between probabilities: both sides' rounding, and that of CSV's digits
COLUMNS = ("user_id cms_segid cms_group_id age_level pvalue_level shopping_level occupation new_user_class_level "
           "adgroup_id cate_id campaign_id customer brand price pid tag_category_list tag_brand_list").split()
TOWERS = ("ctr", "cvr")
EPSILON = 1e-3                      # of batch norms
WARM, ROUNDS = 2, 21


class Ranker(tf.Module):
    def __init__(self, prefix):
        super().__init__()
        reader = tf.train.load_checkpoint(prefix)
        self.value = {name: tf.Variable(reader.get_tensor(name), trainable=False)
                      for name in reader.get_variable_to_shape_map()}

    def feature(self, column, x):
        table = self.value[f"input_layer/{column}_embedding/embedding_weights"]
        buckets = table.shape[0]
        if column == "price":
            inside = tf.logical_and(x >= 0, x < buckets)
            return tf.nn.embedding_lookup(table, tf.where(inside, x, 0))
        if column.startswith("tag_"):
            tags = tf.strings.split(x, "|").to_sparse()
            ids = tf.SparseTensor(tags.indices, tf.strings.to_hash_bucket_fast(tags.values, buckets), tags.dense_shape)
            return tf.nn.safe_embedding_lookup_sparse(table, ids, combiner="sum")
        return tf.nn.embedding_lookup(table, tf.strings.to_hash_bucket_fast(x, buckets))

    def layer(self, x, name):
        x = tf.nn.bias_add(tf.matmul(x, self.value[f"{name}/kernel"]), self.value[f"{name}/bias"])
        if f"{name}/bn/gamma" not in self.value:
            return x
        gamma, beta, mean, variance = (self.value[f"{name}/bn/{part}"]
                                       for part in ("gamma", "beta", "moving_mean", "moving_variance"))
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, EPSILON)

    def deep(self, x, name):
        for k in range(4):
            x = tf.nn.relu(self.layer(x, f"{name}/dnn_{k}"))
        return x

    def score(self, columns):
        x = tf.concat([self.feature(c, columns[c]) for c in COLUMNS], axis=1)
        experts = tf.stack([self.deep(x, f"mmoe/expert_{k}") for k in range(4)], axis=1)
        probabilities = {}
        for task, tower in enumerate(TOWERS):
            gate = tf.nn.softmax(self.layer(x, f"mmoe/gate_{task}/dnn"))
            mixed = tf.reduce_sum(experts * gate[:, :, None], axis=1)
            logit = self.layer(self.deep(mixed, tower), f"dnn_output_{task}")
            probabilities[f"probs_{tower}"] = tf.sigmoid(logit[:, 0])
        return probabilities


def export(checkpoint, to):
    ranker = Ranker(checkpoint)
    specs = {c: tf.TensorSpec([None], tf.int32 if c == "price" else tf.string, name=c) for c in COLUMNS}
    signature = tf.function(lambda **columns: ranker.score(columns)).get_concrete_function(**specs)
    tf.saved_model.save(ranker, to, signatures=signature)


def read_rows(path):
    with open(path, newline="") as file:
        fields = list(zip(*csv.reader(file)))[2:]           # without labels
    return {c: np.array(f, dtype=np.int32) if c == "price" else np.array(f, dtype=object)
            for c, f in zip(COLUMNS, fields)}


def tensors(rows, begin, n):
    return {c: tf.constant(v[begin:begin + n]) for c, v in rows.items()}


def compare(score, rows, path):
    with open(path, newline="") as file:
        want = list(csv.DictReader(file))
    got = score(**tensors(rows, 0, len(want)))
    for name, values in got.items():
        worst = max(abs(float(w[name]) - float(g)) for w, g in zip(want, values.numpy()))
        if not worst <= TOLERANCE:
            sys.exit(f"saved_model.py: {name} is off by {worst:.2g}")


def microseconds_a_row(score, rows, n):
    """In calls of n rows; the median over rounds of all rows, or of 64 calls."""
    calls = [tensors(rows, begin, n) for begin in range(0, len(rows["price"]), n)][:64]
    times = []
    for _ in range(WARM + ROUNDS):
        begin = time.process_time()
        for call in calls:
            score(**call)
        times.append((time.process_time() - begin) / (len(calls) * n))
    return 1e6 * statistics.median(times[WARM:])


def digits(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def main():
    work = sys.argv[1]
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    export(os.path.join(work, "model.ckpt-1"), os.path.join(work, "saved_model"))
    score = tf.saved_model.load(os.path.join(work, "saved_model")).signatures["serving_default"]
    rows = read_rows(os.path.join(work, "rows.csv"))
    compare(score, rows, os.path.join(work, "scores.csv"))
    cells = " | ".join(digits(microseconds_a_row(score, rows, n)) for n in BATCHES)
    print(f"| TensorFlow {tf.__version__} | {cells} |")


main()
