/* trim.c: pages of the log's file that this process has in its map.
 *
 * LMDB reads through a map of the whole file, and every page that was ever looked at stays there until
 * the system wants it back: a log of gigabytes looks like a process of gigabytes. From time to time
 * they are let go of. They stay in the system's cache, so the next look costs no disk. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "log/local/local.h"

enum { MAPS_LINE = 512, LOOK_BYTES = 4 << 20 };
#define MAPPED_BYTES_MAX (INT64_C(64) << 20) /* that come in between two trims */

/* Bytes of files in the memory of this process. */
static int64_t mapped_bytes(void) {
    int64_t resident = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    const int fields = fscanf(file, "%*d %" SCNd64 " %" SCNd64, &resident, &shared);
    (void)fclose(file);
    return fields == 2 ? shared * sysconf(_SC_PAGESIZE) : 0;
}

static void map_let_go(const struct local_log *log) {
    char line[MAPS_LINE];
    struct stat data;
    mdb_filehandle_t fd = -1;
    if (mdb_env_get_fd(log->mdb, &fd) != 0 || fstat(fd, &data) != 0) return;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from = 0, to = 0;
        unsigned major_part = 0, minor_part = 0;
        uintmax_t inode = 0;
        const int fields = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %x:%x %" SCNuMAX, &from,
                                  &to, &major_part, &minor_part, &inode);
        if (fields == 5 && inode == data.st_ino && makedev(major_part, minor_part) == data.st_dev) {
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
        }
    }
    if (maps != NULL) (void)fclose(maps);
}

void local_trim(struct local_log *log) {
    const int64_t mapped = mapped_bytes(), least = atomic_load(&log->mapped_bytes);
    if (mapped < least) atomic_store(&log->mapped_bytes, mapped);
    if (mapped - least < MAPPED_BYTES_MAX) return;
    map_let_go(log);
    atomic_store(&log->mapped_bytes, mapped_bytes());
}

void local_trim_read(struct local_log *log, size_t bytes) {
    const int64_t more = (int64_t)bytes;
    if (atomic_fetch_add(&log->read_bytes, more) + more < LOOK_BYTES) return;
    atomic_store(&log->read_bytes, 0);
    local_trim(log);
}
