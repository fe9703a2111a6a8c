/* replay.c: records of dead letters back into their topics, each once. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "exec/letters.h"
#include "exec/task.h"
#include "log/headers.h"

enum {
    FETCH_MAX = 256,
    LETTERS_MAX = 1000,  /* of one transaction */
    BYTES_MAX = 8 << 20, /* of one transaction */
    TRIES_MAX = 20,      /* one after the other, of a transaction that does not come about */
    POLL_US = 50000,
    PATIENCE_US = 90000000, /* for an assignment, or for records that should be there */
};

/* One partition of the letters. */
struct part {
    bool owned, loaded;
    bool astray; /* records of an undone transaction were fetched */
    uint32_t number;
    int64_t next;      /* letter to look at */
    int64_t left;      /* the first that stays for later; MRI_OFFSET_NONE: none so far */
    int64_t committed; /* as the group has it */
    int64_t end;       /* letters from here on came later */
    int64_t *done;     /* replayed behind `committed`, in order */
    uint32_t done_count, done_capacity;
    bool moved; /* since the last commit */
};

struct replay {
    const mri_replay_config *config;
    const char *letters, *memory; /* topics */
    const char **inputs;  /* topics that stages read, by topic of the plan; NULL: not read */
    uint32_t *partitions; /* of those */
    mri_member *member;
    struct part *parts;
    uint32_t part_count;
    bool assigned;
    bool torn;      /* a transaction has still to be aborted */
    uint32_t tries; /* in vain, since the last commit */
    bool remembers; /* the memory is there */
    mri_replay_counts now, committed;
    uint32_t waiting;
    size_t waiting_bytes;
    mr_arena *arena, *scratch;
    mri_record records[FETCH_MAX];
    mri_text headers;
};

/* --- memory --------------------------------------------------------------------------------------
 */

static mr_status remember(void *arg, const mri_record *record, mr_error *err) {
    struct part *part = arg;
    int64_t offset = 0;
    (void)err;
    if (record->key == NULL || !mri_parse_i64(record->key, record->key_size, &offset)) return MR_OK;
    /* A log that is not compacted yet gives what was and what became of it. */
    uint32_t at = 0;
    while (at < part->done_count && part->done[at] < offset) {
        at++;
    }
    const bool known = at < part->done_count && part->done[at] == offset;
    if (known == (record->value != NULL)) return MR_OK;
    const uint32_t behind = part->done_count - at;
    if (known) {
        memmove(part->done + at, part->done + at + 1, (behind - 1) * sizeof *part->done);
        part->done_count--;
        return MR_OK;
    }
    if (part->done_count == part->done_capacity) {
        part->done_capacity = part->done_capacity > 0 ? part->done_capacity * 2 : 64;
        part->done = mri_realloc(part->done, part->done_capacity, sizeof *part->done);
    }
    if (behind > 0) {
        memmove(part->done + at + 1, part->done + at, behind * sizeof *part->done);
    }
    part->done[at] = offset;
    part->done_count++;
    return MR_OK;
}

static bool is_done(const struct part *part, int64_t offset) {
    uint32_t low = 0, high = part->done_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (part->done[middle] == offset) return true;
        if (part->done[middle] < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* One letter that was replayed, or (value NULL) need not be named any more. */
static mr_status memory_write(struct replay *r, const struct part *part, int64_t offset,
                              const char *value, mr_error *err) {
    char key[24];
    const int size = snprintf(key, sizeof key, "%" PRId64, offset);
    const mri_record record = {.key = key,
                               .key_size = (uint32_t)size,
                               .value = value,
                               .value_size = value != NULL ? (uint32_t)strlen(value) : 0,
                               .ingest_us = MR_TIME_NONE};
    return r->config->log->ops->send(r->member, r->memory, part->number, &record, err);
}

/* --- assignment ----------------------------------------------------------------------------------
 */

/* Everything stands where the last commit left it. */
static mr_status part_load(struct replay *r, struct part *part, mr_error *err) {
    mri_log *log = r->config->log;
    mr_status status = MR_OK;
    part->loaded = false;
    part->next = part->committed == MRI_OFFSET_NONE ? 0 : part->committed;
    part->left = MRI_OFFSET_NONE;
    part->done_count = 0;
    part->moved = false;
    if (r->remembers) {
        status = log->ops->scan(log, r->memory, part->number, remember, part, err);
    }
    if (status == MR_OK && part->end == MRI_OFFSET_NONE) {
        status = log->ops->end_offset(log, r->letters, part->number, &part->end, err);
    }
    if (status == MR_OK && part->astray) {
        status = log->ops->seek(r->member, 0, part->number, part->next, err);
    }
    part->loaded = status == MR_OK;
    part->astray = part->astray && !part->loaded;
    return status;
}

/* They are loaded by the turn that follows, so that one that cannot be loaded now is tried again
 * without another assignment. */
static mr_status replay_assigned(void *self, const uint32_t *partitions, uint32_t count,
                                 const int64_t *offsets, const bool *unchanged, mr_error *err) {
    struct replay *r = self;
    (void)unchanged;
    (void)err;
    r->assigned = true;
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i] >= r->part_count) continue;
        struct part *part = &r->parts[partitions[i]];
        part->owned = true;
        part->loaded = part->astray = false;
        part->committed = offsets[i];
    }
    return MR_OK;
}

