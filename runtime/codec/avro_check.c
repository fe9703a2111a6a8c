/* avro_check.c: whether bytes are one value of a type, without recursion.
 *
 * avro-c trusts lengths and counts, and descends as deep as the data say. What goes there was
 * found good here first.
 */
#include <string.h>

#include "base/error.h"
#include "codec/avro_plan.h"

/* A message may hold so many values, for most take at least a byte and the others are few. */
enum { VALUES_PER_BYTE = 8, VALUES_FREE = 65536, WEIGHT_MAX = 65536 };

/* One record, array or map that is open. */
struct level {
    const mri_avro_type *type;
    uint64_t left; /* fields that follow, or items of the block */
};

struct check {
    mri_avro_bytes in;
    struct level levels[MRI_AVRO_DEPTH_MAX];
    uint32_t depth;
    uint64_t values_left;
    const char *problem;
};

static bool check_fail(struct check *c, const char *problem) {
    c->problem = problem;
    return false;
}

static bool check_single(struct check *c, const mri_avro_type *type) {
    int64_t number = 0;
    uint32_t index = 0;
    mr_string bytes;
    switch (type->kind) {
    case MRI_AVRO_BOOLEAN:
        return mri_avro_take(&c->in, 1, &bytes) && (uint8_t)*bytes.data <= 1;
    case MRI_AVRO_INT:
        return mri_avro_int(&c->in, &number);
    case MRI_AVRO_LONG:
        return mri_avro_long(&c->in, &number);
    case MRI_AVRO_FLOAT:
        return mri_avro_take(&c->in, 4, &bytes);
    case MRI_AVRO_DOUBLE:
        return mri_avro_take(&c->in, 8, &bytes);
    case MRI_AVRO_BYTES:
    case MRI_AVRO_STRING:
        return mri_avro_sized(&c->in, &bytes);
    case MRI_AVRO_FIXED:
        return mri_avro_take(&c->in, type->count, &bytes);
    case MRI_AVRO_ENUM:
        return mri_avro_index(&c->in, type->count, &index);
    default:
        return true;
    }
}

/* Takes a value that is complete at once, or opens a level. */
static bool check_value(struct check *c, const mri_avro_type *type) {
    if (c->values_left-- == 0) return check_fail(c, "it holds too many values");
    if (type->kind == MRI_AVRO_UNION) {
        uint32_t index = 0;
        if (!mri_avro_index(&c->in, type->count, &index)) return false;
        type = type->types[index];
    }
    if (type->kind != MRI_AVRO_RECORD && type->kind != MRI_AVRO_ARRAY &&
        type->kind != MRI_AVRO_MAP) {
        return check_single(c, type);
    }
    if (c->depth == MRI_AVRO_DEPTH_MAX) return check_fail(c, "more than 64 levels are nested");
    const uint64_t left = type->kind == MRI_AVRO_RECORD ? type->count : 0;
    c->levels[c->depth++] = (struct level){type, left};
    return true;
}

/* The head of an array's or map's next block; an empty one ends it. */
static bool check_block(struct check *c, struct level *level, bool *ended) {
    int64_t count = 0, bytes = 0;
    if (!mri_avro_long(&c->in, &count) || count == INT64_MIN) return false;
    if (count < 0) {
        count = -count;
        if (!mri_avro_long(&c->in, &bytes) || bytes < 0 || bytes > c->in.end - c->in.at) {
            return false;
        }
    }
    if ((uint64_t)count > c->values_left) return check_fail(c, "it counts too many items");
    level->left = (uint64_t)count;
    *ended = count == 0;
    return true;
}

/* The next part of the innermost level. */
static bool check_step(struct check *c) {
    struct level *level = &c->levels[c->depth - 1];
    const mri_avro_type *type = level->type;
    if (type->kind == MRI_AVRO_RECORD) {
        if (level->left == 0) {
            c->depth--;
            return true;
        }
        return check_value(c, type->types[type->count - level->left--]);
    }
    if (level->left == 0) {
        bool ended = false;
        if (!check_block(c, level, &ended)) return false;
        if (ended) c->depth--;
        if (ended) return true;
    }
    level->left--;
    mr_string key;
    if (type->kind == MRI_AVRO_MAP && !mri_avro_sized(&c->in, &key)) return false;
    return check_value(c, type->types[0]);
}

mr_status mri_avro_check(const mri_avro_type *type, const void *body, size_t size, mr_error *err) {
    const uint8_t *bytes = size > 0 ? body : (const uint8_t *)""; /* may stand nowhere */
    struct check c = {.in = {bytes, bytes + size},
                      .values_left = size * VALUES_PER_BYTE + VALUES_FREE};
    bool good = check_value(&c, type);
    while (good && c.depth > 0) {
        good = check_step(&c);
    }
    if (good && c.in.at != c.in.end) good = check_fail(&c, "bytes are left over behind it");
    if (good) return MR_OK;
    return mr_fail(err, MR_ERR_RECORD, NULL, "not a value of the writer's schema at byte %zu: %s",
                   (size_t)(c.in.at - bytes),
                   c.problem != NULL ? c.problem : "the bytes are cut short or no such value");
}

/* --- the schema itself -------------------------------------------------------------------------
 */

/* Values that one value of the type holds at least and that avro-c makes at once: all but items and
 * branches. 0: more than WEIGHT_MAX, or without end. Recursion is bounded by `levels`. */
static uint32_t weigh(mri_avro_type *type, uint32_t levels) {
    if (type->kind != MRI_AVRO_RECORD) return 1;
    if (type->weight != 0) return type->weight;
    if (levels == 0) return 0;
    uint32_t weight = 1;
    for (uint32_t i = 0; i < type->count; i++) {
        const uint32_t part = weigh(type->types[i], levels - 1);
        weight += part;
        if (part == 0 || weight > WEIGHT_MAX) return 0;
    }
    type->weight = weight;
    return weight;
}

/* Whether values of the type take no memory in avro-c. */
static bool is_empty(const mri_avro_type *type) {
    if (type->kind == MRI_AVRO_FIXED) return type->count == 0;
    bool empty = type->kind == MRI_AVRO_RECORD;
    for (uint32_t i = 0; empty && i < type->count; i++) {
        empty = is_empty(type->types[i]);
    }
    return empty;
}

/* Recursion over nested definitions and the names in them, bounded by `levels`. */
static mr_status check_parts(mri_avro_type *type, uint32_t levels, mr_error *err) {
    if (type->weighed || type->kind <= MRI_AVRO_STRING) return MR_OK;
    type->weighed = true;
    const bool array = type->kind == MRI_AVRO_ARRAY;
    if (levels == 0 || weigh(array ? type->types[0] : type, MRI_AVRO_DEPTH_MAX) == 0) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL,
                       "a record of the writer's schema holds itself, more than %d values, or more "
                       "than %d levels",
                       WEIGHT_MAX, MRI_AVRO_DEPTH_MAX);
    }
    if (array && is_empty(type->types[0])) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL,
                       "the writer's schema has an array of values without bytes, which avro-c "
                       "cannot read; give its items a field");
    }
    const bool has_types = type->kind != MRI_AVRO_ENUM && type->kind != MRI_AVRO_FIXED;
    for (uint32_t i = 0; has_types && i < type->count; i++) {
        const mr_status status = check_parts(type->types[i], levels - 1, err);
        if (status != MR_OK) return status;
    }
    return MR_OK;
}

mr_status mri_avro_check_type(mri_avro_type *type, mr_error *err) {
    return check_parts(type, MRI_AVRO_DEPTH_MAX * 2, err);
}
