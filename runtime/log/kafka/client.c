/* client.c: handles of librdkafka: whose settings they get, where their log lines go, how they end.
 *
 * librdkafka never writes to stderr here. Its lines pass mri_env at debug or warn, at most a few
 * warnings per handle and ten seconds, and without the values of secret settings. */
#include "log/kafka/kafka.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"

enum {
    LINES_MAX = 20,
    LINES_WINDOW_US = 10 * 1000 * 1000,
    LINE_ERROR = 3, /* as syslog counts */
    SECRET_BYTES_MIN = 4,
    PAUSE_NS = 50000000
};

/* What exactly-once rests on, and what comes from elsewhere. */
static const struct {
    const char *name, *why;
} owned[] = {
    {"bootstrap.servers", "the address stands in --log or log:"},
    {"metadata.broker.list", "the address stands in --log or log:"},
    {"group.id", "it is made of the names of the pipeline and the stage"},
    {"group.instance.id", "use --instance"},
    {"group.protocol", "millrace needs the classic protocol"},
    {"group.remote.assignor", "millrace needs the classic protocol"},
    {"transactional.id", "use --instance"},
    {"transaction.timeout.ms", "exactly-once rests on it"},
    {"enable.idempotence", "exactly-once rests on it"},
    {"enable.gapless.guarantee", "exactly-once rests on it"},
    {"acks", "exactly-once rests on it"},
    {"request.required.acks", "exactly-once rests on it"},
    {"enable.auto.commit", "offsets are committed with the outputs"},
    {"auto.commit.enable", "offsets are committed with the outputs"},
    {"auto.commit.interval.ms", "offsets are committed with the outputs"},
    {"enable.auto.offset.store", "offsets are committed with the outputs"},
    {"auto.offset.reset", "a silent reset would lose records"},
    {"isolation.level", "exactly-once rests on it"},
    {"enable.partition.eof", "millrace sets it"},
    {"partitioner", "use partitioner: of the topic"},
    {"delivery.report.only.error", "millrace sets it"},
    {"produce.offset.report", "millrace sets it"},
    {"allow.auto.create.topics", "topics are created as they are declared"},
    {"log.queue", "millrace sets it"},
    {"enabled_events", "millrace sets it"},
    {"opaque", "millrace sets it"},
    {"interceptors", "it is no text"},
    {"default_topic_conf", "it is no text"},
    {"test.mock.num.brokers", "librdkafka's mock brokers know no transactions"},
    {"test.mock.broker.rtt", "librdkafka's mock brokers know no transactions"},
};

static const struct kafka_pair common_defaults[] = {
    {"socket.keepalive.enable", "true"}, {"socket.nagle.disable", "true"},
    {"log.connection.close", "false"},   {"reconnect.backoff.max.ms", "1000"},
    {"retry.backoff.ms", "5"},           {NULL, NULL},
};
static const struct kafka_pair reader_defaults[] = {
    {"fetch.wait.max.ms", "1"}, /* the answer that tells of the end is held for so long */
    {"queued.max.messages.kbytes", "16384"},
    {"check.crcs", "true"},
    {"fetch.error.backoff.ms", "50"},
    {NULL, NULL},
};
static const struct kafka_pair reader_fixed[] = {
    {"isolation.level", "read_committed"}, {"enable.auto.commit", "false"},
    {"auto.offset.reset", "earliest"},     {"enable.partition.eof", "true"},
    {"allow.auto.create.topics", "false"}, {NULL, NULL},
};
static const struct kafka_pair consumer_defaults[] = {
    {"fetch.wait.max.ms", "20"},
    {"check.crcs", "true"},
    {"fetch.error.backoff.ms", "100"},
    {"fetch.queue.backoff.ms", "5"},
    {"session.timeout.ms", "10000"},
    {"heartbeat.interval.ms", "1000"},
    {NULL, NULL},
};
static const struct kafka_pair consumer_fixed[] = {
    {"isolation.level", "read_committed"},
    {"enable.auto.commit", "false"},
    {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},
    {"enable.auto.offset.store", "false"},
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};
/* What is sent in a transaction is seen at its commit, which flushes it without a wait: until then few
 * large batches cost the broker less than many small ones. Who commits nothing sets his own. */
static const struct kafka_pair producer_defaults[] = {
    {"linger.ms", "5"},
    {"retry.backoff.ms", "5"},
    {"queue.buffering.max.kbytes", "65536"},
    {"message.max.bytes", "17825792"},
    {"queue.buffering.max.messages", "500000"},
    {NULL, NULL},
};
static const struct kafka_pair producer_fixed[] = {
    {"enable.idempotence", "true"},
    {"delivery.report.only.error", "false"}, /* flush() wakes on reports only */
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};

