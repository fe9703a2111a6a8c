/* record.c: what the embedded log stores: records one behind the other, the heads of values, records
 * of compacted topics. Half of the inputs get the sums right, so that they come past them. */
#include <stdlib.h>
#include <string.h>

#include "log/local/local.h"
#include "support_fuzz.h"

static bool same_bytes(const void *a, uint32_t a_size, const void *b, uint32_t b_size) {
    return a_size == b_size && (a == NULL) == (b == NULL) &&
           (a_size == 0 || memcmp(a, b, a_size) == 0);
}

/* An empty header list is none: both are written as none. */
static void check_same(const mri_record *a, const mri_record *b) {
    FUZZ_CHECK(same_bytes(a->key, a->key_size, b->key, b->key_size));
    FUZZ_CHECK(same_bytes(a->value, a->value_size, b->value, b->value_size));
    FUZZ_CHECK(same_bytes(a->mark, a->mark_size, b->mark, b->mark_size));
    FUZZ_CHECK(a->headers_size == b->headers_size &&
               (a->headers_size == 0 || memcmp(a->headers, b->headers, a->headers_size) == 0));
    FUZZ_CHECK(a->timestamp_ms == b->timestamp_ms && a->ingest_us == b->ingest_us);
}

static bool inside(const void *part, uint32_t size, const uint8_t *from, const uint8_t *to) {
    const uint8_t *at = part;
    return part == NULL || (at >= from && at <= to && size <= (size_t)(to - at));
}

/* All records from the front on, each written and read again. */
static uint32_t check_records(const uint8_t *data, size_t size) {
    const uint8_t *at = data, *const end = data + size;
    struct local_times times = {0}, out_times = {0}, in_times = {0};
    mri_record record, again;
    uint32_t count = 0;
    for (const uint8_t *from = at; local_decode(&at, end, &times, &record); from = at) {
        FUZZ_CHECK(at > from && at <= end);
        FUZZ_CHECK(inside(record.key, record.key_size, from, at));
        FUZZ_CHECK(inside(record.value, record.value_size, from, at));
        FUZZ_CHECK(inside(record.mark, record.mark_size, from, at));
        FUZZ_CHECK(inside(record.headers, record.headers_size, from, at));
        mri_text text = {0};
        local_encode(&text, &out_times, &record);
        const uint8_t *copy = (const uint8_t *)text.data;
        FUZZ_CHECK(local_decode(&copy, (const uint8_t *)text.data + text.size, &in_times, &again));
        FUZZ_CHECK(copy == (const uint8_t *)text.data + text.size);
        check_same(&record, &again);
        mri_text_free(&text);
        count++;
    }
    return count;
}

static void check_value(uint8_t *bytes, size_t size, bool mend) {
    struct local_value value;
    const MDB_val data = {.mv_data = bytes, .mv_size = size};
    const int64_t first = size >= 16 ? (int64_t)local_get64(bytes + 8) : 0;
    if (mend && size >= LOCAL_VALUE_HEAD) {
        const uint32_t left = (uint32_t)(size - LOCAL_VALUE_HEAD);
        local_put32(bytes + 20, left);
        local_put64(bytes, local_sum(local_get32(bytes + 16), bytes + LOCAL_VALUE_HEAD, left));
    }
    if (!local_value_parse(&data, first, &value)) return;
    uint8_t head[LOCAL_VALUE_HEAD];
    local_value_format(&value, head);
    FUZZ_CHECK(memcmp(head, bytes, sizeof head) == 0);
    struct local_queue queue = {.next = first};
    mri_text_add(&queue.buffer, bytes, size);
    mri_record record;
    for (uint32_t i = 0; i < value.count; i++) {
        if (!local_queue_take(&queue, &record)) break;
        FUZZ_CHECK(queue.at <= queue.end && queue.end <= size);
    }
    mri_text_free(&queue.buffer);
}

static void check_keyed(uint8_t *bytes, size_t size, bool mend) {
    mri_record record;
    const MDB_val data = {.mv_data = bytes, .mv_size = size};
    if (mend && size > LOCAL_KEYED_HEAD) {
        local_put64(bytes, local_sum(local_get64(bytes + 8), bytes + LOCAL_KEYED_HEAD,
                                     size - LOCAL_KEYED_HEAD));
    }
    if (!local_keyed_parse(&data, &record)) return;
    FUZZ_CHECK(record.key != NULL && record.offset == (int64_t)local_get64(bytes + 8));
    struct local_key key;
    local_key_record(&key, &(const struct local_topic){.id = 7}, 3, record.key, record.key_size);
    FUZZ_CHECK(key.size <= 511);
}

void fuzz_one(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    const uint32_t way = fuzz_below(&in, 4);
    uint8_t *bytes = (uint8_t *)fuzz_copy(in.at, in.left);
    (void)check_records(bytes, in.left);
    if (way < 2) check_value(bytes, in.left, way == 1);
    if (way >= 2) check_keyed(bytes, in.left, way == 3);
    free(bytes);
}
