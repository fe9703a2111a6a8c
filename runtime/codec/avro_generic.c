/* avro_generic.c: records of writers that are not flat, through avro-c. The only file that knows
 * it.
 *
 * The bytes are found good by mri_avro_check() before avro-c sees them.
 */
#include <avro.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/avro_plan.h"
#include "codec/lex.h"
#include "codec/memory.h"

struct mri_avro_generic {
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t value;
    avro_reader_t reader;
};

static mr_status fail_schema(const char *what, mr_error *err) {
    return mr_fail(err, MR_ERR_SCHEMA, NULL, "the writer's schema cannot be used (%s): %s", what,
                   avro_strerror());
}

mr_status mri_avro_generic_open(mr_arena *arena, mri_avro_type *writer, const char *text,
                                size_t size, mri_avro_generic **out, mr_error *err) {
    mr_status status = mri_avro_check_type(writer, err);
    if (status != MR_OK) return status;
    mri_avro_generic *g = mri_alloc(arena, sizeof *g);
    mri_codec_memory();
    if (avro_schema_from_json_length(text, size, &g->schema) != 0) {
        g->schema = NULL;
        status = fail_schema("avro-c does not take it", err);
    }
    if (status == MR_OK) g->class = avro_generic_class_from_schema(g->schema);
    if (status == MR_OK && g->class == NULL) status = fail_schema("no class", err);
    if (status == MR_OK && avro_generic_value_new(g->class, &g->value) != 0) {
        memset(&g->value, 0, sizeof g->value);
        status = fail_schema("no value", err);
    }
    if (status == MR_OK) g->reader = avro_reader_memory("", 0);
    if (status == MR_OK && g->reader == NULL) status = fail_schema("no reader", err);
    if (status == MR_OK)
        *out = g;
    else
        mri_avro_generic_close(g);
    return status;
}

void mri_avro_generic_close(mri_avro_generic *g) {
    if (g->reader != NULL) avro_reader_free(g->reader);
    if (g->value.iface != NULL) avro_value_decref(&g->value);
    if (g->class != NULL) avro_value_iface_decref(g->class);
    if (g->schema != NULL) (void)avro_schema_decref(g->schema);
}

static mr_status fail_get(const mri_avro_cell *cell, mr_error *err) {
    return mri_avro_fail_cell(cell, avro_strerror(), err);
}

static mr_status store_number(const mri_avro_cell *cell, avro_value_t *value, int64_t *nulled,
                              mr_error *err) {
    int32_t number = 0;
    int64_t wide = 0;
    float single = 0;
    double real = 0;
    switch (avro_value_get_type(value)) {
    case AVRO_INT32:
        if (avro_value_get_int(value, &number) != 0) return fail_get(cell, err);
        wide = number;
        real = (double)number;
        break;
    case AVRO_INT64:
        if (avro_value_get_long(value, &wide) != 0) return fail_get(cell, err);
        real = (double)wide;
        break;
    case AVRO_FLOAT:
        if (avro_value_get_float(value, &single) != 0) return fail_get(cell, err);
        real = (double)single;
        break;
    default:
        if (avro_value_get_double(value, &real) != 0) return fail_get(cell, err);
        break;
    }
    if (cell->column.type == MR_TIMESTAMP) return mri_avro_store_time(cell, wide, err);
    if (cell->column.type == MR_F64) return mri_avro_store_f64(cell, real, nulled, err);
    cell->column.i64[cell->row] = wide;
    cell->column.valid[cell->row] = 1;
    return MR_OK;
}

