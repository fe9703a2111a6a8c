/* json_pick.c: single values out of a JSON text, in one pass and without a tree. */
#include "codec/json_pick.h"

#include <string.h>

#include "base/number.h"
#include "codec/lex.h"

enum { PATHS_PER_PASS = 64 };

/* Where the walk is. Of the object or array open at level d, `live[d]` marks the paths that lead
 * into it and `whole[d]` those that name it. */
struct pick {
    mri_lex lex;
    const char *const *paths;
    mr_json_value *out;
    int depth;
    uint64_t objects; /* bit d: level d is an object */
    uint64_t live[MRI_JSON_DEPTH_MAX + 1], whole[MRI_JSON_DEPTH_MAX + 1];
    uint32_t index[MRI_JSON_DEPTH_MAX + 1];    /* of the element that comes, in an array */
    const char *start[MRI_JSON_DEPTH_MAX + 1]; /* of the open object or array */
    const char *rest[PATHS_PER_PASS];          /* of a path: its parts below the open level */
};

static size_t part_size(const char *rest) {
    return strcspn(rest, ".");
}

/* Whether the next part of a path is `name`, which holds no zero byte. */
static bool part_is(const char *rest, const char *name, size_t size) {
    if (size > 0 && rest[0] != name[0]) return false;
    if (strncmp(rest, name, size) != 0 || (rest[size] != '\0' && rest[size] != '.')) return false;
    return size == 0 || memchr(name, '.', size) == NULL;
}

/* The paths among those of the open level whose next part is `name`. */
static uint64_t matching(const struct pick *p, const char *name, size_t size) {
    uint64_t found = 0;
    for (uint64_t mask = p->live[p->depth]; mask != 0; mask &= mask - 1) {
        const int i = __builtin_ctzll(mask);
        if (part_is(p->rest[i], name, size)) found |= (uint64_t)1 << i;
    }
    return found;
}

/* Moves the marked paths one part down, if they have one, and tells which ones have. */
static uint64_t step_down(struct pick *p, uint64_t mask) {
    uint64_t longer = 0;
    for (; mask != 0; mask &= mask - 1) {
        const int i = __builtin_ctzll(mask);
        const size_t size = part_size(p->rest[i]);
        if (p->rest[i][size] == '\0') continue;
        p->rest[i] += size + 1;
        longer |= (uint64_t)1 << i;
    }
    return longer;
}

/* Moves them back. */
static void step_up(struct pick *p, uint64_t mask) {
    for (; mask != 0; mask &= mask - 1) {
        const int i = __builtin_ctzll(mask);
        const char *at = p->rest[i] - 1;
        while (at > p->paths[i] && at[-1] != '.') {
            at--;
        }
        p->rest[i] = at;
    }
}

/* Notes a value for the paths that end at it. False: it was there before. */
static bool note(struct pick *p, uint64_t mask, const char *data, size_t size, char kind) {
    for (; mask != 0; mask &= mask - 1) {
        const int i = __builtin_ctzll(mask);
        if (p->rest[i][part_size(p->rest[i])] != '\0') continue;
        if (p->out[i].kind != 0) return false;
        p->out[i] = (mr_json_value){data, (uint32_t)size, kind};
    }
    return true;
}

static bool pick_scalar(struct pick *p, char first, uint64_t mask) {
    mri_lex *lex = &p->lex;
    const char *data = lex->at;
    mri_lex_string string;
    size_t size = 0;
    if (first == '"') {
        return mri_lex_quoted(lex, &string) && note(p, mask, string.data, string.size, 's');
    }
    if (first == '-' || (first >= '0' && first <= '9')) {
        return mri_lex_number(lex, &data, &size) && note(p, mask, data, size, 'n');
    }
    const char kind = mri_lex_literal(lex);
    return kind != 0 && note(p, mask, data, (size_t)(lex->at - data), kind);
}

/* Takes one value, or opens an object or array that is not empty; `mask` marks the paths that lead
 * to it with their last step not yet taken. */
static bool pick_value(struct pick *p, uint64_t mask, bool *opened) {
    const char first = mri_lex_peek(&p->lex);
    *opened = false;
    if (first != '{' && first != '[') return pick_scalar(p, first, mask);
    const char *start = p->lex.at++;
    if (mri_lex_take(&p->lex, first == '{' ? '}' : ']')) {
        return note(p, mask, start, (size_t)(p->lex.at - start), 'o');
    }
    if (p->depth == MRI_JSON_DEPTH_MAX) return false;
    p->depth++;
    p->live[p->depth] = step_down(p, mask);
    p->whole[p->depth] = mask & ~p->live[p->depth];
    p->index[p->depth] = 0;
    p->start[p->depth] = start;
    const uint64_t bit = (uint64_t)1 << (p->depth - 1);
    p->objects = first == '{' ? p->objects | bit : p->objects & ~bit;
    *opened = true;
    return true;
}

/* The name or number of the element that comes; the paths that lead to it. */
static bool pick_part(struct pick *p, uint64_t *mask) {
    if (p->objects >> (p->depth - 1) & 1) {
        mri_lex_string name;
        mri_lex_space(&p->lex);
        if (!mri_lex_quoted(&p->lex, &name) || !mri_lex_take(&p->lex, ':')) return false;
        *mask = matching(p, name.data, name.size);
        return true;
    }
    char digits[24];
    *mask = 0;
    if (p->live[p->depth] != 0) {
        *mask = matching(p, digits, mri_format_i64(p->index[p->depth], digits));
    }
    p->index[p->depth]++;
    return true;
}

/* Closes levels; false: what follows is neither a comma nor the right bracket. */
static bool pick_close(struct pick *p) {
    while (p->depth > 0) {
        if (mri_lex_take(&p->lex, ',')) return true;
        const bool object = p->objects >> (p->depth - 1) & 1;
        if (!mri_lex_take(&p->lex, object ? '}' : ']')) return false;
        const char *start = p->start[p->depth];
        if (!note(p, p->whole[p->depth], start, (size_t)(p->lex.at - start), 'o')) return false;
        if (p->depth > 1) step_up(p, p->live[p->depth]);
        p->depth--;
    }
    return true;
}

static bool pick_pass(const char *text, uint32_t size, const char *const *paths, uint32_t count,
                      mr_json_value *out) {
    struct pick p; /* the levels are set when they are opened */
    p.lex = (mri_lex){.at = text, .end = text + size, .start = text};
    p.paths = paths;
    p.out = out;
    p.depth = 0;
    p.objects = 0;
    memset(out, 0, count * sizeof *out);
    for (uint32_t i = 0; i < count; i++) {
        p.rest[i] = paths[i];
    }
    bool opened = false;
    /* The whole text is the value that no path names; its own parts start at the paths' front. */
    if (!pick_value(&p, 0, &opened)) return false;
    if (opened) p.live[1] = count == 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
    while (p.depth > 0) {
        uint64_t mask = 0;
        if (!pick_part(&p, &mask) || !pick_value(&p, mask, &opened)) return false;
        if (!opened && !pick_close(&p)) return false;
    }
    mri_lex_space(&p.lex);
    return p.lex.at == p.lex.end;
}

bool mri_json_pick(const char *text, uint32_t size, const char *const *paths, uint32_t count,
                   mr_json_value *out) {
    uint32_t done = 0;
    do {
        const uint32_t pass = count - done < PATHS_PER_PASS ? count - done : PATHS_PER_PASS;
        if (!pick_pass(text, size, paths + done, pass, out + done)) return false;
        done += pass;
    } while (done < count);
    return true;
}
