/* state_show.c: the state of keys for people and for programs.
 *
 * Everything that is saved of a key is a list of values, each with a path: step, output, part
 * (timers, past values, a map), item and field. The table and CSV show it as it is, JSON nests it. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "base/utf8.h"
#include "cli/state.h"
#include "cli/state_gather.h"
#include "cli/table.h"
#include "state/saved.h"

enum { PATH_STEP, PATH_OUTPUT, PATH_PART, PATH_ITEM, PATH_FIELD, PATHS, PAST_SHOWN = 3 };

struct show {
    mri_cli *cli;
    const mri_state_target *target;
    mri_state_form form;
    mr_arena *arena; /* of one key */
    mri_table *table;
    uint32_t partition;
    const char *key;
    uint32_t key_size;
    char names[PATHS][MR_NAME_MAX + 1]; /* path of the value before, for JSON */
    uint32_t depth;
    const mri_saved_layout *saved;
    mr_error damage; /* the first */
    int64_t damaged;
};

/* --- texts ---------------------------------------------------------------------------------------
 */

/* As `state get` takes it: a comma between the columns of a key, unless one of them has a comma
 * itself; bytes that are no text are escaped. */
static const char *key_text(mr_arena *arena, const char *key, uint32_t size) {
    mri_text text = {0};
    const bool commas = size > 0 && memchr(key, ',', size) != NULL;
    for (uint32_t at = 0; at < size;) {
        uint32_t code = 0;
        const size_t bytes = mri_utf8_next(key + at, size - at, &code);
        if (bytes > 0 && code == 0x1f && !commas) {
            mri_text_puts(&text, ",");
        } else if (bytes == 0 || code < 0x20 || code == 0x7f) {
            mri_text_printf(&text, "\\x%02x", (unsigned)(unsigned char)key[at]);
        } else {
            mri_text_add(&text, key + at, bytes);
        }
        at += bytes > 0 ? (uint32_t)bytes : 1;
    }
    const char *out = mri_strdup(arena, text.data != NULL ? text.data : "");
    mri_text_free(&text);
    return out;
}

/* A value as text; *quoted: JSON has no number for it. */
static const char *value_text(mr_arena *arena, mr_type type, const char *bytes, bool *quoted) {
    char text[MRI_F64_TEXT + MRI_TIME_TEXT];
    int64_t integer = 0;
    double number = 0;
    *quoted = false;
    if (type == MR_BOOL) return *bytes != 0 ? "true" : "false";
    memcpy(&integer, bytes, sizeof integer);
    memcpy(&number, bytes, sizeof number);
    if (type == MR_F64) {
        *quoted = !isfinite(number);
        if (*quoted) return isnan(number) ? "nan" : number > 0 ? "inf" : "-inf";
        (void)mri_format_f64(number, text);
    } else if (type == MR_TIMESTAMP && mri_time_valid(integer)) {
        *quoted = true;
        (void)mri_format_time(integer, text);
    } else {
        (void)mri_format_i64(integer, text);
    }
    return mri_strdup(arena, text);
}

