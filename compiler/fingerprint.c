// SPDX-License-Identifier: Apache-2.0
/* fingerprint.c: the template of that name as functions of the compiler. */
#include "mmoec.h"
#include "../templates/fingerprint.c"

uint64_t fingerprint64(const void *bytes, size_t length) { return fp_hash(bytes, length); }

uint64_t fingerprint_cat(uint64_t a, uint64_t b) { return fp_cat(a, b); }
