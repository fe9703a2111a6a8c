/* avro_decode.c: the bytes of one Avro record to one row. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "codec/avro_plan.h"
#include "codec/lex.h"

/* --- single values -----------------------------------------------------------------------------
 */

mr_status mri_avro_fail_cell(const mri_avro_cell *cell, const char *why, mr_error *err) {
    const char *name = cell->plan->writer->part_names[cell->op->field];
    return mr_fail(err, MR_ERR_RECORD, name, "field \"%s\" %s", name, why);
}

mr_status mri_avro_store_null(const mri_avro_cell *cell, mr_error *err) {
    mri_cell_null(cell->column, cell->row);
    return cell->op->nullable ? MR_OK : mri_avro_fail_cell(cell, "is null and may not be", err);
}

mr_status mri_avro_store_f64(const mri_avro_cell *cell, double value, int64_t *nulled,
                             mr_error *err) {
    const bool finite = isfinite(value);
    cell->column.f64[cell->row] = finite ? value : 0.0;
    cell->column.valid[cell->row] = finite;
    if (finite) return MR_OK;
    if (!cell->op->nullable) {
        return mri_avro_fail_cell(cell, "is not finite and may not be null", err);
    }
    ++*nulled;
    return MR_OK;
}

mr_status mri_avro_store_time(const mri_avro_cell *cell, int64_t value, mr_error *err) {
    const int64_t factor = cell->op->factor;
    int64_t us = 0;
    bool good = true;
    if (factor < 0)
        us = value / -factor - (value % -factor < 0);
    else
        good = !__builtin_mul_overflow(value, factor, &us);
    cell->column.i64[cell->row] = us;
    cell->column.valid[cell->row] = 1;
    if (good && mri_time_valid(us)) return MR_OK;
    return mri_avro_fail_cell(cell, "is a time outside of the years 1 to 9999", err);
}

mr_status mri_avro_store_text(const mri_avro_cell *cell, mr_string value, mr_error *err) {
    cell->column.str[cell->row] = value;
    cell->column.valid[cell->row] = 1;
    if (mri_utf8_valid(value.data, value.size)) return MR_OK;
    return mri_avro_fail_cell(cell, "is not UTF-8", err);
}

/* --- the flat way ------------------------------------------------------------------------------
 */

