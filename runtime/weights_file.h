// SPDX-License-Identifier: Apache-2.0
/* weights_file.h: the file of weights beside generated code; mmoec writes it, libmmoe reads it.
 *
 *   0    magic            8 bytes
 *   8    abi, n_expected  uint32 each
 *   16   weight_floats    uint64, as two uint32, the low one first
 *   24   table_floats     uint64, likewise: 0 unless the model takes rows
 *   32   structure        32 bytes of SHA-256: must be the record's
 *   64   weights digest   32 bytes: SHA-256 of the numbers as they lie here
 *   96   tables digest    32 bytes: SHA-256 of the record's rows_structure and the tables; zeros if it takes no rows
 *   128  expected         [n_expected] uint32: the self test's
 *   ...  zeros            to a multiple of 64
 *   ...  numbers          [weight_floats] floats
 *   ...  zeros            to a multiple of 4096, if there are tables
 *   ...  tables           [table_floats] floats, up to the end of the file
 *
 * All little-endian. No offset or count in it is trusted: the record of the code says what must be
 * there, and where; what the file says of itself is compared with that. Code that takes no rows leaves the tables alone.
 */
#ifndef MMOE_WEIGHTS_FILE_H
#define MMOE_WEIGHTS_FILE_H

#include <stddef.h>
#include <stdint.h>

#define WEIGHTS_MAGIC "MMOEWGT\1"

struct weights_header {
    char magic[8];
    uint32_t abi, n_expected, weight_floats[2], table_floats[2];
    unsigned char structure[32], weights_digest[32], tables_digest[32];
};

/* Where the numbers begin: at a multiple of 64, so that a file that is mapped has them aligned. */
static inline size_t weights_file_numbers(uint32_t n_expected)
{
    return (sizeof(struct weights_header) + (size_t)n_expected * 4 + 63) / 64 * 64;
}

/* Where the tables begin: at a page, so that they can be mapped apart. */
static inline size_t weights_file_tables(uint32_t n_expected, size_t weight_floats)
{
    return (weights_file_numbers(n_expected) + weight_floats * sizeof(float) + 4095) / 4096 * 4096;
}

#endif