static void csv_text(FILE *out, const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') (void)fputc('"', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

/* --- one value -----------------------------------------------------------------------------------
 */

/* Closes what the path does not share with the one before, and opens the rest. */
static void json_path(struct show *s, const char *const *path) {
    const char *names[PATHS];
    uint32_t depth = 0, same = 0;
    for (uint32_t i = 0; i < PATHS; i++) {
        if (path[i][0] != '\0') names[depth++] = path[i];
    }
    while (same + 1 < s->depth && same + 1 < depth && strcmp(s->names[same], names[same]) == 0) {
        same++;
    }
    FILE *out = s->cli->out;
    const bool first = s->depth == 0;
    for (uint32_t i = same + 1; i < s->depth; i++) {
        (void)fputc('}', out);
    }
    if (!first) (void)fputs(", ", out);
    for (uint32_t i = same; i < depth; i++) {
        mri_cli_json_text(out, names[i], strlen(names[i]));
        (void)fputs(i + 1 < depth ? ": {" : ": ", out);
        (void)snprintf(s->names[i], sizeof s->names[i], "%s", names[i]);
    }
    s->depth = depth;
}

static void value_put(struct show *s, const char *const *path, const char *text, bool quoted) {
    FILE *out = s->cli->out;
    if (s->form == MRI_STATE_TEXT) {
        for (uint32_t i = 0; i < PATHS; i++) {
            mri_table_cell(s->table, path[i]);
        }
        mri_table_cell(s->table, text);
    } else if (s->form == MRI_STATE_CSV) {
        (void)fprintf(out, "%" PRIu32 ",", s->partition);
        csv_text(out, key_text(s->arena, s->key, s->key_size));
        for (uint32_t i = 0; i < PATHS; i++) {
            (void)fputc(',', out);
            csv_text(out, path[i]);
        }
        (void)fputc(',', out);
        csv_text(out, text);
        (void)fputc('\n', out);
    } else {
        json_path(s, path);
        if (quoted) {
            mri_cli_json_text(out, text, strlen(text));
        } else {
            (void)fputs(text, out);
        }
    }
}

static void damaged(struct show *s, const mri_piece *piece, const char *what) {
    if (s->damaged++ > 0) return;
    s->damage.status =
        mr_fail(&s->damage, MR_ERR_STATE, NULL,
                "%s, partition %" PRIu32 ", key '%.80s': %s of step '%.70s' cannot be read: it is "
                "damaged, or was written by something else",
                s->target->stage->changelog, s->partition, key_text(s->arena, s->key, s->key_size),
                what, piece->key.id);
}

/* An array, each of its numbers under the name and its place: "e_0", "e_1". */
static void numbers_put(struct show *s, const char *const *front, mr_type type, const char *bytes,
                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *path[PATHS] = {front[0], front[1], front[2], front[3],
                                   mri_format(s->arena, "%s_%zu", front[PATH_FIELD], i)};
        bool quoted = false;
        const char *text = value_text(s->arena, type, bytes + i * 8, &quoted);
        value_put(s, path, text, quoted);
    }
}

static void fields_put(struct show *s, const char *const *front, const mr_field *fields,
                       const char *bytes) {
    for (const mr_field *f = fields; f != NULL && f->name != NULL; f++) {
        const char *path[PATHS] = {front[0], front[1], front[2], front[3], f->name};
        if (f->count > 0) {
            numbers_put(s, path, f->type, bytes, f->count);
            bytes += f->count * 8;
            continue;
        }
        bool quoted = false;
        const char *text = value_text(s->arena, f->type, bytes, &quoted);
        value_put(s, path, text, quoted);
        bytes += f->type == MR_BOOL ? 1 : 8;
    }
}

/* --- pieces --------------------------------------------------------------------------------------
 */

static bool shown(const struct show *s, const mri_saved_use *use) {
    return !mri_saved_use_gone(use) &&
           (s->target->output == NULL || strcmp(s->target->output, use->use) == 0);
}

/* The output's name in a path: a step that is its only output has none. */
static const char *output_name(const mri_saved_use *use) {
    return use->alone ? "" : use->use;
}

static void struct_put(struct show *s, const mri_piece *piece, const mri_saved_use *use,
                       const mri_saved_part *part) {
    const mr_operator *op = mri_operator_find(use->op);
    const char *path[PATHS] = {use->step, output_name(use), "", "", ""};
    if (op != NULL && op->state_version == part->version) {
        const size_t fields = mri_saved_fields_bytes(op->fields);
        const size_t extra = part->size - fields;
        if (part->size < fields || (extra > 0 && op->extra == NULL) || extra % 8 != 0) {
            damaged(s, piece, "a struct");
        } else {
            fields_put(s, path, op->fields, part->bytes);
            path[PATH_FIELD] = "extra";
            numbers_put(s, path, MR_F64, part->bytes + fields, extra / 8);
        }
        return;
    }
    mri_text hex = {0};
    for (size_t i = 0; i < part->size; i++) {
        mri_text_printf(&hex, "%02x", (unsigned)(unsigned char)part->bytes[i]);
    }
    path[PATH_FIELD] = mri_format(s->arena, "version_%u", (unsigned)part->version);
    value_put(s, path, hex.data != NULL ? hex.data : "", true);
    mri_text_free(&hex);
}

