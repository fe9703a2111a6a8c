/* sink_file.c: rows into a file.
 *
 * file  one file per task, csv with a header line or one JSON object per line
 *       path      {partition} stands for the number of the task
 *       restart   the length that the last commit recorded is state: what stands behind it is cut
 *                 off, and a file that is shorter is an error
 *       beginning a file that is not empty and of which nothing was committed is not touched,
 *                 unless the run is a fresh one. The header follows the first commit, so that a run
 *                 which is killed before it leaves an empty file, not one that looks like
 *                 another's */
#include "millrace/source.h"
#include "text.h"

enum { POSITION_VERSION = 1, POSITION_BYTES = 2 * 8 };

enum { FORMAT_AUTO, FORMAT_CSV, FORMAT_JSONL };

struct file_options {
    const char *path;
    int64_t format;
};

struct file_sink {
    mr_file *file;
    mr_encoder *encoder;
    const char *path;
    int64_t bytes; /* written or buffered */
    bool flushed;  /* since open(): the commit that followed knows the file */
};

static const char *const file_formats[] = {"auto", "csv", "jsonl", NULL};

#define AT(field) .name = #field, .offset = offsetof(struct file_options, field)
static const mr_option file_option_rows[] = {
    {AT(path), .type = MR_OPT_PATH, .flags = MR_REQUIRED,
     .help = "File to write; {partition} becomes the number of the task and is needed when there "
             "are several.",
     .example = "predictions-{partition}.csv"},
    {AT(format), .type = MR_OPT_CHOICE, .fallback = "auto", .choices = file_formats,
     .help = "How rows are written; auto: by the extension of the path, .csv or .jsonl."},
    {0},
};
#undef AT

static mr_status file_infer(mr_infer *in) {
    struct file_options *o = in->options;
    if (o->format == FORMAT_AUTO && text_ends(o->path, ".csv")) o->format = FORMAT_CSV;
    if (o->format == FORMAT_AUTO && text_ends(o->path, ".jsonl")) o->format = FORMAT_JSONL;
    if (o->format != FORMAT_AUTO) return MR_OK;
    const char *text =
        in->rt->format(in, "the name '%s' does not tell the format; say format: csv or jsonl",
                       text_base_name(o->path));
    return mr_infer_fail(in, "format", (mr_pos){0}, text);
}

/* The path with the task's number in it. */
static const char *file_path(const mr_sink_ctx *ctx) {
    static const char mark[] = "{partition}";
    const char *path = ((const struct file_options *)ctx->options)->path;
    const char *at = strstr(path, mark);
    if (at == NULL) return path;
    mr_error digits = {0};
    text_add_i64(&digits, ctx->partition);
    const size_t front = (size_t)(at - path), number = strlen(digits.text);
    const char *rest = at + sizeof mark - 1;
    char *out = ctx->io->alloc(ctx->io->self, strlen(path) + number + 1);
    memcpy(out, path, front);
    memcpy(out + front, digits.text, number);
    memcpy(out + front + number, rest, strlen(rest) + 1);
    return out;
}

static mr_status position_read(const mr_sink_ctx *ctx, const void *position, size_t size,
                               int64_t *bytes) {
    const unsigned char *from = position;
    *bytes = 0;
    if (size == 0) return MR_OK;
    if (size == POSITION_BYTES && text_get_i64(from) == POSITION_VERSION) {
        *bytes = text_get_i64(from + 8);
        return MR_OK;
    }
    return text_fail(ctx->error, MR_ERR_STATE,
                     "the saved length of the file was written by another version",
                     "; start with --fresh");
}

/* What stands in the file against what was committed. */
static mr_status length_check(const mr_sink_ctx *ctx, const char *path, int64_t there, bool known,
                              int64_t committed) {
    if (there >= committed && (known || there == 0 || ctx->fresh)) return MR_OK;
    (void)text_fail(ctx->error, MR_ERR_IO, path, " has ");
    text_add_i64(ctx->error, there);
    if (known) {
        text_add(ctx->error, " bytes, fewer than the ");
        text_add_i64(ctx->error, committed);
        text_add(ctx->error, " that were committed: it was changed or replaced; put the old file "
                             "back or start with --fresh");
    } else {
        text_add(ctx->error, " bytes that this pipeline did not write; move it away, name another "
                             "file, or start with --fresh to overwrite it");
    }
    return MR_ERR_IO;
}