/* The value dies with the next record, its bytes move to `strings`. */
static mr_status store_bytes(const mri_avro_cell *cell, avro_value_t *value, mr_arena *strings,
                             mr_error *err) {
    const char *text = NULL;
    const void *data = NULL;
    size_t size = 0;
    int symbol = 0;
    cell->column.valid[cell->row] = 1;
    switch (avro_value_get_type(value)) {
    case AVRO_STRING:
        if (avro_value_get_string(value, &text, &size) != 0) return fail_get(cell, err);
        data = text;
        size -= size > 0; /* avro-c counts the end of its strings */
        break;
    case AVRO_BYTES:
        if (avro_value_get_bytes(value, &data, &size) != 0) return fail_get(cell, err);
        break;
    case AVRO_FIXED:
        if (avro_value_get_fixed(value, &data, &size) != 0) return fail_get(cell, err);
        break;
    default:
        if (avro_value_get_enum(value, &symbol) != 0) return fail_get(cell, err);
        cell->column.str[cell->row] = cell->op->symbols[symbol];
        return MR_OK;
    }
    const mr_string kept = {mri_strndup(strings, data, size), (uint32_t)size};
    if (cell->column.type == MR_STRING) return mri_avro_store_text(cell, kept, err);
    cell->column.str[cell->row] = kept;
    return MR_OK;
}

static mr_status store_branch(const mri_avro_cell *cell, avro_value_t *value, mri_decode_target *to,
                              int64_t *nulled, mr_error *err) {
    int truth = 0;
    switch (cell->op->code) {
    case MRI_AVRO_UNFIT:
        return mri_avro_fail_cell(cell, "has a type that the column cannot hold", err);
    case MRI_AVRO_TO_NULL:
        return mri_avro_store_null(cell, err);
    case MRI_AVRO_BOOLEAN_TO_BOOL:
        if (avro_value_get_boolean(value, &truth) != 0) return fail_get(cell, err);
        cell->column.b[cell->row] = truth != 0;
        cell->column.valid[cell->row] = 1;
        return MR_OK;
    default:
        break;
    }
    if (cell->column.type == MR_STRING || cell->column.type == MR_BYTES) {
        return store_bytes(cell, value, to->strings, err);
    }
    return store_number(cell, value, nulled, err);
}

static mr_status store_field(mri_avro_cell *cell, avro_value_t *value, mri_decode_target *to,
                             int64_t *nulled, mr_error *err) {
    if (cell->op->code != MRI_AVRO_BRANCH) return store_branch(cell, value, to, nulled, err);
    avro_value_t branch;
    int index = 0;
    if (avro_value_get_discriminant(value, &index) != 0 ||
        avro_value_get_current_branch(value, &branch) != 0) {
        return fail_get(cell, err);
    }
    cell->op = &cell->op->branches[index];
    return store_branch(cell, &branch, to, nulled, err);
}

mr_status mri_avro_generic_decode(const mri_avro_plan *plan, mr_string body, mri_decode_target *to,
                                  uint32_t row, int64_t *nulled, mr_error *err) {
    mri_avro_generic *generic = plan->generic;
    mr_status status = mri_avro_check(plan->writer, body.data, body.size, err);
    if (status != MR_OK) return status;
    avro_reader_memory_set_source(generic->reader, body.data, (int64_t)body.size);
    if (avro_value_reset(&generic->value) != 0 ||
        avro_value_read(generic->reader, &generic->value) != 0) {
        return mr_fail(err, MR_ERR_RECORD, NULL, "not a value of the writer's schema: %s",
                       avro_strerror());
    }
    for (uint32_t i = 0; i < plan->writer->count && status == MR_OK; i++) {
        const mri_avro_op *op = &plan->ops[i];
        if (op->column == UINT32_MAX) continue;
        mri_avro_cell cell = {plan, op, to->batch->columns[op->column], row};
        avro_value_t field;
        if (avro_value_get_by_index(&generic->value, i, &field, NULL) != 0) {
            return fail_get(&cell, err);
        }
        status = store_field(&cell, &field, to, nulled, err);
    }
    for (uint32_t i = 0; i < plan->missing_count; i++) {
        mri_cell_null(to->batch->columns[plan->missing[i]], row);
    }
    return status;
}
