/* options_common.c: messages, paths and files as all parts of the planner use them. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/options.h"

enum { NAMES_SHOWN = 12 };

void mri_plan_error(mri_plan_env *env, uint32_t code, const mri_node *node, const char *hint,
                    const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = mri_vformat(env->arena, format, args);
    va_end(args);
    mri_diag_add(env->diags, code, MRI_SEV_ERROR, node->at, node->width, hint, "%s", text);
}

const char *mri_plan_quote(mri_plan_env *env, const mri_node *node) {
    const char *shown = mri_node_show(env->arena, node);
    if (node->kind != MRI_SCALAR || node->secret) return shown;
    if (mri_node_is_null(node)) return "nothing";
    return mri_format(env->arena, "'%s'", shown);
}

const char *mri_plan_nearest(mri_plan_env *env, const char *given, const char *const *names,
                             uint32_t count) {
    if (mri_diags_errors(env->diags) > MRI_DIAGS_MAX) return NULL;
    return mri_nearest(given, names, count);
}

const char *mri_plan_hint(mri_plan_env *env, const char *given, const char *const *names,
                          uint32_t count, const char *label) {
    /* Diagnostics past the limit are only counted; their hints would be worked out for nobody. */
    if (count == 0 || mri_diags_errors(env->diags) >= MRI_DIAGS_MAX) return NULL;
    const char *near = mri_plan_nearest(env, given, names, count);
    if (near != NULL) return mri_format(env->arena, "did you mean '%s'?", near);
    mri_text text = {0};
    mri_text_puts(&text, label);
    for (uint32_t i = 0; i < count && i < NAMES_SHOWN; i++) {
        mri_text_printf(&text, "%s %s", i > 0 ? "," : "", names[i]);
    }
    if (count > NAMES_SHOWN) {
        mri_text_printf(&text, " and %u more", (unsigned)(count - NAMES_SHOWN));
    }
    const char *hint = mri_strndup(env->arena, text.data, text.size);
    mri_text_free(&text);
    return hint;
}

const char *mri_plan_where(mri_plan_env *env, mr_pos at, mr_pos from) {
    const bool same = at.file == NULL || from.file == NULL || strcmp(at.file, from.file) == 0;
    if (same) return mri_format(env->arena, "line %u", (unsigned)at.line);
    return mri_format(env->arena, "%s:%u", at.file, (unsigned)at.line);
}

const char *mri_plan_path(mri_plan_env *env, const char *path) {
    if (path[0] == '/' || env->folder == NULL || strcmp(env->folder, ".") == 0) return path;
    const size_t size = strlen(env->folder);
    const bool slash = size > 0 && env->folder[size - 1] == '/';
    return mri_format(env->arena, "%s%s%s", env->folder, slash ? "" : "/", path);
}

bool mri_plan_secret(mri_plan_env *env, const char *owner, const char *name, const mri_node *node,
                     const char **out) {
    mr_error err = {0};
    mri_node copy = *node; /* nodes are shared by all aliases of an anchor */
    const char *folder = strcmp(env->folder, ".") == 0 ? NULL : env->folder;
    const mr_status status = mri_secret_read(env->arena, &copy, folder, out, &err);
    if (status == MR_OK) {
        if (*out == NULL) env->unresolved = true;
        return *out != NULL;
    }
    /* Lists and maps are taken for a secret as well: lines with E051 are not shown. */
    const uint32_t code = status == MR_ERR_IO ? 60 : mri_node_is_null(node) ? 11 : 51;
    mri_plan_error(env, code, node, NULL, "%s.%s: %s", owner, name, err.text);
    return false;
}

/* The system's words for the failures that people meet, in the form of our own. */
static const char *io_text(int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return "there is no such file";
    case EACCES:
    case EPERM:
        return "it may not be read by this user";
    case ENAMETOOLONG:
        return "its name is too long";
    case EMFILE:
    case ENFILE:
        return "too many files are open";
    default:
        return strerror(error);
    }
}

static mr_status read_all(mri_plan_env *env, int fd, mri_plan_file *file, mr_error *err) {
    char *data = mri_alloc(env->arena, file->size + 1);
    size_t done = 0;
    while (done < file->size) {
        const ssize_t got = read(fd, data + done, file->size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            return mr_fail(err, MR_ERR_IO, NULL, "cannot read '%s': %s", file->path,
                           io_text(errno));
        }
        if (got == 0) break;
        done += (size_t)got;
    }
    file->size = done;
    data[done] = '\0';
    file->data = data;
    return MR_OK;
}

static mr_status open_file(mri_plan_env *env, const char *path, mri_plan_file *file,
                           mr_error *err) {
    /* Without O_NONBLOCK a named pipe that nobody writes would hold us for ever. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return mr_fail(err, MR_ERR_IO, NULL, "cannot read '%s': %s", path, io_text(errno));
    }
    struct stat info;
    mr_status status = MR_OK;
    if (fstat(fd, &info) != 0) {
        status = mr_fail(err, MR_ERR_IO, NULL, "cannot read '%s': %s", path, io_text(errno));
    } else if (!S_ISREG(info.st_mode)) {
        status = mr_fail(err, MR_ERR_IO, NULL, "cannot read '%s': it is %s", path,
                         S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
    } else if (info.st_size > MRI_PLAN_FILE_MAX) {
        status = mr_fail(err, MR_ERR_LIMIT, NULL, "'%s' has %lld bytes, at most %d are read", path,
                         (long long)info.st_size, (int)MRI_PLAN_FILE_MAX);
    } else if ((size_t)info.st_size > MRI_PLAN_FILES_MAX - env->files_bytes) {
        status = mr_fail(err, MR_ERR_LIMIT, NULL,
                         "with '%s' the files of this pipeline have more than %d bytes", path,
                         (int)MRI_PLAN_FILES_MAX);
    } else {
        file->path = mri_strdup(env->arena, path);
        file->size = (size_t)info.st_size;
        status = read_all(env, fd, file, err);
    }
    (void)close(fd);
    return status;
}

mr_status mri_plan_read_file(mri_plan_env *env, const char *path, mr_pos at,
                             const mri_plan_file **out, mr_error *err) {
    for (const mri_plan_file *file = env->files; file != NULL; file = file->next) {
        if (strcmp(file->path, path) == 0) {
            *out = file;
            return MR_OK;
        }
    }
    mri_plan_file *file = mri_alloc(env->arena, sizeof *file);
    const mr_status status = open_file(env, path, file, err);
    if (status != MR_OK) return status;
    env->files_bytes += file->size;
    file->at = at;
    file->next = env->files;
    env->files = file;
    *out = file;
    return MR_OK;
}

static bool name_ok(const char *name, bool dash) {
    const char *at = name;
    for (; *at != '\0'; at++) {
        const bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        const bool later = (*at >= '0' && *at <= '9') || (dash && *at == '-');
        if (!letter && !(later && at > name)) return false;
    }
    return at > name && at - name <= MR_NAME_MAX;
}

bool mri_column_name_ok(const char *name) {
    return name_ok(name, false);
}

bool mri_ident_ok(const char *name) {
    return name_ok(name, true);
}