static mr_status file_open(mr_sink_ctx *ctx, const void *position, size_t size) {
    const struct file_options *o = ctx->options;
    struct file_sink *s = ctx->io->alloc(ctx->io->self, sizeof *s);
    ctx->self = s;
    if (ctx->partitions > 1 && strstr(o->path, "{partition}") == NULL) {
        return text_fail(ctx->error, MR_ERR_SPEC, o->path,
                         " would be written by several tasks; put {partition} into the path");
    }
    mr_status status = position_read(ctx, position, size, &s->bytes);
    if (status != MR_OK) return status;
    const mr_text_format format = o->format == FORMAT_CSV ? MR_TEXT_CSV : MR_TEXT_JSONL;
    status = ctx->io->encoder(ctx->io->self, format, ctx->schema, &s->encoder, ctx->error);
    if (status != MR_OK) return status;
    s->path = file_path(ctx);
    int64_t there = 0;
    status = ctx->io->create(ctx->io->self, s->path, &s->file, &there, ctx->error);
    if (status != MR_OK) return status;
    s->flushed = size > 0;
    status = length_check(ctx, s->path, there, size > 0, s->bytes);
    if (status != MR_OK || there == s->bytes) return status;
    return ctx->io->truncate(s->file, s->bytes, ctx->error);
}

static mr_status append(mr_sink_ctx *ctx, struct file_sink *s, mr_string text) {
    if (text.size == 0) return MR_OK;
    s->bytes += text.size;
    return ctx->io->append(s->file, text.data, text.size, ctx->error);
}

static mr_status header_write(mr_sink_ctx *ctx, struct file_sink *s) {
    return s->bytes > 0 ? MR_OK : append(ctx, s, ctx->io->encode_header(s->encoder));
}

static mr_status file_write(mr_sink_ctx *ctx, const mr_batch *batch, uint32_t row, uint32_t end) {
    struct file_sink *s = ctx->self;
    mr_status status = row < end ? header_write(ctx, s) : MR_OK;
    for (; row < end && status == MR_OK; row++) {
        status = append(ctx, s, ctx->io->encode(s->encoder, batch, row));
    }
    return status;
}

static mr_status file_flush(mr_sink_ctx *ctx) {
    struct file_sink *s = ctx->self;
    const mr_status status = s->flushed ? header_write(ctx, s) : MR_OK;
    if (status != MR_OK) return status;
    s->flushed = true;
    return ctx->io->sync(s->file, ctx->error);
}

static size_t file_position(const mr_sink_ctx *ctx, void *out) {
    const struct file_sink *s = ctx->self;
    text_put_i64(out, POSITION_VERSION);
    text_put_i64((unsigned char *)out + 8, s->bytes);
    return POSITION_BYTES;
}

static mr_status file_rewind(mr_sink_ctx *ctx, const void *position, size_t size) {
    struct file_sink *s = ctx->self;
    const mr_status status = position_read(ctx, position, size, &s->bytes);
    if (status != MR_OK) return status;
    s->flushed = size > 0;
    return ctx->io->truncate(s->file, s->bytes, ctx->error);
}

static void file_close(mr_sink_ctx *ctx) {
    struct file_sink *s = ctx->self;
    if (s != NULL && s->file != NULL) ctx->io->close(s->file);
    if (s != NULL) s->file = NULL;
}

static const mr_sink_calls file_calls = {
    .partitioned_path = true,
    .open = file_open,
    .write = file_write,
    .flush = file_flush,
    .position = file_position,
    .rewind = file_rewind,
    .close = file_close,
};

static const mr_operator operators[] = {{
    .abi = MR_ABI,
    .size = sizeof(mr_operator),
    .name = "file",
    .summary = "Rows into a file that is cut back to what was committed when the run starts again.",
    .reference = "RFC 4180, https://jsonlines.org",
    .options = file_option_rows,
    .options_size = sizeof(struct file_options),
    .infer = file_infer,
    .sink = &file_calls,
}};
MR_FAMILY(sink_file, operators);
