/* csv_plain.c: lines as nearly all are, without quotes, a column at a time.
 *
 * Where cells end is found first, for many lines at once and without looking at what they hold; then
 * the cells of each column are read one after the other. So no cell waits for the one in front of it,
 * and each loop meets one type. */
#include <string.h>

#include "codec/csv_private.h"
#include "codec/lex.h"
#include "codec/marks.h"

/* The cells of one column in lines that follow each other. */
struct cells {
    mri_csv_decoder *d;
    mri_decode_target *to;
    const char *text, *limit; /* what may be looked at */
    const uint16_t
        *fronts; /* places in front of the cells, `step` apart; those behind them follow */
    uint32_t step;
    uint32_t tail;  /* 1: a CR stands at the end of each */
    uint32_t index; /* of the column */
    uint32_t row;   /* of the first of them */
    uint32_t rows;
};

/* --- places ------------------------------------------------------------------------------------
 */

static mri_marks marks_at(const char *text, uint32_t size) {
    char rest[MRI_MARKS_BYTES] = {0};
    if (size >= MRI_MARKS_BYTES) return mri_marks_of(text);
    memcpy(rest, text, size);
    return mri_marks_of(rest);
}

/* Where the line of `cells` cells behind `front` ends, a CR in front of that not counted: the same in all
 * lines of a table. False: it ends elsewhere, in another way, or is empty, and so no row. */
static inline bool line_fits(struct csv_places *places, const char *text, const uint16_t *front,
                             const uint16_t *last, uint32_t end) {
    const uint32_t begin = (uint16_t)(*front + 1);
    if (*last != end || end == begin) return false;
    const bool cr = text[end - 1] == '\r';
    if (places->lines == 0) places->cr = cr;
    return cr == places->cr && end - (uint32_t)cr > begin;
}

/* Whole lines that have as many cells each as the header, at most `max`, up to the first that has not. */
static void places_find(struct csv_places *places, const char *text, uint32_t size, uint32_t cells,
                        uint32_t max) {
    const uint16_t *front = places->fronts;
    uint16_t *behind = places->fronts + 1;
    bool more = max > 0;
    places->fronts[0] = UINT16_MAX;
    places->lines = 0;
    places->cr = false;
    places->ascii = true;
    for (uint32_t at = 0; more && at < size; at += MRI_MARKS_BYTES) {
        mri_marks marks = marks_at(text + at, size - at);
        for (; marks.ends != 0; marks.ends &= marks.ends - 1) {
            *behind++ = (uint16_t)(at + (uint32_t)__builtin_ctzll(marks.ends));
        }
        for (; more && marks.lines != 0; marks.lines &= marks.lines - 1) {
            const uint32_t end = at + (uint32_t)__builtin_ctzll(marks.lines);
            more = behind - front > cells && line_fits(places, text, front, front + cells, end);
            if (!more) break;
            front += cells;
            more = ++places->lines < max;
        }
        places->ascii &= marks.ascii;
    }
    places->count = (uint32_t)(behind - places->fronts - 1);
}

/* --- cells -------------------------------------------------------------------------------------
 */

static inline const char *cell_at(const struct cells *c, const uint16_t *front, uint32_t *size) {
    const char *at = c->text + (uint16_t)(front[0] + 1);
    *size = (uint32_t)(c->text + front[1] - c->tail - at);
    return at;
}

/* The bytes in front of its end that numbers are read from. */
static inline bool has_before(const uint16_t *front) {
    return front[1] > MRI_TAKE_BEFORE;
}

/* Whatever is not as most are. False: it cannot be read. */
static bool cell_other(const struct cells *c, uint32_t row) {
    uint32_t size = 0;
    const char *at = cell_at(c, c->fronts + (size_t)row * c->step, &size);
    const struct csv_cell cell = {.data = at, .size = size};
    return mri_csv_cell(c->d, c->index, cell, c->to, c->row + row, NULL) == MR_OK;
}

/* Numbers and times. */
static uint32_t cells_values(const struct cells *cells, const mr_column *column) {
    const struct cells c = *cells;
    const mr_type type = column->type;
    int64_t *const i64 = column->i64 + c.row;
    double *const f64 = column->f64 + c.row;
    const uint16_t *front = c.fronts;
    for (uint32_t row = 0; row < c.rows; row++, front += c.step) {
        uint32_t size = 0;
        const char *at = cell_at(&c, front, &size);
        bool taken = false;
        if (type == MR_TIMESTAMP) {
            taken = mri_take_time(at, size, &c.d->minute, &i64[row]);
        } else if (has_before(front)) {
            taken = type == MR_F64 ? mri_take_f64(at, size, &f64[row])
                                   : mri_take_i64(at, size, &i64[row]);
        }
        if (!taken && !cell_other(cells, row)) return row;
    }
    return c.rows;
}

/* In steps of MRI_COPY_SLACK bytes: most strings are short, and their sizes differ. */
static inline void string_copy(const char *at, uint32_t size, const char *limit, char *to) {
    for (uint32_t done = 0; done < size; done += MRI_COPY_SLACK) {
        if (limit - at - done < MRI_COPY_SLACK) {
            memcpy(to + done, at + done, size - done);
            return;
        }
        memcpy(to + done, at + done, MRI_COPY_SLACK);
    }
}

