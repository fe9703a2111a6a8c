/* avro.c: Avro records there and back, each checked against avro-c. */
#include <avro.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "codec/avro_plan.h"
#include "codec/lex.h"
#include "support_avro.h"
#include "support_random.h"
#include "support_rows.h"

static mr_arena *arena;
static mr_error err;

static void setup(void) {
    arena = mri_arena_open(1 << 18);
}

static void teardown(void) {
    mri_arena_close(arena);
}

TestSuite(avro, .init = setup, .fini = teardown);

/* A writer as avro-c sees it. */
struct writer {
    avro_schema_t schema;
    avro_value_iface_t *class;
    avro_value_t value;
};

static struct writer writer_open(const char *text, size_t size) {
    struct writer w = {.schema = support_avro_parse(text, size)};
    w.class = avro_generic_class_from_schema(w.schema);
    cr_assert_not_null(w.class, "%s", avro_strerror());
    cr_assert_eq(avro_generic_value_new(w.class, &w.value), 0);
    return w;
}

static void writer_close(struct writer *w) {
    avro_value_decref(&w->value);
    avro_value_iface_decref(w->class);
    (void)avro_schema_decref(w->schema);
}

/* --- what a column must hold of a value of avro-c ----------------------------------------------
 */

enum expected { VALUE, NULLED, NOT_FINITE, BROKEN };

/* One cell as it must become. */
struct cell {
    enum expected expected;
    int64_t i64;
    double f64;
    const void *data;
    size_t size;
};

static void number_cell(avro_value_t *value, struct cell *c) {
    int32_t small = 0;
    float single = 0;
    switch (avro_value_get_type(value)) {
    case AVRO_INT32:
        (void)avro_value_get_int(value, &small);
        c->i64 = small;
        c->f64 = (double)small;
        break;
    case AVRO_INT64:
        (void)avro_value_get_long(value, &c->i64);
        c->f64 = (double)c->i64;
        break;
    case AVRO_FLOAT:
        (void)avro_value_get_float(value, &single);
        c->f64 = (double)single;
        break;
    default:
        (void)avro_value_get_double(value, &c->f64);
        break;
    }
    if (!isfinite(c->f64)) c->expected = NOT_FINITE;
}

static void text_cell(avro_value_t *value, const mr_column_def *def, struct cell *c) {
    int symbol = 0;
    switch (avro_value_get_type(value)) {
    case AVRO_STRING:
        (void)avro_value_get_string(value, (const char **)&c->data, &c->size);
        c->size--;
        break;
    case AVRO_BYTES:
        (void)avro_value_get_bytes(value, &c->data, &c->size);
        break;
    case AVRO_FIXED:
        (void)avro_value_get_fixed(value, &c->data, &c->size);
        break;
    default:
        (void)avro_value_get_enum(value, &symbol);
        c->data = avro_schema_enum_get(avro_value_get_schema(value), symbol);
        c->size = strlen(c->data);
        break;
    }
    if (def->type == MR_STRING && !mri_utf8_valid(c->data, c->size)) c->expected = BROKEN;
}

/* Whether a value of avro-c's type can go into a column; `time`: its logical type is one. */
static bool fits(avro_type_t type, bool time, const mr_column_def *def) {
    switch (def->type) {
    case MR_BOOL:
        return type == AVRO_BOOLEAN;
    case MR_I64:
        return type == AVRO_INT32 || type == AVRO_INT64;
    case MR_F64:
        return type == AVRO_INT32 || type == AVRO_INT64 || type == AVRO_FLOAT ||
               type == AVRO_DOUBLE;
    case MR_STRING:
        return type == AVRO_STRING || type == AVRO_BYTES || type == AVRO_ENUM || type == AVRO_FIXED;
    case MR_BYTES:
        return type == AVRO_STRING || type == AVRO_BYTES || type == AVRO_FIXED;
    case MR_TIMESTAMP:
        return (type == AVRO_INT64 || type == AVRO_INT32) &&
               (time || (def->flags & MR_COLUMN_UNITS));
    }
    return false;
}

