/* vars.c: variables in scalars, and secrets. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/utf8.h"
#include "spec/tree_internal.h"

enum { VARS_MAX = 256 };

struct vars {
    mr_arena *arena;
    const mri_source *source;
    const mri_load_options *options;
    mri_diags *diags;
    const mri_node *map; /* vars:, NULL: none */
    bool defining;       /* the values of `map` themselves are being replaced */
    size_t bytes;        /* made so far */
    mr_pos at;           /* in the scalar at hand: where the last use with a problem stood */
    size_t offset, end;  /* the same in the source, and the end of what is left to search */
};

/* One ${...} of a scalar. */
struct use {
    const char *text; /* from its "${" */
    size_t size;      /* to its "}" */
    const char *name;
    size_t name_size;
    bool of_vars;
    char kind;         /* 0, '-' or '?' */
    const char *extra; /* default or message */
    size_t extra_size;
};

/* What a use stands for. */
struct value {
    const char *text;
    size_t size;
    const mri_node *node; /* of vars:, else NULL */
    bool environment;     /* all of it came from there */
    bool hidden;          /* some of it did */
};

const char *mri_vars_find(const char *text, size_t size) {
    const char *end = text + size;
    while (size > 0) {
        const char *dollar = memchr(text, '$', size);
        if (dollar == NULL || end - dollar < 2) return NULL;
        if (dollar[1] == '{') return dollar;
        text = dollar + 1;
        size = (size_t)(end - text);
    }
    return NULL;
}

static bool name_char(char c, bool first) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static size_t name_size(const char *text, size_t size) {
    size_t used = 0;
    while (used < size && name_char(text[used], used == 0)) {
        used++;
    }
    return used;
}

/* Where to look for the uses of a scalar in the source: on its own line. */
static void search_begin(struct vars *v, const mri_node *node) {
    v->at = node->at;
    v->offset = mri_source_offset(v->source, node->at);
    const mr_pos end = {.line = node->at.line, .column = node->at.column + node->width};
    v->end = mri_source_offset(v->source, end);
}

/* Goes on from the use before. One that is not written in the source as it stands in the text, in
 * escapes or on a later line, is shown at the scalar's own place, and so are those behind it. */
static mr_pos use_pos(struct vars *v, const mri_node *node, const struct use *use) {
    for (size_t i = v->offset; i + use->size <= v->end; i++) {
        if (memcmp(v->source->text + i, use->text, use->size) != 0) continue;
        v->at.column += mri_text_columns(v->source->text + v->offset, i - v->offset);
        v->offset = i;
        return v->at;
    }
    v->end = 0;
    return node->at;
}

static void use_add(struct vars *v, const mri_node *node, const struct use *use, uint32_t code,
                    const char *hint, const char *text) {
    const bool lint = v->options != NULL && v->options->missing_is_warning;
    mri_diag_add(v->diags, code, code == 50 && lint ? MRI_SEV_WARNING : MRI_SEV_ERROR,
                 use_pos(v, node, use), mri_text_columns(use->text, use->size), hint, "%s", text);
}

/* Reads the use that starts at text ("${"). False: it is not written as one, and that was said. */
static bool use_read(struct vars *v, const mri_node *node, const char *text, size_t size,
                     struct use *use) {
    static const char *const forms = "write ${NAME}, ${NAME:-default}, ${NAME:?message} or "
                                     "${vars.NAME}; $${ is a literal ${";
    const char *close = memchr(text, '}', size);
    *use = (struct use){.text = text, .size = close == NULL ? 2 : (size_t)(close - text) + 1};
    if (close == NULL) {
        use_add(v, node, use, 52, forms, "this variable has no closing '}'");
        return false;
    }
    const char *at = text + 2;
    if (close - at > 5 && memcmp(at, "vars.", 5) == 0) {
        use->of_vars = true;
        at += 5;
    }
    use->name = at;
    use->name_size = name_size(at, (size_t)(close - at));
    at += use->name_size;
    if (use->name_size > 0 && at == close) return true;
    if (use->name_size > 0 && !use->of_vars && close - at >= 2 && at[0] == ':' &&
        (at[1] == '-' || at[1] == '?')) {
        use->kind = at[1];
        use->extra = at + 2;
        use->extra_size = (size_t)(close - use->extra);
        if (mri_vars_find(use->extra, use->extra_size) == NULL) return true;
        use_add(v, node, use, 52, NULL, "a default or message cannot hold another variable");
        return false;
    }
    use_add(v, node, use, 52, forms, "this is not a variable");
    return false;
}

static const char *environment_find(const struct vars *v, const struct use *use) {
    if (v->options == NULL || v->options->environment == NULL) return NULL;
    for (const char *const *entry = v->options->environment; *entry != NULL; entry++) {
        if (strncmp(*entry, use->name, use->name_size) == 0 && (*entry)[use->name_size] == '=') {
            return *entry + use->name_size + 1;
        }
    }
    return NULL;
}

