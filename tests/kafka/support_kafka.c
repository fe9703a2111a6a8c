/* support_kafka.c: what the tests on a real broker share. */
#include "support_kafka.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *kafka_address(void) {
    const char *address = getenv("MR_KAFKA");
    if (address != NULL && address[0] != '\0') return address;
    (void)puts("MR_KAFKA is not set"); /* CTest looks for it */
    (void)fflush(stdout);
    cr_skip_test("MR_KAFKA is not set");
}

static void warn_only(void *self, mri_level level, const char *text) {
    (void)self;
    if (level >= MRI_WARN) (void)fprintf(stderr, "%s\n", text);
}

const mri_env *kafka_env(void) {
    static mri_env env;
    env = *mri_env_real();
    env.log = warn_only;
    return &env;
}

mri_log *kafka_open(const char *const *settings) {
    const mri_kafka_config config = {
        .bootstrap = kafka_address(), .pipeline = "tests", .settings = settings};
    mri_log *log = NULL;
    mr_error err = {0};
    cr_assert_eq(mri_kafka_open(&config, kafka_env(), &log, &err), MR_OK, "%s", err.text);
    return log;
}

/* Deletes the topics whose names start with `prefix`; the groups of the tests expire by themselves.
 */
void kafka_delete(const char *prefix) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", kafka_address(), text, sizeof text),
                 RD_KAFKA_CONF_OK, "%s", text);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cr_assert_not_null(rk, "%s", text);
    const struct rd_kafka_metadata *metadata = NULL;
    cr_assert_eq(rd_kafka_metadata(rk, 1, NULL, &metadata, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_DeleteTopic_t *topics[64];
    size_t count = 0;
    for (int i = 0; i < metadata->topic_cnt && count < 64; i++) {
        const char *name = metadata->topics[i].topic;
        if (strncmp(name, prefix, strlen(prefix)) != 0) continue;
        topics[count++] = rd_kafka_DeleteTopic_new(name);
    }
    if (count > 0) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
        rd_kafka_DeleteTopics(rk, topics, count, NULL, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
        if (event != NULL) rd_kafka_event_destroy(event);
        rd_kafka_queue_destroy(queue);
        rd_kafka_DeleteTopic_destroy_array(topics, count);
    }
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(rk);
}

static mri_log *kind_open(void *self) {
    (void)self;
    return kafka_open(NULL);
}

static mri_log *kind_restart(void *self, mri_log *log) {
    log->ops->close(log);
    return kind_open(self);
}

static char kind_prefix[64];

static void kind_close(void *self, mri_log *log) {
    (void)self;
    log->ops->close(log);
    kafka_delete(kind_prefix);
}

const log_kind *kafka_kind(void) {
    static log_kind kind = {
        .open = kind_open, .restart = kind_restart, .close = kind_close, .prefix = kind_prefix};
    const mri_env *env = mri_env_real();
    (void)snprintf(kind_prefix, sizeof kind_prefix, "t%lx.%d",
                   (unsigned long)(env->random(env->self) & 0xffffffffu), (int)getpid());
    kind.strict_keys = true;
    kind.fence_aborts = true;
    return &kind;
}

char *kafka_run(const char *command) {
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    size_t size = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    cr_assert_not_null(text);
    for (;;) {
        const size_t got = fread(text + size, 1, capacity - size - 1, pipe);
        if (got == 0) break;
        size += got;
        if (capacity - size > 1) continue;
        capacity *= 2;
        text = realloc(text, capacity);
        cr_assert_not_null(text);
    }
    text[size] = '\0';
    cr_assert_eq(pclose(pipe), 0, "%s", command);
    return text;
}

char *kafka_kcat_read(const char *topic, uint32_t partition, const char *isolation) {
    char command[512];
    (void)snprintf(command, sizeof command,
                   "kcat -q -b %s -C -t %s -p %u -o beginning -e -X isolation.level=%s -f '%%s\\n'",
                   kafka_address(), topic, (unsigned)partition, isolation);
    return kafka_run(command);
}

uint32_t kafka_lines(const char *text) {
    uint32_t lines = 0;
    for (; *text != '\0'; text++) {
        if (*text == '\n') lines++;
    }
    return lines;
}