static const struct {
    const char *name;
    const struct kafka_pair *defaults, *fixed;
} roles[] = {
    [KAFKA_READER] = {"reader", reader_defaults, reader_fixed},
    [KAFKA_PUBLISHER] = {"publisher", producer_defaults, producer_fixed},
    [KAFKA_CONSUMER] = {"consumer", consumer_defaults, consumer_fixed},
    [KAFKA_PRODUCER] = {"producer", producer_defaults, producer_fixed},
};

/* --- texts ------------------------------------------------------------------------------------ */

void mri_kafka_redact(const struct kafka_log *log, char *text) {
    if (log->secrets == NULL) return;
    for (char *const *secret = log->secrets; *secret != NULL; secret++) {
        const size_t size = strlen(*secret);
        for (char *at = strstr(text, *secret); at != NULL; at = strstr(at, *secret)) {
            memcpy(at, "***", 3);
            memmove(at + 3, at + size, strlen(at + size) + 1);
            at += 3;
        }
    }
}

mr_status mri_kafka_fail(const struct kafka_log *log, mr_error *err, mr_status status,
                         const char *format, ...) {
    if (err == NULL) return status;
    *err = (mr_error){.status = status};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    mri_kafka_redact(log, err->text);
    return status;
}

void mri_kafka_last_error(struct kafka_log *log, char *out, size_t size) {
    (void)pthread_mutex_lock(&log->line_lock);
    (void)snprintf(out, size, "%s",
                   log->last_error[0] != '\0' ? log->last_error : "no answer to the connection");
    (void)pthread_mutex_unlock(&log->line_lock);
}

/* "[thrd:host:1/bootstrap]: host:1/bootstrap: Connect ..." from "Connect" on. */
static const char *client_core_text(const char *text) {
    const char *end = NULL;
    if (strncmp(text, "[thrd:", 6) == 0) end = strstr(text, "]: ");
    if (end != NULL) text = end + 3;
    end = strstr(text, ": ");
    if (end != NULL && memchr(text, ' ', (size_t)(end - text)) == NULL) text = end + 2;
    return text;
}

/* Whether this line may be written; counts it. */
static bool client_line_allowed(struct kafka_client *client, uint32_t *kept_back) {
    struct kafka_log *log = client->log;
    const int64_t now = kafka_now(log);
    *kept_back = 0;
    if (now - client->lines_since_us >= LINES_WINDOW_US) {
        if (client->lines > LINES_MAX) *kept_back = client->lines - LINES_MAX;
        client->lines_since_us = now;
        client->lines = 0;
    }
    client->lines++;
    return client->lines <= LINES_MAX;
}

/* Called from any thread of librdkafka. */
static void client_on_line(const rd_kafka_t *rk, int level, const char *facility,
                           const char *line) {
    struct kafka_client *client = rk == NULL ? NULL : rd_kafka_opaque(rk);
    if (client == NULL) return;
    struct kafka_log *log = client->log;
    char text[700];
    (void)snprintf(text, sizeof text, "%s", client_core_text(line));
    mri_kafka_redact(log, text);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '"') *c = '\'';
        if ((unsigned char)*c < ' ') *c = ' ';
    }
    /* Handles of one kind are told about settings of the other kind; that is meant so. */
    const bool idle_talk =
        strcmp(facility, "CONFWARN") == 0 &&
        (strstr(text, "ignored by") != NULL || strstr(text, "enable.gapless.guarantee") != NULL);
    const bool trying = strstr(text, ": retrying") != NULL; /* on its own */
    bool warn = level <= 4 && !idle_talk && !trying;
    /* It gives the member id up with that, and no connection has to break. */
    if (warn && strcmp(facility, "SESSTMOUT") == 0) atomic_store(&client->cut_us, kafka_now(log));
    uint32_t kept_back = 0;
    (void)pthread_mutex_lock(&log->line_lock);
    if (warn && strstr(text, "brokers are down") == NULL) {
        (void)snprintf(log->last_error, sizeof log->last_error, "%.250s", text);
    }
    warn = warn && !log->connecting;
    if (warn) warn = client_line_allowed(client, &kept_back);
    (void)pthread_mutex_unlock(&log->line_lock);
    if (kept_back > 0) {
        mri_log_line(log->env, MRI_WARN, "msg=\"librdkafka lines kept back\" count=%u client=%s",
                     (unsigned)kept_back, roles[client->role].name);
    }
    mri_log_line(log->env, warn ? MRI_WARN : MRI_DEBUG,
                 "msg=\"librdkafka says\" text=\"%s\" facility=%s client=%s", text, facility,
                 roles[client->role].name);
}

