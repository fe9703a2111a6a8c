/* open.c: the environment of LMDB: its map, its tables, its errors. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "log/local/local.h"

#define MAP_BYTES     ((size_t)64 << 30)
#define MAP_BYTES_MIN ((size_t)1 << 20)
#define MAP_SPARE     ((size_t)64 << 20) /* address space that growing leaves to everything else */
enum { GROW_PATIENCE_S = 10 };

/* --- errors ----------------------------------------------------------------------------------- */

mr_status local_damaged(const struct local_log *log, const char *what, mr_error *err) {
    return mr_fail(err, MR_ERR_STATE, NULL,
                   "%s is damaged: %s; restore the directory from a backup, or begin anew with "
                   "--fresh",
                   log->directory, what);
}

mr_status local_damaged_at(const struct local_log *log, const struct local_topic *topic,
                           uint32_t partition, mr_error *err) {
    char what[400];
    (void)snprintf(what, sizeof what, "records of topic '%s', partition %" PRIu32 ", are torn",
                   topic->name, partition);
    return local_damaged(log, what, err);
}

int local_readable(struct local_log *log) {
    return atomic_load(&log->broken) ? MDB_MAP_FULL : 0;
}

static mr_status fail_io(const struct local_log *log, int code, const char *doing, mr_error *err) {
    const int full = code == EIO ? local_directory_full(log->directory) : 0;
    const int why = full != 0 ? full : code;
    const char *advice = "check the disk and its free space, then run again";
    if (why == ENOSPC || why == EDQUOT) {
        advice = "make room, or lower the 'retention' of its topics, then run again";
    }
    if (why == EROFS || why == EACCES || why == EPERM) {
        advice = "check who may write there, or name another directory with --log local:DIR";
    }
    return mr_fail(err, MR_ERR_IO, NULL, "%s: %s: %s; what was committed before is safe; %s",
                   log->directory, doing, mdb_strerror(why), advice);
}

mr_status local_fail(const struct local_log *log, int code, const char *doing, mr_error *err) {
    /* LMDB says so to all who come after a write that failed; what failed is what they need. */
    if (code == MDB_PANIC && atomic_load(&log->failure) != 0) code = atomic_load(&log->failure);
    switch (code) {
    case MDB_MAP_FULL:
        return mr_fail(
            err, MR_ERR_LIMIT, NULL,
            "%s: %s: the log has outgrown the address space that the system gives; raise "
            "ulimit -v, or lower the 'retention' of its topics",
            log->directory, doing);
    case MDB_TXN_FULL:
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "%s: %s: the transaction changes too much at once; lower 'commit.max'",
                       log->directory, doing);
    case MDB_READERS_FULL:
        return mr_fail(err, MR_ERR_LIMIT, NULL, "%s: %s: more than %d readers at once",
                       log->directory, doing, (int)LOCAL_READERS_MAX);
    case ENOMEM:
        return mr_fail(err, MR_ERR_MEMORY, NULL,
                       "%s: %s: out of memory; raise ulimit -v or the memory of the container",
                       log->directory, doing);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_NOTFOUND:
    case MDB_BAD_VALSIZE:
        return local_damaged(log, mdb_strerror(code), err);
    case MDB_VERSION_MISMATCH:
        return mr_fail(err, MR_ERR_STATE, NULL,
                       "%s: 'data.mdb' is of another version of LMDB; use the millrace that wrote "
                       "it, or begin anew with --fresh",
                       log->directory);
    default:
        return fail_io(log, code, doing, err);
    }
}

/* LMDB calls this when it meets pages that cannot be; it would abort the process next. Committed
 * transactions are not touched by an exit, so a clear last line is all there is to do. */
static void local_assertion(MDB_env *mdb, const char *text) {
    struct local_log *log = mdb_env_get_userctx(mdb);
    mri_log_line(log->env, MRI_ERROR,
                 "the log is damaged, restore the directory from a backup or begin anew with "
                 "--fresh directory=%s check=\"%.200s\"",
                 log->directory, text);
    _exit(MR_ERR_STATE);
}

/* --- the gate --------------------------------------------------------------------------------- */

void local_gate_enter(struct local_log *log) {
    (void)pthread_mutex_lock(&log->gate_mutex);
    while (log->gate_closed) {
        (void)pthread_cond_wait(&log->gate_turn, &log->gate_mutex);
    }
    log->gate_readers++;
    (void)pthread_mutex_unlock(&log->gate_mutex);
}