static uint32_t cells_string(const struct cells *cells, mr_string *out) {
    const struct cells c = *cells;
    const uint16_t *front = c.fronts;
    const bool ascii = c.d->places.ascii;
    char *copies = c.to->copies;
    uint32_t row = 0;
    for (; row < c.rows; row++, front += c.step) {
        uint32_t size = 0;
        const char *at = cell_at(&c, front, &size);
        if (size == 0 || (!ascii && !mri_utf8_valid(at, size))) {
            c.to->copies = copies;
            if (!cell_other(cells, row)) return row;
            copies = c.to->copies;
            continue;
        }
        out[row] = (mr_string){copies != NULL ? copies : at, size};
        if (copies == NULL) continue;
        string_copy(at, size, c.limit, copies);
        copies += size;
    }
    c.to->copies = copies;
    return c.rows;
}

static uint32_t cells_other(const struct cells *c) {
    uint32_t row = 0;
    while (row < c->rows && cell_other(c, row)) {
        row++;
    }
    return row;
}

/* How many of them could be read. */
static uint32_t cells_read(const struct cells *c) {
    const mr_column column = c->to->batch->columns[c->index];
    memset(column.valid + c->row, 1, c->rows);
    switch (column.type) {
    case MR_F64:
    case MR_I64:
    case MR_TIMESTAMP:
        return cells_values(c, &column);
    case MR_STRING:
        return cells_string(c, column.str + c->row);
    case MR_BOOL:
    case MR_BYTES:
        break;
    }
    return cells_other(c);
}

bool mri_csv_plain_cell(mri_csv_decoder *d, uint32_t column, const char *data, size_t size,
                        mri_decode_target *to, uint32_t row) {
    /* From MRI_TAKE_BEFORE bytes in front of it on, which may be where the line begins. */
    const uint16_t fronts[] = {MRI_TAKE_BEFORE - 1, (uint16_t)(MRI_TAKE_BEFORE + size)};
    const struct cells one = {.d = d,
                              .to = to,
                              .text = data - MRI_TAKE_BEFORE,
                              .limit = data + size,
                              .fronts = fronts,
                              .index = column,
                              .row = row,
                              .rows = 1};
    return cells_read(&one) == 1;
}

/* Rows from `row` on out of lines whose places are known; how many could be read. */
static uint32_t lines_read(mri_csv_decoder *d, const char *text, const char *limit,
                           mri_decode_target *to, uint32_t row) {
    const struct csv_places *places = &d->places;
    struct cells c = {.d = d,
                      .to = to,
                      .text = text,
                      .limit = limit,
                      .step = d->cells,
                      .row = row,
                      .rows = places->lines};
    for (uint32_t cell = 0; cell < d->cells; cell++) {
        if (d->columns[cell] == CSV_NO_COLUMN) continue;
        c.index = (uint32_t)d->columns[cell];
        c.fronts = places->fronts + cell;
        c.tail = places->cr && cell + 1 == d->cells;
        c.rows = cells_read(&c);
    }
    for (uint32_t i = 0; i < d->schema->count; i++) {
        for (uint32_t k = 0; k < c.rows && !d->present[i]; k++) {
            mri_cell_null(to->batch->columns[i], row + k);
        }
    }
    return c.rows;
}

/* --- lines -------------------------------------------------------------------------------------
 */

bool mri_csv_plain(mri_csv_decoder *d, const char *line, size_t size, mri_decode_target *to,
                   uint32_t row) {
    struct csv_places *places = &d->places;
    if (size == 0 || size >= MRI_CSV_PIECE || memchr(line, '"', size) != NULL) return false;
    places_find(places, line, (uint32_t)size, d->cells, 1);
    if (places->count + 1 != d->cells) return false;
    for (uint32_t i = 1; i <= places->count; i++) {
        if (line[places->fronts[i]] != ',') return false;
    }
    places->fronts[d->cells] = (uint16_t)size;
    places->lines = 1;
    return lines_read(d, line, line + size, to, row) == 1;
}

/* A line with quotes, or with something wrong. */
static bool line_other(mri_csv_decoder *d, const char *line, const char *end, mri_decode_target *to,
                       uint32_t row) {
    if (end > line && end[-1] == '\r') end--;
    return end > line && mri_csv_line(d, line, (size_t)(end - line), to, row, NULL) == MR_OK;
}

uint32_t mri_csv_rows(mri_csv_decoder *d, const char *text, size_t size, mri_decode_target *to,
                      uint32_t row, uint32_t max, size_t *used) {
    struct csv_places *places = &d->places;
    const char *at = text, *const limit = text + (size < d->ahead ? size : d->ahead);
    uint32_t rows = 0;
    bool good = d->columns != NULL;
    while (good && rows < max && at < limit) {
        const char *quote = memchr(at, '"', (size_t)(limit - at));
        const char *end = quote != NULL ? quote : limit;
        places_find(places, at, (uint32_t)(end - at), d->cells, max - rows);
        const uint32_t read = lines_read(d, at, limit, to, row + rows);
        rows += read;
        at += (uint16_t)(places->fronts[read * d->cells] + 1);
        good = read == places->lines;
        if (!good || rows == max) break;
        end = memchr(at, '\n', (size_t)(limit - at));
        if (end == NULL) break;
        good = line_other(d, at, end, to, row + rows);
        rows += good;
        at = good ? end + 1 : at;
    }
    if (good && d->ahead < MRI_CSV_PIECE) d->ahead *= 2;
    if (!good && d->ahead > CSV_AHEAD_MIN) d->ahead /= 2;
    *used = (size_t)(at - text);
    return rows;
}