/* Microseconds of a long; the logical type counts before the column's unit. */
static void time_cell(const mri_avro_type *type, const mr_column_def *def, struct cell *c) {
    __extension__ __int128 us = c->i64;
    const bool nanos = type->time == MRI_AVRO_NANOS ||
                       (type->time == MRI_AVRO_NO_TIME && (def->flags & MR_COLUMN_UNIT_NS));
    const bool millis = type->time == MRI_AVRO_MILLIS ||
                        (type->time == MRI_AVRO_NO_TIME && (def->flags & MR_COLUMN_UNIT_MS));
    const bool seconds = type->time == MRI_AVRO_NO_TIME && (def->flags & MR_COLUMN_UNIT_S);
    if (nanos) us = (us - (us % 1000 + 1000) % 1000) / 1000;
    if (millis) us *= 1000;
    if (seconds) us *= 1000000;
    c->expected = us < MRI_TIME_MIN_US || us > MRI_TIME_MAX_US ? BROKEN : VALUE;
    c->i64 = (int64_t)us;
}

static struct cell expected_cell(avro_value_t *value, const mri_avro_type *type,
                                 const mr_column_def *def) {
    struct cell c = {.expected = VALUE};
    avro_value_t branch = *value;
    if (avro_value_get_type(value) == AVRO_UNION) {
        int index = 0;
        (void)avro_value_get_discriminant(value, &index);
        (void)avro_value_get_current_branch(value, &branch);
        type = type->types[index];
    }
    const avro_type_t kind = avro_value_get_type(&branch);
    int truth = 0;
    if (kind == AVRO_NULL) {
        c.expected = def->nullable ? NULLED : BROKEN;
    } else if (!fits(kind, type->time != MRI_AVRO_NO_TIME, def)) {
        c.expected = BROKEN;
    } else if (def->type == MR_BOOL) {
        (void)avro_value_get_boolean(&branch, &truth);
        c.i64 = truth;
    } else if (def->type == MR_STRING || def->type == MR_BYTES) {
        text_cell(&branch, def, &c);
    } else {
        number_cell(&branch, &c);
        if (def->type == MR_TIMESTAMP) time_cell(type, def, &c);
        if (c.expected == NOT_FINITE && !def->nullable) c.expected = BROKEN;
    }
    return c;
}

/* Whether any value of a writer's field can go into a column. */
static bool field_fits(const mri_avro_type *type, avro_schema_t schema, const mr_column_def *def) {
    if (type->kind != MRI_AVRO_UNION) {
        if (type->kind == MRI_AVRO_NULL) return def->nullable;
        return fits(avro_typeof(schema), type->time != MRI_AVRO_NO_TIME, def);
    }
    bool only_null = true;
    for (uint32_t i = 0; i < type->count; i++) {
        avro_schema_t branch = avro_schema_union_branch(schema, (int)i);
        only_null = only_null && type->types[i]->kind == MRI_AVRO_NULL;
        if (type->types[i]->kind != MRI_AVRO_NULL && field_fits(type->types[i], branch, def)) {
            return true;
        }
    }
    return only_null && def->nullable;
}

static void check_cell(const struct cell *c, mr_column column, uint32_t row, const char *name) {
    cr_assert_eq(column.valid[row], c->expected == VALUE, "%s", name);
    if (c->expected != VALUE) return;
    switch (column.type) {
    case MR_BOOL:
        cr_assert_eq(column.b[row], c->i64, "%s", name);
        break;
    case MR_F64:
        cr_assert_eq(memcmp(&column.f64[row], &c->f64, 8), 0, "%s", name);
        break;
    case MR_I64:
    case MR_TIMESTAMP:
        cr_assert_eq(column.i64[row], c->i64, "%s", name);
        break;
    case MR_STRING:
    case MR_BYTES:
        cr_assert_eq(column.str[row].size, c->size, "%s", name);
        cr_assert_eq(memcmp(column.str[row].data, c->data, c->size), 0, "%s", name);
        break;
    }
}

/* --- our records, read by avro-c ---------------------------------------------------------------
 */

