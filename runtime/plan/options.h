/* options.h: the walker over option tables. Operators, topics, stages and the file itself are all
 * read by it, so that every value of a pipeline file is checked in one place. */
#ifndef MRI_OPTIONS_H
#define MRI_OPTIONS_H

#include "millrace/operator.h"
#include "spec/diag.h"
#include "spec/tree.h"

enum {
    MRI_PLAN_FILE_MAX = 64 << 20,   /* bytes of one file that a pipeline names */
    MRI_PLAN_FILES_MAX = 256 << 20, /* bytes of all of them */
    MRI_STRINGS_MAX = 10000,        /* items of one list of texts */
    MRI_TEXT_MAX = 1 << 16,         /* bytes of one text in the file */
    MRI_KEY_TEXT_MAX = 1024,        /* bytes of one key in the file */
    MRI_WORD_MAX = 256,             /* bytes of a number, duration, choice or name */
};

/* A file that was read while planning; files are read once. */
typedef struct mri_plan_file mri_plan_file;
struct mri_plan_file {
    const char *path, *data; /* terminated */
    size_t size;
    mr_pos at; /* that named it first */
    mri_plan_file *next;
};

/* What reading a pipeline file needs to have at hand. */
typedef struct mri_plan_env {
    mr_arena *arena;
    mri_diags *diags;
    const char *folder; /* paths are relative to it */
    const mri_load_options *load;
    mri_plan_file *files;
    size_t files_bytes;
    bool unresolved; /* a value hangs on a variable that is not set: the plan cannot be completed */
} mri_plan_env;

/* A table and what may stand beside it in the same map. */
typedef struct mri_options_table {
    const char *owner; /* stands before the option in messages: "candles" of "candles.every" */
    const char *noun;  /* "option" or "key" */
    const mr_option *rows;
    size_t bytes;             /* of the struct that the rows fill */
    const char *const *more;  /* further allowed names, read by the caller; NULL: none */
    const char *const *later; /* "key" and "key=value" of later versions; NULL: none */
    const char *free_prefix;  /* names that start with it belong to the user; NULL: none */
    bool partial;             /* other names are not looked at: another table reads them */
} mri_options_table;

/* The result: a filled struct, and where each of its values stands. */
typedef struct mri_values {
    const char *owner;
    const mr_option *rows;
    uint32_t count; /* of rows */
    void *options;
    const mri_node **given;  /* by row; NULL: not in the file, the fallback counts */
    const char *const *more; /* of the table; `others` is parallel to it */
    const mri_node **others;
    const mri_node *place; /* what messages about all of it point at */
    bool ok;
    bool usable; /* what is wrong was only numbers and choices, and they were put into range */
} mri_values;

/* Reads `node`, a map (or, with an MR_BODY row, any value; NULL or null: nothing given). All
 * problems go to env->diags. Never NULL. */
mri_values *mri_options_read(mri_plan_env *env, const mri_options_table *table,
                             const mri_node *place, const mri_node *node);

/* Row by name or alias, or -1. */
int32_t mri_options_row(const mr_option *rows, const char *name);
/* Where an option's value stands, or the place of all of it. `name` may be NULL. */
const mri_node *mri_values_place(const mri_values *values, const char *name);
/* The value under one of the table's further names, misspelt perhaps; NULL: it is not there. */
const mri_node *mri_values_more(const mri_values *values, const char *name);
void *mri_values_at(const mri_values *values, uint32_t row);

/* FNV-64 over "name=value" of the rows that change `which`, in canonical text: two files that mean
 * the same give the same number, whether a default is written out or not. */
uint64_t mri_options_digest(mri_plan_env *env, const mri_values *values, mr_changes which);
/* The rows that change anything, one by one; they live in env->arena. */
struct mri_use_option;
const struct mri_use_option *mri_options_saved(mri_plan_env *env, const mri_values *values,
                                               uint32_t *count);

/* --- pieces that other parts of the planner share ------------------------------------------- */

/* One error at a node; secret text never gets into it. */
void mri_plan_error(mri_plan_env *env, uint32_t code, const mri_node *node, const char *hint,
                    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The scalar as messages show it: 'text', cut when it is long; lists and maps by kind. */
const char *mri_plan_quote(mri_plan_env *env, const mri_node *node);
/* "did you mean 'x'?" or, when nothing is near, "LABEL a, b, c"; NULL when there are no names. */
const char *mri_plan_hint(mri_plan_env *env, const char *given, const char *const *names,
                          uint32_t count, const char *label);
/* As mri_nearest; NULL once so much is wrong that nobody will read of it. */
const char *mri_plan_nearest(mri_plan_env *env, const char *given, const char *const *names,
                             uint32_t count);
/* "line 12", or "file:12" when it is another file than that of `from`. */
const char *mri_plan_where(mri_plan_env *env, mr_pos at, mr_pos from);
/* A secret: `{ file: PATH }` or a variable, anything else is reported. */
bool mri_plan_secret(mri_plan_env *env, const char *owner, const char *name, const mri_node *node,
                     const char **out);
const char *mri_plan_path(mri_plan_env *env, const char *path); /* against env->folder */
/* A regular file, whole. MR_ERR_IO or MR_ERR_LIMIT with a text that names the path. */
mr_status mri_plan_read_file(mri_plan_env *env, const char *path, mr_pos at,
                             const mri_plan_file **out, mr_error *err);

bool mri_column_name_ok(const char *name); /* [A-Za-z_][A-Za-z0-9_]*, at most MR_NAME_MAX */
bool mri_ident_ok(const char *name);       /* as a column's, and '-' behind the first */

/* Reads `node` as a map of column to type, or as the path of a schema file. NULL: reported. */
const mr_schema *mri_schema_read(mri_plan_env *env, const char *owner, const mri_node *node);
mr_schema *mri_schema_new(mr_arena *arena);
/* Appends a copy of `def`; false: MR_COLUMNS_MAX is reached. */
bool mri_schema_add(mr_schema *schema, const mr_column_def *def);

#endif
