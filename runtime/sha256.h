// SPDX-License-Identifier: Apache-2.0
/* sha256.h: SHA-256 of bytes that come at once or in pieces. Digests name the structure of a model
 * and its weights, so that an equal digest may stand for equal bytes.
 */
#ifndef MMOE_SHA256_H
#define MMOE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;          /* so far */
    unsigned char block[64]; /* the last bytes % 64 of them wait here */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *bytes, size_t length);
void sha256_final(struct sha256 *s, unsigned char digest[32]);

void sha256(const void *bytes, size_t length, unsigned char digest[32]);

#endif