/* What has been done since the last commit is not; partitions are loaded anew by the next turn. */
static mr_status undo(struct replay *r, mr_error *err) {
    r->now = r->committed;
    r->waiting = 0;
    r->waiting_bytes = 0;
    for (uint32_t i = 0; i < r->part_count; i++) {
        r->parts[i].loaded = false;
        r->parts[i].astray = true;
    }
    r->torn = true;
    const mr_status status = r->config->log->ops->abort(r->member, err);
    r->torn = status != MR_OK;
    return status;
}

/* Whoever has the partitions next begins at the last commit. */
static mr_status replay_revoked(void *self, const uint32_t *partitions, uint32_t count, bool lost,
                                mr_error *err) {
    struct replay *r = self;
    (void)lost;
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i] < r->part_count) r->parts[partitions[i]].owned = false;
    }
    return undo(r, err);
}

/* --- letters -------------------------------------------------------------------------------------
 */

/* Headers of the record itself; the letter's own are not the topic's matter. */
static void headers_restore(struct replay *r, const mri_record *letter) {
    mri_header header;
    mri_text_clear(&r->headers);
    for (uint32_t at = 0; mri_headers_next(letter->headers, letter->headers_size, &at, &header);) {
        if (strncmp(header.name, "mr.", 3) == 0) continue;
        mri_headers_add(&r->headers, header.name, header.value, header.size);
    }
}

static int32_t topic_of(const struct replay *r, const mri_letter *letter) {
    const mri_plan *plan = r->config->plan;
    for (uint32_t i = 0; i < plan->topic_count; i++) {
        if (r->inputs[i] != NULL && strcmp(r->inputs[i], letter->topic) == 0 &&
            letter->partition < r->partitions[i]) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* What stands in the way; NULL: nothing. */
static int64_t *obstacle(struct replay *r, const mri_letter *letter) {
    if (strcmp(letter->kind, MRI_LETTER_SOURCE) == 0) return &r->now.source;
    if (strcmp(letter->kind, MRI_LETTER_MARK) == 0) return &r->now.mark;
    if (strcmp(letter->kind, MRI_LETTER_ROW) == 0) {
        return letter->topic[0] != '\0' ? &r->now.made : &r->now.source;
    }
    if (letter->cut) return &r->now.cut;
    return topic_of(r, letter) < 0 ? &r->now.gone : NULL;
}

static mr_status letter_replay(struct replay *r, struct part *part, const mri_letter *letter,
                               mr_error *err) {
    mri_log *log = r->config->log;
    const mri_record *from = letter->record;
    headers_restore(r, from);
    const mri_record record = {.key = from->key,
                               .key_size = from->key_size,
                               .value = from->value,
                               .value_size = from->value_size,
                               .timestamp_ms = letter->timestamp_ms,
                               .ingest_us = from->ingest_us,
                               .headers = r->headers.size > 0 ? r->headers.data : NULL,
                               .headers_size = (uint32_t)r->headers.size};
    r->now.replayed++;
    if (r->config->dry_run) return MR_OK;
    mr_status status = log->ops->begin(r->member, err);
    if (status == MR_OK) {
        status = log->ops->send(r->member, r->inputs[topic_of(r, letter)], letter->partition,
                                &record, err);
    }
    /* Behind a letter that stays, the group's offset cannot tell that this one is done. */
    if (status == MR_OK && part->left != MRI_OFFSET_NONE) {
        status = memory_write(r, part, from->offset, "1", err);
    }
    r->waiting++;
    r->waiting_bytes += record.key_size + record.value_size + record.headers_size;
    return status;
}

static mr_status letter_take(struct replay *r, struct part *part, const mri_record *record,
                             mr_error *err) {
    mri_letter letter;
    mri_arena_reset(r->scratch);
    mri_letter_read(record, r->scratch, &letter);
    part->next = record->offset + 1;
    part->moved = true;
    if (is_done(part, record->offset)) {
        r->now.before++;
        return MR_OK;
    }
    if (!mri_letter_wanted(&letter, &r->config->filter)) {
        r->now.left++;
        if (part->left == MRI_OFFSET_NONE) part->left = record->offset;
        return MR_OK;
    }
    int64_t *counter = obstacle(r, &letter);
    if (counter == NULL) return letter_replay(r, part, &letter, err);
    ++*counter;
    return MR_OK;
}

/* --- commit --------------------------------------------------------------------------------------
 */

static int64_t place_of(const struct part *part) {
    return part->left != MRI_OFFSET_NONE ? part->left : part->next;
}

/* What the offset tells from now on need not be named any more. */
static mr_status memory_trim(struct replay *r, const struct part *part, mr_error *err) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < part->done_count; i++) {
        if (part->done[i] >= place_of(part)) break;
        status = memory_write(r, part, part->done[i], NULL, err);
    }
    return status;
}

