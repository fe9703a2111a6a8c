/* error.c: statuses, their texts and actions. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "millrace/schema.h"

mr_status mr_fail(mr_error *err, mr_status status, const char *option, const char *format, ...) {
    if (err == NULL) return status;
    *err = (mr_error){.status = status, .option = option};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return status;
}

mr_status mr_fail_in(mr_error *err, const char *format, ...) {
    if (err == NULL) return MR_ERR_STATE;
    char text[sizeof err->text];
    memcpy(text, err->text, sizeof text);
    va_list args;
    va_start(args, format);
    const int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    const size_t at = used < 0 ? 0 : (size_t)used;
    if (at + 2 < sizeof err->text) {
        const size_t room = sizeof err->text - at - 3;
        (void)snprintf(err->text + at, sizeof err->text - at, ": %.*s", (int)room, text);
    }
    return err->status;
}

const char *mri_status_name(mr_status status) {
#define X(name, action, text) \
    case MR_##name:           \
        return #name;
    switch (status) { MR_STATUS_MAP(X) }
#undef X
    return "?";
}

const char *mri_status_text(mr_status status) {
#define X(name, action, text) \
    case MR_##name:           \
        return text;
    switch (status) { MR_STATUS_MAP(X) }
#undef X
    return "?";
}

mr_action mri_status_action(mr_status status) {
#define X(name, action, text) \
    case MR_##name:           \
        return MR_##action;
    switch (status) { MR_STATUS_MAP(X) }
#undef X
    return MR_STOP;
}

const char *mri_type_name(int type) {
    switch (type) {
    case MR_BOOL:
        return "bool";
    case MR_I64:
        return "int64";
    case MR_F64:
        return "float64";
    case MR_STRING:
        return "string";
    case MR_BYTES:
        return "bytes";
    case MR_TIMESTAMP:
        return "timestamp";
    default:
        return "?";
    }
}
