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

/* FIPS 180-4, 6.2.2 for n blocks of 64 bytes: plainly, and by the processor's own instructions where sha256_x86_runs() says
   that it has them. The functions above choose. */
void sha256_blocks_plain(uint32_t h[8], const unsigned char *blocks, size_t n);
void sha256_blocks_x86(uint32_t h[8], const unsigned char *blocks, size_t n);
int sha256_x86_runs(void);

extern const uint32_t sha256_constants[64];

#endif
