/* support_main.c: repeats inputs without libFuzzer: `fuzz_json FILE|FOLDER..`. They run in a process
 * of its own, so that the one at which it dies can be named. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/text.h"
#include "support_fuzz.h"

enum { PATH_ROOM = 1024 };

/* Where the child is, for its parent. */
static struct place {
    char path[PATH_ROOM];
    uint32_t done;
} * place;

static void run_file(const char *path, size_t size) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = mri_malloc(size + 1);
    (void)snprintf(place->path, sizeof place->path, "%s", path);
    if (file == NULL || fread(data, 1, size, file) != size) {
        (void)fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    (void)fclose(file);
    uint8_t *exact = (uint8_t *)fuzz_copy(data, size);
    free(data);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    place->done++;
}

static int is_shown(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* A folder that is not there has no inputs: nothing may have crashed yet. */
static void run_path(const char *path) {
    struct stat about;
    struct dirent **entries = NULL;
    if (stat(path, &about) != 0) return;
    if (!S_ISDIR(about.st_mode)) {
        run_file(path, (size_t)about.st_size);
        return;
    }
    const int count = scandir(path, &entries, is_shown, alphasort);
    for (int i = 0; i < count; i++) {
        char inner[PATH_ROOM];
        (void)snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        if (stat(inner, &about) == 0 && S_ISREG(about.st_mode)) {
            run_file(inner, (size_t)about.st_size);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s FILE|FOLDER..\n", argv[0]);
        return 2;
    }
    place = mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return 2;
    const pid_t child = fork();
    if (child == 0) {
        (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
        for (int i = 1; i < argc; i++) {
            run_path(argv[i]);
        }
        exit(place->done > 0 ? 0 : 3);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 2;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        (void)printf("%u inputs hold\n", place->done);
        return 0;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        (void)fprintf(stderr, "there are no inputs\n");
    } else {
        (void)fprintf(stderr, "it died at input %u; this repeats it:\n  %s %s\n", place->done + 1,
                      argv[0], place->path);
    }
    return 1;
}
