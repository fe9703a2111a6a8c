/* plan.c: what a good file is laid out as. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support_plan.h"

#define TRADES                                                                         \
    "  trades: { key: pair, time: time, partitions: 4, schema: { pair: string, time: " \
    "timestamp, price: float64, quantity: float64, side: string?, trade_id: int64? } }\n"
#define OUT  "  out: { key: pair, time: window_end }\n"
#define HEAD "pipeline: p\ntopics:\n" TRADES OUT

static const mri_stage *good_stage(support_plan *plan, const char *steps) {
    char text[8192];
    (void)snprintf(text, sizeof text,
                   HEAD "stages:\n  one:\n    from: trades\n    steps:\n%s    to: out\n", steps);
    support_plan_good(plan, text);
    return support_plan_stage(plan, "one");
}

static void expect_columns(const mr_schema *schema, const char *wanted) {
    char *columns = support_plan_columns(schema);
    cr_expect_str_eq(columns, wanted);
    free(columns);
}

Test(plan, candles_start_with_the_key_and_replace_the_columns) {
    support_plan plan;
    const mri_stage *stage = good_stage(&plan, "      - candles: { id: c, every: 1m }\n");
    cr_assert_eq(stage->step_count, 1);
    const mri_step *step = &stage->steps[0];
    expect_columns(step->out,
                   "pair:string window_start:timestamp window_end:timestamp open:float64 "
                   "high:float64 low:float64 close:float64 volume:float64 vwap:float64? "
                   "trades:int64 synthetic:bool partial:bool final:bool revision:int64");
    cr_expect_eq(step->out_key.count, 1);
    cr_expect_eq(step->out_key.column[0], 0);
    cr_expect(step->stateful);
    cr_expect(stage->stateful);
    cr_expect_eq(step->uses[0].new_columns, 13);
    cr_expect_eq(step->uses[0].out_column[0], 1);
    cr_expect_eq(step->collection_count, 1);
    cr_expect_eq(step->timers, step->uses[0].op->timers);
    cr_expect_eq(step->from.step, MRI_FROM_INPUT);
    const mri_topic *out = &plan.plan->topics[1];
    cr_expect_eq(out->schema, step->out);
    cr_expect_eq(out->key.column[0], 0);
    cr_expect_eq(out->time, 2);
    cr_expect(out->schema->columns[2].flags & MR_COLUMN_WINDOW_END);
    cr_expect_eq(out->writer, 0);
    cr_expect_not(out->marks, "nobody reads it");
    cr_expect_eq(stage->tasks, 4);
    cr_expect_eq(stage->outputs[0].from.step, 0);
    support_plan_close(&plan);
}

Test(plan, one_history_per_column_as_long_as_the_longest_use) {
    support_plan plan;
    const mri_stage *stage = good_stage(&plan, "      - candles: { id: c, every: 1m }\n"
                                               "      - indicators:\n"
                                               "          id: i\n"
                                               "          outputs:\n"
                                               "            o: { obv: {} }\n"
                                               "            a: { sma: { timeperiod: 7 } }\n"
                                               "            b: { sma: { timeperiod: 30 } }\n"
                                               "            c: { sma: { of: a, timeperiod: 3 } }\n"
                                               "            d: { bbands: { timeperiod: 20 } }\n");
    const mri_step *step = &stage->steps[1];
    cr_assert_eq(step->use_count, 5);
    cr_assert_eq(step->history_count, 2);
    cr_expect_str_eq(step->out->columns[step->histories[0].column].name, "close");
    cr_expect_str_eq(step->out->columns[step->histories[1].column].name, "a");
    cr_expect_geq(step->histories[0].bars, 30);
    cr_expect_leq(step->histories[0].bars, 31);
    cr_expect_eq(step->histories[0].before, 1);
    cr_expect_eq(step->histories[1].before, 3);
    cr_expect_eq(step->uses[1].history[0], 0);
    cr_expect_eq(step->uses[2].history[0], 0);
    cr_expect_eq(step->uses[3].history[0], 1);
    cr_expect_eq(step->uses[4].history[0], 0);
    uint32_t end = 0;
    for (uint32_t i = 0; i < step->use_count; i++) {
        cr_expect_eq(step->uses[i].state_offset % 8, 0);
        cr_expect_eq(step->uses[i].state_offset, end);
        end += ((uint32_t)step->uses[i].op->state_size + 7) / 8 * 8;
    }
    cr_expect_eq(step->state_bytes, end);
    for (uint32_t i = 0; i < step->in->count; i++) {
        cr_expect_eq(step->out->columns[i].carried, (int32_t)i);
        cr_expect_str_eq(step->out->columns[i].name, step->in->columns[i].name);
    }
    support_plan_close(&plan);
}

Test(plan, outputs_are_named_after_their_use) {
    support_plan plan;
    const mri_stage *stage = good_stage(&plan, "      - candles: { id: c, every: 1m }\n"
                                               "      - select: [ pair, window_end, close ]\n"
                                               "      - indicators:\n"
                                               "          id: i\n"
                                               "          outputs:\n"
                                               "            macd: { macd: {} }\n"
                                               "            m: { macd: { of: macd_hist } }\n"
                                               "            bb: { bbands: {} }\n"
                                               "      - ema: { id: e, of: m_signal }\n"
                                               "      - rsi: { id: r, as: strength }\n"
                                               "      - bbands: { id: b, of: strength }\n");
    expect_columns(stage->steps[stage->step_count - 1].out,
                   "pair:string window_end:timestamp close:float64 macd:float64? "
                   "macd_signal:float64? macd_hist:float64? m:float64? m_signal:float64? "
                   "m_hist:float64? bb_upperband:float64? bb_middleband:float64? "
                   "bb_lowerband:float64? ema:float64? strength:float64? bbands_upperband:float64? "
                   "bbands_middleband:float64? bbands_lowerband:float64?");
    const mri_step *step = &stage->steps[2];
    cr_expect_str_eq(step->uses[1].name, "m");
    cr_expect_eq(step->uses[1].new_columns, 3);
    cr_expect_str_eq(step->out->columns[step->uses[1].out_column[2]].name, "m_hist");
    cr_expect_str_eq(stage->steps[3].uses[0].name, "e");
    support_plan_close(&plan);
}

Test(plan, the_key_is_followed_through_renames_and_lost_with_its_column) {
    support_plan plan;
    support_plan_good(&plan,
                      "pipeline: p\ntopics:\n" TRADES "  out: { key: name, time: window_end }\n"
                      "stages:\n"
                      "  one:\n"
                      "    from: trades\n"
                      "    steps:\n"
                      "      - rename: { name: pair }\n"
                      "      - select: [ price, time, name, quantity ]\n"
                      "      - candles: { id: c, every: 1m }\n"
                      "    to: out\n"
                      "  two:\n"
                      "    from: trades\n"
                      "    steps:\n"
                      "      - select: [ time, price, quantity ]\n"
                      "      - candles: { id: c, every: 1m }\n"
                      "    sink: { file: { path: 'x-{partition}.csv' } }\n");
    const mri_stage *one = support_plan_stage(&plan, "one");
    cr_expect_eq(one->steps[0].out_key.column[0], 0);
    cr_expect_str_eq(one->steps[0].out->columns[0].name, "name");
    cr_expect_eq(one->steps[0].out->columns[0].carried, 0);
    cr_expect_eq(one->steps[1].out_key.count, 1);
    cr_expect_eq(one->steps[1].out_key.column[0], 2);
    cr_expect_eq(one->steps[1].out->columns[0].carried, 2);
    cr_expect_str_eq(one->steps[2].out->columns[0].name, "name");
    /* The slot still knows its key. */
    const mri_stage *two = support_plan_stage(&plan, "two");
    cr_expect_eq(two->steps[0].out_key.count, 0);
    cr_expect_eq(two->steps[1].out_key.count, 1);
    cr_expect_str_eq(two->steps[1].out->columns[0].name, "pair");
    support_plan_close(&plan);
}

