/* conformance.c: the suite that every log must pass, on a real broker. */
#include <criterion/criterion.h>

#include "support_kafka.h"

TestSuite(log_kafka, .timeout = 120);

#define X(name)                           \
    Test(log_kafka, name) {               \
        log_conform_##name(kafka_kind()); \
    }
LOG_CONFORMANCE(X)
LOG_CONFORMANCE_THREADS(X)
#undef X
