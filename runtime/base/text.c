/* text.c: a growing byte buffer. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

char *mri_text_reserve(mri_text *text, size_t bytes) {
    const size_t wanted = text->size + bytes + 1;
    if (wanted > text->capacity) {
        size_t capacity = text->capacity > 0 ? text->capacity : 64;
        while (capacity < wanted) {
            capacity *= 2;
        }
        text->data = mri_realloc(text->data, capacity, 1);
        text->capacity = capacity;
    }
    return text->data + text->size;
}

void mri_text_add(mri_text *text, const void *data, size_t bytes) {
    char *to = mri_text_reserve(text, bytes);
    if (bytes > 0) memcpy(to, data, bytes);
    text->size += bytes;
    text->data[text->size] = '\0';
}

void mri_text_puts(mri_text *text, const char *string) {
    mri_text_add(text, string, strlen(string));
}

void mri_text_printf(mri_text *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size > 0) {
        (void)vsnprintf(mri_text_reserve(text, (size_t)size), (size_t)size + 1, format, args);
        text->size += (size_t)size;
    }
    va_end(args);
}

void mri_text_clear(mri_text *text) {
    text->size = 0;
    if (text->data != NULL) text->data[0] = '\0';
}

void mri_text_free(mri_text *text) {
    free(text->data);
    *text = (mri_text){0};
}