static double float_value(mr_string bytes) {
    const uint32_t bits = (uint32_t)mri_word_half(bytes.data);
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double double_value(mr_string bytes) {
    const uint64_t bits = mri_word(bytes.data);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool skip(const mri_avro_op *op, mri_avro_bytes *in) {
    int64_t number = 0;
    uint32_t index = 0;
    mr_string bytes;
    switch (op->code) {
    case MRI_AVRO_SKIP_BOOLEAN:
        return mri_avro_take(in, 1, &bytes) && (uint8_t)*bytes.data <= 1;
    case MRI_AVRO_SKIP_INT:
        return mri_avro_int(in, &number);
    case MRI_AVRO_SKIP_LONG:
        return mri_avro_long(in, &number);
    case MRI_AVRO_SKIP_SIZED:
        return mri_avro_sized(in, &bytes);
    case MRI_AVRO_SKIP_BYTES:
        return mri_avro_take(in, op->count, &bytes);
    case MRI_AVRO_SKIP_ENUM:
        return mri_avro_index(in, op->count, &index);
    default:
        return true;
    }
}

/* Values that need no check but their own bytes. False: the bytes are no such value. */
static bool plain(const mri_avro_op *op, mri_avro_bytes *in, mr_column column, uint32_t row) {
    int64_t number = 0;
    uint32_t index = 0;
    mr_string bytes;
    bool good = false;
    switch (op->code) {
    case MRI_AVRO_BOOLEAN_TO_BOOL:
        good = mri_avro_take(in, 1, &bytes) && (uint8_t)*bytes.data <= 1;
        if (good) column.b[row] = (uint8_t)*bytes.data;
        break;
    case MRI_AVRO_INT_TO_I64:
        good = mri_avro_int(in, &column.i64[row]);
        break;
    case MRI_AVRO_INT_TO_F64:
        good = mri_avro_int(in, &number);
        column.f64[row] = (double)number;
        break;
    case MRI_AVRO_LONG_TO_F64:
        good = mri_avro_long(in, &number);
        column.f64[row] = (double)number;
        break;
    case MRI_AVRO_SIZED_TO_BYTES:
        good = mri_avro_sized(in, &column.str[row]);
        break;
    case MRI_AVRO_FIXED_TO_BYTES:
        good = mri_avro_take(in, op->count, &column.str[row]);
        break;
    case MRI_AVRO_ENUM_TO_TEXT:
        good = mri_avro_index(in, op->count, &index);
        if (good) column.str[row] = op->symbols[index];
        break;
    default:
        return skip(op, in);
    }
    column.valid[row] = 1;
    return good;
}

/* One row on its way. */
struct flat {
    const mri_avro_plan *plan;
    mri_avro_bytes in;
    const mr_column *columns;
    uint32_t row;
    int64_t *nulled;
    mr_error *err;
};

static mr_status fail_bytes(const struct flat *f, const mri_avro_op *op) {
    const mri_avro_cell cell = {.plan = f->plan, .op = op};
    const mr_status status = mri_avro_fail_cell(
        &cell, "cannot be read: the bytes are cut short or no such value", f->err);
    if (f->err != NULL) f->err->option = NULL; /* the bytes are at fault, not what they say */
    return status;
}

/* What is stored without a check beyond these needs no cell to be made for it. */
static mr_status decode_f64(const struct flat *f, const mri_avro_op *op, double value) {
    const mr_column *column = &f->columns[op->column];
    if (isfinite(value)) {
        column->f64[f->row] = value;
        column->valid[f->row] = 1;
        return MR_OK;
    }
    const mri_avro_cell cell = {f->plan, op, *column, f->row};
    return mri_avro_store_f64(&cell, value, f->nulled, f->err);
}

static mr_status decode_time(const struct flat *f, const mri_avro_op *op, int64_t value) {
    const mr_column *column = &f->columns[op->column];
    if (op->factor == 1 && mri_time_valid(value)) {
        column->i64[f->row] = value;
        column->valid[f->row] = 1;
        return MR_OK;
    }
    const mri_avro_cell cell = {f->plan, op, *column, f->row};
    return mri_avro_store_time(&cell, value, f->err);
}

static mr_status decode_text(const struct flat *f, const mri_avro_op *op, mr_string value) {
    const mr_column *column = &f->columns[op->column];
    if (mri_word_ascii(value.data, value.size)) {
        column->str[f->row] = value;
        column->valid[f->row] = 1;
        return MR_OK;
    }
    const mri_avro_cell cell = {f->plan, op, *column, f->row};
    return mri_avro_store_text(&cell, value, f->err);
}

/* Codes that few writers have. */
static mr_status decode_other(struct flat *f, const mri_avro_op *op) {
    mri_avro_bytes *in = &f->in;
    mr_string bytes;
    if (op->code <= MRI_AVRO_SKIP_ENUM) return skip(op, in) ? MR_OK : fail_bytes(f, op);
    const mri_avro_cell cell = {f->plan, op, f->columns[op->column], f->row};
    switch (op->code) {
    case MRI_AVRO_FLOAT_TO_F64:
        if (!mri_avro_take(in, 4, &bytes)) return fail_bytes(f, op);
        return decode_f64(f, op, float_value(bytes));
    case MRI_AVRO_FIXED_TO_TEXT:
        if (!mri_avro_take(in, op->count, &bytes)) return fail_bytes(f, op);
        return decode_text(f, op, bytes);
    case MRI_AVRO_TO_NULL:
        return mri_avro_store_null(&cell, f->err);
    case MRI_AVRO_UNFIT:
        return mri_avro_fail_cell(&cell, "has a type that the column cannot hold", f->err);
    default:
        return plain(op, in, cell.column, f->row) ? MR_OK : fail_bytes(f, op);
    }
}

static mr_status decode_value(struct flat *f, const mri_avro_op *op) {
    int64_t number = 0;
    mr_string bytes;
    switch (op->code) {
    case MRI_AVRO_LONG_TO_I64:
        if (!mri_avro_long(&f->in, &number)) return fail_bytes(f, op);
        f->columns[op->column].i64[f->row] = number;
        f->columns[op->column].valid[f->row] = 1;
        return MR_OK;
    case MRI_AVRO_DOUBLE_TO_F64:
        if (!mri_avro_take(&f->in, 8, &bytes)) return fail_bytes(f, op);
        return decode_f64(f, op, double_value(bytes));
    case MRI_AVRO_TO_TIME:
        if (!mri_avro_long(&f->in, &number)) return fail_bytes(f, op);
        return decode_time(f, op, number);
    case MRI_AVRO_SIZED_TO_TEXT:
        if (!mri_avro_sized(&f->in, &bytes)) return fail_bytes(f, op);
        return decode_text(f, op, bytes);
    default:
        return decode_other(f, op);
    }
}

/* The op of the branch that the bytes name. */
static const mri_avro_op *branch_of(struct flat *f, const mri_avro_op *op) {
    uint32_t index = 0;
    return mri_avro_index(&f->in, op->count, &index) ? &op->branches[index] : NULL;
}

static mr_status decode_field(struct flat *f, const mri_avro_op *op) {
    const mri_avro_op *value = op->code == MRI_AVRO_BRANCH ? branch_of(f, op) : op;
    return value != NULL ? decode_value(f, value) : fail_bytes(f, op);
}

bool mri_avro_message(const void *data, size_t size, uint64_t *fingerprint) {
    const char *bytes = data;
    if (size < 10 || (uint8_t)bytes[0] != 0xc3 || bytes[1] != 0x01) return false;
    *fingerprint = mri_word(bytes + 2);
    return true;
}

mr_status mri_avro_decode(mri_avro_plan *plan, const void *body, size_t size, mri_decode_target *to,
                          uint32_t row, int64_t *nulled, mr_error *err) {
    if (size > INT32_MAX) {
        return mr_fail(err, MR_ERR_RECORD, NULL, "the message is too long: %zu bytes", size);
    }
    if (plan->generic != NULL) {
        const mr_string bytes = {size > 0 ? body : "", (uint32_t)size};
        return mri_avro_generic_decode(plan, bytes, to, row, nulled, err);
    }
    const uint8_t *bytes = size > 0 ? body : (const uint8_t *)""; /* may stand nowhere */
    struct flat f = {plan, {bytes, bytes + size}, to->batch->columns, row, nulled, err};
    const mri_avro_op *const end = plan->ops + plan->writer->count;
    for (const mri_avro_op *op = plan->ops; op < end; op++) {
        const mr_status status = decode_field(&f, op);
        if (status != MR_OK) return status;
    }
    if (f.in.at != f.in.end) {
        return mr_fail(err, MR_ERR_RECORD, NULL, "%zu bytes are left over behind the last field",
                       (size_t)(f.in.end - f.in.at));
    }
    for (uint32_t i = 0; i < plan->missing_count; i++) {
        mri_cell_null(f.columns[plan->missing[i]], row);
    }
    return MR_OK;
}