Test(plan, writers_stand_before_readers) {
    support_plan plan;
    support_plan_good(&plan, "pipeline: p\n"
                             "topics:\n"
                             "  c: { time: t }\n"
                             "  b: { time: t }\n"
                             "  a: { time: t, schema: { t: timestamp_ms, x: int64 } }\n"
                             "stages:\n"
                             "  last: { from: c, sink: { file: { path: o.csv } } }\n"
                             "  second: { from: b, to: c }\n"
                             "  aside: { from: a, sink: { file: { path: p.csv } } }\n"
                             "  first: { from: a, to: b }\n");
    static const char *const order[] = {"aside", "first", "second", "last"};
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_str_eq(plan.plan->stages[i].name, order[i]);
    }
    cr_expect_eq(plan.plan->topics[0].writer, 2);
    cr_expect_eq(plan.plan->topics[1].writer, 1);
    cr_expect_eq(plan.plan->topics[2].writer, -1);
    cr_expect(plan.plan->topics[0].marks);
    cr_expect_not(plan.plan->topics[2].marks);
    /* Only what is decoded from foreign bytes knows of units. */
    cr_expect_eq(plan.plan->topics[2].schema->columns[0].flags, MR_COLUMN_UNIT_MS);
    cr_expect_eq(plan.plan->topics[1].schema->columns[0].flags, 0);
    support_plan_close(&plan);
}

