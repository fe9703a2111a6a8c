/* tree.h: a pipeline file as a tree with positions, strict YAML 1.2 core schema. */
#ifndef MRI_TREE_H
#define MRI_TREE_H

#include "spec/diag.h"

enum {
    MRI_FILE_MAX = 4 << 20, /* bytes of a pipeline file */
    MRI_DEPTH_MAX = 32,
    MRI_NODES_MAX = 200000, /* after expansion of anchors */
};

typedef enum mri_node_kind { MRI_SCALAR = 1, MRI_LIST, MRI_MAP_NODE } mri_node_kind;

typedef struct mri_node mri_node;
struct mri_node {
    mri_node_kind kind;
    bool quoted; /* scalar in quotes or a block: always text */
    bool secret; /* came from a variable or file that is marked secret: never print */
    mr_pos at;
    uint32_t width;   /* of the scalar in the source, for the underline */
    const char *text; /* scalar, variables replaced */
    size_t size;
    mri_node *key;          /* of a map's child */
    mri_node *first, *next; /* children in order, siblings */
    uint32_t count;
};

typedef struct mri_vars mri_vars; /* where ${NAME} comes from */

typedef struct mri_load_options {
    const char *const *environment; /* "NAME=value", NULL-terminated; borrowed */
    bool missing_is_warning;        /* lint: a missing variable is a warning, run: an error */
} mri_load_options;

/* Reads and parses `path`; all problems go to `diags`. NULL only when there is no tree at all. */
mri_node *mri_tree_load(mr_arena *arena, const char *path, const mri_load_options *options,
                        mri_diags *diags);
mri_node *mri_tree_parse(mr_arena *arena, const char *name, const char *text, size_t size,
                         const mri_load_options *options, mri_diags *diags);
mri_node *mri_node_get(const mri_node *map, const char *key); /* NULL: not there */
bool mri_node_is_null(const mri_node *node);                  /* null ~ or empty, unquoted */
/* Scalars by the core schema; false: not of that type. */
bool mri_node_bool(const mri_node *node, bool *out);
bool mri_node_i64(const mri_node *node, int64_t *out);
bool mri_node_f64(const mri_node *node, double *out);

#endif
