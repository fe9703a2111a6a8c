/** source.h: sources and sinks: descriptors like all others, whose bytes move through these calls.
 *  They do no input or output of their own: files, lines and codecs are services. */
#ifndef MR_SOURCE_H
#define MR_SOURCE_H

#include "millrace/operator.h"

enum { MR_POSITION_MAX = 16384, MR_LINE_MAX = 1 << 20 };

typedef struct mr_file mr_file;       /**< opaque */
typedef struct mr_decoder mr_decoder; /**< opaque: text of one row to columns */
typedef struct mr_encoder mr_encoder; /**< opaque: one row to text */

/** Where a value stands in a JSON text, as mr_json_pick() found it. */
typedef struct mr_json_value {
    const char *data; /**< strings: without quotes, escapes as written */
    uint32_t size;
    char kind; /**< 's' string, 'n' number, 't' true, 'f' false, '0' null, 'o' object or array,
                    0 absent */
} mr_json_value;

/** One line of a text file. Offsets count uncompressed bytes. */
typedef struct mr_line {
    const char *data; /**< without the line end; valid until the next call on the file */
    uint32_t size;
    int64_t number; /**< from 1 */
    int64_t next;   /**< offset of the byte after the line end */
} mr_line;

typedef enum mr_text_format { MR_TEXT_CSV = 1, MR_TEXT_JSONL } mr_text_format;

/** What sources and sinks may ask of the world; simulated in tests. */
typedef struct mr_io {
    uint32_t abi, size;
    void *self;
    int64_t (*wall_us)(void *self);
    void *(*alloc)(void *self, size_t bytes); /**< zeroed, lives as long as the source or sink */

    /* reading: plain or gzip, told apart by content */
    mr_status (*open)(void *self, const char *path, mr_file **out, mr_error *);
    mr_status (*line)(mr_file *, mr_line *out, bool *end, mr_error *); /**< ERR_RECORD: too long,
                                              skipped; call again */
    mr_status (*seek)(mr_file *, int64_t offset, int64_t line, mr_error *); /**< `line` lines were
                                              read before `offset` */
    void (*close)(mr_file *);
    /** Paths that match a glob, sorted; a plain path matches itself even if it does not exist. */
    mr_status (*glob)(void *self, const char *pattern, const char *const **paths, uint32_t *count,
                      mr_error *);
    mr_status (*decoder)(void *self, mr_text_format, const mr_schema *, mr_decoder **out,
                         mr_error *);
    mr_status (*header)(mr_decoder *, const char *line, uint32_t size,
                        mr_error *); /**< CSV names */
    /** Fills row `row` of the columns; strings are copied to the batch. ERR_RECORD: malformed. */
    mr_status (*decode)(mr_decoder *, const char *line, uint32_t size, mr_batch *, uint32_t row,
                        mr_error *);
    /** Finds the values at `paths` ("data.p") in one pass; false: not valid JSON. */
    bool (*json_pick)(const char *text, uint32_t size, const char *const *paths, uint32_t count,
                      mr_json_value *out);
    bool (*parse_f64)(const char *text, uint32_t size, double *out); /**< finite numbers only */
    bool (*parse_i64)(const char *text, uint32_t size, int64_t *out);
    /** A copy that lives as long as the batch being filled. */
    mr_string (*keep)(void *self, const char *data, uint32_t size);

    /* writing */
    mr_status (*create)(void *self, const char *path, mr_file **out, int64_t *bytes, mr_error *);
    mr_status (*append)(mr_file *, const void *data, size_t size, mr_error *); /**< buffered */
    mr_status (*sync)(mr_file *, mr_error *); /**< written out and fsynced */
    mr_status (*truncate)(mr_file *, int64_t bytes,
                          mr_error *); /**< drops the buffer, cuts, fsyncs */
    mr_status (*encoder)(void *self, mr_text_format, const mr_schema *, mr_encoder **out,
                         mr_error *);
    mr_string (*encode_header)(mr_encoder *); /**< with its line end; empty for JSON lines */
    mr_string (*encode)(mr_encoder *, const mr_batch *, uint32_t row); /**< with its line end */

    /** Many lines at once: fills rows from `row` on, at most `max`, from the lines that follow, as
     *  far as they are at hand and can be read; how many. *next: what line() has given last. The line
     *  behind them is for line() and decode(), which say what there is to say of it. */
    uint32_t (*rows)(mr_file *, mr_decoder *, mr_batch *, uint32_t row, uint32_t max,
                     mr_line *next);
} mr_io;

/** One running source. One task owns it. */
typedef struct mr_source_ctx {
    const void *options;
    const mr_io *io;
    const mr_schema *schema;
    void *self;           /**< the source's own, from io->alloc */
    mr_batch *out;        /**< poll() appends rows: columns and time_us; slot is the runtime's */
    mr_origin *origins;   /**< origins[out->origin[row]], one per row, filled by poll() */
    int64_t watermark_us; /**< set by poll(): no later row is earlier; MR_TIME_NONE: not known */
    bool connected;       /**< set by poll() */
    bool ended;           /**< set by poll(): finite and at its end */
    bool finite;          /**< set by open() */
    int64_t rejected;     /**< rows that were malformed; reported through reject() */
    int64_t skipped;      /**< input that is not meant to become a row */
    /** Reports a malformed row with its place; the runtime applies on_error. MR_OK: go on. */
    mr_status (*reject)(struct mr_source_ctx *, const char *file, int64_t line, const char *reason,
                        const char *raw, uint32_t raw_size);
    mr_error *error;
    void *runtime;
} mr_source_ctx;

struct mr_source_calls {
    mr_status (*open)(mr_source_ctx *);
    /** Goes to a saved position; size 0: the beginning. Also called after an abort. */
    mr_status (*seek)(mr_source_ctx *, const void *position, size_t size);
    /** Appends at most out->capacity - out->rows rows, never waits longer than 100 ms. */
    mr_status (*poll)(mr_source_ctx *);
    /** Writes where the next row stands, at most MR_POSITION_MAX bytes; returns the size. */
    size_t (*position)(const mr_source_ctx *, void *out);
    void (*close)(mr_source_ctx *);
};

/** One running sink of one task. */
typedef struct mr_sink_ctx {
    const void *options;
    const mr_io *io;
    const mr_schema *schema;
    uint32_t partition, partitions;
    bool fresh; /**< what stands there may be overwritten */
    void *self;
    mr_error *error;
    void *runtime;
} mr_sink_ctx;

struct mr_sink_calls {
    bool partitioned_path; /**< needs {partition} in its path option when there are several tasks */
    /** Cuts back to the saved position; size 0: starts anew and must not destroy what it did not
     *  write unless ctx->fresh. */
    mr_status (*open)(mr_sink_ctx *, const void *position, size_t size);
    mr_status (*write)(mr_sink_ctx *, const mr_batch *, uint32_t row, uint32_t end);
    /** Makes all that was written durable, before the commit that records position(). */
    mr_status (*flush)(mr_sink_ctx *);
    size_t (*position)(const mr_sink_ctx *, void *out);
    /** Drops what was written since the last commit, whose position is given. */
    mr_status (*rewind)(mr_sink_ctx *, const void *position, size_t size);
    void (*close)(mr_sink_ctx *);
};

#endif