Test(plan, what_is_not_said_has_a_default) {
    support_plan plan;
    const mri_stage *stage = good_stage(&plan, "      - candles: { id: c, every: 1m }\n"
                                               "      - filter: { where: close > 1 }\n");
    cr_expect_eq(stage->on_error, MRI_FAIL);
    cr_expect_eq(stage->idle_us, 2000000);
    cr_expect_eq(stage->commit_min_us, 0);
    cr_expect_eq(stage->commit_max_us, 0);
    cr_expect_eq(stage->shutdown_timeout_us, 25000000);
    cr_expect_eq(stage->workers, 0);
    cr_expect_eq(stage->keys_max, 1000000);
    cr_expect_str_eq(stage->steps[1].id, "filter_2");
    cr_expect_eq(stage->steps[1].on_error, MRI_FAIL);
    const mri_topic *out = &plan.plan->topics[1];
    cr_expect_eq(out->partitions, 1);
    cr_expect_eq(out->format, MRI_AVRO);
    cr_expect_eq(out->partitioner, MRI_MURMUR2);
    cr_expect_eq(out->replication, 0);
    cr_expect_eq(out->retention_bytes, 0);
    cr_expect_str_eq(out->log_name, "out");
    cr_expect_null(plan.plan->log);
    cr_expect_null(plan.plan->kafka);
    support_plan_close(&plan);
}

static uint64_t digest(const char *steps, bool layout) {
    support_plan plan;
    const mri_stage *stage = good_stage(&plan, steps);
    const mri_use *use = &stage->steps[stage->step_count - 1].uses[0];
    const uint64_t out = layout ? use->layout : use->meaning;
    support_plan_close(&plan);
    return out;
}

#define C "      - candles: { id: c, every: 1m }\n"

Test(plan, digests_tell_what_a_change_means) {
    const char *rsi = C "      - rsi: { id: r }\n";
    cr_expect_eq(digest(rsi, false),
                 digest(C "      - rsi: { id: x, period: 14, as: y }\n", false));
    cr_expect_neq(digest(rsi, false), digest(C "      - rsi: { id: r, period: 15 }\n", false));
    cr_expect_neq(digest(rsi, false), digest(C "      - rsi: { id: r, of: open }\n", false));
    cr_expect_eq(digest(rsi, true), digest(C "      - rsi: { id: r, period: 15 }\n", true));
    cr_expect_neq(digest(C, true), digest("      - candles: { id: c, every: 5m }\n", true));
    cr_expect_eq(digest(C, true), digest("      - candles: { id: c, every: 60s }\n", true));
    cr_expect_eq(digest(C, false),
                 digest("      - candles: { id: c, every: 1m, fill: none }\n", false));
    cr_expect_neq(digest(C, false),
                  digest("      - candles: { id: c, every: 1m, fill: flat }\n", false));
}

Test(plan, kafka_properties_and_secrets_are_pairs) {
    support_plan plan;
    support_plan_good(&plan,
                      HEAD "stages:\n  one: { from: trades, steps: [ candles: { id: c, every: "
                           "1m } ], to: out }\n"
                           "kafka: { bootstrap.servers: 'a:1', sasl.password: "
                           "\"${PASSWORD}\", linger.ms: 5 }\n");
    const char *const *pairs = plan.plan->kafka;
    static const char *const wanted[] = {"bootstrap.servers", "a:1",       "sasl.password",
                                         "hunter2",           "linger.ms", "5"};
    for (uint32_t i = 0; i < 6; i++) {
        cr_expect_str_eq(pairs[i], wanted[i]);
    }
    cr_expect_null(pairs[6]);
    support_plan_close(&plan);
}

Test(plan, a_source_goes_by_its_stage_or_its_topic) {
    support_plan plan;
    support_plan_good(&plan, "pipeline: p\n"
                             "topics:\n  t: { key: pair, time: time, partitions: 3 }\n"
                             "stages:\n"
                             "  fills: { source: { replay: { path: a.csv } }, to: t }\n"
                             "  direct:\n"
                             "    source: { replay: { path: a.csv } }\n"
                             "    key: [ pair, side ]\n"
                             "    steps: [ candles: { id: c, every: 1m } ]\n"
                             "    sink: { file: { path: o.csv } }\n");
    const mri_stage *fills = support_plan_stage(&plan, "fills");
    cr_expect_eq(fills->input, -1);
    cr_expect_eq(fills->tasks, 1);
    cr_expect_eq(fills->time, 0);
    cr_expect_eq(fills->key.count, 0);
    cr_expect_eq(fills->outputs[0].from.step, MRI_FROM_INPUT);
    cr_expect_eq(plan.plan->topics[0].key.column[0], 1);
    const mri_stage *direct = support_plan_stage(&plan, "direct");
    cr_expect_eq(direct->time, 0);
    cr_expect_eq(direct->key.count, 2);
    cr_expect_eq(direct->key.column[0], 1);
    cr_expect_eq(direct->key.column[1], 4);
    cr_expect_str_eq(direct->steps[0].out->columns[1].name, "side");
    cr_expect_str_eq(direct->sinks[0].id, "sink");
    support_plan_close(&plan);
}