static mr_status replay_commit(struct replay *r, mr_error *err) {
    mri_log *log = r->config->log;
    mri_offset *offsets = mri_calloc(r->part_count, sizeof *offsets);
    uint32_t count = 0;
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < r->part_count; i++) {
        const struct part *part = &r->parts[i];
        if (!part->owned || !part->moved) continue;
        offsets[count++] = (mri_offset){.partition = part->number, .next = place_of(part)};
    }
    if (count > 0 && !r->config->dry_run) {
        status = log->ops->begin(r->member, err);
        for (uint32_t i = 0; status == MR_OK && i < count; i++) {
            status = memory_trim(r, &r->parts[offsets[i].partition], err);
        }
        if (status == MR_OK) status = log->ops->commit(r->member, offsets, count, err);
    }
    for (uint32_t i = 0; status == MR_OK && i < count; i++) {
        struct part *part = &r->parts[offsets[i].partition];
        part->moved = false;
        part->committed = offsets[i].next;
        uint32_t gone = 0;
        while (gone < part->done_count && part->done[gone] < offsets[i].next) {
            gone++;
        }
        part->done_count -= gone;
        if (gone == 0) continue; /* nothing may stand nowhere */
        memmove(part->done, part->done + gone, part->done_count * sizeof *part->done);
    }
    free(offsets);
    if (status != MR_OK) return status;
    r->committed = r->now;
    r->tries = r->waiting = 0;
    r->waiting_bytes = 0;
    return MR_OK;
}

/* --- the run -------------------------------------------------------------------------------------
 */

static bool replay_ended(const struct replay *r) {
    if (!r->assigned) return false;
    for (uint32_t i = 0; i < r->part_count; i++) {
        const struct part *part = &r->parts[i];
        if (!part->owned) continue;
        if (!part->loaded || part->next < part->end || part->moved) return false;
    }
    return true;
}

static mr_status part_turn(struct replay *r, struct part *part, bool *progress, mr_error *err) {
    mri_log *log = r->config->log;
    uint32_t count = 0;
    mr_status status =
        log->ops->fetch(r->member, 0, part->number, FETCH_MAX, r->records, &count, err);
    if (count > 0) *progress = true;
    for (uint32_t i = 0; status == MR_OK && i < count; i++) {
        if (r->records[i].offset >= part->end) {
            part->next = part->end;
            break;
        }
        status = letter_take(r, part, &r->records[i], err);
    }
    return status;
}

/* Everything that is there is looked at; commits when enough waits, and at the end. */
static mr_status replay_turn(struct replay *r, bool *progress, mr_error *err) {
    const mri_member_events events = {
        .self = r, .assigned = replay_assigned, .revoked = replay_revoked};
    mri_log *log = r->config->log;
    mr_status status = r->torn ? undo(r, err) : MR_OK;
    if (status == MR_OK) status = log->ops->member_poll(r->member, POLL_US, &events, err);
    for (uint32_t i = 0; status == MR_OK && i < r->part_count; i++) {
        struct part *part = &r->parts[i];
        if (part->owned && !part->loaded) status = part_load(r, part, err);
        while (status == MR_OK && part->owned && part->next < part->end &&
               r->waiting < LETTERS_MAX && r->waiting_bytes < BYTES_MAX) {
            const int64_t before = part->next;
            status = part_turn(r, part, progress, err);
            if (part->next == before) break;
        }
    }
    bool ended = status == MR_OK && r->assigned;
    for (uint32_t i = 0; ended && i < r->part_count; i++) {
        ended = !r->parts[i].owned || r->parts[i].next >= r->parts[i].end;
    }
    const bool full = r->waiting >= LETTERS_MAX || r->waiting_bytes >= BYTES_MAX;
    if (status == MR_OK && (ended || full)) status = replay_commit(r, err);
    return status;
}

