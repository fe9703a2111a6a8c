/* tree_explain.c: what libyaml could not read, in the words of someone who writes pipeline files.
 */
#include <string.h>

#include "spec/tree_internal.h"

/* First row whose texts fit is taken; NULL fits anything. `at_context`: the place to show is where
 * the list, map or quote began, as the problem itself is only noticed much later. */
struct row {
    const char *problem, *context;
    bool at_context;
    uint32_t code;
    const char *text, *hint;
};

#define QUOTE "quote the value if it is text or an expression"

static const struct row rows[] = {
    {"found a tab character", NULL, false, 2,
     "a tab stands where indentation belongs, YAML indents with spaces", "replace it by spaces"},
    {"did not find expected ',' or '}'", NULL, true, 2,
     "the map that opens here with '{' is not closed, or a ',' is missing in it", NULL},
    {"did not find expected ',' or ']'", NULL, true, 2,
     "the list that opens here with '[' is not closed, or a ',' is missing in it", NULL},
    {"found unexpected end of stream", "while scanning a quoted scalar", true, 2,
     "the quote that opens here is never closed", NULL},
    {"found unexpected document indicator", NULL, true, 2,
     "the quote that opens here is not closed before the end of the document", NULL},
    {"found unknown escape character", NULL, false, 2, "an unknown escape in double quotes",
     "write \\\\ for a backslash, or use single quotes"},
    {"did not find expected hexdecimal number", NULL, false, 2,
     "an escape in double quotes without its hexadecimal digits",
     "write \\\\ for a backslash, or use single quotes"},
    {"found invalid Unicode character escape code", NULL, false, 2,
     "an escape in double quotes that is no character", NULL},
    {"could not find expected ':'", NULL, true, 2, "a key without a ':' behind it",
     "write 'key: value', with a space behind the ':'"},
    {"mapping values are not allowed in this context", NULL, false, 2,
     "a ':' that cannot start a value here",
     "quote the text in which it stands, or check the indentation of this line"},
    {"block sequence entries are not allowed in this context", NULL, false, 2,
     "a '-' that cannot start a list item here", "put the list on lines of its own"},
    {"mapping keys are not allowed in this context", NULL, false, 2,
     "a '?' that cannot start a key here", QUOTE},
    {"did not find expected '-' indicator", NULL, false, 2,
     "this line is neither an item of the list above nor outside of it",
     "give all '-' of a list the same indentation"},
    {"did not find expected <document start>", NULL, false, 2,
     "this line does not belong to the map or list above it", "check its indentation"},
    {"undefined tag handle", NULL, false, 3, "pipeline files have no tags ('!')", QUOTE},
    {NULL, "while scanning a tag", false, 3, "pipeline files have no tags ('!')", QUOTE},
    {NULL, "while parsing a tag", false, 3, "pipeline files have no tags ('!')", QUOTE},
    {NULL, "while scanning a block scalar", true, 2,
     "'|' or '>' starts a block of text, nothing else may follow it on its line", QUOTE},
    {NULL, "while scanning an anchor", true, 2, "'&' starts the name of an anchor", QUOTE},
    {NULL, "while scanning an alias", true, 2, "'*' starts the name of an alias", QUOTE},
    {NULL, "directive", true, 3, "a line that starts with '%' is a directive to YAML",
     "indent or quote it"},
    {"found incompatible YAML document", NULL, false, 3,
     "pipeline files are YAML 1.2, this one says another version", "leave the %YAML line out"},
    {"duplicate %", NULL, false, 3, "a second line with the same directive", "leave it out"},
    {"did not find expected node content", NULL, false, 2, "a value is missing here", NULL},
    {"did not find expected key", NULL, false, 2,
     "this does not belong to the map above it, a key was expected",
     "check the indentation; quote values with special characters"},
    {"found unexpected ':'", NULL, false, 2, "a ':' inside of a value", "quote the value"},
};

static bool fits(const char *given, const char *wanted) {
    return wanted == NULL || (given != NULL && strstr(given, wanted) != NULL);
}

