/* tree.c: libyaml's events into nodes. No recursion: open lists and maps stand on a fixed stack. */
#include "spec/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/hash.h"
#include "spec/tree_internal.h"

struct anchor {
    char *name;
    mri_node *node;
    bool open;       /* its list or map has not ended */
    uint32_t nodes;  /* in it, expanded */
    uint32_t height; /* lists and maps one in another, 0 for a scalar */
};

struct frame {
    mri_node *node;
    mri_node *last;
    mri_node *key;   /* read, its value is not */
    bool skip_value; /* the key was not one */
    int32_t anchor;  /* -1: none */
    uint32_t nodes_before;
    uint32_t height;
};

struct tree {
    mr_arena *arena;
    mri_diags *diags;
    mri_source source;
    struct frame frames[MRI_DEPTH_MAX];
    uint32_t depth;
    uint32_t skip; /* lists and maps open inside of something that is left out */
    mri_node *root;
    uint32_t nodes;
    struct anchor anchors[MRI_ANCHORS_MAX];
    uint32_t anchor_count;
    mri_node **scalars; /* that hold a "${" */
    uint32_t scalar_count, scalar_capacity;
    bool stop;
};

static mr_pos mark_pos(const struct tree *t, const yaml_mark_t *mark) {
    return (mr_pos){.file = t->source.name,
                    .line = (uint32_t)mark->line + 1,
                    .column = (uint32_t)mark->column + 1};
}

static void tree_error(struct tree *t, uint32_t code, mr_pos at, uint32_t width, const char *hint,
                       const char *text) {
    mri_diag_add(t->diags, code, MRI_SEV_ERROR, at, width, hint, "%s", text);
}

/* ---- duplicate keys and split values, looked for when a list or map ends ---- */

static mri_node *find_before(const mri_node *map, const mri_node *child) {
    for (mri_node *other = map->first; other != child; other = other->next) {
        if (other->key->size == child->key->size &&
            memcmp(other->key->text, child->key->text, child->key->size) == 0) {
            return other;
        }
    }
    return NULL;
}

/* Open addressing, power of two, at most half full: large maps must not cost their square. */
static mri_node *find_hashed(mri_node **table, size_t mask, mri_node *child) {
    const mri_node *key = child->key;
    size_t at = (size_t)mri_fnv64(MRI_FNV64, key->text, key->size) & mask;
    for (; table[at] != NULL; at = (at + 1) & mask) {
        const mri_node *other = table[at]->key;
        if (other->size == key->size && memcmp(other->text, key->text, key->size) == 0) {
            return table[at];
        }
    }
    table[at] = child;
    return NULL;
}

static void duplicate_error(struct tree *t, const mri_node *first, const mri_node *second) {
    char hint[80];
    (void)snprintf(hint, sizeof hint, "the first stands in line %u, column %u",
                   (unsigned)first->key->at.line, (unsigned)first->key->at.column);
    mri_diag_add(t->diags, 5, MRI_SEV_ERROR, second->key->at, second->key->width, hint,
                 "the key '%s' stands twice in this map", mri_node_show(t->arena, second->key));
}

/* Takes second uses of a key out of the map, so that what follows sees each key once. */
static void map_check(struct tree *t, mri_node *map) {
    enum { FEW = 16 };
    size_t mask = 0;
    mri_node **table = NULL;
    if (map->count > FEW) {
        size_t size = 64;
        while (size < (size_t)map->count * 2) {
            size *= 2;
        }
        table = mri_calloc(size, sizeof *table);
        mask = size - 1;
    }
    mri_node *before = NULL;
    for (mri_node *child = map->first; child != NULL; child = child->next) {
        const mri_node *first =
            table != NULL ? find_hashed(table, mask, child) : find_before(map, child);
        if (first == NULL) {
            before = child;
            continue;
        }
        duplicate_error(t, first, child);
        before->next = child->next;
        map->count--;
    }
    free(table);
}