/* Called by the thread that polls or flushes, once for every record. */
static void client_on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    struct kafka_client *client = opaque;
    struct kafka_failure *failure = &client->failure;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || failure->code != RD_KAFKA_RESP_ERR_NO_ERROR ||
        message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT) {
        return;
    }
    failure->code = message->err;
    failure->partition = message->partition;
    failure->bytes = message->len + message->key_len;
    (void)snprintf(failure->topic, sizeof failure->topic, "%s",
                   message->rkt == NULL ? "?" : rd_kafka_topic_name(message->rkt));
    (void)snprintf(failure->text, sizeof failure->text, "%s", rd_kafka_err2str(message->err));
}

/* Called by the thread that polls or flushes. librdkafka writes no line about these any more. */
static void client_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    struct kafka_client *client = opaque;
    client->cut = true;
    atomic_store(&client->cut_us, kafka_now(client->log));
    (void)code;
    client_on_line(rk, LINE_ERROR, "ERROR", reason);
}

bool mri_kafka_unknown(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

bool mri_kafka_permanent(rd_kafka_resp_err_t code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return true;
    default:
        return mri_kafka_unknown(code);
    }
}

mr_status mri_kafka_delivery(struct kafka_client *client, mr_error *err) {
    const struct kafka_failure *f = &client->failure;
    if (f->code == RD_KAFKA_RESP_ERR_NO_ERROR) return MR_OK;
    const char *hint = "", *acl = mri_kafka_acl(f->code);
    /* A right may be granted while this runs. */
    mr_status status = mri_kafka_permanent(f->code) && acl == NULL ? MR_ERR_TOPIC : MR_ERR_BUSY;
    if (f->code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
        f->code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE) {
        status = MR_ERR_LIMIT;
        hint = "; raise max.message.bytes of the topic";
    } else if (f->code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP) {
        hint = "; raise message.timestamp.after.max.ms or message.timestamp.before.max.ms of the "
               "topic";
    }
    return mri_kafka_fail(client->log, err, status,
                          "topic '%s' partition %d: a record of %zu bytes was not taken: %s%s%s%s",
                          f->topic, (int)f->partition, f->bytes, f->text, hint,
                          acl == NULL ? "" : "; the ACL that is missing: ", acl == NULL ? "" : acl);
}

void mri_kafka_pause(void) {
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    (void)nanosleep(&pause, NULL);
}

/* --- settings --------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end) {
    const size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcmp(text + size - tail, end) == 0;
}

static bool setting_is_secret(const char *name) {
    if (ends_with(name, ".url")) return false;
    return strstr(name, "password") != NULL || strstr(name, "secret") != NULL ||
           strstr(name, "token") != NULL || strstr(name, ".pem") != NULL ||
           strstr(name, "jaas") != NULL || strcmp(name, "sasl.oauthbearer.config") == 0;
}

static char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    return memcpy(mri_malloc(size), text, size);
}

/* `range` keeps a group eager that would be cooperative; all others would part the inputs of a stage,
 * or move what need not move. */
static mr_status check_strategy(const struct kafka_log *log, const char *name, const char *value,
                                mr_error *err) {
    if (strcmp(name, "partition.assignment.strategy") != 0 || strcmp(value, "range") == 0) {
        return MR_OK;
    }
    return mri_kafka_fail(log, err, MR_ERR_SPEC,
                          "kafka: '%s' can only be set to range: inputs of one stage must stay "
                          "together",
                          name);
}

static mr_status setting_check(const struct kafka_log *log, rd_kafka_conf_t *scratch,
                               const char *name, const char *value, mr_error *err) {
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) {
        if (strcmp(owned[i].name, name) == 0) {
            return mri_kafka_fail(log, err, MR_ERR_SPEC, "kafka: '%s' cannot be set here: %s", name,
                                  owned[i].why);
        }
    }
    if (ends_with(name, "_cb")) {
        return mri_kafka_fail(log, err, MR_ERR_SPEC, "kafka: '%s' is no text", name);
    }
    const mr_status status = check_strategy(log, name, value, err);
    if (status != MR_OK) return status;
    char text[256] = "";
    switch (rd_kafka_conf_set(scratch, name, value, text, sizeof text)) {
    case RD_KAFKA_CONF_OK:
        return MR_OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return mri_kafka_fail(log, err, MR_ERR_SPEC,
                              "kafka: librdkafka %s knows no property '%s'; see its "
                              "CONFIGURATION.md",
                              rd_kafka_version_str(), name);
    default:
        return mri_kafka_fail(log, err, MR_ERR_SPEC, "kafka: '%s': %s", name,
                              setting_is_secret(name) ? "librdkafka refuses the value" : text);
    }
}