void local_gate_leave(struct local_log *log) {
    (void)pthread_mutex_lock(&log->gate_mutex);
    if (--log->gate_readers == 0) (void)pthread_cond_broadcast(&log->gate_turn);
    (void)pthread_mutex_unlock(&log->gate_mutex);
}

/* False: readers did not leave in time. */
static bool gate_close(struct local_log *log) {
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += GROW_PATIENCE_S;
    int code = 0;
    (void)pthread_mutex_lock(&log->gate_mutex);
    log->gate_closed = true;
    while (log->gate_readers > 0 && code == 0) {
        code = pthread_cond_timedwait(&log->gate_turn, &log->gate_mutex, &end);
    }
    const bool empty = log->gate_readers == 0;
    if (!empty) {
        log->gate_closed = false;
        (void)pthread_cond_broadcast(&log->gate_turn);
    }
    (void)pthread_mutex_unlock(&log->gate_mutex);
    return empty;
}

static void gate_open(struct local_log *log) {
    (void)pthread_mutex_lock(&log->gate_mutex);
    log->gate_closed = false;
    (void)pthread_cond_broadcast(&log->gate_turn);
    (void)pthread_mutex_unlock(&log->gate_mutex);
}

mr_status local_grow(struct local_log *log, mr_error *err) {
    MDB_envinfo info;
    (void)mdb_env_info(log->mdb, &info);
    const size_t old = info.me_mapsize;
    size_t more = old; /* doubled if the system agrees, else by what it gives */
    void *probe = MAP_FAILED;
    while (more >= MAP_BYTES_MIN) { /* LMDB gives up the old map before it asks for the new one */
        probe = mmap(NULL, more + MAP_SPARE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1, 0);
        if (probe != MAP_FAILED) break;
        more /= 2;
    }
    if (probe == MAP_FAILED) return local_fail(log, MDB_MAP_FULL, "the map must grow", err);
    if (!gate_close(log)) {
        (void)munmap(probe, more + MAP_SPARE);
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "%s: the map must grow beyond %zu MiB, but a reader has not finished for %d "
                       "s; run again",
                       log->directory, old >> 20, (int)GROW_PATIENCE_S);
    }
    (void)munmap(probe, more + MAP_SPARE);
    const int code = mdb_env_set_mapsize(log->mdb, (old + more) & ~(MAP_BYTES_MIN - 1));
    atomic_store(&log->broken, code != 0);
    gate_open(log);
    if (code != 0) return local_fail(log, MDB_MAP_FULL, "the map must grow", err);
    mri_log_line(log->env, MRI_INFO, "the map of the log has grown directory=%s mib=%zu",
                 log->directory, (old + more) >> 20);
    return MR_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int environment_try(struct local_log *log, size_t map_bytes) {
    int code = mdb_env_create(&log->mdb);
    if (code != 0) {
        log->mdb = NULL;
        return code;
    }
    (void)mdb_env_set_userctx(log->mdb, log);
    (void)mdb_env_set_assert(log->mdb, local_assertion);
    code = mdb_env_set_mapsize(log->mdb, map_bytes);
    if (code == 0) code = mdb_env_set_maxdbs(log->mdb, TABLE_COUNT);
    if (code == 0) code = mdb_env_set_maxreaders(log->mdb, LOCAL_READERS_MAX);
    if (code == 0) {
        code = mdb_env_open(log->mdb, log->directory, MDB_NOTLS | MDB_NOMEMINIT, 0600);
    }
    if (code != 0) {
        mdb_env_close(log->mdb);
        log->mdb = NULL;
    }
    return code;
}

static mr_status environment_open(struct local_log *log, int64_t map_bytes, mr_error *err) {
    size_t bytes = map_bytes > 0 ? (size_t)map_bytes : MAP_BYTES;
    bytes = (bytes + MAP_BYTES_MIN - 1) & ~(MAP_BYTES_MIN - 1);
    int code = environment_try(log, bytes);
    while (code == ENOMEM && bytes > MAP_BYTES_MIN) {
        bytes = (bytes / 2 + MAP_BYTES_MIN - 1) & ~(MAP_BYTES_MIN - 1);
        code = environment_try(log, bytes);
    }
    if (code == ENOMEM) {
        return mr_fail(err, MR_ERR_LIMIT, NULL,
                       "%s: the system gives no address space for the log; raise ulimit -v",
                       log->directory);
    }
    return code == 0 ? MR_OK : local_fail(log, code, "the log cannot be opened", err);
}