static int32_t parentheses(const mri_node *node) {
    enum { EXPRESSION_MAX = 4096 }; /* a long text is met once for each of its aliases */
    if (node->kind != MRI_SCALAR || node->quoted || node->size > EXPRESSION_MAX) return 0;
    int32_t open = 0;
    for (size_t i = 0; i < node->size; i++) {
        open += node->text[i] == '(' ? 1 : node->text[i] == ')' ? -1 : 0;
    }
    return open;
}

/* The child of a flow list or map at which a value that was cut at its commas ends; NULL: it was
 * not cut. In a map the later pieces have become keys without a value. */
static mri_node *split_end(const mri_node *child) {
    enum { PIECES_MAX = 64 };
    int32_t open = parentheses(child);
    if (open <= 0) return NULL;
    mri_node *piece = child->next;
    for (int i = 0; piece != NULL && i < PIECES_MAX; i++, piece = piece->next) {
        if (piece->kind != MRI_SCALAR || piece->quoted) return NULL;
        if (piece->key != NULL && (piece->size > 0 || piece->key->quoted)) return NULL;
        open += parentheses(piece->key != NULL ? piece->key : piece);
        if (open <= 0) return piece;
    }
    return NULL;
}

/* Gives `child` the text that it has in the file up to `piece`. */
static void split_join(struct tree *t, mri_node *child, const mri_node *piece) {
    const size_t start = mri_source_offset(&t->source, child->at);
    const size_t end = mri_source_offset(&t->source, piece->at) + piece->size;
    if (end > t->source.size || start >= end) return;
    child->text = mri_strndup(t->arena, t->source.text + start, end - start);
    child->size = end - start;
    if (piece->at.line == child->at.line) {
        child->width = mri_text_columns(child->text, child->size);
    }
}

/* `{ where: if(a, b, c) }` is three keys to YAML. Says so once and puts the value together again,
 * so that the pieces do not cause an error each. */
static void split_check(struct tree *t, mri_node *parent) {
    for (mri_node *child = parent->first; child != NULL; child = child->next) {
        mri_node *last = split_end(child);
        if (last == NULL) continue;
        split_join(t, child, last->key != NULL ? last->key : last);
        mri_diag_add(t->diags, 30, MRI_SEV_ERROR, child->at, child->width,
                     "quote the expression: \"...\"", "YAML splits this value at its commas: '%s'",
                     mri_node_show(t->arena, child));
        for (const mri_node *gone = child->next; gone != last->next; gone = gone->next) {
            parent->count--;
        }
        child->next = last->next;
    }
}

static void collection_check(struct tree *t, mri_node *node, bool flow) {
    if (flow) split_check(t, node);
    if (node->kind == MRI_MAP_NODE) map_check(t, node);
}

/* ---- nodes ---- */

static mri_node *node_new(struct tree *t, mri_node_kind kind, mr_pos at) {
    if (t->nodes++ == MRI_NODES_MAX) {
        mri_diag_add(t->diags, 4, MRI_SEV_ERROR, at, 1, NULL,
                     "the file has more than %d values, the most that is allowed, anchors expanded",
                     (int)MRI_NODES_MAX);
        t->stop = true;
    }
    mri_node *node = mri_alloc(t->arena, sizeof *node);
    node->kind = kind;
    node->at = at;
    node->width = 1;
    node->flow = t->depth > 0 && t->frames[t->depth - 1].node->flow;
    return node;
}

static void scalars_add(struct tree *t, mri_node *node) {
    if (t->scalar_count == t->scalar_capacity) {
        t->scalar_capacity = t->scalar_capacity > 0 ? t->scalar_capacity * 2 : 64;
        t->scalars = mri_realloc(t->scalars, t->scalar_capacity, sizeof *t->scalars);
    }
    t->scalars[t->scalar_count++] = node;
}

