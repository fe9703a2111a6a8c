/* hash.c: hashes whose values other systems depend on. */
#include "base/hash.h"

#include <string.h>

uint32_t mri_murmur2(const void *data, size_t size) {
    const uint32_t m = 0x5bd1e995u;
    const uint8_t *bytes = data;
    uint32_t hash = 0x9747b28cu ^ (uint32_t)size;
    size_t at = 0;
    for (; at + 4 <= size; at += 4) {
        uint32_t k = (uint32_t)bytes[at] | (uint32_t)bytes[at + 1] << 8 |
                     (uint32_t)bytes[at + 2] << 16 | (uint32_t)bytes[at + 3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        hash = hash * m ^ k;
    }
    const size_t rest = size - at;
    if (rest >= 3) hash ^= (uint32_t)bytes[at + 2] << 16;
    if (rest >= 2) hash ^= (uint32_t)bytes[at + 1] << 8;
    if (rest >= 1) {
        hash ^= bytes[at];
        hash *= m;
    }
    hash ^= hash >> 13;
    hash *= m;
    return hash ^ hash >> 15;
}

uint32_t mri_partition_murmur2(const void *key, size_t size, uint32_t partitions) {
    return (mri_murmur2(key, size) & 0x7fffffffu) % partitions;
}

uint32_t mri_crc32(const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

uint64_t mri_fnv64(uint64_t seed, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        seed = (seed ^ bytes[i]) * 0x100000001b3u;
    }
    return seed;
}

uint64_t mri_crc64_avro(const void *data, size_t size) {
    const uint64_t empty = 0xc15d213aa4d7a795u;
    const uint8_t *bytes = data;
    uint64_t crc = empty;
    for (size_t i = 0; i < size; i++) {
        uint64_t low = (crc ^ bytes[i]) & 0xff;
        for (int bit = 0; bit < 8; bit++) {
            low = low >> 1 ^ (low & 1 ? empty : 0);
        }
        crc = crc >> 8 ^ low;
    }
    return crc;
}

static uint32_t rotate(uint32_t x, int by) {
    return x >> by | x << (32 - by);
}

static void sha256_block(uint32_t *h, const uint8_t *block) {
    /* FIPS 180-4: the first 32 bits of the fractional parts of the cube roots of the first primes
     */
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[64];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    uint32_t v[8];
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        const uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        const uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        const uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        const uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        h[i] += v[i];
    }
}

void mri_sha256(const void *data, size_t size, uint8_t *out) {
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const uint8_t *bytes = data;
    size_t at = 0;
    for (; at + 64 <= size; at += 64) {
        sha256_block(h, bytes + at);
    }
    uint8_t tail[128] = {0};
    const size_t rest = size - at;
    if (rest > 0) memcpy(tail, bytes + at, rest);
    tail[rest] = 0x80;
    const size_t tail_size = rest < 56 ? 64 : 128;
    const uint64_t bits = (uint64_t)size * 8;
    for (size_t i = 0; i < 8; i++) {
        tail[tail_size - 1 - i] = (uint8_t)(bits >> (8 * i));
    }
    for (size_t i = 0; i < tail_size; i += 64) {
        sha256_block(h, tail + i);
    }
    for (size_t i = 0; i < 32; i++) {
        out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    }
}