static void check_message(const mri_text *message, struct writer *w, const mr_schema *schema,
                          mri_avro_type *type, const mr_batch *batch, uint32_t row) {
    avro_reader_t reader = avro_reader_memory(message->data + 10, (int64_t)message->size - 10);
    cr_assert_eq(avro_value_reset(&w->value), 0);
    cr_assert_eq(avro_value_read(reader, &w->value), 0, "%s", avro_strerror());
    char more = 0;
    cr_assert_neq(avro_read(reader, &more, 1), 0, "bytes are left over");
    avro_reader_free(reader);
    for (uint32_t i = 0; i < schema->count; i++) {
        avro_value_t field;
        cr_assert_eq(avro_value_get_by_index(&w->value, i, &field, NULL), 0);
        const struct cell c = expected_cell(&field, type->types[i], &schema->columns[i]);
        check_cell(&c, batch->columns[i], row, schema->columns[i].name);
    }
}

Test(avro, our_records_are_what_avro_c_reads) {
    random_start();
    for (int round = 0; round < 300; round++) {
        mri_arena_reset(arena);
        const mr_schema *schema = support_random_schema(arena, 15);
        const char *text = mri_avro_schema_text(arena, "rows", schema);
        struct writer w = writer_open(text, strlen(text));
        mri_avro_type *type = NULL;
        cr_assert_eq(mri_avro_parse(arena, text, strlen(text), &type, &err), MR_OK);
        mri_avro_plan *plan = NULL;
        mri_avro_encoder *encoder = NULL;
        const uint64_t fingerprint = random_u64();
        cr_assert_eq(mri_avro_encoder_open(arena, schema, fingerprint, &encoder, &err), MR_OK);
        cr_assert_eq(mri_avro_plan_open(arena, text, strlen(text), schema, &plan, &err), MR_OK);
        cr_assert_null(plan->generic);
        mr_batch *from = support_batch(arena, schema), *to = support_batch(arena, schema);
        mri_decode_target target = {.batch = to, .strings = arena};
        int64_t nulled = 0;
        for (uint32_t row = 0; row < 30; row++) {
            support_random_row(arena, schema, from, row);
            mri_text message = {0};
            mri_avro_encode(encoder, from, row, &message);
            uint64_t found = 0;
            cr_assert(mri_avro_message(message.data, message.size, &found));
            cr_assert_eq(found, fingerprint);
            check_message(&message, &w, schema, type, from, row);
            cr_assert_eq(mri_avro_decode(plan, message.data + 10, message.size - 10, &target, row,
                                         &nulled, &err),
                         MR_OK, "%s", err.text);
            support_same_rows(schema, from, row, to, row);
            mri_text_free(&message);
        }
        cr_assert_eq(nulled, 0);
        mri_avro_plan_close(plan);
        writer_close(&w);
    }
}

/* --- avro-c's records, read by us --------------------------------------------------------------
 */

/* A writer and a reader of some of its fields. */
struct pair {
    mri_text text;
    mri_avro_type *type;
    struct writer w;
    mr_schema *reader;
    bool fits;
};

static void add_column(struct pair *p, uint32_t field) {
    static const mr_type types[] = {MR_BOOL, MR_I64, MR_F64, MR_STRING, MR_BYTES, MR_TIMESTAMP};
    static const uint32_t units[] = {0, MR_COLUMN_UNIT_S, MR_COLUMN_UNIT_MS, MR_COLUMN_UNIT_US,
                                     MR_COLUMN_UNIT_NS};
    avro_schema_t schema = avro_schema_record_field_get_by_index(p->w.schema, (int)field);
    mr_column_def *def = &p->reader->columns[p->reader->count];
    for (int tries = 0; tries < 40; tries++) {
        *def = (mr_column_def){.name = p->type->part_names[field],
                               .type = types[random_below(6)],
                               .nullable = random_below(4) != 0};
        if (def->type == MR_TIMESTAMP) def->flags = units[random_below(5)];
        const bool good = field_fits(p->type->types[field], schema, def);
        if (!good && random_below(600) != 0) continue;
        p->fits = p->fits && good;
        p->reader->count++;
        return;
    }
}

