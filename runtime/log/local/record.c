/* record.c: records, values and keys as bytes.
 *
 * A record is: flags, [key size], [value size], [mark size], [headers size], time, [ingest time], key,
 * value, mark, headers. Format 1 knew no headers; otherwise it is the same.
 * Sizes are LEB128; times are zigzag LEB128 of the difference from the record before, so that most
 * take one or two bytes. */
#include <string.h>

#include "base/hash.h"
#include "log/local/local.h"
#include "millrace/batch.h"

enum { HAS_KEY = 1, HAS_VALUE = 2, HAS_MARK = 4, HAS_INGEST = 8, HAS_HEADERS = 16, FLAGS_ALL = 31 };
enum { HEAD_MAX = 1 + 4 * 5 + 2 * 10 };

void local_put32(void *to, uint32_t value) {
    uint8_t *out = to;
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

void local_put64(void *to, uint64_t value) {
    local_put32(to, (uint32_t)(value >> 32));
    local_put32((uint8_t *)to + 4, (uint32_t)value);
}

uint32_t local_get32(const void *from) {
    const uint8_t *in = from;
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | (uint32_t)in[3];
}

uint64_t local_get64(const void *from) {
    return (uint64_t)local_get32(from) << 32 | local_get32((const uint8_t *)from + 4);
}

/* Finds bit rot and torn pages, eight bytes at a step; no defence against an adversary. */
uint64_t local_sum(uint64_t seed, const void *data, size_t size) {
    const uint64_t k = 0x9e3779b97f4a7c15u;
    const uint8_t *at = data;
    uint64_t sum = (seed ^ size) * k;
    for (; size >= 8; size -= 8, at += 8) {
        sum = (sum ^ local_get64(at)) * k;
        sum ^= sum >> 29;
    }
    for (; size > 0; size--, at++) {
        sum = (sum ^ *at) * k;
        sum ^= sum >> 29;
    }
    return sum ^ sum >> 32;
}

static uint8_t *put_number(uint8_t *to, uint64_t value) {
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

static bool get_number(const uint8_t **at, const uint8_t *end, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        const uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static uint8_t *put_difference(uint8_t *to, int64_t value, int64_t *last) {
    const uint64_t difference = (uint64_t)value - (uint64_t)*last;
    *last = value;
    return put_number(to, difference << 1 ^ (difference >> 63 != 0 ? UINT64_MAX : 0));
}

static bool get_difference(const uint8_t **at, const uint8_t *end, int64_t *last) {
    uint64_t zigzag = 0;
    if (!get_number(at, end, &zigzag)) return false;
    const uint64_t difference = zigzag >> 1 ^ ((zigzag & 1) != 0 ? UINT64_MAX : 0);
    *last = (int64_t)((uint64_t)*last + difference);
    return true;
}

void local_encode(mri_text *to, struct local_times *last, const mri_record *record) {
    const size_t key = record->key == NULL ? 0 : record->key_size;
    const size_t value = record->value == NULL ? 0 : record->value_size;
    const size_t mark = record->mark == NULL ? 0 : record->mark_size;
    const size_t headers = record->headers == NULL ? 0 : record->headers_size;
    uint8_t head[HEAD_MAX], *at = head + 1;
    head[0] = 0;
    if (record->key != NULL) {
        head[0] |= HAS_KEY;
        at = put_number(at, key);
    }
    if (record->value != NULL) {
        head[0] |= HAS_VALUE;
        at = put_number(at, value);
    }
    if (record->mark != NULL) {
        head[0] |= HAS_MARK;
        at = put_number(at, mark);
    }
    if (headers > 0) {
        head[0] |= HAS_HEADERS;
        at = put_number(at, headers);
    }
    at = put_difference(at, record->timestamp_ms, &last->timestamp_ms);
    if (record->ingest_us != MR_TIME_NONE) {
        head[0] |= HAS_INGEST;
        at = put_difference(at, record->ingest_us, &last->ingest_us);
    }
    (void)mri_text_reserve(to, (size_t)(at - head) + key + value + mark + headers);
    mri_text_add(to, head, (size_t)(at - head));
    if (key > 0) mri_text_add(to, record->key, key);
    if (value > 0) mri_text_add(to, record->value, value);
    if (mark > 0) mri_text_add(to, record->mark, mark);
    if (headers > 0) mri_text_add(to, record->headers, headers);
}

static bool get_size(const uint8_t **at, const uint8_t *end, bool there, uint32_t *out) {
    uint64_t size = 0;
    *out = 0;
    if (!there) return true;
    if (!get_number(at, end, &size) || size > MRI_RECORD_BYTES_MAX) return false;
    *out = (uint32_t)size;
    return true;
}

bool local_decode(const uint8_t **at, const uint8_t *end, struct local_times *last,
                  mri_record *out) {
    if (*at >= end || (**at & ~FLAGS_ALL) != 0) return false;
    const unsigned flags = *(*at)++;
    *out = (mri_record){.ingest_us = MR_TIME_NONE};
    if (!get_size(at, end, (flags & HAS_KEY) != 0, &out->key_size) ||
        !get_size(at, end, (flags & HAS_VALUE) != 0, &out->value_size) ||
        !get_size(at, end, (flags & HAS_MARK) != 0, &out->mark_size) ||
        !get_size(at, end, (flags & HAS_HEADERS) != 0, &out->headers_size) ||
        !get_difference(at, end, &last->timestamp_ms)) {
        return false;
    }
    out->timestamp_ms = last->timestamp_ms;
    if ((flags & HAS_INGEST) != 0) {
        if (!get_difference(at, end, &last->ingest_us)) return false;
        out->ingest_us = last->ingest_us;
    }
    const uint8_t *data = *at;
    const size_t before = (size_t)out->key_size + out->value_size + out->mark_size;
    const size_t size = before + out->headers_size;
    if (size > (size_t)(end - data)) return false;
    if ((flags & HAS_KEY) != 0) out->key = data;
    if ((flags & HAS_VALUE) != 0) out->value = data + out->key_size;
    if ((flags & HAS_MARK) != 0) out->mark = data + out->key_size + out->value_size;
    if ((flags & HAS_HEADERS) != 0) out->headers = data + before;
    *at = data + size;
    return true;
}

/* --- values ----------------------------------------------------------------------------------- */

void local_value_format(const struct local_value *value, void *to) {
    uint8_t *out = to;
    local_put64(out, value->sum);
    local_put64(out + 8, (uint64_t)value->first);
    local_put32(out + 16, value->count);
    local_put32(out + 20, value->bytes);
}

bool local_value_parse(const MDB_val *data, int64_t first, struct local_value *out) {
    const uint8_t *in = data->mv_data;
    if (data->mv_size < LOCAL_VALUE_HEAD) return false;
    *out = (struct local_value){.sum = local_get64(in),
                                .first = (int64_t)local_get64(in + 8),
                                .count = local_get32(in + 16),
                                .bytes = local_get32(in + 20)};
    return out->first == first && out->count > 0 && first <= INT64_MAX - out->count &&
           data->mv_size == (size_t)LOCAL_VALUE_HEAD + out->bytes &&
           out->sum == local_sum(out->count, in + LOCAL_VALUE_HEAD, out->bytes);
}

bool local_keyed_parse(const MDB_val *data, mri_record *out) {
    const uint8_t *at = data->mv_data;
    if (data->mv_size <= LOCAL_KEYED_HEAD) return false;
    const uint8_t *end = at + data->mv_size;
    const uint64_t sum = local_get64(at);
    const int64_t offset = (int64_t)local_get64(at + 8);
    if (sum !=
        local_sum((uint64_t)offset, at + LOCAL_KEYED_HEAD, data->mv_size - LOCAL_KEYED_HEAD)) {
        return false;
    }
    struct local_times times = {0};
    at += LOCAL_KEYED_HEAD;
    if (!local_decode(&at, end, &times, out) || at != end) return false;
    out->offset = offset;
    return out->key != NULL;
}

/* --- keys ------------------------------------------------------------------------------------- */

MDB_val local_key_val(struct local_key *key) {
    return (MDB_val){.mv_size = key->size, .mv_data = key->bytes};
}

void local_key_partition(struct local_key *key, const struct local_topic *topic,
                         uint32_t partition) {
    local_put32(key->bytes, topic->id);
    local_put32(key->bytes + 4, partition);
    key->size = 8;
}

void local_key_offset(struct local_key *key, const struct local_topic *topic, uint32_t partition,
                      int64_t offset) {
    local_key_partition(key, topic, partition);
    local_put64(key->bytes + 8, (uint64_t)offset);
    key->size = 16;
}

void local_key_group(struct local_key *key, const struct local_topic *topic, uint32_t partition,
                     const char *group) {
    local_key_partition(key, topic, partition);
    const size_t size = strnlen(group, MRI_NAME_MAX);
    memcpy(key->bytes + 8, group, size);
    key->size = 8 + size;
}

void local_key_record(struct local_key *key, const struct local_topic *topic, uint32_t partition,
                      const void *data, size_t size) {
    enum { WHOLE = 440, PREFIX = 400, SHA = 32 }; /* LMDB's own limit is 511 */
    local_key_partition(key, topic, partition);
    const size_t kept = size <= WHOLE ? size : PREFIX;
    if (kept > 0) memcpy(key->bytes + 9, data, kept);
    key->bytes[8] = size > WHOLE;
    key->size = 9 + kept;
    if (size > WHOLE) {
        mri_sha256(data, size, key->bytes + key->size);
        key->size += SHA;
    }
}

bool local_key_same_partition(const MDB_val *found, const struct local_key *key) {
    return found->mv_size >= 8 && memcmp(found->mv_data, key->bytes, 8) == 0;
}
