/* plan.h: a pipeline file, checked and laid out: the read-only graph that everything else follows.
 */
#ifndef MRI_PLAN_H
#define MRI_PLAN_H

#include "codec/codec.h"
#include "millrace/operator.h"
#include "millrace/source.h"
#include "spec/diag.h"
#include "spec/tree.h"

/* What becomes of a record or row that cannot be processed; in the order of the words in files. */
typedef enum mri_on_error { MRI_FAIL = 1, MRI_SKIP, MRI_DLQ } mri_on_error;
typedef enum mri_partitioner { MRI_MURMUR2, MRI_CRC32 } mri_partitioner;

/* Which columns of a schema make the key; count 0: no key (one slot). Text of several columns is
 * joined by 0x1F. */
typedef struct mri_key {
    uint32_t count;
    uint16_t column[MR_KEYS_MAX];
} mri_key;

typedef struct mri_topic {
    const char *name;     /* in the file */
    const char *log_name; /* in the log: `name:` or the same */
    uint32_t index;
    uint32_t partitions; /* declared; 0: count read from the log (external) */
    mri_record_format format;
    const mr_schema *schema;
    mri_key key;
    int32_t time;         /* column of `schema`; MR_COLUMN_WINDOW_END subtracts 1 us */
    bool external, marks; /* marks: a stage of the file writes and one reads it */
    mri_partitioner partitioner;
    int32_t writer; /* stage of the file that writes it, or -1 */
    uint32_t replication;
    int64_t retention_bytes;
    const char *const *config; /* name, value pairs, NULL-terminated */
    mr_pos at;
} mri_topic;

/* An option whose change concerns saved state. */
typedef struct mri_use_option {
    const char *name;
    mr_changes changes; /* layout or meaning */
    uint64_t digest;    /* of its value */
    const char *text;   /* the value for people; "": it is not shown */
    mr_pos at;
} mri_use_option;

/* One operator at work inside a step. */
typedef struct mri_use {
    const mr_operator *op;
    const void *options;        /* filled by the option table */
    const char *name;           /* identity inside the step: the output's name, or the step's id */
    const uint16_t *out_column; /* step output column of the i-th new column */
    uint32_t new_columns;
    uint32_t state_offset;              /* of its struct behind the step's slot header */
    uint32_t first_collection;          /* its first in mri_step.collections */
    uint32_t history[MR_HISTORIES_MAX]; /* of mri_step.histories */
    int32_t series[MR_SERIES_MAX];      /* likewise; -1: it has no such ring */
    uint32_t extra;                     /* doubles behind its struct */
    size_t cache;                       /* bytes per key that are not saved */
    uint64_t layout, meaning;           /* digests of the options that change layout or meaning */
    const mri_use_option *saved;        /* those options one by one, in the order of the table */
    uint32_t saved_count;
    mr_pos at;
} mri_use;

typedef struct mri_history_plan {
    uint32_t
        column;    /* of the step's output schema, MR_F64 or MR_I64; MRI_SERIES: its use fills it */
    uint32_t bars; /* longest reach of its users */
    uint32_t before;      /* fed just before this use runs; of a series: its use */
    const char *name;     /* in the saved form: that of the column, or "use.series" */
    const uint32_t *gate; /* other columns in which a row must not be null to be kept, in order */
    uint32_t gate_count;
} mri_history_plan;

#define MRI_SERIES UINT32_MAX /* no enumerator holds it */

typedef struct mri_collection_plan {
    const mr_collection *descriptor;
    uint32_t use;
    int64_t usual, max;
} mri_collection_plan;

enum { MRI_FROM_INPUT = -1 };

/* Where rows come from: an output port of a step, or the stage's input. */
typedef struct mri_edge {
    int32_t step; /* MRI_FROM_INPUT or index in mri_stage.steps */
    uint32_t port;
} mri_edge;

static inline bool mri_same_edge(mri_edge a, mri_edge b) {
    return a.step == b.step && a.port == b.port;
}

typedef struct mri_step {
    const char *id;        /* given, or operator name and place: "filter_2" */
    const mr_operator *op; /* what stands in the file: a container or the one use's */
    uint32_t index;
    mri_edge from;
    mri_use *uses;
    uint32_t use_count;
    const mr_schema *in, *out;
    mri_key out_key; /* the stage's key in `out`; count 0 when it is not carried */
    uint32_t traits;
    uint32_t state_bytes; /* structs of all uses side by side, each with what is extra */
    mri_history_plan *histories;
    uint32_t history_count;
    mri_collection_plan *collections;
    uint32_t collection_count;
    uint32_t timers; /* 0, or those of its single use */
    bool stateful;
    mri_on_error on_error;
    mr_pos at;
} mri_step;

