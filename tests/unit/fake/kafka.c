/* kafka.c: see kafka.h. */
#include "fake/kafka.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { ANSWERS_MAX = 4, PLACES_MAX = 16, PAUSE_US = 50000 };

struct answer {
    rd_kafka_resp_err_t code;
    unsigned flags;
    uint32_t times;
};

struct handle {
    rd_kafka_resp_err_t fatal;
    struct kafka_client *client;
};

struct queue {
    char topic[32];
    int32_t partition;
    uint32_t ahead;
    bool forwarded;
};

static struct {
    pthread_mutex_t lock; /* all of this: one call comes from a thread of its own */
    pthread_cond_t go;
    bool stands;
    struct answer answers[FAKE_CALLS][ANSWERS_MAX];
    uint32_t counts[FAKE_CALLS];
    int64_t now_us, low, stable;
    bool cut, lost;
    uint32_t ahead, inputs;
    int live;
    struct fake_place group[PLACES_MAX], pending[PLACES_MAX];
    uint32_t group_count, pending_count;
    char line[700];
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER, .now_us = 1000000};

struct fake_told fake_told;

/* --- answers ---------------------------------------------------------------------------------- */

static void lock(void) {
    (void)pthread_mutex_lock(&world.lock);
}

static void unlock(void) {
    (void)pthread_mutex_unlock(&world.lock);
}

void fake_says(enum fake_call call, rd_kafka_resp_err_t code, unsigned flags, uint32_t times) {
    lock();
    int free_at = 0;
    while (free_at < ANSWERS_MAX && world.answers[call][free_at].times > 0) {
        free_at++;
    }
    cr_assert_lt(free_at, ANSWERS_MAX);
    world.answers[call][free_at] = (struct answer){code, flags, times};
    unlock();
}

uint32_t fake_count(enum fake_call call) {
    lock();
    const uint32_t count = world.counts[call];
    unlock();
    return count;
}

void fake_later(int64_t us) {
    lock();
    world.now_us += us;
    unlock();
}

/* The answer to this call, which takes its whole time when it says that it timed out. */
static struct answer answer_within(enum fake_call call, int timeout_ms) {
    struct answer out = {.code = RD_KAFKA_RESP_ERR_NO_ERROR};
    lock();
    world.counts[call]++;
    for (int i = 0; i < ANSWERS_MAX && out.times == 0; i++) {
        struct answer *answer = &world.answers[call][i];
        if (answer->times == 0) continue;
        out = *answer;
        answer->times--;
    }
    if (out.code == RD_KAFKA_RESP_ERR__TIMED_OUT) world.now_us += (int64_t)timeout_ms * 1000;
    unlock();
    return out;
}

static struct answer answer_to(enum fake_call call) {
    return answer_within(call, 0);
}

/* Its flags stand in its text. */
static rd_kafka_error_t *error_of(const struct answer *answer) {
    if (answer->code == RD_KAFKA_RESP_ERR_NO_ERROR) return NULL;
    return rd_kafka_error_new(answer->code, "as told%s%s%s",
                              (answer->flags & FAKE_FATAL) != 0 ? " [fatal]" : "",
                              (answer->flags & FAKE_ABORTS) != 0 ? " [abort]" : "",
                              (answer->flags & FAKE_AGAIN) != 0 ? " [again]" : "");
}

static rd_kafka_error_t *producer_error(rd_kafka_t *rk, const struct answer *answer) {
    struct handle *handle = (struct handle *)rk;
    if ((answer->flags & FAKE_FATAL) != 0) handle->fatal = answer->code;
    if (handle->fatal == RD_KAFKA_RESP_ERR_NO_ERROR) return error_of(answer);
    const struct answer fatal = {.code = handle->fatal, .flags = FAKE_FATAL};
    return error_of(&fatal);
}

static int says(const rd_kafka_error_t *error, const char *word) {
    return strstr(rd_kafka_error_string(error), word) != NULL;
}

int __wrap_rd_kafka_error_is_fatal(const rd_kafka_error_t *error);
int __wrap_rd_kafka_error_is_fatal(const rd_kafka_error_t *error) {
    return says(error, "[fatal]");
}

