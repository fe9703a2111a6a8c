/* exec_snapshot.c: local snapshots as a cache of changelogs: used when they fit, refused when anything
 * about them does not, never needed, and never a reason for another result. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "state/snapshot.h"
#include "support_dir.h"
#include "support_exec.h"
#include "support_random.h"

enum { ROWS = 1200, KEYS = 60, PARTITIONS = 2, BOTH = 3 };
#define HOUR (INT64_C(3600) * 1000000)

#define HEAD                                                                                     \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n" \
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"              \
    "  out: { key: pair, time: window_end, partitions: 2, format: json }\n"                      \
    "stages:\n"                                                                                  \
    "  s:\n"                                                                                     \
    "    from: trades\n"                                                                         \
    "    idle: off\n"                                                                            \
    "    to: out\n"                                                                              \
    "    sink: { file: { path: 'x-{partition}.jsonl', format: jsonl } }\n"                       \
    "    steps:\n"                                                                               \
    "      - candles: { id: c, every: 1s, grace: 100ms, fill: flat }\n"

#define TA(outputs) "      - indicators: { id: ta, outputs: { " outputs " } }\n"
#define SMA         "sma: { sma: { timeperiod: 70 } }"

static const char yaml[] = HEAD TA(SMA);

/* A folder that fails now and then. */
struct failing {
    mri_disk base;
    mri_disk *inner;
    uint32_t one_in; /* 0: never */
    uint32_t done;
};

static struct failing *failing; /* files do not say whose they are, and one is enough */

static mr_status trouble(mr_error *err) {
    if (failing->one_in == 0 || random_below(failing->one_in) != 0) return MR_OK;
    failing->done++;
    return mr_fail(err, MR_ERR_IO, NULL, "the disk of the test fails");
}

static mr_status f_create(mri_disk *disk, const char *name, mri_disk_file **out, mr_error *err) {
    (void)disk;
    const mr_status status = trouble(err);
    return status == MR_OK ? failing->inner->ops->create(failing->inner, name, out, err) : status;
}

static mr_status f_append(mri_disk_file *file, const void *data, size_t size, mr_error *err) {
    const mr_status status = trouble(err);
    return status == MR_OK ? failing->inner->ops->append(file, data, size, err) : status;
}

static mr_status f_sync(mri_disk_file *file, mr_error *err) {
    const mr_status status = trouble(err);
    return status == MR_OK ? failing->inner->ops->sync(file, err) : status;
}

static mr_status f_publish(mri_disk_file *file, mr_error *err) {
    const mr_status status = trouble(err);
    if (status == MR_OK) return failing->inner->ops->publish(file, err);
    failing->inner->ops->discard(file);
    return status;
}

static void f_discard(mri_disk_file *file) {
    failing->inner->ops->discard(file);
}

static mr_status f_open(mri_disk *disk, const char *name, mri_disk_file **out, int64_t *size,
                        mr_error *err) {
    (void)disk;
    const mr_status status = trouble(err);
    return status == MR_OK ? failing->inner->ops->open(failing->inner, name, out, size, err)
                           : status;
}

static mr_status f_read(mri_disk_file *file, void *data, size_t size, size_t *got, mr_error *err) {
    const mr_status status = trouble(err);
    return status == MR_OK ? failing->inner->ops->read(file, data, size, got, err) : status;
}

static void f_close(mri_disk_file *file) {
    failing->inner->ops->close(file);
}

static mr_status f_remove(mri_disk *disk, const char *name, mr_error *err) {
    (void)disk;
    return failing->inner->ops->remove(failing->inner, name, err);
}

static const mri_disk_ops failing_ops = {.create = f_create,
                                         .append = f_append,
                                         .sync = f_sync,
                                         .publish = f_publish,
                                         .discard = f_discard,
                                         .open = f_open,
                                         .read = f_read,
                                         .close = f_close,
                                         .remove = f_remove};

/* One world with a folder beside it. */
struct world {
    exec x;
    exec_trades trades;
    char folder[64];
    struct failing disk;
    uint32_t at; /* rows fed */
    exec_run run;
};

static void world_open(struct world *w) {
    mr_error err = {0};
    *w = (struct world){0};
    random_start();
    exec_trades_open(&w->trades, ROWS, KEYS, 0);
    support_dir_make(w->folder, sizeof w->folder);
    cr_assert_eq(mri_disk_open(w->folder, &w->disk.inner, &err), MR_OK, "%s", err.text);
    w->disk.base = (mri_disk){.ops = &failing_ops, .name = w->folder};
    failing = &w->disk;
    w->run = (exec_run){
        .snapshots = &w->disk.base, .snapshot_every_us = HOUR, .snapshot_stop_us = 1000000};
    exec_open(&w->x, yaml);
    exec_topic(&w->x, "trades", PARTITIONS);
}

