/* text.h: a growing byte buffer. */
#ifndef MRI_TEXT_H
#define MRI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. `data` is always terminated once something was added. */
typedef struct mri_text {
    char *data;
    size_t size, capacity;
} mri_text;

/* Room for `bytes` more behind data + size; returns that place. */
char *mri_text_reserve(mri_text *text, size_t bytes);
void mri_text_add(mri_text *text, const void *data, size_t bytes);
void mri_text_puts(mri_text *text, const char *string);
void mri_text_printf(mri_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mri_text_clear(mri_text *text); /* keeps the memory */
void mri_text_free(mri_text *text);

#endif
