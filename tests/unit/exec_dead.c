/* exec_dead.c: rows that steps, sources and readers of marks give back: which letters they become, and
 * in which order. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "support_dead.h"

#define S INT64_C(1000000)

static const char *letters_of_batches(const char *yaml, uint32_t batch_rows, exec *x) {
    exec_open(x, yaml);
    exec_topic(x, "raw", 1);
    for (int64_t i = 0; i < 40; i++) {
        if (i % 5 == 3) exec_put(x, "raw", 0, "A", "{");
        exec_feed(x, "raw", "{\"pair\":\"A\",\"time\":%" PRId64 ",\"price\":%s,\"quantity\":1}",
                  i * S,
                  i % 4 == 1   ? "null"
                  : i % 7 == 0 ? "500"
                               : "1");
    }
    exec_start(x, "s", (exec_run){.batch_rows = batch_rows});
    exec_settle(x);
    return letters_lines(x, 0);
}

/* Of the second candles a bar without a price is none: close / 0 is null. */
static const char steps_yaml[] =
    "pipeline: p\n"
    "topics:\n"
    "  raw: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n"
    "    time: timestamp, price: 'float64?', quantity: float64 } }\n"
    "  out: { key: pair, time: window_end, partitions: 1, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    from: raw\n"
    "    idle: off\n"
    "    on_error: dlq\n"
    "    steps:\n"
    "      - candles: { id: c, every: 1s }\n"
    "      - map: { p2: 'close / if(close > 100, 0.0, 1.0)' }\n"
    "      - candles: { id: d, every: 5s, price: p2, quantity: volume }\n"
    "    to: out\n";

Test(exec_dead, letters_of_steps_stand_in_the_order_of_the_input) {
    const uint32_t sizes[] = {4096, 1, 2, 3, 7};
    exec first;
    const char *wanted = letters_of_batches(steps_yaml, sizes[0], &first);
    const char *out = exec_by_key(&first, "out");
    cr_assert_not_null(strstr(wanted, "undecodable"));
    cr_assert_not_null(strstr(wanted, "refused_by_step"));
    for (size_t i = 1; i < sizeof sizes / sizeof *sizes; i++) {
        exec x;
        exec_same(wanted, letters_of_batches(steps_yaml, sizes[i], &x), "letters");
        exec_same(out, exec_by_key(&x, "out"), "out");
        exec_close(&x);
    }
    exec_close(&first);
}

Test(exec_dead, a_row_that_a_step_made_is_a_letter_in_json) {
    exec x;
    size_t count = 0;
    uint32_t rows = 0, records = 0;
    (void)letters_of_batches(steps_yaml, 4096, &x);
    const mri_record *letters = mri_sim_records(x.sim, "p.dlq", 0, &count);
    for (size_t i = 0; i < count; i++) {
        const mri_record *letter = &letters[i];
        if (strcmp(letter_header(&x, letter, "mr.step"), "c") == 0) {
            cr_assert_str_eq(letter_header(&x, letter, "mr.kind"), "record",
                             "the record says the row");
            records++;
            continue;
        }
        if (strcmp(letter_header(&x, letter, "mr.step"), "d") != 0) continue;
        const char *value = mri_strndup(x.arena, letter->value, letter->value_size);
        cr_assert_str_eq(letter_header(&x, letter, "mr.kind"), "row");
        cr_assert_not_null(strstr(value, "\"close\":500"), "%s", value);
        cr_assert_not_null(strstr(value, "\"p2\":null"), "%s", value);
        cr_assert_eq(letter->key_size, 1);
        cr_assert_eq(*(const char *)letter->key, 'A', "the key of the row");
        cr_assert_str_eq(letter_header(&x, letter, "mr.topic"), "raw", "what caused it");
        rows++;
    }
    cr_assert_gt(records, 3);
    cr_assert_gt(rows, 3);
    cr_assert_eq(exec_stats(&x).dead[MRI_REASON_STEP], rows + records);
    exec_close(&x);
}

