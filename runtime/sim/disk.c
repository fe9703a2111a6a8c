/* disk.c: the disk of a simulated machine, with a file system that promises as little as a real one:
 * what was not synced is lost or torn when the power goes, a file may lose the name that it got when
 * its folder was not synced, bits of old files flip, calls fail and take their time.
 *
 * A disk belongs to a name, not to a process: it is there when the process starts again, unless
 * somebody carried it away or put an older copy in its place. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "sim/world.h"

enum { CALL_WEIGHT = 10, BITS = 8 };

/* Bytes of a file, whatever it is called. */
struct blob {
    struct blob *next; /* of the disk */
    mri_text text;
    size_t synced;
};

struct entry {
    char *name;
    struct blob *now;    /* NULL: removed */
    struct blob *stable; /* what the name shows once the power has gone; NULL: nothing */
};

struct disk_store {
    struct blob *blobs;
    struct entry *entries;
    uint32_t count;
};

struct mri_disk_file {
    struct disk *disk;
    struct blob *blob;
    const char *name;
    size_t at; /* where a reader is */
};

static struct disk *disk_of(mri_disk *base) {
    return (struct disk *)base;
}

static struct entry *entry_find(const struct disk_store *store, const char *name) {
    for (uint32_t i = 0; i < store->count; i++) {
        if (strcmp(store->entries[i].name, name) == 0) return &store->entries[i];
    }
    return NULL;
}

static struct entry *entry_need(struct world *world, struct disk_store *store, const char *name) {
    struct entry *found = entry_find(store, name);
    if (found != NULL) return found;
    store->entries = mri_realloc(store->entries, store->count + 1, sizeof *store->entries);
    found = &store->entries[store->count++];
    *found = (struct entry){.name = mri_strdup(world->arena, name)};
    return found;
}

static struct blob *blob_open(struct disk_store *store) {
    struct blob *blob = mri_calloc(1, sizeof *blob);
    blob->next = store->blobs;
    store->blobs = blob;
    return blob;
}

static struct blob *blob_copy(struct disk_store *store, const struct blob *from) {
    struct blob *blob = blob_open(store);
    mri_text_add(&blob->text, from->text.data, from->text.size);
    blob->synced = blob->text.size;
    return blob;
}

/* --- calls ---------------------------------------------------------------------------------------
 */

static mr_status dead(mr_error *err) {
    return mr_fail(err, MR_ERR_IO, NULL, "the process is killed");
}

/* Whatever may happen around a call; `fails`: the call is to fail, after a part of it or all. */
static mr_status enter(const struct disk *disk, bool *fails, mr_error *err) {
    struct world *world = disk->process->world;
    *fails = false;
    if (!mri_faults_around(disk->process, CALL_WEIGHT)) return dead(err);
    *fails = mri_faults_strike(world, world->faults.disk_fails);
    mri_world_trace(world, 128, *fails);
    return MR_OK;
}

static mr_status failed(const char *name, const char *why, mr_error *err) {
    return mr_fail(err, MR_ERR_IO, NULL, "%s: %s", name, why);
}

static mr_status disk_create(mri_disk *base, const char *name, mri_disk_file **out, mr_error *err) {
    struct disk *disk = disk_of(base);
    bool fails = false;
    const mr_status status = enter(disk, &fails, err);
    if (status != MR_OK) return status;
    if (fails) return failed(name, "no space is left", err);
    mri_disk_file *file = mri_calloc(1, sizeof *file);
    *file = (mri_disk_file){.disk = disk,
                            .blob = blob_open(disk->store),
                            .name = mri_strdup(disk->process->world->arena, name)};
    *out = file;
    return MR_OK;
}

static mr_status disk_append(mri_disk_file *file, const void *data, size_t size, mr_error *err) {
    struct world *world = file->disk->process->world;
    bool fails = false;
    const mr_status status = enter(file->disk, &fails, err);
    if (status != MR_OK) return status;
    if (fails) size = (size_t)mri_chance_below(&world->chance, size);
    mri_text_add(&file->blob->text, data, size);
    return fails ? failed(file->name, "no space is left", err) : MR_OK;
}

static mr_status disk_sync(mri_disk_file *file, mr_error *err) {
    bool fails = false;
    const mr_status status = enter(file->disk, &fails, err);
    if (status != MR_OK) return status;
    if (fails) return failed(file->name, "input or output error", err);
    file->blob->synced = file->blob->text.size;
    return MR_OK;
}

static void disk_discard(mri_disk_file *file) {
    free(file);
}

static void folder_settle(struct disk_store *store) {
    for (uint32_t i = 0; i < store->count; i++) {
        store->entries[i].stable = store->entries[i].now;
    }
}

static mr_status disk_publish(mri_disk_file *file, mr_error *err) {
    struct disk *disk = file->disk;
    bool fails = false;
    mr_status status = enter(disk, &fails, err);
    if (status == MR_OK && fails) status = failed(file->name, "it cannot be renamed", err);
    if (status == MR_OK) {
        entry_need(disk->process->world, disk->store, file->name)->now = file->blob;
        status = enter(disk, &fails, err);
    }
    if (status == MR_OK && fails) status = failed(file->name, "input or output error", err);
    if (status == MR_OK) folder_settle(disk->store);
    free(file);
    return status;
}

static mr_status disk_open(mri_disk *base, const char *name, mri_disk_file **out, int64_t *size,
                           mr_error *err) {
    struct disk *disk = disk_of(base);
    bool fails = false;
    *out = NULL;
    *size = 0;
    const mr_status status = enter(disk, &fails, err);
    if (status != MR_OK) return status;
    if (fails) return failed(name, "input or output error", err);
    struct entry *entry = entry_find(disk->store, name);
    if (entry == NULL || entry->now == NULL) return MR_OK;
    mri_disk_file *file = mri_calloc(1, sizeof *file);
    *file = (mri_disk_file){.disk = disk, .blob = entry->now, .name = entry->name};
    *out = file;
    *size = (int64_t)file->blob->text.size;
    return MR_OK;
}