static struct pair pair_open(bool nested) {
    struct pair p = {.fits = true};
    const uint32_t fields = 1 + random_below(8);
    support_avro_schema(&p.text, fields, nested);
    cr_assert_eq(mri_avro_parse(arena, p.text.data, p.text.size, &p.type, &err), MR_OK, "%s: %s",
                 p.text.data, err.text);
    p.w = writer_open(p.text.data, p.text.size);
    p.reader = support_schema(arena, "");
    for (uint32_t i = fields; i-- > 0;) {
        if (random_below(4) != 0) add_column(&p, i);
    }
    mr_column_def *missing = &p.reader->columns[p.reader->count];
    *missing = (mr_column_def){.name = "absent", .type = MR_I64, .nullable = random_below(30) != 0};
    if (random_below(3) == 0) {
        p.reader->count++;
        p.fits = p.fits && missing->nullable;
    }
    return p;
}

static void pair_close(struct pair *p) {
    writer_close(&p->w);
    mri_text_free(&p->text);
}

/* What must come of the value that w holds; the number of cells that are nulled. */
static bool expect_row(struct pair *p, struct cell *cells, int64_t *nulled) {
    bool good = true;
    *nulled = 0;
    for (uint32_t i = 0; i < p->reader->count; i++) {
        cells[i] = (struct cell){.expected = NULLED};
        avro_value_t field;
        size_t index = 0;
        const mr_column_def *def = &p->reader->columns[i];
        if (avro_value_get_by_name(&p->w.value, def->name, &field, &index) != 0) continue;
        cells[i] = expected_cell(&field, p->type->types[index], def);
        good = good && cells[i].expected != BROKEN;
        *nulled += cells[i].expected == NOT_FINITE;
    }
    return good;
}

/* Any cut is noticed, and so is a byte too many. */
static void check_cuts(struct pair *p, mri_avro_plan *plan, const char *bytes, size_t size,
                       mri_decode_target *to) {
    int64_t nulled = 0;
    for (size_t cut = 0; cut < size; cut += 1 + size / 40) {
        char *copy = mri_malloc(cut);
        if (cut > 0) memcpy(copy, bytes, cut);
        cr_assert_eq(mri_avro_decode(plan, copy, cut, to, 0, &nulled, &err), MR_ERR_RECORD, "%s",
                     p->text.data);
        free(copy);
    }
    char *longer = mri_malloc(size + 1);
    if (size > 0) memcpy(longer, bytes, size);
    longer[size] = 0;
    cr_assert_eq(mri_avro_decode(plan, longer, size + 1, to, 0, &nulled, &err), MR_ERR_RECORD);
    free(longer);
}

static void check_mutations(struct pair *p, mri_avro_plan *plan, char *bytes, size_t size,
                            mri_decode_target *to) {
    int64_t nulled = 0;
    for (int i = 0; i < 20 && size > 0; i++) {
        const size_t at = random_below((uint32_t)size);
        const char before = bytes[at];
        bytes[at] = (char)(random_below(2) ? before ^ (char)(1 << random_below(8))
                                           : (int)random_below(256));
        const mr_status status = mri_avro_decode(plan, bytes, size, to, 0, &nulled, &err);
        cr_assert(status == MR_OK || status == MR_ERR_RECORD);
        if (status == MR_OK) support_check_row(p->reader, to->batch, 0);
        bytes[at] = before;
    }
}

static void check_row(struct pair *p, mri_avro_plan *plan, mri_decode_target *to) {
    cr_assert_eq(avro_value_reset(&p->w.value), 0);
    support_avro_fill(&p->w.value);
    struct cell cells[16];
    int64_t expected_nulled = 0, nulled = 0;
    const bool good = expect_row(p, cells, &expected_nulled);
    size_t size = 0;
    char *bytes = support_avro_bytes(&p->w.value, &size);
    const mr_status status = mri_avro_decode(plan, bytes, size, to, 0, &nulled, &err);
    cr_assert_eq(status, good ? MR_OK : MR_ERR_RECORD, "%s: %s", p->text.data, err.text);
    for (uint32_t i = 0; i < p->reader->count && good; i++) {
        check_cell(&cells[i], to->batch->columns[i], 0, p->reader->columns[i].name);
    }
    if (good) support_check_row(p->reader, to->batch, 0);
    if (good) cr_assert_eq(nulled, expected_nulled);
    check_cuts(p, plan, bytes, size, to);
    check_mutations(p, plan, bytes, size, to);
    free(bytes);
}