int __wrap_rd_kafka_error_txn_requires_abort(const rd_kafka_error_t *error);
int __wrap_rd_kafka_error_txn_requires_abort(const rd_kafka_error_t *error) {
    return says(error, "[abort]");
}

int __wrap_rd_kafka_error_is_retriable(const rd_kafka_error_t *error);
int __wrap_rd_kafka_error_is_retriable(const rd_kafka_error_t *error) {
    return says(error, "[again]");
}

void fake_go_on(void) {
    lock();
    world.stands = false;
    (void)pthread_cond_broadcast(&world.go);
    unlock();
}

void fake_cut(void) {
    world.cut = true;
}

void fake_lose(bool lost) {
    world.lost = lost;
}

void fake_bounds(int64_t low, int64_t stable) {
    world.low = low;
    world.stable = stable;
}

void fake_ahead(uint32_t records) {
    world.ahead = records;
}

static void live(int change) {
    lock();
    world.live += change;
    unlock();
}

int fake_live(void) {
    lock();
    const int count = world.live;
    unlock();
    return count;
}

const char *fake_last_line(void) {
    return world.line;
}

void fake_expect(const mr_error *err, const char *text) {
    cr_assert_not_null(strstr(err->text, text), "'%s' is not in: %s", text, err->text);
}

/* --- handles ---------------------------------------------------------------------------------- */

mr_status __wrap_mri_kafka_client_open(struct kafka_log *log,
                                       const struct kafka_client_config *config,
                                       struct kafka_client **out, mr_error *err);
mr_status __wrap_mri_kafka_client_open(struct kafka_log *log,
                                       const struct kafka_client_config *config,
                                       struct kafka_client **out, mr_error *err) {
    if (answer_to(FAKE_OPEN).code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return mri_kafka_fail(log, err, MR_ERR_SPEC, "no handle, as told");
    }
    struct handle *handle = mri_calloc(1, sizeof *handle);
    handle->client = mri_calloc(1, sizeof *handle->client);
    *handle->client = (struct kafka_client){
        .rk = (rd_kafka_t *)handle, .log = log, .member = config->member, .role = config->role};
    *out = handle->client;
    live(1);
    return MR_OK;
}

void __wrap_rd_kafka_destroy_flags(rd_kafka_t *rk, int flags);
void __wrap_rd_kafka_destroy_flags(rd_kafka_t *rk, int flags) {
    (void)flags;
    struct handle *handle = (struct handle *)rk;
    free(handle->client);
    free(handle);
    live(-1);
}

void __wrap_mri_kafka_client_close(struct kafka_client *client);
void __wrap_mri_kafka_client_close(struct kafka_client *client) {
    if (client != NULL) __wrap_rd_kafka_destroy_flags(client->rk, 0);
}

rd_kafka_resp_err_t __wrap_rd_kafka_fatal_error(rd_kafka_t *rk, char *text, size_t size);
rd_kafka_resp_err_t __wrap_rd_kafka_fatal_error(rd_kafka_t *rk, char *text, size_t size) {
    (void)snprintf(text, size, "fatal, as told");
    return ((struct handle *)rk)->fatal;
}

void fake_fatal(struct kafka_client *client, rd_kafka_resp_err_t code) {
    ((struct handle *)client->rk)->fatal = code;
}

static rd_kafka_conf_t *settings(void) {
    static rd_kafka_conf_t *conf;
    if (conf == NULL) conf = rd_kafka_conf_new();
    return conf;
}

const rd_kafka_conf_t *__wrap_rd_kafka_conf(rd_kafka_t *rk);
const rd_kafka_conf_t *__wrap_rd_kafka_conf(rd_kafka_t *rk) {
    (void)rk;
    return settings();
}

void fake_setting(const char *name, const char *value) {
    char text[256];
    cr_assert_eq(rd_kafka_conf_set(settings(), name, value, text, sizeof text), RD_KAFKA_CONF_OK,
                 "%s", text);
}

rd_kafka_resp_err_t __wrap_rd_kafka_metadata(rd_kafka_t *rk, int all, rd_kafka_topic_t *only,
                                             const struct rd_kafka_metadata **out, int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_metadata(rd_kafka_t *rk, int all, rd_kafka_topic_t *only,
                                             const struct rd_kafka_metadata **out, int timeout_ms) {
    (void)rk;
    (void)all;
    (void)only;
    const struct answer answer = answer_within(FAKE_METADATA, timeout_ms);
    if (answer.code != RD_KAFKA_RESP_ERR_NO_ERROR) return answer.code;
    *out = mri_calloc(1, sizeof **out);
    live(1);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void __wrap_rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata);
void __wrap_rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata) {
    free((void *)(uintptr_t)metadata);
    live(-1);
}