static bool wants_key(const struct tree *t) {
    if (t->depth == 0) return false;
    const struct frame *frame = &t->frames[t->depth - 1];
    return frame->node->kind == MRI_MAP_NODE && frame->key == NULL && !frame->skip_value;
}

/* Puts a value where it belongs. */
static void tree_attach(struct tree *t, mri_node *node) {
    if (t->depth == 0) {
        t->root = node;
        return;
    }
    struct frame *frame = &t->frames[t->depth - 1];
    if (frame->node->kind == MRI_MAP_NODE) {
        if (frame->skip_value) {
            frame->skip_value = false;
            return;
        }
        node->key = frame->key;
        frame->key = NULL;
        if (node->kind == MRI_SCALAR && node->size == 0 && !node->quoted) {
            node->at = node->key->at; /* an empty value is best shown by its key */
            node->width = node->key->width;
        }
    }
    if (frame->last != NULL) {
        frame->last->next = node;
    } else {
        frame->node->first = node;
    }
    frame->last = node;
    frame->node->count++;
    if (node->kind == MRI_SCALAR && mri_vars_find(node->text, node->size) != NULL) {
        scalars_add(t, node);
    }
}

/* ---- anchors ---- */

static int32_t anchor_add(struct tree *t, const yaml_char_t *name, mri_node *node, mr_pos at) {
    if (name == NULL) return -1;
    if (t->anchor_count == MRI_ANCHORS_MAX) {
        mri_diag_add(t->diags, 4, MRI_SEV_ERROR, at, 1, NULL,
                     "the file has more than %d anchors, the most that is allowed",
                     (int)MRI_ANCHORS_MAX);
        t->stop = true;
        return -1;
    }
    const int32_t index = (int32_t)t->anchor_count++;
    t->anchors[index] =
        (struct anchor){.name = mri_strdup(t->arena, (const char *)name), .node = node, .nodes = 1};
    return index;
}

static const struct anchor *anchor_find(const struct tree *t, const char *name) {
    for (uint32_t i = t->anchor_count; i > 0; i--) {
        if (strcmp(t->anchors[i - 1].name, name) == 0) return &t->anchors[i - 1];
    }
    return NULL;
}

static void anchor_unknown(struct tree *t, const char *name, mr_pos at, uint32_t width) {
    const char *names[MRI_ANCHORS_MAX];
    for (uint32_t i = 0; i < t->anchor_count; i++) {
        names[i] = t->anchors[i].name;
    }
    const bool room = mri_diags_count(t->diags) < MRI_DIAGS_MAX; /* else nobody sees the hint */
    const char *near = room ? mri_nearest(name, names, t->anchor_count) : NULL;
    const char *hint = near != NULL ? mri_format(t->arena, "did you mean '*%s'?", near)
                                    : "if this is text or an expression, quote it";
    mri_diag_add(t->diags, 14, MRI_SEV_ERROR, at, width, hint,
                 "the alias '*%s' has no anchor '&%s' before it", name, name);
}

/* A null in the place of what cannot be had, so that the rest of the file is still checked. */
static mri_node *node_null(struct tree *t, mr_pos at, uint32_t width) {
    mri_node *node = node_new(t, MRI_SCALAR, at);
    node->width = width;
    node->text = "";
    node->unresolved = true;
    return node;
}