static void check_pairs(bool nested, int rounds) {
    random_start();
    int opened = 0, refused = 0, generic = 0;
    for (int round = 0; round < rounds; round++) {
        mri_arena_reset(arena);
        struct pair p = pair_open(nested);
        mri_avro_plan *plan = NULL;
        const mr_status status =
            mri_avro_plan_open(arena, p.text.data, p.text.size, p.reader, &plan, &err);
        cr_assert_eq(status, p.fits ? MR_OK : MR_ERR_SCHEMA, "%s: %s", p.text.data, err.text);
        opened += p.fits;
        refused += !p.fits;
        if (p.fits) {
            generic += plan->generic != NULL;
            mri_decode_target to = {.batch = support_batch(arena, p.reader), .strings = arena};
            for (int i = 0; i < 8; i++) {
                check_row(&p, plan, &to);
            }
            mri_avro_plan_close(plan);
        }
        pair_close(&p);
    }
    cr_assert_gt(opened, rounds / 2);
    cr_assert_gt(refused, 0);
    if (nested)
        cr_assert_gt(generic, rounds / 4);
    else
        cr_assert_eq(generic, 0);
}

Test(avro, flat_records_of_avro_c_are_read) {
    check_pairs(false, 3000);
}

Test(avro, nested_records_of_avro_c_are_read) {
    check_pairs(true, 2000);
}

/* --- single cases ------------------------------------------------------------------------------
 */

#define RECORD(fields) "{\"name\":\"r\",\"type\":\"record\",\"fields\":[" fields "]}"
#define FIELD(type)    RECORD("{\"name\":\"a\",\"type\":" type "}")

static mr_status open_plan(const char *writer, const char *reader, mri_avro_plan **plan) {
    return mri_avro_plan_open(arena, writer, strlen(writer), support_schema(arena, reader), plan,
                              &err);
}

