/* codec.h: bytes of one record to one row of columns and back, compiled once per schema pair. */
#ifndef MRI_CODEC_H
#define MRI_CODEC_H

#include "base/text.h"
#include "millrace/batch.h"

typedef enum mri_record_format { MRI_AVRO = 1, MRI_JSON } mri_record_format;

/* Memory that lives as long as the batch being filled; strings that cannot be views go there. */
typedef struct mri_decode_target {
    mr_batch *batch;
    mr_arena *strings;
    /* Strings out of the text become copies here, for a text that dies before the batch, and the
     * pointer moves behind them; there is room for the text and MRI_COPY_SLACK bytes. NULL: they are
     * views. Only CSV looks at it. */
    char *copies;
} mri_decode_target;

enum { MRI_COPY_SLACK = 8 };

/* --- Avro ------------------------------------------------------------------------------------ */

enum { MRI_AVRO_SCHEMA_MAX = 1 << 20 };

/* The Avro schema of rows of `schema` as compact JSON in parsing canonical form plus logical types:
 * record `name` (sanitised), one field per column, nullable ones ["null", T] with default null,
 * timestamps long with logicalType timestamp-micros. Lives in `arena`. */
const char *mri_avro_schema_text(mr_arena *arena, const char *name, const mr_schema *schema);
/* CRC-64-AVRO of the parsing canonical form of any Avro schema text. MR_ERR_SCHEMA: not a schema.
 */
mr_status mri_avro_fingerprint(const char *text, size_t size, uint64_t *out, mr_error *err);
/* Columns of an Avro record schema that is flat (primitives, unions of null and one primitive,
 * logical timestamps); MR_ERR_SCHEMA names the field that is not. */
mr_status mri_avro_read_schema(mr_arena *arena, const char *text, size_t size, mr_schema **out,
                               mr_error *err);

typedef struct mri_avro_encoder mri_avro_encoder;
/* `fingerprint` goes into every message: C3 01, 8 bytes little endian, body. */
mr_status mri_avro_encoder_open(mr_arena *arena, const mr_schema *schema, uint64_t fingerprint,
                                mri_avro_encoder **out, mr_error *err);
void mri_avro_encode(mri_avro_encoder *, const mr_batch *batch, uint32_t row, mri_text *out);

typedef struct mri_avro_plan mri_avro_plan; /* one (writer schema, reader schema) */
/* Resolves by Avro's rules (names, promotions, defaults, unions). A flat writer gets a flat plan,
 * any other one goes through avro-c. MR_ERR_SCHEMA says which field does not fit and why. */
mr_status mri_avro_plan_open(mr_arena *arena, const char *writer, size_t writer_size,
                             const mr_schema *reader, mri_avro_plan **out, mr_error *err);
void mri_avro_plan_close(mri_avro_plan *);
/* True and the fingerprint when the message is in single-object encoding. */
bool mri_avro_message(const void *data, size_t size, uint64_t *fingerprint);
/* `body` without the 10 header bytes. MR_ERR_RECORD: malformed; the row is then undefined.
 * Non-finite doubles become null (MR_ERR_RECORD where the column is not nullable); *nulled counts
 * them. Bytes left over are an error. */
mr_status mri_avro_decode(mri_avro_plan *, const void *body, size_t size, mri_decode_target *to,
                          uint32_t row, int64_t *nulled, mr_error *err);

/* --- JSON ------------------------------------------------------------------------------------ */

typedef struct mri_json_decoder mri_json_decoder;
/* Schema-directed, no DOM: known members go straight into columns, others are skipped but checked,
 * duplicates are an error, a missing or null member of a column that is not nullable is an error.
 * Numbers may stand in strings ("61837.63"), timestamps as mri_parse_time(), bytes are base64 (in
 * CSV too). Strings without escapes become views of `text`. */
mr_status mri_json_decoder_open(mr_arena *arena, const mr_schema *schema, mri_json_decoder **out,
                                mr_error *err);
mr_status mri_json_decode(mri_json_decoder *, const char *text, size_t size, mri_decode_target *to,
                          uint32_t row, mr_error *err);
/* One object without line end; columns in schema order; null cells as null. */
void mri_json_encode(const mr_schema *schema, const mr_batch *batch, uint32_t row, mri_text *out);

/* --- CSV (RFC 4180, comma, header line) ------------------------------------------------------ */

typedef struct mri_csv_decoder mri_csv_decoder;
enum { MRI_CSV_PIECE = 8192 };
mr_status mri_csv_decoder_open(mr_arena *arena, const mr_schema *schema, mri_csv_decoder **out,
                               mr_error *err);
/* Maps columns; unknown names are ignored, a missing column that is not nullable is an error. */
mr_status mri_csv_header(mri_csv_decoder *, const char *line, size_t size, mr_error *err);
mr_status mri_csv_decode(mri_csv_decoder *, const char *line, size_t size, mri_decode_target *to,
                         uint32_t row, mr_error *err);
/* Rows from `row` on, at most `max`, out of the lines at the front of `text`: as far as they end in it,
 * are not empty and can be read; 0 also where mri_csv_decode() could read the first one. Returns their
 * number, and in *used their bytes. At most MRI_CSV_PIECE bytes are looked at. */
uint32_t mri_csv_rows(mri_csv_decoder *, const char *text, size_t size, mri_decode_target *to,
                      uint32_t row, uint32_t max, size_t *used);
/* Both with line end; an empty string is quoted, a null cell is empty. */
void mri_csv_encode_header(const mr_schema *schema, mri_text *out);
void mri_csv_encode(const mr_schema *schema, const mr_batch *batch, uint32_t row, mri_text *out);

/* --- services for sources and sinks ----------------------------------------------------------- */

struct mr_io;
typedef struct mri_io_owner mri_io_owner; /* one source or sink: its memory and open files */
/* Files of the system behind millrace/source.h's mr_io. `wall_us` as in mri_env. */
mri_io_owner *mri_io_open(int64_t (*wall_us)(void *), void *wall_self, struct mr_io *out);
/* Strings kept and decoded from now on live in `strings` (the batch being filled). */
void mri_io_batch(mri_io_owner *, mr_arena *strings);
/* Told when bytes of a file begin to be read, and when they have been. */
void mri_io_watch(mri_io_owner *, void (*reads)(void *arg, bool begins), void *arg);
void mri_io_close(mri_io_owner *); /* closes what is still open */

#endif