static void tree_alias(struct tree *t, const yaml_event_t *event) {
    const char *name = (const char *)event->data.alias.anchor;
    const mr_pos at = mark_pos(t, &event->start_mark);
    const uint32_t width = mri_text_columns(name, strlen(name)) + 1;
    if (wants_key(t)) {
        tree_error(t, 11, at, width, NULL, "a key must be plain text, this is an alias");
        t->frames[t->depth - 1].skip_value = true;
        return;
    }
    const struct anchor *anchor = anchor_find(t, name);
    if (anchor == NULL || anchor->open) {
        if (anchor == NULL) {
            anchor_unknown(t, name, at, width);
        } else {
            mri_diag_add(t->diags, 4, MRI_SEV_ERROR, at, width, NULL,
                         "the alias '*%s' stands inside of its own anchor, so it has no end", name);
        }
        tree_attach(t, node_null(t, at, width));
        return;
    }
    if (t->depth + anchor->height > MRI_DEPTH_MAX) {
        mri_diag_add(t->diags, 4, MRI_SEV_ERROR, at, width, NULL,
                     "with '*%s' in this place, lists and maps stand more than %d deep", name,
                     (int)MRI_DEPTH_MAX);
        t->stop = true;
        return;
    }
    t->nodes += anchor->nodes - 1;
    if (t->nodes > MRI_NODES_MAX) t->nodes = MRI_NODES_MAX; /* node_new refuses it */
    mri_node *node = node_new(t, anchor->node->kind, at);
    *node = *anchor->node;
    node->key = node->next = NULL;
    if (t->depth > 0 && t->frames[t->depth - 1].height < anchor->height) {
        t->frames[t->depth - 1].height = anchor->height;
    }
    tree_attach(t, node);
}

/* ---- events ---- */

static void tag_check(struct tree *t, const yaml_char_t *tag, mr_pos at) {
    if (tag == NULL) return;
    const char *text = (const char *)tag;
    const char *core = "tag:yaml.org,2002:";
    const bool known = strncmp(text, core, strlen(core)) == 0;
    const char *shown =
        mri_format(t->arena, "%s%.60s", known ? "!!" : "", known ? text + strlen(core) : text);
    mri_diag_add(t->diags, 3, MRI_SEV_ERROR, at, (uint32_t)strlen(shown),
                 "leave the tag out; quote the value if it is text or an expression, and write "
                 "'not' for '!'",
                 "pipeline files have no tags: '%s'", shown);
}

/* Where the value itself starts, behind its anchor and tag. */
static mr_pos value_pos(const struct tree *t, mr_pos at, const yaml_mark_t *end, bool properties) {
    if (!properties || end->line + 1 != at.line) return at;
    size_t offset = mri_source_offset(&t->source, at);
    const size_t line_end = mri_source_end(&t->source, at.line);
    const char *text = t->source.text;
    const size_t start = offset;
    while (offset < line_end && (text[offset] == '&' || text[offset] == '!')) {
        while (offset < line_end && text[offset] != ' ' && text[offset] != '\t') {
            offset++;
        }
        while (offset < line_end && (text[offset] == ' ' || text[offset] == '\t')) {
            offset++;
        }
    }
    const uint32_t moved = mri_text_columns(text + start, offset - start);
    if (at.column + moved <= end->column) at.column += moved;
    return at;
}

static void key_add(struct tree *t, mri_node *node) {
    struct frame *frame = &t->frames[t->depth - 1];
    if (!node->quoted && node->size == 2 && memcmp(node->text, "<<", 2) == 0) {
        tree_error(t, 3, node->at, 2, "write the keys out, or put the alias in as a whole value",
                   "pipeline files have no merge keys ('<<'), they are not part of YAML 1.2");
        frame->skip_value = true;
    } else if (node->size == 0) {
        tree_error(t, 11, node->at, 1, NULL, "a key is missing before this ':'");
        frame->skip_value = true;
    } else {
        frame->key = node;
    }
}

