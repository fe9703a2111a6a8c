/* refusals.c: what is refused, in which words, and how long that takes. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "support_kafka.h"

TestSuite(refusals, .timeout = 120);

static void expect_ensure(mri_log *log, const mri_topic_config *config, mr_status status,
                          const char *const *words) {
    mr_error err = {0};
    uint32_t found = 0;
    cr_assert_eq(log->ops->topic_ensure(log, config, &found, &err), status, "%s", err.text);
    for (; *words != NULL; words++) {
        cr_assert_not_null(strstr(err.text, *words), "'%s' is not in: %s", *words, err.text);
    }
}

Test(refusals, a_topic_with_another_count_names_both_numbers) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "three", 3, false);
    mri_topic_config config = {.name = log_name(kind, "three"), .partitions = 5};
    expect_ensure(log, &config, MR_ERR_TOPIC,
                  (const char *[]){config.name, "has 3 partitions", "says 5", "; ", NULL});
    config = (mri_topic_config){.name = log_name(kind, "three"), .partitions = 3};
    config.compacted = true;
    expect_ensure(log, &config, MR_ERR_TOPIC,
                  (const char *[]){config.name, "compacted", "cleanup.policy", NULL});
    config =
        (mri_topic_config){.name = log_name(kind, "copies"), .partitions = 1, .replication = 77};
    expect_ensure(log, &config, MR_ERR_TOPIC, (const char *[]){config.name, "eplication", NULL});
    config = (mri_topic_config){.name = log_name(kind, "config"),
                                .partitions = 1,
                                .config = (const char *const[]){"no.such", "thing", NULL}};
    expect_ensure(log, &config, MR_ERR_TOPIC, (const char *[]){config.name, "no.such", NULL});
    kind->close(kind->self, log);
}

Test(refusals, settings_of_a_topic_reach_the_broker) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    const mri_topic_config config = {.name = log_name(kind, "small"),
                                     .partitions = 2,
                                     .retention_bytes = 4000000,
                                     .config =
                                         (const char *const[]){"max.message.bytes", "2000", NULL}};
    mr_error err = {0};
    uint32_t found = 0;
    cr_assert_eq(log->ops->topic_ensure(log, &config, &found, &err), MR_OK, "%s", err.text);
    char value[4000];
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (char)((i * 2654435761u) >> 11);
    }
    mri_record record = log_record("k", "v");
    record.value = value;
    record.value_size = sizeof value;
    cr_assert_eq(log->ops->publish(log, config.name, 0, &record, 1, &err), MR_ERR_LIMIT, "%s",
                 err.text);
    cr_assert_not_null(strstr(err.text, config.name), "%s", err.text);
    /* A bar that is still open lies in the future. */
    record = log_record("k", "v");
    record.timestamp_ms = 4102444800000;
    cr_assert_eq(log->ops->publish(log, config.name, 0, &record, 1, &err), MR_OK, "%s", err.text);
    kind->close(kind->self, log);
}

Test(refusals, no_broker_is_told_in_time_and_with_the_reason) {
    (void)kafka_address();
    const mri_kafka_config config = {
        .bootstrap = "127.0.0.1:1", .pipeline = "tests", .connect_timeout_us = 2000000};
    const mri_env *env = kafka_env();
    const int64_t began = env->now_us(env->self);
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(mri_kafka_open(&config, env, &log, &err), MR_ERR_BUSY, "%s", err.text);
    const int64_t took = env->now_us(env->self) - began;
    cr_assert(took > 1500000 && took < 8000000, "%lld us", (long long)took);
    const char *const words[] = {"no broker answered at 127.0.0.1:1 within 2 s",
                                 "Connection refused", "is Kafka running?"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert_not_null(strstr(err.text, words[i]), "%s", err.text);
    }
}

/* Lines of the log, to look for what must not be in them. */
static char lines[1 << 20];
static atomic_size_t lines_size;

static void keep_line(void *self, mri_level level, const char *text) {
    (void)self;
    (void)level;
    const size_t size = strlen(text), at = atomic_fetch_add(&lines_size, size);
    if (at + size < sizeof lines) memcpy(lines + at, text, size);
}

