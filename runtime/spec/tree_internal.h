/* tree_internal.h: what the files of the tree share among themselves. */
#ifndef MRI_TREE_INTERNAL_H
#define MRI_TREE_INTERNAL_H

#include "spec/tree.h"

enum { MRI_SOURCE_STEP = 256 };

typedef struct mri_source_line {
    uint32_t offset; /* bytes before it */
    uint32_t points; /* code points before it */
} mri_source_line;

/* The text of a file, where problems with it go, and a table to find places in it: a file may be
 * one line of 4 MiB with a hundred thousand places to look up. */
typedef struct mri_source {
    const char *name;
    const char *text;
    size_t size;
    mr_arena *arena;
    mri_diags *diags;
    mri_source_line *lines;
    uint32_t line_count;
    uint32_t *steps; /* byte offset of every MRI_SOURCE_STEP-th code point */
    uint32_t step_count;
} mri_source;

/* Checks that the text is UTF-8 without control characters and finds its lines; false: it is not,
 * and the diagnostic has been added. The caller frees the tables with mri_source_clear(). */
bool mri_source_scan(mri_source *source);
void mri_source_clear(mri_source *source);
/* Byte offset of a place; past the end of a line it is that line's end. */
size_t mri_source_offset(const mri_source *source, mr_pos at);
/* Byte offset of the end of a line, without its line break. */
size_t mri_source_end(const mri_source *source, uint32_t line);

/* What libyaml's parser could not go on after. Marks count from 0. */
typedef struct mri_yaml_fault {
    const char *problem, *context; /* NULL: none */
    uint32_t line, column;         /* of the problem */
    uint32_t context_line, context_column;
    const mri_node *open; /* innermost list or map, when it began with a bracket; else NULL */
} mri_yaml_fault;

/* Adds one diagnostic that says it in the words of someone who writes a pipeline file. */
void mri_yaml_explain(const mri_source *source, const mri_yaml_fault *fault);

/* The first "${" in text[0..size); NULL: none. */
const char *mri_vars_find(const char *text, size_t size);
/* Replaces the variables of `scalars`, each once. `root` may hold `vars:`. */
void mri_vars_replace(const mri_source *source, const mri_load_options *options,
                      const mri_node *root, mri_node *const *scalars, uint32_t scalar_count);

/* Code points in text[0..size). */
uint32_t mri_text_columns(const char *text, size_t size);

#endif