typedef struct mri_output {
    uint32_t topic; /* index in mri_plan.topics */
    mri_edge from;
    const mr_schema *schema;
    mr_pos at;
} mri_output;

typedef struct mri_sink {
    const mr_operator *op;
    const void *options;
    const char *id; /* "sink", "sink_2" */
    mri_edge from;
    const mr_schema *schema;
    mr_pos at;
} mri_sink;

/* What a failure may do to the rows in a stage's topics. State, offsets, files of sinks and dead
 * letters are exact under both. */
typedef enum mri_delivery {
    MRI_EXACTLY_ONCE,
    MRI_AT_LEAST_ONCE, /* rows are sent at once, and may come twice after a failure */
} mri_delivery;

typedef struct mri_stage {
    const char *name;
    uint32_t index;
    int32_t input; /* topic, or -1: a source */
    const mr_operator *source;
    const void *source_options;
    const mr_schema *in; /* rows that enter the first step */
    mri_key key;         /* columns of `in`; count 0: one slot */
    int32_t time;        /* column of `in` */
    mri_step *steps;
    uint32_t step_count;
    mri_output *outputs;
    uint32_t output_count;
    mri_sink *sinks;
    uint32_t sink_count;
    uint32_t tasks; /* partitions of its input; 1 for a source; 0: read from the log */
    bool stateful;
    mri_on_error on_error; /* of undecodable input; default fail */
    bool dead;             /* it, or one of its steps, writes dead letters */
    mri_delivery delivery;
    int64_t idle_us;                      /* MR_TIME_NONE: off */
    int64_t commit_min_us, commit_max_us; /* 0: by default */
    int64_t shutdown_timeout_us;
    uint32_t workers;  /* 0: not said */
    uint32_t keys_max; /* per task; default 1,000,000 */
    mr_pos at;
} mri_stage;

/* Each item of `do:` is the word restart, crash or expect_none, or a map with one of
 *   feed, expect    a list of rows, or a map of topic (or source stage) to such a list; a row is a
 * map of known columns to scalars that fit their type, timestamps also as "HH:MM", "HH:MM:SS" or
 * "HH:MM:SS.ffffff" on the day of the start; null is a null advance         a duration expect_none,
 * restart, crash   null or true `expect` may have `tolerance`, a number that is not negative,
 * beside it. */
typedef struct mri_test {
    const char *name;
    int32_t stage; /* -1: the whole pipeline */
    int64_t start_us;
    const mri_node *steps; /* the `do:` list, checked as said below */
    mr_pos at;
} mri_test;

typedef struct mri_plan {
    mr_arena *arena;
    const char *file, *folder; /* as given, and its folder */
    const char *name;          /* pipeline: */
    mri_topic *topics;
    uint32_t topic_count;
    mri_stage *stages; /* in an order in which writers stand before readers */
    uint32_t stage_count;
    mri_test *tests;
    uint32_t test_count;
    uint32_t dead_partitions; /* of the topic of dead letters when it is made; 0: nobody needs it */
    const char *log;          /* `log:` of the file, or NULL */
    const char *const *kafka; /* librdkafka property, value pairs of `kafka:`, NULL-terminated */
} mri_plan;

/* Loads, checks and lays out; every problem of the file is in `diags`. MR_OK: no error and *out is
 * complete; with options->missing_is_warning *out is NULL when a value that matters hangs on a
 * variable that is not set. Everything lives in `arena`. */
mr_status mri_plan_load(mr_arena *arena, const char *path, const mri_load_options *options,
                        mri_diags *diags, mri_plan **out);
/* As mri_plan_load for a text in memory; `path` is its name, and paths in it are relative to it. */
mr_status mri_plan_parse(mr_arena *arena, const char *path, const char *text, size_t size,
                         const mri_load_options *options, mri_diags *diags, mri_plan **out);

const mr_operator *mri_operator_find(const char *name); /* over mr_families; NULL: none */

/* The key text of a row into `out` (appended): columns joined by 0x1F; strings as they are,
 * integers and timestamps (microseconds) in decimal, bools as true and false. False, and nothing
 * appended: a key cell is null, or a string holds 0x1F itself. */
bool mri_key_text(const mr_batch *batch, const mr_schema *schema, const mri_key *key, uint32_t row,
                  mri_text *out);
/* The inverse for the i-th key column; the string is a view of `text`. False: does not fit. */
bool mri_key_cell(const char *text, size_t size, uint32_t i, mr_type type, mr_string *string,
                  int64_t *integer);

#endif