/* Notes which file is open, for local_check_data(). */
static mr_status environment_note(struct local_log *log, mr_error *err) {
    mdb_filehandle_t fd = -1;
    struct stat info;
    int code = mdb_env_get_fd(log->mdb, &fd);
    if (code == 0 && fstat(fd, &info) != 0) code = errno;
    if (code != 0) return local_fail(log, code, "the log cannot be opened", err);
    log->data_device = info.st_dev;
    log->data_inode = info.st_ino;
    return MR_OK;
}

/* LMDB goes on writing to a file that was deleted; what it commits there is lost at the end. */
mr_status local_check_data(const struct local_log *log, mr_error *err) {
    struct stat info;
    const bool there = local_data_stat(log->directory, &info);
    if (there && info.st_dev == log->data_device && info.st_ino == log->data_inode) return MR_OK;
    return mr_fail(err, MR_ERR_IO, NULL,
                   "%s/data.mdb was %s while the run wrote it: what was committed to it is lost; "
                   "restore the directory from a backup, or begin anew with --fresh",
                   log->directory, there ? "replaced" : "deleted");
}

static int tables_open(struct local_log *log, MDB_txn *txn, void *arg) {
    static const char *const names[TABLE_COUNT] = {"topics", "ends", "log", "keyed", "groups"};
    const unsigned flags = *(const bool *)arg ? MDB_CREATE : 0;
    for (int i = 0; i < TABLE_COUNT; i++) {
        const int code = mdb_dbi_open(txn, names[i], flags, &log->tables[i]);
        if (code != 0) return code;
    }
    return 0;
}

static void local_free(struct local_log *log) {
    local_topics_free(log);
    if (log->mdb != NULL) {
        mdb_env_close(log->mdb);
        if (log->sound && !atomic_load(&log->failed)) local_directory_mark(log->directory);
    }
    if (log->lock_fd >= 0) (void)close(log->lock_fd); /* gives the lock back */
    (void)pthread_mutex_destroy(&log->queue_mutex);
    (void)pthread_cond_destroy(&log->queue_turn);
    (void)pthread_mutex_destroy(&log->gate_mutex);
    (void)pthread_cond_destroy(&log->gate_turn);
    (void)pthread_mutex_destroy(&log->members_mutex);
    free(log->directory);
    free(log->name);
    free(log);
}

void local_close(mri_log *log) {
    local_free((struct local_log *)log);
}

static struct local_log *local_new(const char *directory, const mri_env *env) {
    struct local_log *log = mri_calloc(1, sizeof *log);
    const size_t size = strlen(directory) + 1;
    log->env = env;
    log->lock_fd = -1;
    log->queue_tail = &log->queue_head;
    log->directory = memcpy(mri_malloc(size), directory, size);
    log->name = mri_malloc(size + 6);
    (void)snprintf(log->name, size + 6, "local:%s", directory);
    log->base = (mri_log){
        .ops = &local_ops, .name = log->name, .transaction_bytes = LOCAL_TRANSACTION_BYTES};
    (void)pthread_mutex_init(&log->queue_mutex, NULL);
    (void)pthread_cond_init(&log->queue_turn, NULL);
    (void)pthread_mutex_init(&log->gate_mutex, NULL);
    (void)pthread_cond_init(&log->gate_turn, NULL);
    (void)pthread_mutex_init(&log->members_mutex, NULL);
    return log;
}

mr_status mri_local_open(const mri_local_config *config, const mri_env *env, mri_log **out,
                         mr_error *err) {
    bool made = false;
    struct local_log *log = local_new(config->directory, env);
    mr_status status = local_directory_open(config, &log->lock_fd, &made, err);
    if (status != MR_OK) log->lock_fd = -1;
    if (status == MR_OK && !made && !local_directory_marked(log->directory)) {
        status = local_verify(log->directory, err);
    }
    if (status == MR_OK) status = environment_open(log, config->map_bytes, err);
    if (status == MR_OK) status = environment_note(log, err);
    if (status == MR_OK) status = local_write(log, tables_open, &made, "the log is opened", err);
    if (status == MR_OK) status = local_topics_load(log, err);
    if (status == MR_OK && made) status = local_directory_finish(log->directory, err);
    if (status != MR_OK) {
        local_free(log);
        return status;
    }
    log->sound = true;
    *out = &log->base;
    return MR_OK;
}