static mr_status disk_read(mri_disk_file *file, void *data, size_t size, size_t *got,
                           mr_error *err) {
    bool fails = false;
    *got = 0;
    const mr_status status = enter(file->disk, &fails, err);
    if (status != MR_OK) return status;
    if (fails) return failed(file->name, "input or output error", err);
    const mri_text *text = &file->blob->text;
    *got = text->size - file->at < size ? text->size - file->at : size;
    memcpy(data, text->data + file->at, *got);
    file->at += *got;
    return MR_OK;
}

static mr_status disk_remove(mri_disk *base, const char *name, mr_error *err) {
    struct disk *disk = disk_of(base);
    bool fails = false;
    const mr_status status = enter(disk, &fails, err);
    if (status != MR_OK) return status;
    if (fails) return failed(name, "input or output error", err);
    struct entry *entry = entry_find(disk->store, name);
    if (entry != NULL) entry->now = NULL;
    return MR_OK;
}

static const mri_disk_ops disk_ops = {.create = disk_create,
                                      .append = disk_append,
                                      .sync = disk_sync,
                                      .publish = disk_publish,
                                      .discard = disk_discard,
                                      .open = disk_open,
                                      .read = disk_read,
                                      .close = disk_discard,
                                      .remove = disk_remove};

mri_disk *mri_disk_of_process(struct process *process) {
    struct world *world = process->world;
    if (!world->snapshots) return NULL;
    if (world->disks[process->name] == NULL) {
        world->disks[process->name] = mri_alloc(world->arena, sizeof(struct disk_store));
    }
    process->disk = (struct disk){.base = {.ops = &disk_ops, .name = "disk"},
                                  .process = process,
                                  .store = world->disks[process->name]};
    return &process->disk.base;
}

/* --- what happens to it --------------------------------------------------------------------------
 */

/* Of what was not synced some part came through, and not as it was. */
static void blob_tear(struct world *world, struct blob *blob) {
    mri_text *text = &blob->text;
    const size_t tail = text->size - blob->synced;
    if (tail == 0) return;
    text->size = blob->synced + (size_t)mri_chance_below(&world->chance, tail + 1);
    if (text->size > blob->synced && mri_chance_below(&world->chance, 2) == 0) {
        const size_t from =
            blob->synced + (size_t)mri_chance_below(&world->chance, text->size - blob->synced);
        memset(text->data + from, 0, text->size - from); /* as blocks that were never written */
    }
    blob->synced = text->size;
}

void mri_disk_power_loss(struct world *world, uint32_t name) {
    struct disk_store *store = world->disks[name];
    for (uint32_t i = 0; store != NULL && i < store->count; i++) {
        struct entry *entry = &store->entries[i];
        if (entry->now != entry->stable && mri_chance_below(&world->chance, 2) == 0) {
            entry->now = entry->stable;
        }
        if (entry->now != NULL) blob_tear(world, entry->now);
        entry->stable = entry->now;
    }
}

void mri_disk_rot(struct world *world) {
    struct disk_store *store = world->disks[mri_chance_below(&world->chance, PROCESSES_MAX)];
    if (store == NULL || store->count == 0) return;
    struct blob *blob = store->entries[mri_chance_below(&world->chance, store->count)].now;
    if (blob == NULL || blob->text.size == 0) return;
    const size_t at = (size_t)mri_chance_below(&world->chance, blob->text.size);
    blob->text.data[at] ^= (char)(1u << mri_chance_below(&world->chance, BITS));
}

static void store_copy(struct world *world, const struct disk_store *from, struct disk_store *to) {
    for (uint32_t i = 0; i < from->count; i++) {
        const struct entry *entry = &from->entries[i];
        if (entry->now == NULL) continue;
        struct entry *copy = entry_need(world, to, entry->name);
        copy->now = copy->stable = blob_copy(to, entry->now);
    }
}

/* Before a process starts: its disk is gone, or is that of another machine, or an older copy. */
void mri_disk_carry(struct world *world, uint32_t name) {
    struct disk_store *store = world->disks[name], *other = NULL;
    if (store == NULL) return;
    switch (mri_chance_below(&world->chance, 4)) {
    case 0:
        mri_world_say(world, "the disk of p%u is a new one", (unsigned)name);
        store->count = 0;
        break;
    case 1:
        mri_world_say(world, "a copy of the disk of p%u is put away", (unsigned)name);
        if (world->backup == NULL) world->backup = mri_alloc(world->arena, sizeof *world->backup);
        store_copy(world, store, world->backup);
        break;
    case 2:
        mri_world_say(world, "a copy is laid over the disk of p%u", (unsigned)name);
        if (world->backup != NULL) store_copy(world, world->backup, store);
        break;
    default:
        other = world->disks[mri_chance_below(&world->chance, PROCESSES_MAX)];
        mri_world_say(world, "another disk is laid over that of p%u", (unsigned)name);
        if (other != NULL && other != store) store_copy(world, other, store);
        break;
    }
}

static void store_close(struct disk_store *store) {
    if (store == NULL) return;
    for (struct blob *blob = store->blobs; blob != NULL;) {
        struct blob *next = blob->next;
        mri_text_free(&blob->text);
        free(blob);
        blob = next;
    }
    free(store->entries);
}

void mri_disks_close(struct world *world) {
    for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
        store_close(world->disks[i]);
    }
    store_close(world->backup);
}