static void world_close(struct world *w) {
    exec_close(&w->x);
    mri_disk_close(w->disk.inner);
    support_dir_remove(w->folder);
    exec_trades_close(&w->trades);
}

static void feed(struct world *w, uint32_t count) {
    for (; count > 0 && w->at < ROWS; count--) {
        exec_feed(&w->x, "trades", "%s", w->trades.rows[w->at++]);
    }
}

static void turn(struct world *w) {
    bool progress = false;
    const mr_status status = exec_turn(&w->x, &progress);
    cr_assert_eq(status, MR_OK, "%s", w->x.err.text);
}

static void start(struct world *w) {
    exec_start(&w->x, "s", w->run);
}

/* A graceful stop: the last commits and what follows them, then the end. */
static void stop(struct world *w) {
    for (uint32_t i = 0; i < w->x.worker_count; i++) {
        mr_error err = {0};
        cr_assert_eq(mri_worker_drain(w->x.workers[i].worker, &err), MR_OK, "%s", err.text);
    }
}

static void check(struct world *w) {
    exec calm;
    feed(w, ROWS);
    exec_settle(&w->x);
    exec_open(&calm, yaml);
    exec_topic(&calm, "trades", PARTITIONS);
    exec_start(&calm, "s", (exec_run){0});
    for (uint32_t i = 0; i < ROWS; i++) {
        exec_feed(&calm, "trades", "%s", w->trades.rows[i]);
    }
    exec_settle(&calm);
    exec_same(exec_by_key(&calm, "out"), exec_by_key(&w->x, "out"), "out");
    exec_same(exec_state(&calm, "s"), exec_state(&w->x, "s"), "state");
    exec_close(&calm);
}

static uint32_t files(const struct world *w) {
    DIR *directory = opendir(w->folder);
    uint32_t count = 0;
    cr_assert_not_null(directory);
    for (const struct dirent *e = readdir(directory); e != NULL; e = readdir(directory)) {
        count += e->d_name[0] != '.';
    }
    (void)closedir(directory);
    return count;
}

/* --- used ----------------------------------------------------------------------------------------
 */

Test(exec_snapshot, what_was_stopped_is_restored_from_its_snapshot) {
    struct world w;
    world_open(&w);
    start(&w);
    feed(&w, ROWS / 2);
    exec_settle(&w.x);
    stop(&w);
    cr_assert_eq(exec_stats(&w.x).snapshots, PARTITIONS);
    cr_assert_eq(files(&w), (uint32_t)PARTITIONS);
    stop(&w);
    cr_assert_eq(exec_stats(&w.x).snapshots, PARTITIONS, "nothing is new: none is made");
    exec_kill(&w.x);
    start(&w);
    turn(&w);
    turn(&w);
    const mri_worker_stats stats = exec_stats(&w.x);
    cr_assert_eq(stats.snapshots_used, PARTITIONS);
    cr_assert_eq(stats.snapshots_refused, 0);
    cr_assert_eq(stats.restoring_tasks, 0);
    check(&w);
    world_close(&w);
}

/* Slices of a few keys, with rows between them, and kills at any time: whatever snapshot there is
 * completes to the same state. */
Test(exec_snapshot, slices_of_different_times_complete_to_one_state) {
    for (uint32_t round = 0; round < 9; round++) {
        struct world w;
        int64_t made = 0, used = 0;
        world_open(&w);
        w.run.snapshot_every_us = 200000;
        w.run.snapshot_slice_keys = 1 + random_below(20);
        w.run.snapshot_stop_us = 0;
        w.x.piece = random_below(2) * (1 + random_below(100));
        if (round % 3 == 1) w.x.faults = (exec_faults){.abort = 10, .busy = 40, .fetch = 3};
        if (round % 3 == 2) w.x.faults.revoke = 40;
        w.x.uncompacted = round % 2 == 1;
        start(&w);
        while (w.at < ROWS) {
            feed(&w, 1 + random_below(12));
            turn(&w);
            exec_advance(&w.x, random_below(120000));
            if (random_below(60) != 0) continue;
            made += exec_stats(&w.x).snapshots;
            used += exec_stats(&w.x).snapshots_used;
            cr_assert_eq(exec_stats(&w.x).snapshots_refused, 0, "%s", w.x.lines.data);
            exec_kill(&w.x);
            start(&w);
        }
        w.x.faults = (exec_faults){0};
        exec_kill(&w.x);
        start(&w);
        exec_settle(&w.x);
        used += exec_stats(&w.x).snapshots_used;
        check(&w);
        cr_assert(made == 0 || used > 0, "made %" PRId64 ", used none", made);
        world_close(&w);
    }
}