Test(avro, what_does_not_fit_is_named_with_the_fix) {
    static const struct {
        const char *writer, *reader, *why;
    } cases[] = {
        {FIELD("\"string\""), "a:float64",
         "field \"a\" of type \"string\" cannot be read as float64"},
        {FIELD("\"double\""), "a:int64", "cannot be read as int64"},
        {FIELD("\"long\""), "a:timestamp",
         "field \"a\" is a plain long and column \"a\" a timestamp; declare it timestamp_s"},
        {FIELD("[\"null\",\"long\"]"), "a:timestamp?", "is a plain long"},
        {FIELD("{\"type\":\"array\",\"items\":\"int\"}"), "a:int64", "cannot be read as int64"},
        {FIELD("\"int\""), "b:int64", "the records of \"r\" have no field \"b\""},
        {FIELD("\"null\""), "a:int64", "of type \"null\" cannot be read as int64"},
        {"\"long\"", "a:int64", "is of type \"long\", not a record"},
        {"nonsense", "a:int64", "not an Avro schema: line 1"},
        {FIELD("\"r\""), "a:int64", "cannot be read as int64"},
        {FIELD("\"r\""), "b:int64?", "holds itself"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mri_avro_plan *plan = NULL;
        cr_assert_eq(open_plan(cases[i].writer, cases[i].reader, &plan), MR_ERR_SCHEMA, "%s",
                     cases[i].writer);
        cr_assert_null(plan);
        cr_assert_not_null(strstr(err.text, cases[i].why), "%s: %s", cases[i].writer, err.text);
    }
}

static mr_status decode(mri_avro_plan *plan, const char *bytes, size_t size, mr_batch *batch) {
    int64_t nulled = 0;
    mri_decode_target to = {.batch = batch, .strings = arena};
    return mri_avro_decode(plan, bytes, size, &to, 0, &nulled, &err);
}

Test(avro, numbers_that_do_not_fit_their_type_are_refused) {
    mri_avro_plan *plan = NULL;
    cr_assert_eq(open_plan(FIELD("\"int\""), "a:int64", &plan), MR_OK);
    mr_batch *batch = support_batch(arena, support_schema(arena, "a:int64"));
    cr_assert_eq(decode(plan, "\xfe\xff\xff\xff\x0f", 5, batch), MR_OK);
    cr_assert_eq(batch->columns[0].i64[0], INT32_MAX);
    cr_assert_eq(decode(plan, "\x80\x80\x80\x80\x10", 5, batch), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "field \"a\" cannot be read"), "%s", err.text);
    cr_assert_eq(open_plan(FIELD("\"long\""), "a:int64", &plan), MR_OK);
    cr_assert_eq(decode(plan, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, batch), MR_OK);
    cr_assert_eq(batch->columns[0].i64[0], INT64_MIN);
    cr_assert_eq(decode(plan, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, batch),
                 MR_ERR_RECORD);
    cr_assert_eq(decode(plan, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x00", 11, batch),
                 MR_ERR_RECORD);
    cr_assert_eq(open_plan(FIELD("\"string\""), "a:string", &plan), MR_OK);
    mr_batch *text = support_batch(arena, support_schema(arena, "a:string"));
    cr_assert_eq(decode(plan, "\x01", 1, text), MR_ERR_RECORD); /* a length of -1 */
    cr_assert_eq(decode(plan, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 11, text),
                 MR_ERR_RECORD);
    cr_assert_eq(decode(plan, "\x02\xff", 2, text), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "is not UTF-8"), "%s", err.text);
    cr_assert_eq(decode(plan, "\x02xy", 3, text), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "1 bytes are left over"), "%s", err.text);
}

/* In memory of exactly their size: what is read eight bytes at a time is what is read byte by byte. */
Test(avro, varints_are_read_alike_in_both_ways) {
    random_start();
    for (int round = 0; round < 200000; round++) {
        const size_t size = random_below(13);
        uint8_t *bytes = mri_malloc(size + (size == 0));
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)(random_below(256) | (random_below(6) ? 0x80u : 0u));
        }
        mri_avro_bytes one = {bytes, bytes + size}, many = one, small = one;
        int64_t one_value = 0, many_value = 0, small_value = 0;
        const bool good = mri_avro_long_bytewise(&one, &one_value);
        cr_assert_eq(mri_avro_long(&many, &many_value), good);
        cr_assert_eq(mri_avro_small(&small, &small_value), good);
        if (good) {
            cr_assert_eq(many_value, one_value);
            cr_assert_eq(small_value, one_value);
            cr_assert_eq(many.at, one.at);
            cr_assert_eq(small.at, one.at);
        }
        free(bytes);
    }
}

/* Also of one that is not of ASCII in any place. */
Test(avro, text_of_any_size_is_known_for_ascii) {
    for (size_t size = 0; size <= 40; size++) {
        char *text = mri_malloc(size + (size == 0));
        memset(text, 'a', size);
        cr_assert(mri_word_ascii(text, size));
        for (size_t at = 0; at < size; at++) {
            text[at] = (char)0x80;
            cr_assert_not(mri_word_ascii(text, size), "byte %zu of %zu", at, size);
            text[at] = 'a';
        }
        free(text);
    }
}

Test(avro, headers_are_told_from_other_bytes) {
    uint64_t fingerprint = 0;
    static const char good[] = "\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08";
    cr_assert(mri_avro_message(good, 10, &fingerprint));
    cr_assert_eq(fingerprint, 0x0807060504030201u);
    cr_assert_not(mri_avro_message(good, 9, &fingerprint));
    cr_assert_not(mri_avro_message("\xc3\x02\0\0\0\0\0\0\0\0", 10, &fingerprint));
    cr_assert_not(mri_avro_message("", 0, &fingerprint));
}

