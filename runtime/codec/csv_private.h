/* csv_private.h: what csv.c and csv_plain.c share. */
#ifndef MRI_CSV_PRIVATE_H
#define MRI_CSV_PRIVATE_H

#include <stdbool.h>

#include "base/take.h"
#include "codec/codec.h"

enum {
    CSV_NO_COLUMN = -1,
    CSV_AHEAD_MIN = 512,
};

/* Where the cells of lines that follow each other end in a piece of text: a table of as many places per
 * line as the header has, each the front of the cell behind it. */
struct csv_places {
    uint16_t fronts[1 + MRI_CSV_PIECE]; /* the first stands before the text: at -1, modulo 65536 */
    uint32_t count;                     /* of ends, those of an incomplete line among them */
    uint32_t lines;
    bool cr; /* all of these lines end with CR LF */
    bool ascii;
};

struct mri_csv_decoder {
    mr_arena *arena;
    const mr_schema *schema;
    int32_t *columns; /* per cell of a line: column or CSV_NO_COLUMN; NULL: no header seen */
    uint32_t cells;
    bool *present;     /* per column: the header names it */
    mri_minute minute; /* of the time that was read last */
    uint32_t ahead;    /* bytes to look through: few where many lines cannot be read */
    struct csv_places places;
};

struct csv_cell {
    const char *data; /* of a quoted cell: between the quotes, which may stand doubled inside */
    size_t size;
    bool quoted, doubled;
};

/* One cell, the long way. */
mr_status mri_csv_cell(mri_csv_decoder *d, uint32_t column, struct csv_cell cell,
                       mri_decode_target *to, uint32_t row, mr_error *err);
/* One line, the long way: with quotes, and with what is wrong with it. */
mr_status mri_csv_line(mri_csv_decoder *d, const char *line, size_t size, mri_decode_target *to,
                       uint32_t row, mr_error *err);
/* One line without quotes. False: it is none, or something is wrong with it. */
bool mri_csv_plain(mri_csv_decoder *d, const char *line, size_t size, mri_decode_target *to,
                   uint32_t row);
/* One cell of fewer than MRI_CSV_PIECE bytes, in front of whose end MRI_TAKE_BEFORE may be read. */
bool mri_csv_plain_cell(mri_csv_decoder *d, uint32_t column, const char *data, size_t size,
                        mri_decode_target *to, uint32_t row);

#endif