Test(plan, operators_are_found_by_name) {
    cr_expect_str_eq(mri_operator_find("candles")->name, "candles");
    cr_expect_null(mri_operator_find("candle"));
}

Test(plan, later_things_are_refused_by_name) {
    static const char *const from[] = {"one.from: a list of topics is not in this version", NULL};
    support_plan_bad(HEAD "stages:\n  one: { from: [trades], to: out }\n", from);
    static const char *const graph[] = {"one.steps: a map of steps is not in this version",
                                        "one.to: a map of topics is not in this version", NULL};
    support_plan_bad(HEAD
                     "stages:\n  one: { from: trades, steps: { a: { filter: {} } }, to: { x: y "
                     "} }\n",
                     graph);
}

Test(plan, on_error_is_said_per_file_stage_or_step) {
    support_plan plan;
    support_plan_good(&plan, "pipeline: p\n"
                             "defaults: { on_error: skip }\n"
                             "topics:\n"
                             "  in: { key: k, time: t, partitions: 6, schema: { k: string, t: "
                             "timestamp, v: float64 } }\n"
                             "  mid: { key: k, time: t, partitions: 2 }\n"
                             "  out: { key: k, time: t }\n"
                             "stages:\n"
                             "  a: { from: in, steps: [ filter: { where: v > 1, on_error: dlq } ], "
                             "to: mid }\n"
                             "  b: { from: mid, on_error: dlq, steps: [ filter: { where: v > 2, "
                             "on_error: fail } ], to: out }\n"
                             "  c: { from: out, sink: { file: { path: c.csv } } }\n");
    const mri_stage *a = support_plan_stage(&plan, "a"), *b = support_plan_stage(&plan, "b"),
                    *c = support_plan_stage(&plan, "c");
    cr_expect_eq(a->on_error, MRI_SKIP);
    cr_expect_eq(a->steps[0].on_error, MRI_DLQ);
    cr_expect(a->dead);
    cr_expect_eq(b->on_error, MRI_DLQ);
    cr_expect_eq(b->steps[0].on_error, MRI_FAIL);
    cr_expect(b->dead);
    cr_expect_eq(c->on_error, MRI_SKIP);
    cr_expect_not(c->dead);
    cr_expect_eq(plan.plan->dead_partitions, 6, "as many as the widest input has");
    support_plan_close(&plan);
}

Test(plan, the_topic_of_dead_letters_is_no_topic_of_the_file) {
    static const char *const words[] = {"names that start with 'p.' are for millrace's own topics",
                                        NULL};
    support_plan_bad("pipeline: p\n"
                     "topics:\n"
                     "  in: { key: k, time: t, schema: { k: string, t: timestamp } }\n"
                     "  dead: { name: p.dlq, key: k, time: t }\n"
                     "stages:\n"
                     "  a: { from: in, on_error: dlq, to: dead }\n",
                     words);
    static const char *const keys[] = {"defaults: unknown key 'on_eror'", "did you mean 'on_error'",
                                       NULL};
    support_plan_bad("pipeline: p\n"
                     "defaults: { on_eror: dlq }\n"
                     "topics:\n"
                     "  in: { key: k, time: t, schema: { k: string, t: timestamp } }\n"
                     "  out: { key: k, time: t }\n"
                     "stages:\n"
                     "  a: { from: in, to: out }\n",
                     keys);
}

Test(plan, limits_hold) {
    size_t size = 0;
    char *text = NULL;
    FILE *file = open_memstream(&text, &size);
    (void)fputs(HEAD "stages:\n  one:\n    from: trades\n    steps:\n", file);
    for (int i = 0; i < 1001; i++) {
        (void)fputs("      - filter: { where: price > 1 }\n", file);
    }
    (void)fputs("    to: out\n", file);
    (void)fclose(file);
    static const char *const steps[] = {"[E004]", "at most 1000 steps, not 1001", NULL};
    support_plan_bad(text, steps);
    free(text);
    file = open_memstream(&text, &size);
    (void)fputs(HEAD "stages:\n  one:\n    from: trades\n    steps:\n      - map:\n", file);
    for (int i = 0; i < 512; i++) {
        (void)fprintf(file, "          c%d: price\n", i);
    }
    (void)fputs("    to: out\n", file);
    (void)fclose(file);
    static const char *const columns[] = {"[E004]", "rows have at most 512 columns", NULL};
    support_plan_bad(text, columns);
    free(text);
}