static bool vars_value(struct vars *v, const mri_node *node, const struct use *use,
                       struct value *value) {
    if (v->defining) {
        use_add(v, node, use, 52, NULL,
                "a value under 'vars:' cannot use another one, only the environment");
        return false;
    }
    const char *name = mri_strndup(v->arena, use->name, use->name_size);
    const mri_node *found = v->map != NULL ? mri_node_get(v->map, name) : NULL;
    if (found == NULL) {
        const char *names[VARS_MAX];
        uint32_t count = 0;
        for (const mri_node *n = v->map != NULL ? v->map->first : NULL; n != NULL; n = n->next) {
            if (count < VARS_MAX) names[count++] = n->key->text;
        }
        const bool room = mri_diags_count(v->diags) < MRI_DIAGS_MAX; /* else nobody sees it */
        const char *near = room ? mri_nearest(name, names, count) : NULL;
        use_add(v, node, use, 14,
                near != NULL ? mri_format(v->arena, "did you mean '%s'?", near)
                             : mri_format(v->arena, "add it: vars: { %s: ... }", name),
                mri_format(v->arena, "'vars:' has no '%s'", name));
        return false;
    }
    /* What is wrong with the value itself has been said at its own place. */
    if (found->kind != MRI_SCALAR || found->unresolved) return false;
    *value = (struct value){
        .text = found->text, .size = found->size, .node = found, .hidden = found->written != NULL};
    return true;
}

/* False: the value cannot be had, and that was said. */
static bool use_value(struct vars *v, const mri_node *node, const struct use *use,
                      struct value *value) {
    if (use->of_vars) return vars_value(v, node, use, value);
    const char *set = environment_find(v, use);
    if (use->kind != 0 && set != NULL && *set == '\0') set = NULL;
    if (set == NULL && use->kind == '-') {
        *value = (struct value){.text = use->extra, .size = use->extra_size};
        return true;
    }
    const int size = (int)(use->name_size < 200 ? use->name_size : 200);
    if (set != NULL && mri_utf8_check(set, strlen(set)) == strlen(set)) {
        *value =
            (struct value){.text = set, .size = strlen(set), .environment = true, .hidden = true};
        mri_diags_hide(v->diags, set);
        return true;
    }
    if (set != NULL) {
        use_add(v, node, use, 52, NULL,
                mri_format(v->arena, "the value of the variable '%.*s' is not UTF-8 text", size,
                           use->name));
        return false;
    }
    const bool message = use->kind == '?' && use->extra_size > 0;
    use_add(v, node, use, 50,
            message ? NULL : "set it in the environment, or write a default: ${NAME:-default}",
            mri_format(v->arena, "the variable '%.*s' is not set%s%.*s", size, use->name,
                       message ? ": " : "", message ? (int)use->extra_size : 0,
                       message ? use->extra : ""));
    return false;
}

/* The type of a scalar that was wholly one use is that of its value. In [..] and {..} YAML lets a
 * variable stand only in quotes, so there double quotes do not make it text; single quotes do. */
static void whole_type(const struct vars *v, mri_node *node, const struct value *value) {
    const size_t at = mri_source_offset(v->source, node->at);
    const bool double_quoted = at < v->source->size && v->source->text[at] == '"';
    if (!node->quoted || (node->flow && double_quoted)) {
        node->quoted = value->node != NULL && value->node->quoted;
    }
    node->variable = value->environment || (value->node != NULL && value->node->variable);
}

/* The text of a scalar with its variables replaced, into `out`; false: it cannot be had, and that
 * was said. `value` is that of its last use, *whole whether there is nothing else, *hidden whether
 * any came from the environment. */
static bool scalar_text(struct vars *v, const mri_node *node, mri_text *out, struct value *value,
                        bool *whole, bool *hidden) {
    const char *at = node->text, *end = node->text + node->size;
    bool good = true;
    while (at < end && v->bytes + out->size <= MRI_FILE_MAX) {
        const char *next = mri_vars_find(at, (size_t)(end - at));
        if (next == NULL) next = end;
        const bool literal = next < end && next > at && next[-1] == '$';
        mri_text_add(out, at, (size_t)(next - at) - (literal ? 1 : 0));
        if (literal) mri_text_puts(out, "${");
        at = literal ? next + 2 : next;
        if (literal || at == end) continue;
        struct use use;
        const bool read = use_read(v, node, at, (size_t)(end - at), &use);
        *whole = read && use.size == node->size;
        if (read && use_value(v, node, &use, value)) {
            mri_text_add(out, value->text, value->size);
            if (value->hidden) *hidden = true;
        } else {
            good = false;
        }
        at += use.size;
    }
    return good;
}

static void scalar_replace(struct vars *v, mri_node *node) {
    node->replaced = true;
    node->unresolved = true; /* until it is */
    if (v->bytes > MRI_FILE_MAX) return;
    mri_text out = {0};
    bool whole = false, hidden = false;
    struct value value = {0};
    search_begin(v, node);
    const bool good = scalar_text(v, node, &out, &value, &whole, &hidden);
    v->bytes += out.size;
    if (v->bytes > MRI_FILE_MAX) {
        mri_diag_add(v->diags, 4, MRI_SEV_ERROR, node->at, node->width, NULL,
                     "the values of variables make the file larger than 4 MiB");
    } else if (good) {
        node->unresolved = false;
        if (hidden) {
            node->written = node->text;
            node->written_size = node->size;
        }
        node->text = mri_strndup(v->arena, out.data != NULL ? out.data : "", out.size);
        node->size = out.size;
        if (whole) {
            whole_type(v, node, &value);
        } else {
            node->quoted = true;
        }
    }
    mri_text_free(&out);
}