Test(exec_dead, what_a_step_says_itself_counts) {
    static const char form[] =
        "pipeline: p\n"
        "topics:\n"
        "  raw: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n"
        "    time: timestamp, price: 'float64?', quantity: float64 } }\n"
        "  out: { key: pair, time: window_end, partitions: 1, format: json }\n"
        "stages:\n"
        "  s:\n"
        "    from: raw\n"
        "    idle: off\n"
        "    on_error: %s\n"
        "    steps: [ { candles: { id: c, every: 1s, on_error: %s } } ]\n"
        "    to: out\n";
    static const char *const policies[] = {"fail", "skip", "dlq"};
    for (int stage = 0; stage < 3; stage++) {
        for (int step = 0; step < 3; step++) {
            char yaml[1024];
            size_t count = 0;
            (void)snprintf(yaml, sizeof yaml, form, policies[stage], policies[step]);
            exec x;
            exec_open(&x, yaml);
            exec_topic(&x, "raw", 1);
            exec_start(&x, "s", (exec_run){0});
            exec_feed(&x, "raw", "{\"pair\":\"A\",\"time\":1,\"price\":null,\"quantity\":1}");
            if (step == 0) {
                cr_assert_eq(exec_try_settle(&x), MR_ERR_RECORD);
                cr_assert_not_null(strstr(x.err.text, "step 'c'"), "%s", x.err.text);
            } else {
                exec_settle(&x);
            }
            const mri_worker_stats stats = exec_stats(&x);
            cr_assert_eq(stats.dropped[MRI_REASON_STEP], step == 1);
            cr_assert_eq(stats.dead[MRI_REASON_STEP], step == 2);
            (void)mri_sim_records(x.sim, "p.dlq", 0, &count);
            cr_assert_eq(count, step == 2 ? 1u : 0u);
            if (step > 0) { /* a record is the stage's matter */
                exec_put(&x, "raw", 0, "A", "{");
                const mr_status status = exec_try_settle(&x);
                cr_assert_eq(status, stage == 0 ? MR_ERR_RECORD : MR_OK, "%s", x.err.text);
                cr_assert_eq(exec_stats(&x).dead[MRI_REASON_UNDECODABLE], stage == 2);
            }
            exec_close(&x);
        }
    }
}

static mr_status (*plain_process)(mr_ctx *ctx);

/* Gives back every row with a price above 1,000 and processes the rest. */
static mr_status picky_process(mr_ctx *ctx) {
    const mr_column *price = &ctx->in->columns[2];
    const uint32_t end = ctx->end;
    mr_status status = MR_OK;
    for (uint32_t row = ctx->row; status == MR_OK && row < end;) {
        uint32_t to = row;
        while (to < end && price->f64[to] <= 1000) {
            to++;
        }
        ctx->row = row;
        ctx->end = to;
        if (to > row) status = plain_process(ctx);
        if (to < end) {
            mr_reject(ctx, to, "too dear");
            mr_reject(ctx, to, "and still too dear");
        }
        row = to + 1;
    }
    ctx->end = end;
    return status;
}

static void container_run(exec *x, bool picky, uint32_t batch_rows) {
    static mr_operator op;
    exec_open(x, "pipeline: p\n"
                 "topics:\n"
                 "  raw: { key: pair, time: time, format: json, external: true, schema: {\n"
                 "    pair: string, time: timestamp, price: float64, quantity: float64 } }\n"
                 "  out: { key: pair, time: time, partitions: 1, format: json }\n"
                 "stages:\n"
                 "  s:\n"
                 "    from: raw\n"
                 "    idle: off\n"
                 "    on_error: dlq\n"
                 "    steps:\n"
                 "      - indicators:\n"
                 "          id: ta\n"
                 "          outputs:\n"
                 "            one: { ema: { timeperiod: 3, of: price } }\n"
                 "            two: { ema: { timeperiod: 2, of: price } }\n"
                 "            three: { ema: { timeperiod: 4, of: one } }\n"
                 "    to: out\n");
    mri_use *use = &x->plan->stages[0].steps[0].uses[0];
    op = *use->op;
    plain_process = op.process;
    op.process = picky_process;
    if (picky) use->op = &op;
    exec_topic(x, "raw", 1);
    for (int64_t i = 0; i < 60; i++) {
        const bool dear = i % 6 == 2 || i % 13 == 0 || i == 59;
        if (dear && !picky) continue;
        exec_feed(x, "raw", "{\"pair\":\"%s\",\"time\":%" PRId64 ",\"price\":%d,\"quantity\":1}",
                  i % 2 == 0 ? "A" : "B", i * S, dear ? 5000 : (int)(i % 9) + 1);
    }
    exec_start(x, "s", (exec_run){.batch_rows = batch_rows});
    exec_settle(x);
}

Test(exec_dead, a_row_that_one_use_gives_back_reaches_no_use_behind_it) {
    exec without;
    container_run(&without, false, 4096);
    const char *wanted = exec_by_key(&without, "out");
    cr_assert_gt(strlen(wanted), 1000);
    const uint32_t sizes[] = {4096, 1, 5};
    for (size_t i = 0; i < 3; i++) {
        exec with;
        container_run(&with, true, sizes[i]);
        exec_same(wanted, exec_by_key(&with, "out"), "out");
        exec_same(exec_state(&without, "s"), exec_state(&with, "s"), "state");
        cr_assert_eq(exec_stats(&with).dead[MRI_REASON_STEP], 15, "each row once: %" PRId64,
                     exec_stats(&with).dead[MRI_REASON_STEP]);
        cr_assert_eq(exec_stats(&with).rejected, 15);
        exec_close(&with);
    }
    exec_close(&without);
}

