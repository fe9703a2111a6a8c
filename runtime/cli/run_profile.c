/* run_profile.c: where the time of a run went, for `run --profile`: every part of the work of each
 * stage, and each of its steps. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/arena.h"
#include "cli/run.h"
#include "cli/table.h"

enum { COLUMNS = 7 };

static void row_put(mri_table *table, const char *stage, const mri_part_stats *part,
                    const mri_part_stats *all, int64_t rows_in) {
    mri_table_cell(table, stage);
    if (part->step != NULL) {
        mri_table_cellf(table, "step %s", part->step);
    } else {
        mri_table_cell(table, part->part);
    }
    mri_table_cellf(table, "%.3f", (double)part->ns / 1e9);
    mri_table_cellf(table, "%.1f", all->ns > 0 ? (double)part->ns * 100 / (double)all->ns : 0);
    mri_table_cellf(table, "%.3f", (double)part->cpu_ns / 1e9);
    mri_table_cellf(table, "%.1f", rows_in > 0 ? (double)part->cpu_ns / (double)rows_in : 0);
    if (part->step != NULL) {
        mri_table_cellf(table, "%" PRId64, part->rows);
    } else {
        mri_table_cell(table, "");
    }
}

static void parts_add(mri_part_stats *to, const mri_part_stats *more) {
    to->ns += more->ns;
    to->cpu_ns += more->cpu_ns;
    to->rows += more->rows;
}

/* A row meets the steps between its slot and its encoding. */
static uint32_t in_order(uint32_t i, uint32_t steps) {
    if (i < MRI_PART_ENCODE) return i;
    return i < MRI_PART_ENCODE + steps ? MRI_PARTS + (i - MRI_PART_ENCODE) : i - steps;
}

/* The stage whose first worker is *at; moves *at behind its last. Returns the CPU time of its
 * workers. */
static int64_t stage_put(mri_run *run, mri_table *table, uint32_t *at) {
    const mri_run_worker *first = &run->workers[*at];
    const mri_stage *stage = first->config.stage;
    const uint32_t count = first->part_count;
    mri_part_stats *sums = mri_calloc(count, sizeof *sums), all = {.part = "together"};
    mri_part_stats *parts = mri_calloc(count, sizeof *parts);
    int64_t rows_in = 0;
    mri_parts_init(stage, sums);
    for (; *at < run->worker_count && run->workers[*at].config.stage == stage; ++*at) {
        mri_worker_stats stats = {0};
        mri_run_stats(&run->workers[*at], &stats);
        rows_in += stats.rows_in;
        (void)mri_run_parts(&run->workers[*at], parts, count);
        for (uint32_t i = 0; i < count; i++) {
            parts_add(&sums[i], &parts[i]);
            parts_add(&all, &parts[i]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const mri_part_stats *part = &sums[in_order(i, stage->step_count)];
        if (part->ns > 0) row_put(table, stage->name, part, &all, rows_in);
    }
    row_put(table, stage->name, &all, &all, rows_in);
    free(sums);
    free(parts);
    return all.cpu_ns;
}

static int64_t process_cpu_ns(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           (int64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

void mri_run_show_profile(mri_run *run) {
    static const char *const heads[COLUMNS] = {"stage", "part",       "seconds", "%",
                                               "cpu s", "cpu ns/row", "rows"};
    mri_table *table = mri_table_open(run->cli->arena, COLUMNS, heads, ~UINT64_C(3));
    int64_t cpu_ns = 0;
    for (uint32_t at = 0; at < run->worker_count;) {
        cpu_ns += stage_put(run, table, &at);
    }
    mri_table_print(table, "", run->cli->err);
    (void)fprintf(run->cli->err, "start and other threads: %.3f cpu s\n",
                  (double)(process_cpu_ns() - cpu_ns) / 1e9);
}
