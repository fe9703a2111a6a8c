/* hash.h: hashes with a fixed meaning. */
#ifndef MRI_HASH_H
#define MRI_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Kafka's murmur2 with seed 0x9747b28c, as the Java clients use it. */
uint32_t mri_murmur2(const void *data, size_t size);
/* partition = (murmur2(key) & 0x7fffffff) % partitions. */
uint32_t mri_partition_murmur2(const void *key, size_t size, uint32_t partitions);
/* CRC-32 (zlib's polynomial), librdkafka's "consistent". */
uint32_t mri_crc32(const void *data, size_t size);
/* CRC-32C, chained through `seed`; start with 0. */
uint32_t mri_crc32c(uint32_t seed, const void *data, size_t size);
/* 64-bit FNV-1a, chained through `seed`; start with MRI_FNV64. */
#define MRI_FNV64 0xcbf29ce484222325u
uint64_t mri_fnv64(uint64_t seed, const void *data, size_t size);
/* CRC-64-AVRO (Rabin fingerprint of the Avro specification). */
uint64_t mri_crc64_avro(const void *data, size_t size);
/* SHA-256; out has 32 bytes. */
void mri_sha256(const void *data, size_t size, uint8_t *out);

#endif