Test(exec_dead, a_mark_that_cannot_be_read_is_a_letter_and_its_row_goes_on) {
    exec x;
    size_t count = 0;
    exec_open(&x, "pipeline: p\n"
                  "topics:\n"
                  "  raw: { key: pair, time: time, format: json, external: true,\n"
                  "    schema: { pair: string, time: timestamp, price: float64 } }\n"
                  "  mid: { key: pair, time: time, partitions: 1, format: json }\n"
                  "  out: { key: pair, time: time, partitions: 1, format: json }\n"
                  "stages:\n"
                  "  a: { from: raw, idle: off, to: mid }\n"
                  "  s: { from: mid, on_error: dlq, to: out }\n");
    exec_topic(&x, "raw", 1);
    exec_start(&x, "s", (exec_run){0});
    const char *json = "{\"pair\":\"A\",\"time\":1,\"price\":1}";
    const mri_record record = {.key = "A",
                               .key_size = 1,
                               .value = json,
                               .value_size = (uint32_t)strlen(json),
                               .mark = "no mark",
                               .mark_size = 7,
                               .ingest_us = MR_TIME_NONE};
    cr_assert_eq(x.sim->ops->publish(x.sim, "mid", 0, &record, 1, &x.err), MR_OK);
    exec_settle(&x);
    cr_assert_not_null(strstr(exec_by_key(&x, "out"), "\"price\":1"));
    const mri_record *letters = mri_sim_records(x.sim, "p.dlq", 0, &count);
    cr_assert_eq(count, 1);
    cr_assert_str_eq(letter_header(&x, letters, "mr.kind"), "mark");
    cr_assert_str_eq(letter_header(&x, letters, "mr.reason"), "bad_mark");
    cr_assert_eq(letters->value_size, 7);
    cr_assert(memcmp(letters->value, "no mark", 7) == 0);
    cr_assert_eq(exec_stats(&x).dead[MRI_REASON_MARK], 1);
    exec_close(&x);
}

static const char source_form[] =
    "pipeline: p\n"
    "topics:\n"
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"
    "stages:\n"
    "  s:\n"
    "    source: { replay: { path: none.csv, schema: { pair: 'string?', time: timestamp, price:\n"
    "      'float64?', quantity: float64 } } }\n"
    "    key: pair\n"
    "    time: time\n"
    "    on_error: %s\n"
    "    steps: [ { candles: { id: c, every: 1s } } ]\n"
    "    to: out\n";

static const char *const source_rows[] = {
    "not even JSON",
    "{\"pair\":\"A\",\"time\":1,\"price\":1,\"quantity\":1}",
    "{\"pair\":\"A\",\"time\":2,\"price\":null,\"quantity\":1}",
    "{\"pair\":\"A\",\"time\":2,\"price\":1}",
    "{\"pair\":null,\"time\":3,\"price\":1,\"quantity\":1}",
    "{\"pair\":\"A\",\"time\":3000000,\"price\":1,\"quantity\":1}",
};

Test(exec_dead, rows_of_sources_follow_on_error_too) {
    const exec_source source = {.rows = source_rows, .count = 6, .time_column = 1};
    const char *texts[2] = {NULL, NULL};
    exec worlds[2];
    for (int i = 0; i < 2; i++) {
        char yaml[1024];
        size_t count = 0;
        exec *x = &worlds[i];
        (void)snprintf(yaml, sizeof yaml, source_form, "dlq");
        exec_open(x, yaml);
        exec_start(
            x, "s",
            (exec_run){.source = &source, .batch_rows = i == 0 ? 4096 : 1, .until_end = true});
        exec_until_end(x);
        const mri_record *letters = mri_sim_records(x->sim, "p.dlq", 0, &count);
        cr_assert_eq(count, 4);
        mri_text text = {0};
        for (size_t k = 0; k < count; k++) {
            mri_text_printf(&text, "%s %s %s:%s %.*s|", letter_header(x, &letters[k], "mr.kind"),
                            letter_header(x, &letters[k], "mr.reason"),
                            letter_header(x, &letters[k], "mr.file"),
                            letter_header(x, &letters[k], "mr.line"), (int)letters[k].value_size,
                            (const char *)letters[k].value);
        }
        texts[i] = mri_strdup(x->arena, text.data);
        mri_text_free(&text);
        const mri_worker_stats stats = exec_stats(x);
        cr_assert_eq(stats.dead[MRI_REASON_SOURCE], 2);
        cr_assert_eq(stats.dead[MRI_REASON_KEY], 1);
        cr_assert_eq(stats.dead[MRI_REASON_STEP], 1);
        cr_assert_eq(stats.rejected, 4);
    }
    exec_same("source bad_source_row rows:1 not even JSON|"
              "row refused_by_step : "
              "{\"pair\":\"A\",\"time\":\"1970-01-01T00:00:00.000002Z\",\"price\":null,"
              "\"quantity\":1}|"
              "source bad_source_row rows:4 {\"pair\":\"A\",\"time\":2,\"price\":1}|"
              "row bad_key : "
              "{\"pair\":null,\"time\":\"1970-01-01T00:00:00.000003Z\",\"price\":1,"
              "\"quantity\":1}|",
              texts[0], "letters");
    exec_same(texts[0], texts[1], "letters of another batch size");
    exec_close(&worlds[0]);
    exec_close(&worlds[1]);
}