static void tree_scalar(struct tree *t, const yaml_event_t *event) {
    const mr_pos start = mark_pos(t, &event->start_mark);
    const yaml_char_t *anchor = event->data.scalar.anchor, *tag = event->data.scalar.tag;
    tag_check(t, tag, start);
    const mr_pos at = value_pos(t, start, &event->end_mark, anchor != NULL || tag != NULL);
    const bool key = wants_key(t);
    mri_node *node = node_new(t, MRI_SCALAR, at);
    const char *value = (const char *)event->data.scalar.value;
    node->size = event->data.scalar.length;
    node->text = mri_strndup(t->arena, value, node->size);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (event->end_mark.line + 1 == at.line && event->end_mark.column + 1 > at.column) {
        node->width = (uint32_t)event->end_mark.column + 1 - at.column;
    } else if (event->end_mark.line + 1 > at.line) {
        const size_t offset = mri_source_offset(&t->source, at);
        const size_t end = mri_source_end(&t->source, at.line);
        node->width = mri_text_columns(t->source.text + offset, end - offset);
    }
    if (memchr(node->text, '\0', node->size) != NULL) {
        tree_error(t, 2, at, node->width, NULL, "text with a zero character (\\0) in it");
        node->size = strlen(node->text);
    }
    (void)anchor_add(t, anchor, node, at);
    if (key) {
        key_add(t, node);
    } else {
        tree_attach(t, node);
    }
}

static bool depth_check(struct tree *t, mr_pos at) {
    if (t->depth + t->skip < MRI_DEPTH_MAX) return true;
    mri_diag_add(t->diags, 4, MRI_SEV_ERROR, at, 1, NULL, "lists and maps stand more than %d deep",
                 (int)MRI_DEPTH_MAX);
    t->stop = true;
    return false;
}

static void tree_start(struct tree *t, mri_node_kind kind, const yaml_event_t *event) {
    const bool list = kind == MRI_LIST;
    const mr_pos at = mark_pos(t, &event->start_mark);
    tag_check(t, list ? event->data.sequence_start.tag : event->data.mapping_start.tag, at);
    if (wants_key(t)) {
        mri_diag_add(t->diags, 11, MRI_SEV_ERROR, at, 1,
                     "if this is text with a variable or an expression, quote it",
                     "a key must be plain text, this is a %s", list ? "list" : "map");
        t->frames[t->depth - 1].skip_value = true;
        t->skip = 1;
        return;
    }
    if (!depth_check(t, at)) return;
    const uint32_t nodes_before = t->nodes;
    mri_node *node = node_new(t, kind, at);
    const yaml_char_t *anchor =
        list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    tree_attach(t, node);
    node->flow = list ? event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
                      : event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    const int32_t index = anchor_add(t, anchor, node, at);
    if (index >= 0) t->anchors[index].open = true;
    t->frames[t->depth++] =
        (struct frame){.node = node, .anchor = index, .nodes_before = nodes_before};
}

static void tree_end(struct tree *t) {
    assert(t->depth > 0);
    const struct frame *frame = &t->frames[--t->depth];
    const uint32_t height = frame->height + 1;
    collection_check(t, frame->node, frame->node->flow);
    if (frame->anchor >= 0) {
        struct anchor *anchor = &t->anchors[frame->anchor];
        anchor->open = false;
        anchor->nodes = t->nodes - frame->nodes_before;
        anchor->height = height;
    }
    if (t->depth > 0 && t->frames[t->depth - 1].height < height) {
        t->frames[t->depth - 1].height = height;
    }
}

static void tree_document(struct tree *t, const yaml_event_t *event) {
    const mr_pos at = mark_pos(t, &event->start_mark);
    if (t->root != NULL) {
        tree_error(t, 3, at, 3, "put the second one into a file of its own",
                   "a pipeline file is one YAML document, here a second one begins");
        t->stop = true;
        return;
    }
    const yaml_version_directive_t *version = event->data.document_start.version_directive;
    if (version != NULL && (version->major != 1 || version->minor != 2)) {
        mri_diag_add(t->diags, 3, MRI_SEV_ERROR, at, 1, "leave the %YAML line out",
                     "pipeline files are YAML 1.2, this one says %d.%d", version->major,
                     version->minor);
    }
    if (event->data.document_start.tag_directives.start !=
        event->data.document_start.tag_directives.end) {
        tree_error(t, 3, at, 1, "leave the %TAG line out", "pipeline files have no tags");
    }
}