static void block_put(struct show *s, const mri_piece *piece) {
    const char *step = s->saved->uses[piece->first].step;
    mri_saved_block block;
    mri_saved_part part;
    bool more = mri_saved_block_open(&block, piece->value, piece->value_size);
    mr_status status = more ? MR_OK : MR_ERR_STATE;
    while (status == MR_OK && more) {
        status = mri_saved_block_next(&block, &part, &more);
        if (status != MR_OK || !more) break;
        if (part.what == MRI_SAVED_TIMER && part.when_us != MR_TIME_NONE) {
            const char *number = mri_format(s->arena, "%" PRIu32, part.name);
            const char *path[PATHS] = {step, "", "timers", number, ""};
            bool quoted = false;
            const char *text =
                value_text(s->arena, MR_TIMESTAMP, (const char *)&part.when_us, &quoted);
            value_put(s, path, text, quoted);
        }
        for (uint32_t i = 0; part.what == MRI_SAVED_USE && i < s->saved->use_count; i++) {
            const mri_saved_use *use = &s->saved->uses[i];
            if (strcmp(use->step, step) == 0 && shown(s, use) &&
                mri_look_use_hash(use) == part.name) {
                struct_put(s, piece, use, &part);
            }
        }
    }
    if (status != MR_OK) damaged(s, piece, "the block");
}

/* `end`: position behind the newest value of this past. */
static void past_put(struct show *s, const mri_piece *piece, uint64_t end) {
    const char *values = NULL;
    uint64_t first = 0;
    uint32_t count = 0;
    if (!mri_saved_segment(piece->value, piece->value_size, &first, &values, &count)) {
        damaged(s, piece, "past values");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        /* The newest say enough to people. */
        if (s->form == MRI_STATE_TEXT && first + i + PAST_SHOWN < end) continue;
        const char *step = s->saved->uses[piece->first].step;
        const char *path[PATHS] = {step, "past", piece->key.part,
                                   mri_format(s->arena, "%" PRIu64, first + i), ""};
        bool quoted = false;
        const char *text = value_text(s->arena, MR_F64, values + i * sizeof(double), &quoted);
        value_put(s, path, text, quoted);
    }
}

static void item_put(struct show *s, const mri_piece *piece) {
    const char *step = s->saved->uses[piece->first].step, *bytes = NULL;
    size_t size = 0;
    if (!mri_saved_item(piece->value, piece->value_size, &bytes, &size)) {
        damaged(s, piece, "an item");
        return;
    }
    for (uint32_t i = 0; i < s->saved->use_count; i++) {
        const mri_saved_use *use = &s->saved->uses[i];
        const mr_operator *op = mri_operator_find(use->op);
        if (strcmp(use->step, step) != 0 || !shown(s, use) || op == NULL) continue;
        for (const mr_collection *c = op->collections; c != NULL && c->name != NULL; c++) {
            if (!mri_state_named(piece->key.part, c->name, use->generation)) continue;
            const char *path[PATHS] = {step, output_name(use), c->name,
                                       mri_format(s->arena, "%" PRId64, piece->key.number), ""};
            if (mri_saved_fields_bytes(c->item) == size) {
                fields_put(s, path, c->item, bytes);
            } else {
                damaged(s, piece, "an item");
            }
        }
    }
}

static bool same_past(const mri_piece *a, const mri_piece *b) {
    return b->key.kind == 'h' && a->first == b->first && strcmp(a->key.part, b->key.part) == 0 &&
           a->key.size == b->key.size && memcmp(a->key.bytes, b->key.bytes, a->key.size) == 0;
}

/* Pieces stand in the order of their places. */
static uint64_t past_end(const mri_gather *g, uint32_t at) {
    const char *values = NULL;
    uint64_t first = 0;
    uint32_t count = 0;
    while (at + 1 < g->count && same_past(&g->pieces[at], &g->pieces[at + 1])) {
        at++;
    }
    const mri_piece *piece = &g->pieces[at];
    return mri_saved_segment(piece->value, piece->value_size, &first, &values, &count)
               ? first + count
               : 0;
}

static bool same_key(const mri_piece *a, const mri_piece *b) {
    return a->key.size == b->key.size && memcmp(a->key.bytes, b->key.bytes, a->key.size) == 0;
}

/* --- keys ----------------------------------------------------------------------------------------
 */

static void key_begin(struct show *s) {
    static const char *const heads[] = {"step", "output", "part", "item", "field", "value"};
    FILE *out = s->cli->out;
    mri_arena_reset(s->arena);
    s->depth = 0;
    if (s->form == MRI_STATE_TEXT) {
        s->table = mri_table_open(s->arena, PATHS + 1, heads, 0);
    } else if (s->form == MRI_STATE_JSONL) {
        (void)fprintf(out, "{\"partition\": %" PRIu32 ", \"key\": ", s->partition);
        if (mri_utf8_check(s->key, s->key_size) == s->key_size) {
            mri_cli_json_text(out, s->key, s->key_size);
        } else {
            const char *text = key_text(s->arena, s->key, s->key_size);
            mri_cli_json_text(out, text, strlen(text));
        }
        (void)fputs(", \"state\": {", out);
    }
}

