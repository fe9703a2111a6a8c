/* support_dir.c: directories for tests. */
#define _XOPEN_SOURCE 700 /* nftw() */
#include "support_dir.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

void support_dir_make(char *out, size_t room) {
    const char *root = getenv("TMPDIR");
    const int size = snprintf(out, room, "%s/millrace-test.XXXXXX", root != NULL ? root : "/tmp");
    cr_assert(size > 0 && (size_t)size < room, "TMPDIR is too long");
    cr_assert_not_null(mkdtemp(out), "no temporary directory %s", out);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

void support_dir_remove(const char *directory) {
    (void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