int __wrap_rd_kafka_poll(rd_kafka_t *rk, int timeout_ms);
int __wrap_rd_kafka_poll(rd_kafka_t *rk, int timeout_ms) {
    (void)rk;
    fake_later((int64_t)timeout_ms * 1000);
    return 0;
}

rd_kafka_resp_err_t __wrap_rd_kafka_purge(rd_kafka_t *rk, int flags);
rd_kafka_resp_err_t __wrap_rd_kafka_purge(rd_kafka_t *rk, int flags) {
    (void)rk;
    (void)flags;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void __wrap_mri_kafka_pause(void);
void __wrap_mri_kafka_pause(void) {
    fake_later(PAUSE_US);
}

/* --- a producer ------------------------------------------------------------------------------- */

rd_kafka_error_t *__wrap_rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms) {
    const struct answer answer = answer_within(FAKE_INIT, timeout_ms);
    if (answer.code == RD_KAFKA_RESP_ERR_NO_ERROR) world.pending_count = 0;
    return producer_error(rk, &answer);
}

rd_kafka_error_t *__wrap_rd_kafka_begin_transaction(rd_kafka_t *rk);
rd_kafka_error_t *__wrap_rd_kafka_begin_transaction(rd_kafka_t *rk) {
    const struct answer answer = answer_to(FAKE_BEGIN);
    return producer_error(rk, &answer);
}

rd_kafka_topic_t *__wrap_rd_kafka_topic_new(rd_kafka_t *rk, const char *name,
                                            rd_kafka_topic_conf_t *conf);
rd_kafka_topic_t *__wrap_rd_kafka_topic_new(rd_kafka_t *rk, const char *name,
                                            rd_kafka_topic_conf_t *conf) {
    (void)rk;
    (void)name;
    (void)conf;
    if (answer_to(FAKE_TOPIC).code != RD_KAFKA_RESP_ERR_NO_ERROR) return NULL;
    live(1);
    return mri_calloc(1, 1);
}

void __wrap_rd_kafka_topic_destroy(rd_kafka_topic_t *topic);
void __wrap_rd_kafka_topic_destroy(rd_kafka_topic_t *topic) {
    free(topic);
    live(-1);
}

rd_kafka_resp_err_t __wrap_mri_kafka_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic,
                                             uint32_t partition, const mri_record *record);
rd_kafka_resp_err_t __wrap_mri_kafka_produce(rd_kafka_t *rk, rd_kafka_topic_t *topic,
                                             uint32_t partition, const mri_record *record) {
    (void)topic;
    (void)partition;
    (void)record;
    const struct answer answer = answer_to(FAKE_PRODUCE);
    if ((answer.flags & FAKE_FATAL) != 0) ((struct handle *)rk)->fatal = answer.code;
    return answer.code;
}

rd_kafka_resp_err_t __wrap_rd_kafka_flush(rd_kafka_t *rk, int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_flush(rd_kafka_t *rk, int timeout_ms) {
    const struct answer answer = answer_within(FAKE_FLUSH, timeout_ms);
    const struct answer delivery = answer_to(FAKE_DELIVERY);
    struct handle *handle = (struct handle *)rk;
    if ((answer.flags & FAKE_FATAL) != 0) handle->fatal = answer.code;
    if (delivery.code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        handle->client->failure = (struct kafka_failure){
            .code = delivery.code, .bytes = 10, .topic = "out", .text = "not taken, as told"};
    }
    return answer.code;
}

rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *membership, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *membership, int timeout_ms) {
    (void)membership;
    const struct answer answer = answer_within(FAKE_OFFSETS, timeout_ms);
    lock();
    if ((answer.flags & FAKE_STANDS) != 0) {
        world.stands = true;
        world.now_us += INT64_C(60) * 1000000;
        while (world.stands) {
            (void)pthread_cond_wait(&world.go, &world.lock);
        }
    }
    for (int i = 0; i < offsets->cnt && answer.code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *from = &offsets->elems[i];
        struct fake_place *to = &world.pending[world.pending_count++];
        *to = (struct fake_place){.partition = from->partition, .offset = from->offset};
        (void)snprintf(to->topic, sizeof to->topic, "%s", from->topic);
        to->note_size = from->metadata_size;
        memcpy(to->note, from->metadata, from->metadata_size);
    }
    unlock();
    return producer_error(rk, &answer);
}

