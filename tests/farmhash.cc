// SPDX-License-Identifier: Apache-2.0
// farmhash.cc: Google's implementation, for comparison.
#include <farmhash.h>

extern "C" unsigned long long farmhash_fingerprint(const char *bytes, size_t n)
{
    return util::Fingerprint64(bytes, n);
}
