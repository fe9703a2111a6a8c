/* exec_replay.c: records of dead letters go back into their topics, each once, whatever happens. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "exec/letters.h"
#include "log/headers.h"
#include "support_dead.h"
#include "support_random.h"

enum { PARTITIONS = 3 };

/* Before it is mended a row without a quantity is a dead letter. */
#define FORM(quantity)                                                                    \
    "pipeline: p\n"                                                                       \
    "defaults: { on_error: dlq }\n"                                                       \
    "topics:\n"                                                                           \
    "  raw: { key: pair, time: time, format: json, partitions: 3,\n"                      \
    "    schema: { pair: string, time: timestamp, quantity: " quantity ", n: int64 } }\n" \
    "  other: { key: pair, time: time, format: json, partitions: 2,\n"                    \
    "    schema: { pair: string, time: timestamp, quantity: " quantity ", n: int64 } }\n" \
    "  out: { key: pair, time: time, partitions: 1, format: json }\n"                     \
    "  out2: { key: pair, time: time, partitions: 1, format: json }\n"                    \
    "stages:\n"                                                                           \
    "  s: { from: raw, idle: off, to: out }\n"                                            \
    "  t: { from: other, idle: off, to: out2 }\n"

static void put(exec *x, const char *topic, uint32_t partitions, const char *quantity, int n) {
    char key[8], value[128];
    (void)snprintf(key, sizeof key, "K%d", n % 5);
    (void)snprintf(value, sizeof value, "{\"pair\":\"%s\",\"time\":%d,\"quantity\":%s,\"n\":%d}",
                   key, n, quantity, n);
    mri_text headers = {0};
    mri_headers_text(&headers, "trace", "%d", n);
    const mri_record record = {.key = key,
                               .key_size = (uint32_t)strlen(key),
                               .value = value,
                               .value_size = (uint32_t)strlen(value),
                               .timestamp_ms = 1000 + n,
                               .ingest_us = n,
                               .headers = headers.data,
                               .headers_size = (uint32_t)headers.size};
    const uint32_t partition = mri_partition_murmur2(key, strlen(key), partitions);
    cr_assert_eq(x->sim->ops->publish(x->sim, topic, partition, &record, 1, &x->err), MR_OK);
    mri_text_free(&headers);
}

/* Of `rows` rows every third is a letter, of two reasons in turn. */
static void broken(exec *x, int rows) {
    exec_open(x, FORM("float64"));
    exec_topic(x, "raw", PARTITIONS);
    exec_topic(x, "other", 2);
    for (int n = 0; n < rows; n++) {
        put(x, "raw", PARTITIONS, n % 6 == 1 ? "null" : n % 6 == 4 ? "}" : "1", n);
        if (n % 10 == 0) put(x, "other", 2, "null", 1000 + n);
    }
    exec_start(x, "s", (exec_run){0});
    exec_start(x, "t", (exec_run){0});
    exec_settle(x);
    exec_kill(x);
}

static mri_replay_counts replay(exec *x, mri_replay_config config) {
    mri_replay_counts counts;
    config.plan = x->plan;
    config.log = x->log;
    config.env = &x->env;
    config.instance = "test";
    const mr_status status = mri_replay_run(&config, &counts, &x->err);
    cr_assert_eq(status, MR_OK, "%s", x->err.text);
    return counts;
}

/* How often each record stands in a topic beyond its first time; -1: one is not there at all. */
static int copies(exec *x, const char *topic, uint32_t partitions, int first, int step, int rows) {
    int most = 1 << 30;
    for (int n = first; n < rows; n += step) {
        char wanted[16];
        int found = -1;
        (void)snprintf(wanted, sizeof wanted, "%d", n);
        for (uint32_t p = 0; p < partitions; p++) {
            size_t count = 0;
            const mri_record *records = mri_sim_records(x->sim, topic, p, &count);
            for (size_t i = 0; i < count; i++) {
                if (strcmp(letter_header(x, &records[i], "trace"), wanted) != 0) continue;
                found++;
                cr_assert_eq(records[i].timestamp_ms, 1000 + n);
                cr_assert_eq(records[i].ingest_us, n);
                cr_assert_str_eq(letter_header(x, &records[i], "mr.reason"), "");
            }
        }
        if (most != 1 << 30) cr_assert_eq(found, most, "record %d", n);
        most = found;
    }
    return most;
}

