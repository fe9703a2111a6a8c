/* tree_internal.h: what the files of the tree share among themselves. */
#ifndef MRI_TREE_INTERNAL_H
#define MRI_TREE_INTERNAL_H

#include "spec/tree.h"

/* The text of a file with the places where its lines start. */
typedef struct mri_source {
    const char *name;
    const char *text;
    size_t size;
    uint32_t *lines; /* byte offset of each line's start */
    uint32_t line_count;
} mri_source;

/* Checks that the text is UTF-8 without control characters and finds its lines; false: it is not,
 * and the diagnostic has been added. The caller frees `lines` in both cases. */
bool mri_source_scan(mri_source *source, mri_diags *diags);
/* Byte offset of a place; past the end of a line it is that line's end. */
size_t mri_source_offset(const mri_source *source, mr_pos at);
/* End of the line that holds `offset`, without its line break. */
size_t mri_source_line_end(const mri_source *source, size_t offset);

/* What libyaml's parser could not go on after. Marks count from 0. */
typedef struct mri_yaml_fault {
    const char *problem, *context; /* NULL: none */
    uint32_t line, column;         /* of the problem */
    uint32_t context_line, context_column;
    const mri_node *open; /* innermost list or map, when it began with a bracket; else NULL */
} mri_yaml_fault;

/* Adds one diagnostic that says it in the words of someone who writes a pipeline file. */
void mri_yaml_explain(const mri_source *source, const mri_yaml_fault *fault, mri_diags *diags);

/* The first "${" in text[0..size); NULL: none. */
const char *mri_vars_find(const char *text, size_t size);
/* Replaces the variables of `scalars`, each once. `root` may hold `vars:`. */
void mri_vars_replace(mr_arena *arena, const mri_source *source, const mri_load_options *options,
                      mri_diags *diags, const mri_node *root, mri_node *const *scalars,
                      uint32_t scalar_count);

/* Code points in text[0..size). */
uint32_t mri_text_columns(const char *text, size_t size);

#endif
