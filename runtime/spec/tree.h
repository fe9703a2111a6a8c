/* tree.h: a pipeline file as a tree with positions, strict YAML 1.2 core schema. */
#ifndef MRI_TREE_H
#define MRI_TREE_H

#include "spec/diag.h"

enum {
    MRI_FILE_MAX = 4 << 20, /* bytes of a pipeline file, and of all replaced variables */
    MRI_DEPTH_MAX = 32,
    MRI_NODES_MAX = 200000, /* after expansion of anchors */
    MRI_ANCHORS_MAX = 256,
    MRI_SECRET_MAX = 64 << 10,
};

typedef enum mri_node_kind { MRI_SCALAR = 1, MRI_LIST, MRI_MAP_NODE } mri_node_kind;

typedef struct mri_node mri_node;
/* Children of an anchored list or map are shared by all of its aliases: never change them. */
struct mri_node {
    mri_node_kind kind;
    bool quoted; /* scalar that is text whatever it looks like: quotes, block, mixed variables */
    bool flow;   /* stands directly in [..] or {..} */
    bool secret; /* came from a variable or file that is marked secret: never print */
    bool unresolved; /* holds a variable that is not set (lint only): skip checks of the value */
    bool variable;   /* the whole text is the value of one environment variable */
    bool replaced;   /* its variables have been replaced */
    mr_pos at;
    uint32_t width;   /* of the scalar in the source, for the underline */
    const char *text; /* scalar, variables replaced */
    size_t size;
    /* The scalar with its ${..}, when the environment gave any of its text: only this is shown. */
    const char *written;
    size_t written_size;
    mri_node *key;          /* of a map's child */
    mri_node *first, *next; /* children in order, siblings */
    uint32_t count;
};

typedef struct mri_load_options {
    const char *const *environment; /* "NAME=value", NULL-terminated; borrowed */
    bool missing_is_warning;        /* lint: a missing variable is a warning, run: an error */
} mri_load_options;

/* Reads and parses `path`; all problems go to `diags`. NULL only when there is no tree at all: the
 * file cannot be read, is empty, not YAML, or passes a limit. The root is always a map. Scalars
 * have their variables replaced: ${NAME}, ${NAME:-default}, ${NAME:?message}, ${vars.NAME}; $${ is
 * a literal ${. `options` may be NULL: no variables, missing ones are errors. */
mri_node *mri_tree_load(mr_arena *arena, const char *path, const mri_load_options *options,
                        mri_diags *diags);
/* As mri_tree_load for a text in memory, which must live as long as `diags`. */
mri_node *mri_tree_parse(mr_arena *arena, const char *name, const char *text, size_t size,
                         const mri_load_options *options, mri_diags *diags);

mri_node *mri_node_get(const mri_node *map, const char *key); /* NULL: not there */
bool mri_node_is_null(const mri_node *node);                  /* null ~ or empty, unquoted */
/* Scalars by the core schema; false: not of that type. An integer is a number too; numbers must be
 * finite and fit. */
bool mri_node_bool(const mri_node *node, bool *out);
bool mri_node_i64(const mri_node *node, int64_t *out);
bool mri_node_f64(const mri_node *node, double *out);
/* For "a number is needed here, this is %s": "a list", "a map", "nothing", "a bool", "an integer",
 * "a number", "text". */
const char *mri_node_kind_name(const mri_node *node);
/* Why a scalar that looked like something in YAML 1.1 is text here; NULL: it did not. */
const char *mri_node_yaml11_hint(const mri_node *node);
/* The scalar for messages: at most 60 bytes, control bytes escaped, "(secret)" when secret, as it
 * is written when it holds the value of an environment variable. */
const char *mri_node_show(mr_arena *arena, const mri_node *node);

/* The value of a secret: the file of `{ file: PATH }` (relative to `folder`; at most MRI_SECRET_MAX
 * bytes, one line break at its end is cut), or a scalar that is wholly one environment variable.
 * Marks the node secret. *out is NULL when the variable is not set (node->unresolved).
 * MR_ERR_SPEC (E051 or E011): written in the file, or not a secret's shape; MR_ERR_IO (E060). */
mr_status mri_secret_read(mr_arena *arena, mri_node *node, const char *folder, const char **out,
                          mr_error *err);

#endif
