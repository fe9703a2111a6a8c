/* avro_plan.c: resolves a writer's schema against the columns of a reader. */
#include "codec/avro_plan.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"

/* --- one type into one column ------------------------------------------------------------------
 */

static mri_avro_code skip_code(const mri_avro_type *type, uint32_t *count) {
    switch (type->kind) {
    case MRI_AVRO_BOOLEAN:
        return MRI_AVRO_SKIP_BOOLEAN;
    case MRI_AVRO_INT:
        return MRI_AVRO_SKIP_INT;
    case MRI_AVRO_LONG:
        return MRI_AVRO_SKIP_LONG;
    case MRI_AVRO_BYTES:
    case MRI_AVRO_STRING:
        return MRI_AVRO_SKIP_SIZED;
    case MRI_AVRO_FLOAT:
        *count = 4;
        return MRI_AVRO_SKIP_BYTES;
    case MRI_AVRO_DOUBLE:
        *count = 8;
        return MRI_AVRO_SKIP_BYTES;
    case MRI_AVRO_FIXED:
        *count = type->count;
        return MRI_AVRO_SKIP_BYTES;
    case MRI_AVRO_ENUM:
        *count = type->count;
        return MRI_AVRO_SKIP_ENUM;
    default:
        return MRI_AVRO_SKIP_NOTHING;
    }
}

/* Microseconds per unit; negative: units per microsecond; 0: the unit is not known. */
static int64_t time_factor(const mri_avro_type *type, uint32_t flags) {
    switch (type->time) {
    case MRI_AVRO_MICROS:
        return 1;
    case MRI_AVRO_MILLIS:
        return 1000;
    case MRI_AVRO_NANOS:
        return -1000;
    case MRI_AVRO_NO_TIME:
        break;
    }
    if (flags & MR_COLUMN_UNIT_S) return 1000000;
    if (flags & MR_COLUMN_UNIT_MS) return 1000;
    if (flags & MR_COLUMN_UNIT_US) return 1;
    return flags & MR_COLUMN_UNIT_NS ? -1000 : 0;
}

static bool f64_code(mri_avro_kind kind, mri_avro_code *code) {
    switch (kind) {
    case MRI_AVRO_INT:
        *code = MRI_AVRO_INT_TO_F64;
        return true;
    case MRI_AVRO_LONG:
        *code = MRI_AVRO_LONG_TO_F64;
        return true;
    case MRI_AVRO_FLOAT:
        *code = MRI_AVRO_FLOAT_TO_F64;
        return true;
    case MRI_AVRO_DOUBLE:
        *code = MRI_AVRO_DOUBLE_TO_F64;
        return true;
    default:
        return false;
    }
}

static const mr_string *symbols_of(mr_arena *arena, const mri_avro_type *type) {
    mr_string *symbols = mri_alloc_array(arena, type->count, sizeof *symbols);
    for (uint32_t i = 0; i < type->count; i++) {
        symbols[i] = (mr_string){type->part_names[i], (uint32_t)strlen(type->part_names[i])};
    }
    return symbols;
}

static bool text_code(mr_arena *arena, const mri_avro_type *type, bool text, mri_avro_op *out) {
    out->count = type->count;
    switch (type->kind) {
    case MRI_AVRO_STRING:
    case MRI_AVRO_BYTES:
        out->code = text ? MRI_AVRO_SIZED_TO_TEXT : MRI_AVRO_SIZED_TO_BYTES;
        return true;
    case MRI_AVRO_FIXED:
        out->code = text ? MRI_AVRO_FIXED_TO_TEXT : MRI_AVRO_FIXED_TO_BYTES;
        return true;
    case MRI_AVRO_ENUM:
        out->code = MRI_AVRO_ENUM_TO_TEXT;
        out->symbols = text ? symbols_of(arena, type) : NULL;
        return text;
    default:
        return false;
    }
}

static bool single_op(mr_arena *arena, const mri_avro_type *type, const mr_column_def *def,
                      mri_avro_op *out) {
    switch (def->type) {
    case MR_BOOL:
        out->code = MRI_AVRO_BOOLEAN_TO_BOOL;
        return type->kind == MRI_AVRO_BOOLEAN;
    case MR_I64:
        out->code = type->kind == MRI_AVRO_INT ? MRI_AVRO_INT_TO_I64 : MRI_AVRO_LONG_TO_I64;
        return type->kind == MRI_AVRO_INT || type->kind == MRI_AVRO_LONG;
    case MR_F64:
        return f64_code(type->kind, &out->code);
    case MR_TIMESTAMP:
        out->code = MRI_AVRO_TO_TIME;
        out->factor = time_factor(type, def->flags);
        return out->factor != 0 && (type->kind == MRI_AVRO_LONG || type->kind == MRI_AVRO_INT);
    case MR_STRING:
    case MR_BYTES:
        return text_code(arena, type, def->type == MR_STRING, out);
    }
    return false;
}