static void breaks(rd_kafka_t *rk) {
    if (world.cut) ((struct handle *)rk)->client->cut = true;
    world.cut = false;
}

rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms) {
    const struct answer answer = answer_within(FAKE_COMMIT, timeout_ms);
    const bool happened =
        answer.code == RD_KAFKA_RESP_ERR_NO_ERROR || (answer.flags & FAKE_HAPPENED) != 0;
    breaks(rk);
    for (uint32_t i = 0; i < world.pending_count && happened; i++) {
        *fake_place(world.pending[i].topic, world.pending[i].partition) = world.pending[i];
    }
    if (happened) world.pending_count = 0;
    return producer_error(rk, &answer);
}

rd_kafka_error_t *__wrap_rd_kafka_abort_transaction(rd_kafka_t *rk, int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_abort_transaction(rd_kafka_t *rk, int timeout_ms) {
    const struct answer answer = answer_within(FAKE_ABORT, timeout_ms);
    breaks(rk);
    if (answer.code == RD_KAFKA_RESP_ERR_NO_ERROR) world.pending_count = 0;
    return producer_error(rk, &answer);
}

/* --- a group ---------------------------------------------------------------------------------- */

struct fake_place *fake_place(const char *topic, int32_t partition) {
    for (uint32_t i = 0; i < world.group_count; i++) {
        struct fake_place *place = &world.group[i];
        if (place->partition == partition && strcmp(place->topic, topic) == 0) return place;
    }
    cr_assert_lt(world.group_count, PLACES_MAX);
    struct fake_place *place = &world.group[world.group_count++];
    *place = (struct fake_place){.partition = partition, .offset = RD_KAFKA_OFFSET_INVALID};
    (void)snprintf(place->topic, sizeof place->topic, "%s", topic);
    return place;
}

void fake_commit_other(const char *topic, int32_t partition, int64_t offset, const char *note) {
    struct fake_place *place = fake_place(topic, partition);
    place->offset = offset;
    place->note_size = strlen(note);
    memcpy(place->note, note, place->note_size);
}

rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                              int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list,
                                              int timeout_ms) {
    (void)rk;
    const struct answer answer = answer_within(FAKE_COMMITTED, timeout_ms);
    for (int i = 0; i < list->cnt && answer.code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        rd_kafka_topic_partition_t *to = &list->elems[i];
        const struct fake_place *from = fake_place(to->topic, to->partition);
        free(to->metadata);
        to->metadata = NULL;
        to->metadata_size = from->note_size;
        to->offset = from->offset;
        to->err = answer_to(FAKE_PLACE).code;
        if (from->note_size == 0) continue;
        to->metadata = mri_malloc(from->note_size);
        memcpy(to->metadata, from->note, from->note_size);
    }
    return answer.code;
}

mr_status __wrap_mri_kafka_watermarks(struct kafka_log *log, const char *topic, uint32_t partition,
                                      int64_t *low, int64_t *stable, mr_error *err);
mr_status __wrap_mri_kafka_watermarks(struct kafka_log *log, const char *topic, uint32_t partition,
                                      int64_t *low, int64_t *stable, mr_error *err) {
    (void)topic;
    (void)partition;
    if (answer_to(FAKE_WATERMARKS).code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return mri_kafka_fail(log, err, MR_ERR_BUSY, "no watermarks, as told");
    }
    *low = world.low;
    *stable = world.stable;
    return MR_OK;
}

rd_kafka_consumer_group_metadata_t *__wrap_rd_kafka_consumer_group_metadata(rd_kafka_t *rk);
rd_kafka_consumer_group_metadata_t *__wrap_rd_kafka_consumer_group_metadata(rd_kafka_t *rk) {
    (void)rk;
    return rd_kafka_consumer_group_metadata_new("g");
}

