/* support_dir.h: directories for tests. */
#ifndef SUPPORT_DIR_H
#define SUPPORT_DIR_H

#include <stddef.h>

/* A new empty directory under TMPDIR or /tmp. */
void support_dir_make(char *out, size_t room);
/* With everything in it. */
void support_dir_remove(const char *directory);

#endif