/* --- refused -------------------------------------------------------------------------------------
 */

static void file_path(const struct world *w, uint32_t partition, char *out, size_t room) {
    (void)snprintf(out, room, "%s/p.s.e1.state.%u.snapshot", w->folder, partition);
}

/* Overwrites the byte at `at` per mille of the file. */
static void damage(const struct world *w, uint32_t partition, int per_mille) {
    char path[256];
    file_path(w, partition, path, sizeof path);
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 0, SEEK_END), 0);
    const long place = (ftell(file) - 1) * per_mille / 1000;
    cr_assert_eq(fseek(file, place, SEEK_SET), 0);
    const int byte = fgetc(file);
    cr_assert_eq(fseek(file, place, SEEK_SET), 0);
    (void)fputc(byte ^ 0x10, file);
    (void)fclose(file);
}

static void stopped_world(struct world *w) {
    world_open(w);
    start(w);
    feed(w, ROWS / 2);
    exec_settle(&w->x);
    stop(w);
    cr_assert_eq(exec_stats(&w->x).snapshots, PARTITIONS);
    exec_kill(&w->x);
}

static void expect_refused(struct world *w, int64_t count, const char *why) {
    start(w);
    exec_settle(&w->x);
    const mri_worker_stats stats = exec_stats(&w->x);
    cr_assert_eq(stats.snapshots_refused, count, "%" PRId64, stats.snapshots_refused);
    cr_assert_eq(stats.snapshots_used, PARTITIONS - count);
    cr_assert(w->x.lines.data != NULL && strstr(w->x.lines.data, why) != NULL, "%s",
              w->x.lines.data);
}

Test(exec_snapshot, one_that_is_damaged_is_refused_wherever_it_is) {
    for (int per_mille = 0; per_mille <= 1000; per_mille += 50) {
        struct world w;
        stopped_world(&w);
        damage(&w, 1, per_mille);
        expect_refused(&w, 1, "a snapshot is not used");
        check(&w);
        world_close(&w);
    }
}

Test(exec_snapshot, one_that_is_old_or_from_the_future_is_refused) {
    static const struct {
        int64_t shift_us;
        const char *why;
    } ages[] = {{12 * HOUR, "older than 12 hours"}, {-HOUR, "from the future"}};
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        stopped_world(&w);
        w.x.wall_us += ages[i].shift_us;
        expect_refused(&w, PARTITIONS, ages[i].why);
        check(&w);
        world_close(&w);
    }
    struct world w;
    stopped_world(&w);
    w.x.wall_us += 12 * HOUR - 1000000;
    start(&w);
    exec_settle(&w.x);
    cr_assert_eq(exec_stats(&w.x).snapshots_used, PARTITIONS);
    world_close(&w);
}

Test(exec_snapshot, one_of_another_partition_is_refused) {
    struct world w;
    char from[256], to[256];
    stopped_world(&w);
    file_path(&w, 0, from, sizeof from);
    file_path(&w, 1, to, sizeof to);
    cr_assert_eq(rename(from, to), 0);
    start(&w);
    exec_settle(&w.x);
    cr_assert_eq(exec_stats(&w.x).snapshots_used, 0, "one is gone, the other of another partition");
    cr_assert_eq(exec_stats(&w.x).snapshots_refused, 1);
    cr_assert_not_null(strstr(w.x.lines.data, "of another changelog"));
    check(&w);
    world_close(&w);
}

/* The log was deleted and begun anew under the same names: the file is of the one before. */
Test(exec_snapshot, one_of_a_log_that_was_begun_anew_is_refused) {
    for (uint32_t rows = 0; rows <= ROWS; rows += ROWS / 2) {
        struct world w;
        stopped_world(&w);
        exec_close(&w.x);
        exec_open(&w.x, yaml);
        exec_topic(&w.x, "trades", PARTITIONS);
        w.at = 0;
        exec_start(&w.x, "s", (exec_run){0});
        feed(&w, rows);
        exec_settle(&w.x);
        exec_kill(&w.x);
        start(&w);
        exec_settle(&w.x);
        cr_assert_eq(exec_stats(&w.x).snapshots_used, 0);
        cr_assert_eq(exec_stats(&w.x).snapshots_refused, PARTITIONS);
        check(&w);
        world_close(&w);
    }
}

