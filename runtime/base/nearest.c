/* nearest.c: the name that was probably meant. */
#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { NEAREST_MAX = 64 }; /* bytes; nobody mistypes a longer name into something near */

static char fold(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Damerau-Levenshtein (adjacent letters swapped count once), without regard to case. */
static uint32_t distance(const char *a, size_t a_size, const char *b, size_t b_size) {
    uint32_t rows[3][NEAREST_MAX + 1];
    for (uint32_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (uint32_t i = 1; i <= a_size; i++) {
        uint32_t *row = rows[i % 3];
        const uint32_t *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (uint32_t j = 1; j <= b_size; j++) {
            const bool same = fold(a[i - 1]) == fold(b[j - 1]);
            row[j] = least(least(up[j], row[j - 1]) + 1, up[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1])) {
                row[j] = least(row[j], up2[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

const char *mri_nearest(const char *given, const char *const *names, uint32_t count) {
    const size_t size = strlen(given);
    if (size == 0 || size > NEAREST_MAX) return NULL;
    const char *best = NULL;
    uint32_t best_distance = (uint32_t)(size + 2) / 3 + 1;
    for (uint32_t i = 0; i < count; i++) {
        const size_t name_size = strlen(names[i]);
        if (name_size == 0 || name_size > NEAREST_MAX) continue;
        const uint32_t d = distance(given, size, names[i], name_size);
        /* Two names that have no letter in common are not near, however short they are. */
        if (d < best_distance && d < size && d < name_size) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