static void tree_event(struct tree *t, const yaml_event_t *event) {
    const bool start =
        event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT;
    const bool end =
        event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT;
    if (t->skip > 0) {
        t->skip += start ? 1u : 0u;
        t->skip -= end ? 1u : 0u;
        (void)depth_check(t, mark_pos(t, &event->start_mark));
        return;
    }
    if (start) {
        tree_start(t, event->type == YAML_SEQUENCE_START_EVENT ? MRI_LIST : MRI_MAP_NODE, event);
    } else if (end) {
        tree_end(t);
    } else if (event->type == YAML_SCALAR_EVENT) {
        tree_scalar(t, event);
    } else if (event->type == YAML_ALIAS_EVENT) {
        tree_alias(t, event);
    } else if (event->type == YAML_DOCUMENT_START_EVENT) {
        tree_document(t, event);
    }
}

static void tree_fault(struct tree *t, const yaml_parser_t *parser) {
    if (parser->error == YAML_MEMORY_ERROR) mri_out_of_memory(t->source.size);
    const mri_yaml_fault fault = {
        .problem = parser->problem,
        .context = parser->context,
        .line = (uint32_t)parser->problem_mark.line,
        .column = (uint32_t)parser->problem_mark.column,
        .context_line = (uint32_t)parser->context_mark.line,
        .context_column = (uint32_t)parser->context_mark.column,
        .open = t->depth > 0 && t->frames[t->depth - 1].node->flow ? t->frames[t->depth - 1].node
                                                                   : NULL,
    };
    mri_yaml_explain(&t->source, &fault);
    /* What has been read is checked as well, so that one run shows more than the first problem. */
    for (uint32_t i = 0; i < t->depth; i++) {
        collection_check(t, t->frames[i].node, t->frames[i].node->flow);
    }
    t->stop = true;
}

static void tree_run(struct tree *t) {
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        mri_out_of_memory(sizeof parser);
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)t->source.text, t->source.size);
    bool done = false;
    while (!done && !t->stop) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0) {
            tree_fault(t, &parser);
            break;
        }
        done = event.type == YAML_STREAM_END_EVENT;
        tree_event(t, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
}

static bool root_check(struct tree *t) {
    const char *wanted = "a pipeline file needs 'pipeline:' (its name) and 'stages:', and "
                         "'topics:' for what flows between stages; README.md has a first one";
    if (t->root == NULL || mri_node_is_null(t->root)) {
        const mr_pos at = {.file = t->source.name, .line = 1, .column = 1};
        tree_error(t, 10, at, 1, wanted, "the file is empty");
        return false;
    }
    if (t->root->kind == MRI_MAP_NODE) return true;
    mri_diag_add(t->diags, 11, MRI_SEV_ERROR, t->root->at, t->root->width, wanted,
                 "the file must be a map of 'key: value' lines, this is %s",
                 mri_node_kind_name(t->root));
    return false;
}

mri_node *mri_tree_parse(mr_arena *arena, const char *name, const char *text, size_t size,
                         const mri_load_options *options, mri_diags *diags) {
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        size -= 3;
    }
    struct tree *t = mri_calloc(1, sizeof *t);
    t->arena = arena;
    t->diags = diags;
    t->source = (mri_source){.name = mri_strdup(arena, name),
                             .text = text,
                             .size = size,
                             .arena = arena,
                             .diags = diags};
    mri_node *root = NULL;
    mri_diags_source(diags, name, text, size);
    if (size > MRI_FILE_MAX) {
        mri_diag_add(diags, 4, MRI_SEV_ERROR, (mr_pos){.file = name}, 1, NULL,
                     "the file is larger than 4 MiB, the most that is allowed");
    } else if (mri_source_scan(&t->source)) {
        tree_run(t);
        if (!t->stop && root_check(t)) {
            mri_vars_replace(&t->source, options, t->root, t->scalars, t->scalar_count);
            root = t->root;
        }
    }
    free(t->scalars);
    mri_source_clear(&t->source);
    free(t);
    return root;
}