static const struct row *row_find(const mri_yaml_fault *fault) {
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (fits(fault->problem, rows[i].problem) && fits(fault->context, rows[i].context)) {
            return &rows[i];
        }
    }
    return NULL;
}

/* The last character before `offset` in its line that is not a space; 0: none. */
static char before(const mri_source *source, size_t offset, size_t line_start) {
    while (offset > line_start &&
           (source->text[offset - 1] == ' ' || source->text[offset - 1] == '\t')) {
        offset--;
    }
    return offset > line_start ? source->text[offset - 1] : '\0';
}

/* A key was expected; `here` stands in its place and `last` before it in the line. */
static uint32_t explain_key(char here, char last, const char **text, const char **hint) {
    if (last == '"' || last == '\'') {
        *text = "text behind a closing quote";
        *hint = "put the whole value in quotes";
    } else if (last == ']' || last == '}') {
        *text = "text behind a closing bracket";
        *hint = QUOTE;
    } else if (here == ':') {
        *text = "a key is missing before this ':'";
    } else if (here == '-') {
        *text = "a list item where a key was expected";
        *hint = "give all '-' of a list the same indentation";
    } else if (last == '\0') {
        *text = "the indentation of this line fits nothing above it";
        *hint = "give all keys of a map the same indentation";
    } else {
        return 0;
    }
    return 2;
}

/* Mistakes that are known by what stands at or before the place. Returns the code, 0: none. */
static uint32_t explain_place(const mri_source *source, const mri_yaml_fault *fault, mr_pos at,
                              const char **text, const char **hint) {
    const size_t offset = mri_source_offset(source, at);
    const size_t start =
        at.line <= source->line_count ? source->lines[at.line - 1].offset : source->size;
    const char here = offset < source->size ? source->text[offset] : '\0';
    const char last = before(source, offset, start);
    const bool key = fits(fault->problem, "did not find expected key");
    if (here == '{' && offset > start && source->text[offset - 1] == '$') {
        *text = "a variable inside of [..] or {..} must stand in quotes";
        *hint = "write \"${NAME}\"";
        return 2;
    }
    if (fits(fault->problem, "cannot start any token")) {
        *text = here == '\t' ? "a tab stands where indentation belongs, YAML indents with spaces"
                             : "no value can start with this character";
        *hint = here == '\t' ? "replace it by spaces" : "quote the value";
        return 2;
    }
    return key ? explain_key(here, last, text, hint) : 0;
}

void mri_yaml_explain(const mri_source *source, const mri_yaml_fault *fault) {
    mri_diags *diags = source->diags;
    mr_pos at = {.file = source->name, .line = fault->line + 1, .column = fault->column + 1};
    if (at.line > source->line_count) {
        at.line = source->line_count;
        at.column = 1;
    }
    if (fault->open != NULL && mri_source_offset(source, at) == source->size) {
        const bool list = fault->open->kind == MRI_LIST;
        mri_diag_add(diags, 2, MRI_SEV_ERROR, fault->open->at, 1, NULL,
                     "the %s that opens here with '%s' is not closed", list ? "list" : "map",
                     list ? "[" : "{");
        return;
    }
    const char *text = NULL, *hint = NULL;
    const uint32_t code = explain_place(source, fault, at, &text, &hint);
    if (code != 0) {
        mri_diag_add(diags, code, MRI_SEV_ERROR, at, 1, hint, "%s", text);
        return;
    }
    const struct row *row = row_find(fault);
    if (row == NULL) {
        mri_diag_add(diags, 2, MRI_SEV_ERROR, at, 1, NULL, "this is not valid YAML: %s%s%s",
                     fault->problem != NULL ? fault->problem : "unknown problem",
                     fault->context != NULL ? " " : "",
                     fault->context != NULL ? fault->context : "");
        return;
    }
    if (row->at_context && fault->context != NULL) {
        at.line = fault->context_line + 1;
        at.column = fault->context_column + 1;
    }
    mri_diag_add(diags, row->code, MRI_SEV_ERROR, at, 1, row->hint, "%s", row->text);
}