rd_kafka_error_t *
__real_rd_kafka_consumer_group_metadata_write(const rd_kafka_consumer_group_metadata_t *membership,
                                              void **bytes, size_t *size);
rd_kafka_error_t *
__wrap_rd_kafka_consumer_group_metadata_write(const rd_kafka_consumer_group_metadata_t *membership,
                                              void **bytes, size_t *size);
rd_kafka_error_t *
__wrap_rd_kafka_consumer_group_metadata_write(const rd_kafka_consumer_group_metadata_t *membership,
                                              void **bytes, size_t *size) {
    const struct answer answer = answer_to(FAKE_MEMBERSHIP_WRITE);
    rd_kafka_error_t *error = error_of(&answer);
    if (error != NULL) return error;
    return __real_rd_kafka_consumer_group_metadata_write(membership, bytes, size);
}

rd_kafka_error_t *
__real_rd_kafka_consumer_group_metadata_read(rd_kafka_consumer_group_metadata_t **out,
                                             const void *bytes, size_t size);
rd_kafka_error_t *
__wrap_rd_kafka_consumer_group_metadata_read(rd_kafka_consumer_group_metadata_t **out,
                                             const void *bytes, size_t size);
rd_kafka_error_t *
__wrap_rd_kafka_consumer_group_metadata_read(rd_kafka_consumer_group_metadata_t **out,
                                             const void *bytes, size_t size) {
    const struct answer answer = answer_to(FAKE_MEMBERSHIP_READ);
    rd_kafka_error_t *error = error_of(&answer);
    if (error != NULL) return error;
    return __real_rd_kafka_consumer_group_metadata_read(out, bytes, size);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg) {
    if (answer_to(FAKE_THREAD).code != RD_KAFKA_RESP_ERR_NO_ERROR) return 11;
    return __real_pthread_create(thread, attributes, run, arg);
}

/* --- an assignment ---------------------------------------------------------------------------- */

rd_kafka_queue_t *__wrap_rd_kafka_queue_get_partition(rd_kafka_t *rk, const char *topic,
                                                      int32_t partition);
rd_kafka_queue_t *__wrap_rd_kafka_queue_get_partition(rd_kafka_t *rk, const char *topic,
                                                      int32_t partition) {
    (void)rk;
    if (answer_to(FAKE_QUEUE).code != RD_KAFKA_RESP_ERR_NO_ERROR) return NULL;
    struct queue *queue = mri_calloc(1, sizeof *queue);
    *queue = (struct queue){.partition = partition, .ahead = world.ahead, .forwarded = true};
    (void)snprintf(queue->topic, sizeof queue->topic, "%s", topic);
    live(1);
    return (rd_kafka_queue_t *)queue;
}

rd_kafka_queue_t *__wrap_rd_kafka_queue_get_consumer(rd_kafka_t *rk);
rd_kafka_queue_t *__wrap_rd_kafka_queue_get_consumer(rd_kafka_t *rk) {
    (void)rk;
    live(1);
    return mri_calloc(1, sizeof(struct queue));
}