mr_status mri_kafka_settings(struct kafka_log *log, const char *const *settings, mr_error *err) {
    size_t count = 0, secrets = 0;
    while (settings != NULL && settings[2 * count] != NULL) {
        count++;
    }
    log->settings = mri_calloc(count + 1, sizeof *log->settings);
    log->secrets = mri_calloc(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const char *name = settings[2 * i], *value = settings[2 * i + 1];
        log->settings[i] = (struct kafka_pair){copy_text(name), copy_text(value)};
        if (setting_is_secret(name) && strlen(value) >= SECRET_BYTES_MIN) {
            log->secrets[secrets++] = copy_text(value);
        }
    }
    rd_kafka_conf_t *scratch = rd_kafka_conf_new();
    mr_status status = MR_OK;
    for (size_t i = 0; i < count && status == MR_OK; i++) {
        status = setting_check(log, scratch, log->settings[i].name, log->settings[i].value, err);
    }
    rd_kafka_conf_destroy(scratch);
    return status;
}

const char *mri_kafka_setting(const struct kafka_log *log, const char *name) {
    const char *value = NULL;
    for (const struct kafka_pair *p = log->settings; p != NULL && p->name != NULL; p++) {
        if (strcmp(p->name, name) == 0) value = p->value;
    }
    return value;
}

void mri_kafka_settings_free(struct kafka_log *log) {
    for (struct kafka_pair *p = log->settings; p != NULL && p->name != NULL; p++) {
        free((void *)(uintptr_t)p->name);
        free((void *)(uintptr_t)p->value);
    }
    for (char **secret = log->secrets; secret != NULL && *secret != NULL; secret++) {
        free(*secret);
    }
    free(log->settings);
    free(log->secrets);
}

/* --- handles ---------------------------------------------------------------------------------- */

/* Properties that this librdkafka does not know yet are left out when `lenient`. */
static mr_status conf_set_pairs(const struct kafka_log *log, rd_kafka_conf_t *conf,
                                const struct kafka_pair *pairs, bool lenient, mr_error *err) {
    for (const struct kafka_pair *p = pairs; p != NULL && p->name != NULL; p++) {
        char text[256] = "";
        const rd_kafka_conf_res_t result =
            rd_kafka_conf_set(conf, p->name, p->value, text, sizeof text);
        if (result == RD_KAFKA_CONF_OK || (lenient && result == RD_KAFKA_CONF_UNKNOWN)) continue;
        return mri_kafka_fail(log, err, MR_ERR_SPEC, "kafka: librdkafka %s refuses '%s': %s",
                              rd_kafka_version_str(), p->name,
                              setting_is_secret(p->name) ? "its value" : text);
    }
    return MR_OK;
}

static mr_status client_configure(struct kafka_client *client, rd_kafka_conf_t *conf,
                                  const struct kafka_client_config *config, mr_error *err) {
    struct kafka_log *log = client->log;
    const struct kafka_pair names[] = {{"client.id", log->client_id}, {NULL, NULL}};
    const struct kafka_pair address[] = {{"bootstrap.servers", log->bootstrap}, {NULL, NULL}};
    mr_status status = conf_set_pairs(log, conf, common_defaults, true, err);
    if (status == MR_OK) status = conf_set_pairs(log, conf, names, false, err);
    if (status == MR_OK) {
        status = conf_set_pairs(log, conf, roles[client->role].defaults, true, err);
    }
    if (status == MR_OK) status = conf_set_pairs(log, conf, config->defaults, false, err);
    if (status == MR_OK) status = conf_set_pairs(log, conf, log->settings, false, err);
    if (status == MR_OK) status = conf_set_pairs(log, conf, address, false, err);
    if (status == MR_OK) status = conf_set_pairs(log, conf, roles[client->role].fixed, false, err);
    if (status == MR_OK) status = conf_set_pairs(log, conf, config->fixed, false, err);
    if (status != MR_OK) return status;
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, client_on_line);
    if (client->role == KAFKA_PRODUCER || client->role == KAFKA_PUBLISHER) {
        rd_kafka_conf_set_dr_msg_cb(conf, client_on_delivery);
    }
    if (client->role == KAFKA_PRODUCER || client->role == KAFKA_CONSUMER) {
        rd_kafka_conf_set_error_cb(conf, client_on_error);
    }
    if (client->role == KAFKA_CONSUMER) {
        rd_kafka_conf_set_rebalance_cb(conf, mri_kafka_on_rebalance);
    }
    return MR_OK;
}

