/* diag.h: diagnostics with a place, a stable code and a hint; collected, then printed in order. */
#ifndef MRI_DIAG_H
#define MRI_DIAG_H

#include "base/nearest.h"
#include "base/text.h"
#include "millrace/arena.h"
#include "millrace/status.h"
#include <stdbool.h>
#include <stdio.h>

/* Codes are stable for ever; texts may improve. Number, status it exits with, what it is about. */
#define MRI_DIAG_MAP(X)                                                                      \
    X(1, SPEC, "the file cannot be read")                                                    \
    X(2, SPEC, "the file is not valid YAML")                                                 \
    X(3, SPEC, "YAML that pipeline files do not allow: tags, merge keys, several documents") \
    X(4, SPEC, "a limit of pipeline files: size, depth, expansion of anchors")               \
    X(5, SPEC, "a key stands twice")                                                         \
    X(10, SPEC, "a required key is missing")                                                 \
    X(11, SPEC, "a value of the wrong kind")                                                 \
    X(12, SPEC, "an unknown key")                                                            \
    X(13, SPEC, "a name that is not allowed, or taken")                                      \
    X(14, SPEC, "something that is named but not there")                                     \
    X(15, SPEC, "options that exclude each other, or need each other")                       \
    X(20, SPEC, "an unknown operator")                                                       \
    X(21, SPEC, "a value outside its range")                                                 \
    X(22, SPEC, "a duration or size without a unit, or not one")                             \
    X(30, SPEC, "an expression that cannot be read")                                         \
    X(31, SCHEMA, "an expression of the wrong type")                                         \
    X(40, SCHEMA, "a column that is not there")                                              \
    X(41, SCHEMA, "a column of the wrong type")                                              \
    X(42, SCHEMA, "a column name that is taken")                                             \
    X(43, SCHEMA, "a key or time column that does not fit")                                  \
    X(50, SPEC, "a variable that is not set")                                                \
    X(51, SPEC, "a secret written in the file")                                              \
    X(52, SPEC, "a variable that is not written as one")                                     \
    X(60, SPEC, "a file that the pipeline names and that cannot be used")                    \
    X(61, SPEC, "a model that cannot be used")                                               \
    X(70, SPEC, "stages that form a circle, or edges that do not meet")                      \
    X(71, SPEC, "an output that nobody reads, or two writers of one topic")                  \
    X(72, SPEC, "a path that needs {partition}")                                             \
    X(80, SPEC, "a test that cannot be read")

typedef enum mri_severity { MRI_SEV_WARNING, MRI_SEV_ERROR } mri_severity;

typedef struct mri_diag {
    uint32_t code;
    mri_severity severity;
    mr_pos at;
    uint32_t width; /* columns to underline, at least 1 */
    const char *text;
    const char *hint; /* "did you mean 'every'?"; NULL: none */
} mri_diag;

typedef struct mri_diags mri_diags;

enum { MRI_DIAGS_MAX = 200 }; /* of one run; the rest is counted */

mri_diags *mri_diags_open(mr_arena *arena);
void mri_diag_add(mri_diags *, uint32_t code, mri_severity, mr_pos at, uint32_t width,
                  const char *hint, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* A value that no later text may show (it shows *** there), unless it is so short that it would be
 * found in many words. Borrowed for as long as diagnostics are added. */
void mri_diags_hide(mri_diags *, const char *value);
uint32_t mri_diags_errors(const mri_diags *);
uint32_t mri_diags_warnings(const mri_diags *);
const mri_diag *mri_diags_at(const mri_diags *,
                             uint32_t index); /* sorted by file order, line, column */
uint32_t mri_diags_count(const mri_diags *);
mr_status mri_diags_status(const mri_diags *); /* of the first error; MR_OK when there is none */
/* Remembers the text of a file, so that its lines can be shown. Borrowed. */
void mri_diags_source(mri_diags *, const char *file, const char *text, size_t size);
/* `file:line:col: error[E012]: text; hint`, the source line and a caret. */
void mri_diags_print(const mri_diags *, FILE *out, bool colour);
/* What a code is about, one line; NULL: no such code. */
const char *mri_diag_about(uint32_t code);

#endif
