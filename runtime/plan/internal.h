/* internal.h: what the files of the planner share. The order of work is in load.c. */
#ifndef MRI_PLAN_INTERNAL_H
#define MRI_PLAN_INTERNAL_H

#include "plan/options.h"
#include "plan/plan.h"

enum {
    MRI_TOPICS_MAX = 1000, /* of one file */
    MRI_STAGES_MAX = 1000, /* of one file */
    MRI_STEPS_MAX = 1000,  /* of one stage */
    MRI_ENDS_MAX = 16,     /* topics that one stage writes; sinks of one stage */
    MRI_TESTS_MAX = 2000,
};

/* Rows on an edge. `open`: something before them is wrong, so columns may be missing through no
 * fault of those who read them, and only what is certain is reported. */
typedef struct mri_rows {
    const mr_schema *schema; /* never NULL: when nothing is known it has no columns */
    bool open;
} mri_rows;

typedef struct mri_topic_draft {
    const mri_node *node; /* its value in the file; ->key is its name */
    const mri_values *values;
    const mr_schema *declared; /* `schema:`, or NULL */
    mri_rows rows;             /* what readers get, once `known` */
    bool known;
    int32_t writer; /* stage of mri_planner.stages, or -1 */
    const mri_node *written_at;
    bool read;
} mri_topic_draft;

typedef struct mri_stage_draft {
    const mri_node *node; /* as of topics */
    const mri_values *values;
    int32_t input; /* topic, or -1 */
    uint32_t *outputs;
    const mri_node **output_nodes;
    uint32_t output_count;
    const mri_node *guess_node; /* an output that is only guessed to be `guess` */
    int32_t guess;
    bool circle;  /* in one: its input is never known */
    mri_rows out; /* of the last step */
} mri_stage_draft;

/* A file that a sink writes. */
typedef struct mri_written mri_written;
struct mri_written {
    uint64_t hash;
    const char *path;
    mr_pos at;
    mri_written *next;
};

typedef struct mri_planner {
    mri_plan_env env;
    mri_plan *plan;
    const mri_node *root;
    mri_topic_draft *topics; /* parallel to plan->topics */
    mri_stage_draft *stages; /* parallel to plan->stages */
    mri_written *written;
    mri_on_error on_error; /* of stages that do not say */
    bool lost_output;      /* a stage writes a topic that is not there: it may be any */
} mri_planner;

/* A place in the file and how much of it to underline. */
typedef struct mri_spot {
    mr_pos at;
    uint32_t width;
} mri_spot;

/* Where something is being looked up. */
typedef struct mri_scope {
    mri_planner *p;
    const mri_stage *stage; /* its step_count steps are done; NULL: outside of stages */
    const mri_node *later;  /* uses that follow in the same container */
} mri_scope;

/* What an operator may stand as. */
typedef enum mri_role { MRI_AS_STEP, MRI_AS_SOURCE, MRI_AS_SINK, MRI_AS_USE } mri_role;

/* One operator to be checked against the rows that reach it. */
typedef struct mri_use_plan {
    const mr_operator *op;
    mri_values *values;
    const mri_rows *in; /* NULL: a source */
    mr_schema *out;     /* as infer() expects to find it */
    const char *as;     /* base name of new columns, or NULL */
    const mri_node *as_node;
    const char *made_by; /* "step 'c1m'" */
    bool nullable;       /* of the columns that its table says it makes */
} mri_use_plan;

/* Words for mri_on_error, for option tables; NULL-terminated. */
extern const char *const mri_on_errors[];
/* What the choice of such an option means; `otherwise` when it is not given. */
mri_on_error mri_on_error_of(const mri_values *values, int64_t choice, mri_on_error otherwise);

/* load.c reads the file in this order. */
void mri_defaults_read(mri_planner *p, const mri_node *defaults);
void mri_topics_read(mri_planner *p, const mri_node *topics);
void mri_stages_read(mri_planner *p, const mri_node *stages); /* names, edges, order */
void mri_stage_plan(mri_planner *p, uint32_t index);
void mri_topics_finish(mri_planner *p);
void mri_kafka_read(mri_planner *p, const mri_node *kafka);
void mri_tests_read(mri_planner *p, const mri_node *tests);
void mri_dead_plan(mri_planner *p); /* who writes dead letters, after all stages */

/* The rows of a topic as its readers find them; reports once if nobody says what they are. */
mri_rows mri_topic_rows(mri_planner *p, uint32_t index);
/* Looks up the key and time of a topic in the rows it gets; problems are reported. */
void mri_topic_fit(mri_planner *p, uint32_t index, const mri_rows *rows, const mri_scope *scope);
/* Index of a topic. What is not there is reported and the nearest one taken for what was meant, so
 * that the rest can be checked; -1: there is none near. */
int32_t mri_topic_find(mri_planner *p, const mri_node *name, bool *guessed);

/* One step: appends to stage->steps (unless nothing can be made of it); returns its rows. */
mri_rows mri_step_plan(mri_planner *p, mri_stage *stage, const mri_node *node, const mri_rows *in);
void mri_source_plan(mri_planner *p, mri_stage *stage, const mri_node *node, mri_rows *out,
                     mri_values **values);
const char *mri_sink_path(const mri_sink *sink); /* NULL: it writes no file of ours */
/* The path as far as its text tells where it leads: "./a//b" is "a/b". */
const char *mri_plain_path(mr_arena *arena, const char *path);
/* Reports sinks that would write over files that the pipeline reads; after all stages. */
void mri_overwrites_check(mri_planner *p);
void mri_sinks_plan(mri_planner *p, mri_stage *stage, const mri_node *node, const mri_rows *in);
/* The operator in a map of one key and the node with its options. What is not there is reported and
 * the nearest one taken for what was meant; NULL: none is near. */
const mr_operator *mri_operator_read(mri_planner *p, const mri_node *node, mri_role role,
                                     const mri_node **value);

/* False: something was reported (or is not certain). *open: columns may be missing in use->out. */
bool mri_use_infer(const mri_scope *scope, mri_use_plan *use, bool *open);
/* Fills in the column references of options; false: reported or not certain. *usable: all refer to
 * some column, if only the nearest. */
bool mri_columns_resolve(const mri_scope *scope, mri_values *values, const mri_rows *rows,
                         bool *usable);
bool mri_exprs_compile(const mri_scope *scope, mri_values *values, const mri_rows *rows);
/* Reports a missing column, unless rows are open: who left it out, or the nearest name. */
void mri_column_missing(const mri_scope *scope, const mri_rows *rows, uint32_t code,
                        const char *label, const char *name, mri_spot spot);
/* State of all uses side by side, histories and collections; false: a limit, reported. */
bool mri_step_layout(mri_planner *p, mri_step *step, const mri_node *place);

mr_schema *mri_schema_copy(mr_arena *arena, const mr_schema *from);
/* As mri_schema_copy without the flags that only decoders need. */
mr_schema *mri_schema_plain(mr_arena *arena, const mr_schema *from);

#endif
