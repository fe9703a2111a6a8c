/* overwrite.c: no sink may write a file that the pipeline reads: its own file, schemas, models and
 * what sources replay. Only now that all stages are planned are all of these known.
 *
 * Globs are compared by their text and not walked: "/" followed by many stars would take for ever,
 * and a file that a sink will make only later would not be there yet. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/hash.h"
#include "plan/internal.h"

enum {
    STARS_MAX = 4,          /* of a glob that is compared: more make fnmatch() slow */
    PARTITIONS_TRIED = 256, /* of one sink */
    PATHS_TRIED = 20000,    /* of all sinks */
    COMPARED_MAX = 1000000, /* paths against inputs, of all sinks */
};

/* One file or glob that the pipeline reads. */
typedef struct input input;
struct input {
    const char *path; /* canonical */
    uint64_t hash;
    bool glob, regular;
    dev_t device;
    ino_t inode;
    const char *what; /* "read by the source of stage 'a' at " */
    mr_pos at;
    input *next;
};

struct check {
    mri_planner *p;
    input *inputs;
    uint32_t tried, compared;
};

/* The path with its folder's symbolic links resolved; where there is no such folder its text. For a
 * glob this is the folder in front of the first wildcard. */
static const char *canonical(mr_arena *arena, const char *path) {
    const size_t fixed = strcspn(path, "*?[");
    size_t size = fixed;
    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    const char *folder = size > 0 ? mri_strndup(arena, path, size) : ".";
    char *real = realpath(folder, NULL);
    if (real == NULL) return mri_plain_path(arena, path);
    const char *joined = mri_format(arena, "%s/%s", real, path + size);
    free(real);
    return mri_plain_path(arena, joined);
}

static void input_add(struct check *c, const char *path, bool glob, const char *what, mr_pos at) {
    input *in = mri_alloc(c->p->env.arena, sizeof *in);
    *in = (input){.path = canonical(c->p->env.arena, path), .what = what, .at = at};
    in->hash = mri_fnv64(MRI_FNV64, in->path, strlen(in->path));
    uint32_t stars = 0;
    for (const char *star = strchr(path, '*'); star != NULL; star = strchr(star + 1, '*')) {
        stars++;
    }
    in->glob = glob && strpbrk(path, "*?[") != NULL && stars <= STARS_MAX;
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        in->regular = true;
        in->device = info.st_dev;
        in->inode = info.st_ino;
    }
    in->next = c->inputs;
    c->inputs = in;
}

static void source_add(struct check *c, const mri_stage *stage) {
    const char *what =
        mri_format(c->p->env.arena, "read by the source of stage '%s' at ", stage->name);
    for (const mr_option *row = stage->source->options; row != NULL && row->name != NULL; row++) {
        const void *value = (const char *)stage->source_options + row->offset;
        if (row->type == MR_OPT_PATH) {
            const char *path = *(const char *const *)value;
            if (path != NULL) input_add(c, path, true, what, stage->at);
        } else if (row->type == MR_OPT_PATHS) {
            const mr_strings *paths = value;
            for (uint32_t i = 0; i < paths->count; i++) {
                input_add(c, paths->items[i], true, what, stage->at);
            }
        }
    }
}

static const input *input_find(struct check *c, const char *path) {
    const char *text = canonical(c->p->env.arena, path);
    const uint64_t hash = mri_fnv64(MRI_FNV64, text, strlen(text));
    struct stat info;
    const bool regular = stat(path, &info) == 0 && S_ISREG(info.st_mode);
    for (const input *in = c->inputs; in != NULL && c->compared < COMPARED_MAX; in = in->next) {
        c->compared++;
        if (in->hash == hash && strcmp(in->path, text) == 0) return in;
        if (regular && in->regular && in->device == info.st_dev && in->inode == info.st_ino) {
            return in;
        }
        if (in->glob && fnmatch(in->path, text, FNM_PATHNAME | FNM_PERIOD) == 0) return in;
    }
    return NULL;
}

/* "a-{partition}.csv" as the task writes it. */
static const char *partition_path(mr_arena *arena, const char *path, uint32_t partition) {
    static const char mark[] = "{partition}";
    mri_text text = {0};
    for (const char *at = path;;) {
        const char *found = strstr(at, mark);
        if (found == NULL) {
            mri_text_puts(&text, at);
            break;
        }
        mri_text_add(&text, at, (size_t)(found - at));
        mri_text_printf(&text, "%u", (unsigned)partition);
        at = found + sizeof mark - 1;
    }
    const char *made = mri_strndup(arena, text.data != NULL ? text.data : "", text.size);
    mri_text_free(&text);
    return made;
}

static void sink_check(struct check *c, const mri_stage *stage, const mri_sink *sink) {
    const char *path = mri_sink_path(sink);
    if (path == NULL) return;
    mri_plan_env *env = &c->p->env;
    const bool split = strstr(path, "{partition}") != NULL;
    uint32_t tasks = split && stage->tasks > 0 ? stage->tasks : 1;
    if (tasks > PARTITIONS_TRIED) tasks = PARTITIONS_TRIED;
    for (uint32_t i = 0; i < tasks && c->tried < PATHS_TRIED; i++, c->tried++) {
        const char *own = split ? partition_path(env->arena, path, i) : path;
        const input *in = input_find(c, own);
        if (in == NULL) continue;
        const char *where = in->at.line > 0 ? mri_plan_where(env, in->at, sink->at) : "";
        mri_diag_add(env->diags, 71, MRI_SEV_ERROR, sink->at, (uint32_t)strlen(sink->op->name),
                     "write to another file", "'%s' is %s%s, and this sink would write over it",
                     own, in->what, where);
        return;
    }
}

void mri_overwrites_check(mri_planner *p) {
    struct check c = {.p = p};
    input_add(&c, p->plan->file, false, "this pipeline's own file", (mr_pos){0});
    for (const mri_plan_file *file = p->env.files; file != NULL; file = file->next) {
        input_add(&c, file->path, false, "named as a file to read at ", file->at);
    }
    for (uint32_t i = 0; i < p->plan->stage_count; i++) {
        const mri_stage *stage = &p->plan->stages[i];
        if (stage->source != NULL && stage->source_options != NULL) source_add(&c, stage);
    }
    for (uint32_t i = 0; i < p->plan->stage_count; i++) {
        const mri_stage *stage = &p->plan->stages[i];
        for (uint32_t k = 0; k < stage->sink_count; k++) {
            sink_check(&c, stage, &stage->sinks[k]);
        }
    }
}