rd_kafka_resp_err_t __wrap_rd_kafka_poll_set_consumer(rd_kafka_t *rk);
rd_kafka_resp_err_t __wrap_rd_kafka_poll_set_consumer(rd_kafka_t *rk) {
    (void)rk;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t __wrap_rd_kafka_subscribe(rd_kafka_t *rk,
                                              const rd_kafka_topic_partition_list_t *topics);
rd_kafka_resp_err_t __wrap_rd_kafka_subscribe(rd_kafka_t *rk,
                                              const rd_kafka_topic_partition_list_t *topics) {
    (void)rk;
    cr_assert_eq((uint32_t)topics->cnt, world.inputs);
    return answer_to(FAKE_SUBSCRIBE).code;
}

void __wrap_rd_kafka_queue_forward(rd_kafka_queue_t *from, rd_kafka_queue_t *to);
void __wrap_rd_kafka_queue_forward(rd_kafka_queue_t *from, rd_kafka_queue_t *to) {
    ((struct queue *)from)->forwarded = to != NULL;
}

void __wrap_rd_kafka_queue_io_event_enable(rd_kafka_queue_t *from, int fd, const void *data,
                                           size_t size);
void __wrap_rd_kafka_queue_io_event_enable(rd_kafka_queue_t *from, int fd, const void *data,
                                           size_t size) {
    (void)fd;
    (void)data;
    (void)size;
    cr_assert(!((const struct queue *)from)->forwarded, "it still feeds the consumer's queue");
}

ssize_t __wrap_rd_kafka_consume_batch_queue(rd_kafka_queue_t *from, int timeout_ms,
                                            rd_kafka_message_t **messages, size_t size);
ssize_t __wrap_rd_kafka_consume_batch_queue(rd_kafka_queue_t *from, int timeout_ms,
                                            rd_kafka_message_t **messages, size_t size) {
    (void)timeout_ms;
    struct queue *queue = (struct queue *)from;
    size_t count = 0;
    for (; count < size && queue->ahead > 0; queue->ahead--) {
        messages[count] = mri_calloc(1, sizeof *messages[count]);
        messages[count++]->partition = queue->partition;
        live(1);
    }
    return (ssize_t)count;
}

void __wrap_rd_kafka_message_destroy(rd_kafka_message_t *message);
void __wrap_rd_kafka_message_destroy(rd_kafka_message_t *message) {
    free(message);
    live(-1);
}

void __wrap_rd_kafka_queue_destroy(rd_kafka_queue_t *from);
void __wrap_rd_kafka_queue_destroy(rd_kafka_queue_t *from) {
    cr_assert_eq(((const struct queue *)from)->ahead, 0u, "records stay in memory");
    free(from);
    live(-1);
}

rd_kafka_error_t *__wrap_rd_kafka_incremental_assign(rd_kafka_t *rk,
                                                     const rd_kafka_topic_partition_list_t *places);
rd_kafka_error_t *
__wrap_rd_kafka_incremental_assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *places) {
    (void)rk;
    (void)places;
    const struct answer answer = answer_to(FAKE_ASSIGN);
    return error_of(&answer);
}

rd_kafka_error_t *__wrap_rd_kafka_incremental_unassign(rd_kafka_t *rk,
                                                       const rd_kafka_topic_partition_list_t *list);
rd_kafka_error_t *
__wrap_rd_kafka_incremental_unassign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list) {
    (void)rk;
    (void)list;
    const struct answer answer = answer_to(FAKE_UNASSIGN);
    return error_of(&answer);
}

rd_kafka_resp_err_t __wrap_rd_kafka_assign(rd_kafka_t *rk,
                                           const rd_kafka_topic_partition_list_t *places);
rd_kafka_resp_err_t __wrap_rd_kafka_assign(rd_kafka_t *rk,
                                           const rd_kafka_topic_partition_list_t *places) {
    (void)rk;
    return answer_to(places == NULL ? FAKE_UNASSIGN : FAKE_ASSIGN).code;
}

int __wrap_rd_kafka_assignment_lost(rd_kafka_t *rk);
int __wrap_rd_kafka_assignment_lost(rd_kafka_t *rk) {
    (void)rk;
    return world.lost;
}

rd_kafka_error_t *__wrap_rd_kafka_seek_partitions(rd_kafka_t *rk,
                                                  rd_kafka_topic_partition_list_t *places,
                                                  int timeout_ms);
rd_kafka_error_t *__wrap_rd_kafka_seek_partitions(rd_kafka_t *rk,
                                                  rd_kafka_topic_partition_list_t *places,
                                                  int timeout_ms) {
    (void)rk;
    (void)places;
    (void)timeout_ms;
    const struct answer answer = answer_to(FAKE_SEEK);
    return error_of(&answer);
}

/* --- a member --------------------------------------------------------------------------------- */

static int64_t now_us(void *self) {
    (void)self;
    lock();
    const int64_t now = world.now_us;
    unlock();
    return now;
}

static void keep_line(void *self, mri_level level, const char *text) {
    (void)self;
    (void)level;
    (void)snprintf(world.line, sizeof world.line, "%s", text);
}

static mr_status on_assigned(void *self, const uint32_t *partitions, uint32_t count,
                             const int64_t *offsets, const bool *unchanged, mr_error *err) {
    (void)self;
    fake_told.assigned++;
    fake_told.count = count;
    memcpy(fake_told.partitions, partitions, count * sizeof *partitions);
    memcpy(fake_told.offsets, offsets, count * world.inputs * sizeof *offsets);
    memcpy(fake_told.unchanged, unchanged, count * sizeof *unchanged);
    err->status = fake_told.fails;
    return fake_told.fails;
}

