/** option.h: the option table of an operator. Parsing, range checks, help, JSON Schema, reference
 *  pages, checkpoint identity and option tests all walk this table; no other place states a fact
 *  that stands in it. */
#ifndef MR_OPTION_H
#define MR_OPTION_H

#include "millrace/schema.h"
#include <stddef.h>

typedef struct mr_expr mr_expr; /**< a compiled expression, opaque */

typedef enum mr_option_type {
    MR_OPT_INT = 1,  /**< int64_t; min..max */
    MR_OPT_FLOAT,    /**< double; min_float..max_float */
    MR_OPT_BOOL,     /**< bool */
    MR_OPT_DURATION, /**< int64_t microseconds, written with a unit: 500ms 1s 2m10s; min..max */
    MR_OPT_SIZE,     /**< int64_t bytes, written with a unit: 64KiB 1GB; min..max */
    MR_OPT_CHOICE,   /**< int64_t, index into `choices` */
    MR_OPT_STRING,   /**< const char *, any text */
    MR_OPT_NAME,     /**< const char *, a new column's name */
    MR_OPT_PATH,     /**< const char *, resolved against the folder of the pipeline file */
    MR_OPT_COLUMN,   /**< mr_column_ref */
    MR_OPT_EXPR,     /**< mr_expr_ref */
    MR_OPT_STRINGS,  /**< mr_strings: one text or a list */
    MR_OPT_PATHS,    /**< mr_strings: one path or glob, or a list of them */
    MR_OPT_COLUMNS,  /**< mr_columns: one column or a list */
    MR_OPT_EXPRS,    /**< mr_exprs: map of new column name to expression */
    MR_OPT_RENAMES,  /**< mr_renames: map of new name to old name */
    MR_OPT_USES,     /**< mr_uses: map of output name to one operator use; makes a container step */
    MR_OPT_SCHEMA,   /**< mr_schema_ref: map of column name to type, or the path of a schema file */
} mr_option_type;

/** A column by name; `index` and `type` are filled before infer() runs when the name was given or
 *  has a fallback, and the column exists with the wanted type. */
typedef struct mr_column_ref {
    const char *name; /**< NULL: not given and no fallback */
    mr_pos at;
    uint32_t index; /**< in the step's input schema */
    mr_type type;
} mr_column_ref;

/** An expression as written; compiled by mr_infer_expr() in infer(). */
typedef struct mr_expr_ref {
    const char *text;
    mr_pos at;
    const mr_expr *compiled;
    mr_type type;
} mr_expr_ref;

typedef struct mr_strings {
    const char *const *items;
    const mr_pos *at;
    uint32_t count;
} mr_strings;

typedef struct mr_columns {
    mr_column_ref *items;
    uint32_t count;
} mr_columns;

typedef struct mr_named_expr {
    const char *name;
    mr_pos at;
    mr_expr_ref expr;
} mr_named_expr;

typedef struct mr_exprs {
    mr_named_expr *items;
    uint32_t count;
} mr_exprs;

typedef struct mr_rename {
    const char *to;
    mr_pos at;
    mr_column_ref from;
} mr_rename;

typedef struct mr_renames {
    mr_rename *items;
    uint32_t count;
} mr_renames;

typedef struct mr_schema_ref {
    const mr_schema *schema; /**< NULL: not given */
    mr_pos at;
} mr_schema_ref;

/** The uses inside a container step; read by the planner only. */
typedef struct mr_uses {
    uint32_t count;
    mr_pos at;
} mr_uses;

/** What a change of the option means for saved state of the step. */
typedef enum mr_changes {
    MR_CHANGES_NOTHING,
    MR_CHANGES_LAYOUT,  /**< other fields or sizes: saved state is refused */
    MR_CHANGES_MEANING, /**< same fields, other numbers: needs --keep-state */
} mr_changes;

#define MR_REQUIRED 1u /**< no default: leaving it out is an error */
#define MR_BODY     2u /**< the option is the operator's whole value: `select: [a, b]` */
#define MR_SECRET   4u /**< never printed; only by reference */

/** One row; the table ends with a row without name. Exactly one fallback applies, by type. */
typedef struct mr_option {
    const char *name;
    const char *alias; /**< second spelling, NULL: none */
    mr_option_type type;
    uint32_t flags;
    size_t offset;               /**< into the options struct */
    const char *fallback;        /**< text, name, column, choice or expression; NULL: none */
    int64_t fallback_int;        /**< INT BOOL DURATION SIZE */
    double fallback_float;       /**< FLOAT */
    int64_t min, max;            /**< both 0: any */
    double min_float, max_float; /**< both 0: any */
    const char *const *choices;  /**< CHOICE: NULL-terminated */
    mr_type column_type;         /**< COLUMN(S): wanted type; 0: any. MR_F64 accepts int64 too */
    const char *unit;            /**< "bars", "us", ...; NULL: a pure number or text */
    mr_changes changes;
    const char *help;    /**< one sentence */
    const char *example; /**< a value as written in a file, over columns of trades or candles;
                              needed where the option is required: docs and contract tests */
} mr_option;

#endif