Test(exec_replay, what_was_mended_comes_out_and_no_second_time) {
    exec x;
    broken(&x, 90);
    exec_edit(&x, FORM("'float64?'"));
    mri_replay_counts counts =
        replay(&x, (mri_replay_config){.filter = {.stage = "s", .reason = "bad_value"}});
    cr_assert_eq(counts.replayed, 15);
    cr_assert_eq(counts.left, 15 + 9);
    cr_assert_eq(copies(&x, "raw", PARTITIONS, 1, 6, 90), 1);
    cr_assert_eq(copies(&x, "raw", PARTITIONS, 4, 6, 90), 0);
    cr_assert_eq(copies(&x, "other", 2, 1000, 10, 1090), 0);
    exec_start(&x, "s", (exec_run){0});
    exec_settle(&x);
    const char *out = exec_by_key(&x, "out");
    for (int n = 1; n < 90; n += 6) {
        char wanted[32];
        (void)snprintf(wanted, sizeof wanted, "\"n\":%d}", n);
        const char *at = strstr(out, wanted);
        cr_assert_not_null(at, "%s", wanted);
        cr_assert_null(strstr(at + 1, wanted), "%s", wanted);
    }
    /* Again, the rest, and then there is nothing any more. */
    counts = replay(&x, (mri_replay_config){.filter = {.stage = "s", .reason = "bad_value"}});
    cr_assert_eq(counts.replayed, 0);
    cr_assert_eq(counts.left, 15 + 9, "they wait");
    counts = replay(&x, (mri_replay_config){.filter = {.stage = "t"}});
    cr_assert_eq(counts.replayed, 9);
    cr_assert_eq(copies(&x, "other", 2, 1000, 10, 1090), 1);
    counts = replay(&x, (mri_replay_config){0});
    cr_assert_eq(counts.replayed, 15);
    cr_assert_eq(copies(&x, "raw", PARTITIONS, 1, 6, 90), 1);
    cr_assert_eq(copies(&x, "raw", PARTITIONS, 4, 6, 90), 1);
    counts = replay(&x, (mri_replay_config){0});
    cr_assert_eq(counts.replayed + counts.before + counts.left, 0, "the offsets say it all");
    for (uint32_t p = 0; p < PARTITIONS; p++) { /* and the memory is empty */
        size_t count = 0;
        int64_t live = 0;
        const mri_record *records = mri_sim_records(x.sim, "p.dlq.replay", p, &count);
        for (size_t i = 0; i < count; i++) {
            live += records[i].value != NULL ? 1 : -1;
        }
        cr_assert_eq(live, 0);
    }
    exec_close(&x);
}

Test(exec_replay, a_dry_run_counts_and_writes_nothing) {
    exec x;
    broken(&x, 60);
    for (int i = 0; i < 2; i++) {
        const mri_replay_counts counts =
            replay(&x, (mri_replay_config){.dry_run = true, .filter = {.reason = "undecodable"}});
        cr_assert_eq(counts.replayed, 10);
        cr_assert_eq(counts.left, 10 + 6);
    }
    cr_assert_eq(copies(&x, "raw", PARTITIONS, 4, 6, 60), 0);
    cr_assert_eq(mri_sim_partitions(x.sim, "p.dlq.replay"), 0);
    exec_close(&x);
}