Test(exec_snapshot, one_of_another_pipeline_file_is_refused) {
    struct world w;
    stopped_world(&w);
    exec_edit(&w.x, HEAD TA(SMA ", more: { ema: { timeperiod: 3 } }"));
    expect_refused(&w, PARTITIONS, "has changed since");
    world_close(&w);
}

Test(exec_snapshot, one_of_another_partition_count_is_refused) {
    struct world w;
    mr_error err = {0};
    mri_snapshot_writer *writer = NULL;
    stopped_world(&w);
    mri_snapshot_head head = {.changelog = "p.s.e1.state",
                              .epoch = 1,
                              .partitions = PARTITIONS + 1,
                              .offset = 1,
                              .lineage = 1,
                              .wall_us = w.x.wall_us};
    cr_assert_eq(mri_snapshot_create(w.disk.inner, "p.s.e1.state.0.snapshot", &head, &writer, &err),
                 MR_OK);
    cr_assert_eq(mri_snapshot_publish(writer, &err), MR_OK);
    head.partitions = PARTITIONS;
    head.partition = 1;
    head.lineage = 0;
    cr_assert_eq(mri_snapshot_create(w.disk.inner, "p.s.e1.state.1.snapshot", &head, &writer, &err),
                 MR_OK);
    cr_assert_eq(mri_snapshot_publish(writer, &err), MR_OK);
    expect_refused(&w, PARTITIONS, "another partition count");
    cr_assert_not_null(strstr(w.x.lines.data, "no lineage"));
    check(&w);
    world_close(&w);
}

/* --- trouble -------------------------------------------------------------------------------------
 */

Test(exec_snapshot, a_disk_that_fails_changes_nothing_but_the_time_of_restores) {
    for (uint32_t round = 0; round < 4; round++) {
        struct world w;
        int64_t failures = 0;
        world_open(&w);
        w.run.snapshot_every_us = 150000;
        w.run.snapshot_slice_keys = 10;
        w.disk.one_in = round % 4 == 0 ? 1 : 8;
        start(&w);
        while (w.at < ROWS) {
            feed(&w, 1 + random_below(12));
            turn(&w);
            exec_advance(&w.x, random_below(120000));
            if (random_below(60) != 0) continue;
            stop(&w);
            failures += exec_stats(&w.x).snapshot_failures;
            exec_kill(&w.x);
            start(&w);
        }
        check(&w);
        failures += exec_stats(&w.x).snapshot_failures;
        cr_assert(failures > 0 && w.disk.done > 0);
        cr_assert_not_null(strstr(w.x.lines.data, "no snapshot was made"));
        world_close(&w);
    }
}

Test(exec_snapshot, what_does_not_fit_into_the_time_of_a_stop_is_left_out) {
    struct world w;
    world_open(&w);
    w.run.snapshot_stop_us = 0;
    start(&w);
    feed(&w, ROWS / 2);
    exec_settle(&w.x);
    stop(&w);
    cr_assert_eq(files(&w), 0u);
    world_close(&w);
    world_open(&w); /* the batch at work has taken all the time that there was */
    start(&w);
    mri_worker_grace(w.x.workers[0].worker, 1);
    feed(&w, ROWS / 2);
    exec_settle(&w.x);
    stop(&w);
    cr_assert_eq(files(&w), 0u);
    world_close(&w);
}

/* What was begun before a revocation is forgotten; a later one is made of the task that came back. */
Test(exec_snapshot, a_revocation_ends_what_is_being_made) {
    struct world w;
    world_open(&w);
    w.run.snapshot_every_us = 100000;
    w.run.snapshot_slice_keys = 1;
    start(&w);
    feed(&w, ROWS / 4);
    exec_settle(&w.x);
    for (uint32_t i = 0; i < 3; i++) {
        exec_advance(&w.x, 200000);
        feed(&w, 30);
        turn(&w);
        exec_advance(&w.x, 200000);
        turn(&w);
    }
    cr_assert_eq(files(&w), PARTITIONS + 1u, "a file is being written beside those there are");
    w.x.event = (exec_event){.kind = EXEC_REVOKE, .partitions = BOTH};
    turn(&w);
    cr_assert_eq(files(&w), (uint32_t)PARTITIONS);
    w.x.event = (exec_event){.kind = EXEC_ASSIGN, .partitions = BOTH};
    turn(&w);
    cr_assert_eq(exec_stats(&w.x).resumed_tasks, PARTITIONS);
    stop(&w);
    cr_assert_geq(exec_stats(&w.x).snapshots, 2 * PARTITIONS);
    exec_kill(&w.x);
    start(&w);
    exec_settle(&w.x);
    cr_assert_eq(exec_stats(&w.x).snapshots_used, PARTITIONS);
    check(&w);
    world_close(&w);
}