/* --- schemas and values that would lead avro-c astray ------------------------------------------
 */

static mr_status decode_skipping(const char *writer, const char *bytes, size_t size) {
    mri_avro_plan *plan = NULL;
    cr_assert_eq(open_plan(writer, "z:int64?", &plan), MR_OK, "%s", err.text);
    mr_batch *batch = support_batch(arena, support_schema(arena, "z:int64?"));
    const mr_status status = decode(plan, bytes, size, batch);
    mri_avro_plan_close(plan);
    return status;
}

#define LIST                                                                                       \
    "{\"name\":\"l\",\"type\":\"record\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"l\"]" \
    "}]}"

Test(avro, long_lists_end_before_the_stack_does) {
    char *bytes = mri_malloc(1 << 20);
    memset(bytes, 2, 1 << 20);
    cr_assert_eq(decode_skipping(LIST, bytes, 1 << 20), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "more than 64 levels"), "%s", err.text);
    bytes[60] = 0;
    cr_assert_eq(decode_skipping(LIST, bytes, 61), MR_OK, "%s", err.text);
    free(bytes);
}

Test(avro, counts_are_bounded) {
    static const char nulls[] = FIELD("{\"type\":\"array\",\"items\":\"null\"}");
    cr_assert_eq(decode_skipping(nulls, "\xc8\x01\x00", 3), MR_OK, "%s", err.text);
    static const char endless[] = "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00";
    cr_assert_eq(decode_skipping(nulls, endless, 11), MR_ERR_RECORD);
    static const char least[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00";
    cr_assert_eq(decode_skipping(nulls, least, 12), MR_ERR_RECORD);
    static const char ints[] = FIELD("{\"type\":\"map\",\"values\":\"int\"}");
    cr_assert_eq(decode_skipping(ints, "\x01\x06\x02k\x02\x00", 6), MR_OK, "%s", err.text);
    cr_assert_eq(decode_skipping(ints, "\x01\x7f\x02k\x02\x00", 6), MR_ERR_RECORD);
    cr_assert_eq(decode_skipping(ints, "\x01\x40\x02k\x02\x00", 6), MR_ERR_RECORD);
}

/* Each record holds two of the one before: 2^40 values of no bytes at all. */
Test(avro, schemas_that_unfold_without_end_are_refused) {
    mri_text text = {0};
    mri_text_puts(&text,
                  "{\"name\":\"r\",\"type\":\"record\",\"fields\":["
                  "{\"name\":\"f0\",\"type\":{\"name\":\"t0\",\"type\":\"record\",\"fields\":["
                  "{\"name\":\"x\",\"type\":\"null\"}]}}");
    for (int i = 1; i < 41; i++) {
        mri_text_printf(
            &text,
            ",{\"name\":\"f%d\",\"type\":{\"name\":\"t%d\",\"type\":\"record\",\"fields\":["
            "{\"name\":\"x\",\"type\":\"t%d\"},{\"name\":\"y\",\"type\":\"t%d\"}]}}",
            i, i, i - 1, i - 1);
    }
    mri_text_puts(&text, "]}");
    mri_avro_plan *plan = NULL;
    cr_assert_eq(open_plan(text.data, "z:int64?", &plan), MR_ERR_SCHEMA);
    cr_assert_not_null(strstr(err.text, "more than 65536 values"), "%s", err.text);
    mri_text_free(&text);
    static const char itself[] =
        FIELD("{\"type\":\"array\",\"items\":{\"name\":\"s\",\"type\":\"record\","
              "\"fields\":[{\"name\":\"b\",\"type\":\"s\"}]}}");
    cr_assert_eq(open_plan(itself, "z:int64?", &plan), MR_ERR_SCHEMA);
    static const char empty[] = FIELD("{\"type\":\"array\",\"items\":{\"name\":\"e\",\"type\":"
                                      "\"record\",\"fields\":[]}}");
    cr_assert_eq(open_plan(empty, "z:int64?", &plan), MR_ERR_SCHEMA);
    cr_assert_not_null(strstr(err.text, "array of values without bytes"), "%s", err.text);
}
