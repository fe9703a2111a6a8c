/* hash.c: hashes with a fixed meaning, against numbers that others publish. */
#include "base/hash.h"

#include <criterion/criterion.h>
#include <string.h>

/* Values of org.apache.kafka.common.utils.Utils.murmur2, printed by Kafka's own client library. */
static const struct {
    const char *key;
    int32_t hash;
} murmur[] = {
    {"21", -973932308},
    {"foobar", -790332482},
    {"a-little-bit-long-string", -985981536},
    {"a-little-bit-longer-string", -1486304829},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
    {"abc", 479470107},
    {"", 275646681},
    {"BTCUSDT", -841713390},
    {"BTC/EUR", 803719183},
    {"k", -1567496736},
};

Test(hash, murmur2_is_that_of_the_java_clients) {
    for (size_t i = 0; i < sizeof murmur / sizeof murmur[0]; i++) {
        const size_t size = strlen(murmur[i].key);
        cr_assert_eq((int32_t)mri_murmur2(murmur[i].key, size), murmur[i].hash, "%s",
                     murmur[i].key);
        const uint32_t positive = (uint32_t)murmur[i].hash & 0x7fffffffu;
        for (uint32_t n = 1; n <= 64; n++) {
            cr_assert_eq(mri_partition_murmur2(murmur[i].key, size, n), positive % n);
        }
    }
}

Test(hash, check_values_of_the_others) {
    cr_assert_eq(mri_crc32("123456789", 9), 0xcbf43926u);
    cr_assert_eq(mri_fnv64(MRI_FNV64, "", 0), MRI_FNV64);
    cr_assert_eq(mri_fnv64(MRI_FNV64, "foobar", 6), 0x85944171f73967e8u);
    cr_assert_eq(mri_fnv64(mri_fnv64(MRI_FNV64, "foo", 3), "bar", 3), 0x85944171f73967e8u);
    static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                    0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                    0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t out[32];
    mri_sha256("abc", 3, out);
    cr_assert(memcmp(out, abc, sizeof abc) == 0);
}