mr_status mri_kafka_client_open(struct kafka_log *log, const struct kafka_client_config *config,
                                struct kafka_client **out, mr_error *err) {
    struct kafka_client *client = mri_calloc(1, sizeof *client);
    *client = (struct kafka_client){.log = log, .member = config->member, .role = config->role};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    mr_status status = client_configure(client, conf, config, err);
    if (status == MR_OK) {
        const bool consumes = config->role == KAFKA_READER || config->role == KAFKA_CONSUMER;
        char text[320] = "";
        client->rk =
            rd_kafka_new(consumes ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text, sizeof text);
        if (client->rk != NULL) {
            *out = client;
            return MR_OK;
        }
        status = mri_kafka_fail(log, err, MR_ERR_SPEC, "kafka: librdkafka %s: %s",
                                rd_kafka_version_str(), text);
    }
    rd_kafka_conf_destroy(conf);
    free(client);
    return status;
}

/* Shared by the thread that ends a handle and the one that waits for it; the last one frees. */
struct client_end {
    rd_kafka_t *rk;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done, left;
};

static void client_end_free(struct client_end *end) {
    (void)pthread_cond_destroy(&end->ended);
    (void)pthread_mutex_destroy(&end->lock);
    free(end);
}

static void *client_end_run(void *arg) {
    struct client_end *end = arg;
    rd_kafka_destroy_flags(end->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    (void)pthread_mutex_lock(&end->lock);
    end->done = true;
    const bool left = end->left;
    (void)pthread_cond_signal(&end->ended);
    (void)pthread_mutex_unlock(&end->lock);
    if (left) client_end_free(end);
    return NULL;
}

/* False: it did not end in time and lives on. */
static bool client_end(rd_kafka_t *rk) {
    struct client_end *end = mri_calloc(1, sizeof *end);
    end->rk = rk;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&end->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&end->lock, NULL);
    pthread_t thread;
    if (pthread_create(&thread, NULL, client_end_run, end) != 0) {
        (void)client_end_run(end);
        client_end_free(end);
        return true;
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KAFKA_END_US / 1000000;
    (void)pthread_mutex_lock(&end->lock);
    int waited = 0;
    while (!end->done && waited == 0) {
        waited = pthread_cond_timedwait(&end->ended, &end->lock, &until);
    }
    const bool done = end->done;
    end->left = !done;
    (void)pthread_mutex_unlock(&end->lock);
    if (!done) {
        (void)pthread_detach(thread);
        return false;
    }
    (void)pthread_join(thread, NULL);
    client_end_free(end);
    return true;
}

void mri_kafka_client_close(struct kafka_client *client) {
    if (client == NULL) return;
    struct kafka_log *log = client->log;
    if (client_end(client->rk)) {
        free(client);
        return;
    }
    /* Its threads may still call back, so neither it nor the log may ever be freed. */
    (void)pthread_mutex_lock(&log->line_lock);
    log->left_behind = true;
    (void)pthread_mutex_unlock(&log->line_lock);
    mri_log_line(log->env, MRI_WARN, "msg=\"librdkafka handle did not end in time\" client=%s",
                 roles[client->role].name);
}

/* --- queues ------------------------------------------------------------------------------------- */

static int64_t queue_bytes(enum kafka_role role, const char *name, const char *const *settings) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char value[32] = "", error[64];
    size_t size = sizeof value;
    for (const struct kafka_pair *pair = roles[role].defaults; pair->name != NULL; pair++) {
        (void)rd_kafka_conf_set(conf, pair->name, pair->value, error, sizeof error);
    }
    for (const char *const *pair = settings; pair != NULL && *pair != NULL; pair += 2) {
        if (strcmp(pair[0], name) == 0) {
            (void)rd_kafka_conf_set(conf, pair[0], pair[1], error, sizeof error);
        }
    }
    const bool known = rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK;
    rd_kafka_conf_destroy(conf);
    return known ? strtoll(value, NULL, 10) * 1024 : 0;
}

void mri_kafka_queues(const char *const *settings, int64_t *consumer, int64_t *producer) {
    *consumer = queue_bytes(KAFKA_CONSUMER, "queued.max.messages.kbytes", settings);
    *producer = queue_bytes(KAFKA_PRODUCER, "queue.buffering.max.kbytes", settings);
}