static mr_status try_settings(const char *const *settings, mr_error *err) {
    mri_env env = *mri_env_real();
    env.log = keep_line;
    const mri_kafka_config config = {.bootstrap = kafka_address(),
                                     .pipeline = "tests",
                                     .settings = settings,
                                     .connect_timeout_us = 1500000};
    mri_log *log = NULL;
    const mr_status status = mri_kafka_open(&config, &env, &log, err);
    if (status == MR_OK) log->ops->close(log);
    return status;
}

Test(refusals, settings_that_the_runtime_owns_or_nobody_knows) {
    static const char *const cases[][3] = {
        {"transactional.id", "x", "--instance"},
        {"isolation.level", "read_uncommitted", "exactly-once"},
        {"enable.auto.commit", "true", "with the outputs"},
        {"auto.offset.reset", "latest", "lose records"},
        {"bootstrap.servers", "elsewhere:9092", "--log"},
        {"test.mock.num.brokers", "3", "mock"},
        {"rebalance_cb", "x", "no text"},
        {"fetch.wait.max.sm", "10", "knows no property"},
        {"fetch.wait.max.ms", "soon", "fetch.wait.max.ms"},
        {"session.timeout.ms", "-1", "session.timeout.ms"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const settings[] = {"client.rack", "a", cases[i][0], cases[i][1], NULL};
        mr_error err = {0};
        cr_assert_eq(try_settings(settings, &err), MR_ERR_SPEC, "%s: %s", cases[i][0], err.text);
        cr_assert_not_null(strstr(err.text, cases[i][0]), "%s", err.text);
        cr_assert_not_null(strstr(err.text, cases[i][2]), "%s: %s", cases[i][0], err.text);
    }
}

Test(refusals, a_secret_stands_in_no_text) {
    static const char secret[] = "canary-7f3a9";
    const char *const talk[] = {"security.protocol",
                                "sasl_plaintext",
                                "sasl.mechanism",
                                "PLAIN",
                                "sasl.username",
                                "u",
                                "sasl.password",
                                secret,
                                "debug",
                                "all",
                                NULL};
    mr_error err = {0};
    cr_assert_neq(try_settings(talk, &err), MR_OK, "the broker speaks no SASL");
    cr_assert_null(strstr(err.text, secret), "%s", err.text);
    const char *const bad[] = {"ssl.key.pem", secret, "security.protocol", "ssl", NULL};
    cr_assert_neq(try_settings(bad, &err), MR_OK);
    cr_assert_null(strstr(err.text, secret), "%s", err.text);
    cr_assert_gt(atomic_load(&lines_size), 1000u, "debug lines were written");
    lines[sizeof lines - 1] = '\0';
    cr_assert_null(strstr(lines, secret));
}

/* Keys go where the Java clients and kcat put them. */
Test(refusals, murmur2_places_keys_as_other_clients_do) {
    const log_kind *kind = kafka_kind();
    mri_log *log = kind->open(kind->self);
    log_topic(kind, log, "keys", 7, false);
    static const char *const keys[] = {"BTCUSDT", "BTC/EUR", "k", "21", "foobar", "abc"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char command[512];
        (void)snprintf(command, sizeof command,
                       "printf '%s:v\\n' | kcat -q -b %s -P -t %s -K: -X "
                       "topic.partitioner=murmur2_random",
                       keys[i], kafka_address(), log_name(kind, "keys"));
        free(kafka_run(command));
        const uint32_t partition = mri_partition_murmur2(keys[i], strlen(keys[i]), 7);
        char wanted[32];
        (void)snprintf(wanted, sizeof wanted, "%s\n", keys[i]);
        (void)snprintf(command, sizeof command,
                       "kcat -q -b %s -C -t %s -p %u -o beginning -e -f '%%k\\n'", kafka_address(),
                       log_name(kind, "keys"), (unsigned)partition);
        char *found = kafka_run(command);
        cr_assert_not_null(strstr(found, wanted), "%s is not in partition %u", keys[i], partition);
        free(found);
    }
    kind->close(kind->self, log);
}