/* What can be tried again is undone first. */
static mr_status replay_again(struct replay *r, mr_status status, mr_error *err) {
    const mr_action action = mri_status_action(status);
    if (action != MR_REPLAY && action != MR_RETRY) return status;
    if (++r->tries > TRIES_MAX) return status;
    mr_error again;
    const mr_status undone = undo(r, &again);
    if (undone == MR_OK || mri_status_action(undone) != MR_STOP) return MR_OK;
    if (err != NULL) *err = again;
    return undone;
}

static mr_status replay_loop(struct replay *r, mr_error *err) {
    const mri_env *env = r->config->env;
    int64_t heard_us = env->now_us(env->self);
    while (!replay_ended(r)) {
        bool progress = false;
        const mr_status status = replay_again(r, replay_turn(r, &progress, err), err);
        if (status != MR_OK) return status;
        const int64_t now_us = env->now_us(env->self);
        if (progress) heard_us = now_us;
        if (now_us - heard_us > PATIENCE_US) {
            return mr_fail(err, MR_ERR_TIMEOUT, NULL,
                           "the log gave no letter of '%s' for %d s; is another replay at work, or "
                           "the broker gone? What was replayed stays so: call it again",
                           r->letters, PATIENCE_US / 1000000);
        }
    }
    return MR_OK;
}

/* --- begin and end -------------------------------------------------------------------------------
 */

static mr_status topics_find(struct replay *r, mr_error *err) {
    const mri_plan *plan = r->config->plan;
    mri_log *log = r->config->log;
    r->inputs = mri_alloc_array(r->arena, plan->topic_count + 1u, sizeof *r->inputs);
    r->partitions = mri_alloc_array(r->arena, plan->topic_count + 1u, sizeof *r->partitions);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const int32_t input = plan->stages[i].input;
        if (input < 0 || r->inputs[input] != NULL) continue;
        const mri_topic_config there = {.name = plan->topics[input].log_name, .external = true};
        mr_error why;
        const mr_status status = log->ops->topic_ensure(log, &there, &r->partitions[input], &why);
        if (status == MR_ERR_TOPIC) continue; /* letters that name it are told */
        if (status != MR_OK) {
            if (err != NULL) *err = why;
            return status;
        }
        r->inputs[input] = plan->topics[input].log_name;
    }
    return MR_OK;
}

static mr_status memory_open(struct replay *r, mr_error *err) {
    mri_log *log = r->config->log;
    const mri_topic_config config = {.name = r->memory,
                                     .partitions = r->part_count,
                                     .compacted = true,
                                     .external = r->config->dry_run};
    uint32_t found = 0;
    const mr_status status = log->ops->topic_ensure(log, &config, &found, err);
    r->remembers = status == MR_OK;
    return r->config->dry_run && status == MR_ERR_TOPIC ? MR_OK : status;
}

static mr_status replay_open(struct replay *r, mr_error *err) {
    const mri_replay_config *config = r->config;
    mri_log *log = config->log;
    r->memory = mri_format(r->arena, "%s.dlq.replay", config->plan->name);
    mr_status status = mri_letters_topic(log, config->plan, &r->letters, &r->part_count, err);
    if (status == MR_OK) status = topics_find(r, err);
    if (status == MR_OK) status = memory_open(r, err);
    if (status != MR_OK) return status;
    r->parts = mri_alloc_array(r->arena, r->part_count, sizeof *r->parts);
    for (uint32_t i = 0; i < r->part_count; i++) {
        r->parts[i] = (struct part){.number = i,
                                    .committed = MRI_OFFSET_NONE,
                                    .left = MRI_OFFSET_NONE,
                                    .end = MRI_OFFSET_NONE};
    }
    const mri_member_config member = {
        .group = r->memory,
        .transactional_id = mri_format(r->arena, "%s.%s", r->memory, config->instance),
        .inputs = &r->letters,
        .input_count = 1,
        .worker = 0,
        .workers = 1,
        .batch_rows_max = FETCH_MAX,
    };
    return log->ops->member_open(log, &member, &r->member, err);
}

mr_status mri_replay_run(const mri_replay_config *config, mri_replay_counts *counts,
                         mr_error *err) {
    struct replay *r = mri_calloc(1, sizeof *r);
    r->config = config;
    r->arena = mri_arena_open(64 * 1024);
    r->scratch = mri_arena_open(64 * 1024);
    mr_status status = replay_open(r, err);
    if (status == MR_OK) status = replay_loop(r, err);
    *counts = r->committed;
    if (r->member != NULL) config->log->ops->member_close(r->member);
    for (uint32_t i = 0; i < r->part_count && r->parts != NULL; i++) {
        free(r->parts[i].done);
    }
    mri_text_free(&r->headers);
    mri_arena_close(r->scratch);
    mri_arena_close(r->arena);
    free(r);
    return status;
}