/* A branch that does not fit is an error of the record that has it, as long as another one fits. */
static bool union_op(mr_arena *arena, const mri_avro_type *type, const mr_column_def *def,
                     mri_avro_op *out) {
    mri_avro_op *branches = mri_alloc_array(arena, type->count, sizeof *branches);
    bool fits = def == NULL, only_null = true;
    for (uint32_t i = 0; i < type->count; i++) {
        const bool null = type->types[i]->kind == MRI_AVRO_NULL;
        branches[i] = *out;
        if (mri_avro_op_of(arena, type->types[i], def, &branches[i])) {
            fits = fits || !null;
        } else {
            branches[i].code = MRI_AVRO_UNFIT;
        }
        only_null = only_null && null;
    }
    out->code = MRI_AVRO_BRANCH;
    out->count = type->count;
    out->branches = branches;
    return fits || (only_null && def->nullable);
}

/* Recursion ends after one level: a union does not stand in a union. */
bool mri_avro_op_of(mr_arena *arena, const mri_avro_type *type, const mr_column_def *def,
                    mri_avro_op *out) {
    out->nullable = def != NULL && def->nullable;
    if (type->kind == MRI_AVRO_UNION) return union_op(arena, type, def, out);
    if (def == NULL) {
        out->code = skip_code(type, &out->count);
        return true;
    }
    out->code = MRI_AVRO_TO_NULL;
    return type->kind == MRI_AVRO_NULL ? true : single_op(arena, type, def, out);
}

/* --- one record into one row -------------------------------------------------------------------
 */

static mr_status fail_type(mr_arena *arena, mri_avro_type *type, const mr_column_def *def,
                           mr_error *err) {
    const mri_avro_type *value = type;
    for (uint32_t i = 0; type->kind == MRI_AVRO_UNION && i < type->count; i++) {
        if (type->types[i]->kind == MRI_AVRO_LONG) value = type->types[i];
    }
    if (def->type == MR_TIMESTAMP && value->kind == MRI_AVRO_LONG) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL,
                       "field \"%s\" is a plain long and column \"%s\" a timestamp; declare it "
                       "timestamp_s, _ms, _us or _ns after the unit that it counts, or "
                       "give the field the logicalType timestamp-micros",
                       def->name, def->name);
    }
    return mr_fail(err, MR_ERR_SCHEMA, NULL, "field \"%s\" of type %s cannot be read as %s",
                   def->name, mri_avro_describe(arena, type), mri_type_name((int)def->type));
}

static mr_status resolve_fields(mr_arena *arena, mri_avro_plan *plan, bool *found, mr_error *err) {
    const mri_avro_type *writer = plan->writer;
    const mr_schema *reader = plan->reader;
    for (uint32_t i = 0; i < writer->count; i++) {
        const int32_t column = mr_schema_find(reader, writer->part_names[i]);
        const mr_column_def *def = column >= 0 ? &reader->columns[column] : NULL;
        mri_avro_op *op = &plan->ops[i];
        op->field = i;
        op->column = column >= 0 ? (uint32_t)column : UINT32_MAX;
        if (!mri_avro_op_of(arena, writer->types[i], def, op)) {
            return fail_type(arena, writer->types[i], def, err);
        }
        if (def != NULL && !def->nullable && op->code == MRI_AVRO_TO_NULL) {
            return fail_type(arena, writer->types[i], def, err);
        }
        if (column >= 0) found[column] = true;
    }
    return MR_OK;
}

static mr_status resolve_missing(mri_avro_plan *plan, const bool *found, mr_error *err) {
    for (uint32_t i = 0; i < plan->reader->count; i++) {
        if (found[i]) continue;
        if (!plan->reader->columns[i].nullable) {
            return mr_fail(err, MR_ERR_SCHEMA, NULL,
                           "the records of \"%.200s\" have no field \"%s\", and the column may not "
                           "be null",
                           plan->writer->name, plan->reader->columns[i].name);
        }
        plan->missing[plan->missing_count++] = i;
    }
    return MR_OK;
}

mr_status mri_avro_plan_open(mr_arena *arena, const char *writer, size_t writer_size,
                             const mr_schema *reader, mri_avro_plan **out, mr_error *err) {
    mri_avro_type *type = NULL;
    *out = NULL;
    mr_status status = mri_avro_parse(arena, writer, writer_size, &type, err);
    if (status != MR_OK) return status;
    if (type->kind != MRI_AVRO_RECORD) {
        return mr_fail(err, MR_ERR_SCHEMA, NULL, "the writer's schema is of type %s, not a record",
                       mri_avro_describe(arena, type));
    }
    mri_avro_plan *plan = mri_alloc(arena, sizeof *plan);
    plan->reader = reader;
    plan->writer = type;
    plan->ops = mri_alloc_array(arena, type->count, sizeof *plan->ops);
    plan->missing = mri_alloc_array(arena, reader->count, sizeof *plan->missing);
    bool *found = mri_alloc_array(arena, reader->count, sizeof *found);
    status = resolve_fields(arena, plan, found, err);
    if (status == MR_OK) status = resolve_missing(plan, found, err);
    if (status == MR_OK && !mri_avro_is_flat(type)) {
        status = mri_avro_generic_open(arena, type, writer, writer_size, &plan->generic, err);
    }
    if (status == MR_OK) *out = plan;
    return status;
}

void mri_avro_plan_close(mri_avro_plan *plan) {
    if (plan != NULL && plan->generic != NULL) mri_avro_generic_close(plan->generic);
}