static mr_status on_revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                            mr_error *err) {
    (void)self;
    fake_told.revoked++;
    fake_told.count = count;
    fake_told.lost = lost;
    memcpy(fake_told.partitions, partitions, count * sizeof *partitions);
    err->status = fake_told.fails;
    return fake_told.fails;
}

const mri_member_events fake_events = {.assigned = on_assigned, .revoked = on_revoked};

static char *copy(const char *text) {
    const size_t size = strlen(text) + 1;
    return memcpy(mri_malloc(size), text, size);
}

mri_member *fake_member(uint32_t inputs, bool cooperative) {
    static const char *const names[] = {"in", "in2"};
    static mri_env env = {.now_us = now_us, .log = keep_line};
    static const struct kafka_topic topics[] = {
        {"in", 4, false}, {"in2", 4, false}, {"out", 4, false}, {"table", 4, true}};
    struct kafka_log *log = mri_calloc(1, sizeof *log);
    *log = (struct kafka_log){.env = &env, .name = copy("kafka://fake"), .topic_count = 4};
    log->topics = mri_calloc(4, sizeof *log->topics);
    log->watch = mri_calloc(1, sizeof *log->watch);
    memcpy(log->topics, topics, sizeof topics);
    (void)pthread_mutex_init(&log->lock, NULL);
    (void)pthread_mutex_init(&log->line_lock, NULL);
    mri_member *member = mri_calloc(1, sizeof *member);
    *member = (struct mri_member){.log = log, .input_count = inputs, .batch_rows = 4};
    member->group = copy("g");
    member->transactional_id = copy("g.0");
    member->inputs = mri_calloc(inputs, sizeof(char *));
    for (uint32_t i = 0; i < inputs; i++) {
        member->inputs[i] = copy(names[i]);
    }
    world.inputs = inputs;
    member->cooperative = cooperative;
    member->wake_fd = -1;
    member->commit_id = 0xabc;
    member->note_count = 4 * inputs;
    member->notes = mri_calloc(member->note_count, sizeof *member->notes);
    member->events = &fake_events;
    log->members = member;
    const struct kafka_client_config config = {.role = KAFKA_CONSUMER, .member = member};
    mr_error err = {0};
    cr_assert_eq(mri_kafka_client_open(log, &config, &member->consumer, &err), MR_OK);
    cr_assert_eq(mri_kafka_producer_open(member, KAFKA_TURN_US, &err), MR_OK, "%s", err.text);
    return member;
}

void fake_member_end(mri_member *member) {
    struct kafka_log *log = member->log;
    mri_kafka_offer_drop(member);
    mri_kafka_unassign(member);
    mri_kafka_producer_close(member);
    mri_kafka_consumer_close(member);
    for (uint32_t i = 0; i < member->input_count; i++) {
        free(member->inputs[i]);
    }
    for (uint32_t i = 0; i < member->output_count; i++) {
        free(member->outputs[i].touched);
    }
    free(member->inputs);
    free(member->outputs);
    free(member->notes);
    free(member->group);
    free(member->transactional_id);
    free(member);
    (void)pthread_mutex_destroy(&log->lock);
    (void)pthread_mutex_destroy(&log->line_lock);
    free(log->topics);
    free(log->watch);
    free(log->name);
    free(log);
    cr_assert_eq(fake_live(), 0, "%d things of librdkafka are not freed", fake_live());
}

void fake_rebalance(mri_member *member, rd_kafka_resp_err_t code, const int32_t *partitions) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (uint32_t i = 0; i < member->input_count; i++) {
        for (int k = 0; partitions[k] >= 0; k++) {
            (void)rd_kafka_topic_partition_list_add(list, member->inputs[i], partitions[k]);
        }
    }
    mri_kafka_on_rebalance(member->consumer->rk, code, list, member->consumer);
    rd_kafka_topic_partition_list_destroy(list);
}

void fake_assign(mri_member *member, const int32_t *partitions) {
    mr_error err = {0};
    fake_rebalance(member, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, partitions);
    cr_assert_eq(mri_kafka_offer_take(member, &err), MR_OK, "%s", err.text);
}