/* Calls that fail in the middle and calls that see faults: each letter goes back once. */
Test(exec_replay, faults_and_restarts_repeat_and_lose_nothing) {
    random_start();
    static const char *const reasons[] = {"bad_value", "undecodable", NULL};
    static const char *const stages[] = {"s", "t", NULL};
    uint32_t failed = 0;
    for (int round = 0; round < 30; round++) {
        exec x;
        int64_t replayed = 0;
        broken(&x, 60);
        for (int call = 0; call < 12; call++) {
            mri_replay_counts counts;
            const bool last = call == 11;
            const mri_replay_config config = {
                .plan = x.plan,
                .log = x.log,
                .env = &x.env,
                .instance = "test",
                .filter = {.stage = last ? NULL : stages[random_below(3)],
                           .reason = last ? NULL : reasons[random_below(3)]}};
            x.faults = last ? (exec_faults){0}
                            : (exec_faults){.abort = 1 + random_below(12),
                                            .busy = 1 + random_below(12),
                                            .fetch = 3,
                                            .revoke = 5};
            if (mri_replay_run(&config, &counts, &x.err) != MR_OK) {
                failed++;
                cr_assert_neq(mri_status_action(x.err.status), MR_STOP, "%s", x.err.text);
                cr_assert_not(last, "%s", x.err.text);
            }
            replayed += counts.replayed;
        }
        cr_assert_eq(copies(&x, "raw", PARTITIONS, 1, 6, 60), 1);
        cr_assert_eq(copies(&x, "raw", PARTITIONS, 4, 6, 60), 1);
        cr_assert_eq(copies(&x, "other", 2, 1000, 10, 1060), 1);
        cr_assert_eq(replayed, 10 + 10 + 6, "counts are those of commits: %" PRId64, replayed);
        exec_close(&x);
    }
    cr_assert_gt(failed, 0, "no call failed in the middle");
}

static void letter(exec *x, const char *kind, const char *topic, uint32_t partition, bool cut) {
    mri_text headers = {0};
    mri_headers_text(&headers, "mr.kind", "%s", kind);
    mri_headers_text(&headers, "mr.stage", "s");
    mri_headers_text(&headers, "mr.reason", "bad_value");
    if (topic != NULL) mri_headers_text(&headers, "mr.topic", "%s", topic);
    mri_headers_text(&headers, "mr.partition", "%u", partition);
    if (cut) mri_headers_text(&headers, "mr.bytes", "%d", 2000000);
    const mri_record record = {.value = "v",
                               .value_size = 1,
                               .ingest_us = MR_TIME_NONE,
                               .headers = headers.data,
                               .headers_size = (uint32_t)headers.size};
    cr_assert_eq(x->sim->ops->publish(x->sim, "p.dlq", 0, &record, 1, &x->err), MR_OK);
    mri_text_free(&headers);
}

Test(exec_replay, what_nothing_can_bring_back_is_told_and_passed) {
    exec x;
    broken(&x, 6);
    (void)replay(&x, (mri_replay_config){0});
    letter(&x, "row", "raw", 0, false);
    letter(&x, "row", NULL, 0, false);
    letter(&x, "source", NULL, 0, false);
    letter(&x, "mark", "raw", 0, false);
    letter(&x, "record", "raw", 0, true);
    letter(&x, "record", "gone", 0, false);
    letter(&x, "record", "raw", 99, false);
    letter(&x, "record", "out", 0, false);
    letter(&x, "record", "raw", 1, false);
    const mri_replay_counts counts = replay(&x, (mri_replay_config){0});
    cr_assert_eq(counts.made, 1);
    cr_assert_eq(counts.source, 2);
    cr_assert_eq(counts.mark, 1);
    cr_assert_eq(counts.cut, 1);
    cr_assert_eq(counts.gone, 3, "no stage reads 'out'");
    cr_assert_eq(counts.replayed, 1);
    cr_assert_eq(counts.left, 0);
    const mri_replay_counts again = replay(&x, (mri_replay_config){0});
    cr_assert_eq(again.made + again.gone + again.replayed, 0);
    exec_close(&x);
}

Test(exec_replay, no_letters_is_an_answer) {
    exec x;
    mri_replay_counts counts;
    exec_open(&x, FORM("float64"));
    const mri_replay_config config = {
        .plan = x.plan, .log = x.log, .env = &x.env, .instance = "test"};
    cr_assert_eq(mri_replay_run(&config, &counts, &x.err), MR_ERR_TOPIC);
    cr_assert_not_null(strstr(x.err.text, "p.dlq"), "%s", x.err.text);
    exec_close(&x);
}