static void key_end(struct show *s) {
    FILE *out = s->cli->out;
    if (s->form == MRI_STATE_TEXT) {
        (void)fprintf(out, "key %s, partition %" PRIu32 "\n",
                      key_text(s->arena, s->key, s->key_size), s->partition);
        mri_table_print(s->table, "", out);
    } else if (s->form == MRI_STATE_JSONL) {
        for (uint32_t i = 1; i < s->depth; i++) {
            (void)fputc('}', out);
        }
        (void)fputs("}}\n", out);
    }
}

/* All keys that were gathered; how many there were. */
static uint32_t pieces_show(struct show *s, mri_gather *g) {
    uint32_t keys = 0;
    mri_gather_sort(g);
    for (uint32_t i = 0; i < g->count; i++) {
        const mri_piece *piece = &g->pieces[i];
        const bool last = i + 1 == g->count || !same_key(piece, &g->pieces[i + 1]);
        if (i == 0 || !same_key(piece, &g->pieces[i - 1])) {
            s->key = piece->key.bytes;
            s->key_size = (uint32_t)piece->key.size;
            key_begin(s);
            keys++;
        }
        if (piece->key.kind == 'b') {
            block_put(s, piece);
        } else if (piece->key.kind == 'h') {
            past_put(s, piece, past_end(g, i));
        } else {
            item_put(s, piece);
        }
        if (last) key_end(s);
    }
    return keys;
}

static mr_status damage_told(const struct show *s, int64_t unreadable, mr_error *err) {
    if (s->damaged > 0) {
        *err = s->damage;
        return err->status;
    }
    if (unreadable == 0) return MR_OK;
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "%s holds %" PRId64 " record%s that no millrace has written, or that %s damaged",
                   s->target->stage->changelog, unreadable, unreadable == 1 ? "" : "s",
                   unreadable == 1 ? "is" : "are");
}

static void show_open(struct show *s, mri_gather *g, uint32_t partition) {
    s->partition = partition;
    s->saved = s->target->stage->parts[partition].saved;
    *g = (mri_gather){.config = s->target->config,
                      .stage = s->target->stage,
                      .partition = partition,
                      .step = s->target->step};
}

mr_status mri_cli_state_get(mri_cli *cli, const mri_state_target *target, const char *key,
                            size_t key_size, mri_state_form form, bool *found, mr_error *err) {
    struct show s = {.cli = cli, .target = target, .form = form, .arena = mri_arena_open(16 << 10)};
    mr_status status = MR_OK;
    *found = false;
    for (uint32_t p = 0; status == MR_OK && p < target->stage->partitions && !*found; p++) {
        mri_gather g;
        if (target->stage->parts[p].saved == NULL) continue;
        show_open(&s, &g, p);
        status = mri_gather_key(&g, key, key_size, err);
        mri_cli_look_progress_clear(cli);
        if (status == MR_OK) *found = pieces_show(&s, &g) > 0;
        mri_gather_close(&g);
    }
    if (status == MR_OK) status = damage_told(&s, 0, err);
    mri_arena_close(s.arena);
    return status;
}

mr_status mri_cli_state_export(mri_cli *cli, const mri_state_target *target, mri_state_form form,
                               mr_error *err) {
    struct show s = {.cli = cli, .target = target, .form = form, .arena = mri_arena_open(16 << 10)};
    mr_status status = MR_OK;
    int64_t unreadable = 0;
    if (form == MRI_STATE_CSV) {
        (void)fputs("partition,key,step,output,part,item,field,value\n", cli->out);
    }
    for (uint32_t p = 0; status == MR_OK && p < target->stage->partitions; p++) {
        mri_gather g;
        if (target->stage->parts[p].saved == NULL) continue;
        show_open(&s, &g, p);
        do {
            status = mri_gather_next(&g, err);
            if (status == MR_OK) (void)pieces_show(&s, &g);
        } while (status == MR_OK && g.key_count == MRI_GATHER_KEYS && !ferror(cli->out));
        unreadable += g.unreadable;
        mri_gather_close(&g);
    }
    mri_cli_look_progress_clear(cli);
    if (status == MR_OK) status = damage_told(&s, unreadable, err);
    mri_arena_close(s.arena);
    return status;
}
