// SPDX-License-Identifier: Apache-2.0
/* weights_file.h: the file of weights beside generated code; mmoec writes it, libmmoe reads it.
 *
 *   0    magic            8 bytes
 *   8    abi, n_expected  uint32 each
 *   16   weight_floats    uint64, as two uint32, the low one first
 *   24   zeros            to 32
 *   32   structure        32 bytes of SHA-256: must be the record's
 *   64   weights digest   32 bytes: SHA-256 of the numbers as they lie here
 *   96   zeros            to 128
 *   128  expected         [n_expected] uint32: the self test's
 *   ...  zeros            to a multiple of 64
 *   ...  numbers          [weight_floats] floats, up to the end of the file
 *
 * All little-endian. No offset or count in it is trusted: the record of the code says what must be
 * there, and where; what the file says of itself is compared with that.
 */
#ifndef MMOE_WEIGHTS_FILE_H
#define MMOE_WEIGHTS_FILE_H

#include <stddef.h>
#include <stdint.h>

#define WEIGHTS_MAGIC "MMOEWGT\1"

struct weights_header {
    char magic[8];
    uint32_t abi, n_expected, weight_floats[2], zeros[2];
    unsigned char structure[32], weights_digest[32], more_zeros[32];
};

/* Where the numbers begin: at a multiple of 64, so that a file that is mapped has them aligned. */
static inline size_t weights_file_numbers(uint32_t n_expected)
{
    return (sizeof(struct weights_header) + (size_t)n_expected * 4 + 63) / 64 * 64;
}

#endif