static void vars_define(struct vars *v, const mri_node *map) {
    if (map == NULL || mri_node_is_null(map)) return;
    if (map->kind != MRI_MAP_NODE || map->count > VARS_MAX) {
        mri_diag_add(v->diags, map->kind == MRI_MAP_NODE ? 4 : 11, MRI_SEV_ERROR, map->at,
                     map->width, NULL,
                     "'vars:' must be a map of at most %d names to values, not %s", (int)VARS_MAX,
                     mri_node_kind_name(map));
        return;
    }
    v->map = map;
    v->defining = true;
    for (mri_node *value = map->first; value != NULL; value = value->next) {
        const mri_node *key = value->key;
        if (name_size(key->text, key->size) != key->size) {
            mri_diag_add(v->diags, 13, MRI_SEV_ERROR, key->at, key->width, NULL,
                         "the variable name '%s' must be letters, digits and '_', no digit first",
                         mri_node_show(v->arena, key));
        }
        if (value->kind != MRI_SCALAR) {
            mri_diag_add(v->diags, 11, MRI_SEV_ERROR, value->at, value->width, NULL,
                         "the value of 'vars.%s' must be text, a number or a bool, not %s",
                         mri_node_show(v->arena, key), mri_node_kind_name(value));
        } else if (mri_vars_find(value->text, value->size) != NULL) {
            scalar_replace(v, value);
        }
    }
    v->defining = false;
}

void mri_vars_replace(const mri_source *source, const mri_load_options *options,
                      const mri_node *root, mri_node *const *scalars, uint32_t scalar_count) {
    struct vars v = {
        .arena = source->arena, .source = source, .options = options, .diags = source->diags};
    vars_define(&v, mri_node_get(root, "vars"));
    for (uint32_t i = 0; i < scalar_count; i++) {
        if (!scalars[i]->replaced) scalar_replace(&v, scalars[i]);
    }
}

/* ---- secrets ---- */

static mr_status secret_load(mr_arena *arena, const char *path, const char **out, mr_error *err) {
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return mr_fail(err, MR_ERR_IO, NULL, "the secret file %s cannot be opened: %s", path,
                       strerror(errno));
    }
    struct stat about;
    const bool regular = fstat(file, &about) == 0 && S_ISREG(about.st_mode);
    char *text = mri_alloc(arena, MRI_SECRET_MAX + 3);
    size_t size = 0;
    ssize_t got = 1;
    while (regular && got > 0 && size < MRI_SECRET_MAX + 2) {
        got = read(file, text + size, MRI_SECRET_MAX + 2 - size);
        if (got > 0) size += (size_t)got;
        if (got < 0 && errno == EINTR) got = 1;
    }
    (void)close(file);
    if (!regular || got < 0) {
        return mr_fail(err, MR_ERR_IO, NULL, "the secret file %s cannot be read as a file", path);
    }
    if (size > 0 && text[size - 1] == '\n') size -= size > 1 && text[size - 2] == '\r' ? 2 : 1;
    if (size > MRI_SECRET_MAX) {
        return mr_fail(err, MR_ERR_IO, NULL, "the secret file %s is larger than 64 KiB", path);
    }
    text[size] = '\0';
    if (size == 0 || strlen(text) != size) {
        return mr_fail(err, MR_ERR_IO, NULL, "the secret file %s %s", path,
                       size == 0 ? "is empty" : "holds a zero byte, so it is not text");
    }
    *out = text;
    return MR_OK;
}

mr_status mri_secret_read(mr_arena *arena, mri_node *node, const char *folder, const char **out,
                          mr_error *err) {
    *out = NULL;
    node->secret = true;
    if (node->kind == MRI_SCALAR) {
        if (node->unresolved) return MR_OK;
        if (node->variable) {
            *out = node->text;
            return MR_OK;
        }
        return mr_fail(err, MR_ERR_SPEC, NULL,
                       "a secret does not stand in the file, write ${NAME} or { file: PATH }");
    }
    const mri_node *path = mri_node_get(node, "file");
    if (path == NULL || node->count != 1 || path->kind != MRI_SCALAR || path->size == 0) {
        return mr_fail(err, MR_ERR_SPEC, NULL, "a secret is ${NAME} or { file: PATH }, not %s",
                       mri_node_kind_name(node));
    }
    if (path->unresolved) {
        node->unresolved = true;
        return MR_OK;
    }
    const bool absolute = path->text[0] == '/' || folder == NULL || folder[0] == '\0';
    return secret_load(
        arena, absolute ? path->text : mri_format(arena, "%s/%s", folder, path->text), out, err);
}
