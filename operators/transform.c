/* transform.c: rows and columns without memory.
 *
 * filter  keeps the rows for which `where` is true; a null is not true
 * map     adds columns, each the value of an expression over the input columns; a column cannot use
 *         another one of the same map
 * select  keeps the named columns, in the order given
 * rename  gives columns other names, in place; all others stay
 *         cost  none per key */
#include "millrace/operator.h"

/* --- filter --------------------------------------------------------------------------------- */

struct filter_options {
    mr_expr_ref where;
};

static const mr_option filter_options[] = {
    {.name = "where",
     .type = MR_OPT_EXPR,
     .flags = MR_REQUIRED,
     .offset = offsetof(struct filter_options, where),
     .help = "Condition over the input columns; rows for which it is false or null go no further.",
     .example = "price > 100 and quantity < 5"},
    {0},
};

static mr_status filter_infer(mr_infer *in) {
    struct filter_options *o = in->options;
    return mr_infer_expr(in, &o->where, MR_BOOL);
}

static mr_status filter_process(mr_ctx *ctx) {
    const struct filter_options *o = ctx->options;
    mr_column where = {
        .type = MR_BOOL, .valid = mr_scratch(ctx, ctx->end), .b = mr_scratch(ctx, ctx->end)};
    const mr_status status = mr_eval(ctx, o->where.compiled, &where);
    if (status != MR_OK) return status;
    for (; ctx->row < ctx->end; ctx->row++) {
        ctx->keep[ctx->row] = where.valid[ctx->row] && where.b[ctx->row];
    }
    return MR_OK;
}

/* --- map ------------------------------------------------------------------------------------ */

struct map_options {
    mr_exprs columns;
};

static const mr_option map_options[] = {
    {.name = "columns",
     .type = MR_OPT_EXPRS,
     .flags = MR_REQUIRED | MR_BODY,
     .offset = offsetof(struct map_options, columns),
     .help = "Map of new column name to expression over the input columns.",
     .example = "{ notional: price * quantity, cheap: 'price < 100' }"},
    {0},
};

static mr_status map_infer(mr_infer *in) {
    struct map_options *o = in->options;
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < o->columns.count; i++) {
        mr_named_expr *column = &o->columns.items[i];
        mr_status next = mr_infer_expr(in, &column->expr, 0);
        if (next == MR_OK) next = mr_infer_append(in, column->name, column->expr.type, true, 0);
        if (status == MR_OK) status = next; /* the first one counts, all of them are reported */
    }
    return status;
}

static mr_status map_process(mr_ctx *ctx) {
    const struct map_options *o = ctx->options;
    for (uint32_t i = 0; i < o->columns.count; i++) {
        mr_column *out = &ctx->out[0]->columns[ctx->out_column[i]];
        const mr_status status = mr_eval(ctx, o->columns.items[i].expr.compiled, out);
        if (status != MR_OK) return status;
    }
    ctx->row = ctx->end;
    return MR_OK;
}

/* --- select --------------------------------------------------------------------------------- */

struct select_options {
    mr_columns columns;
};

static const mr_option select_options[] = {
    {.name = "columns",
     .type = MR_OPT_COLUMNS,
     .flags = MR_REQUIRED | MR_BODY,
     .offset = offsetof(struct select_options, columns),
     .help = "Columns to keep, in this order.",
     .example = "[pair, time, price]"},
    {0},
};

static mr_status select_infer(mr_infer *in) {
    const struct select_options *o = in->options;
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < o->columns.count; i++) {
        const mr_status next = mr_infer_carry(in, o->columns.items[i].index, NULL);
        if (status == MR_OK) status = next;
    }
    return status;
}

/* --- rename --------------------------------------------------------------------------------- */

struct rename_options {
    mr_renames columns;
};

static const mr_option rename_options[] = {
    {.name = "columns",
     .type = MR_OPT_RENAMES,
     .flags = MR_REQUIRED | MR_BODY,
     .offset = offsetof(struct rename_options, columns),
     .help = "Map of new column name to the name of an input column.",
     .example = "{ px: price }"},
    {0},
};

/* The rename of an input column, NULL: it keeps its name. */
static const mr_rename *rename_find(const mr_renames *renames, uint32_t column) {
    for (uint32_t i = 0; i < renames->count; i++) {
        if (renames->items[i].from.index == column) return &renames->items[i];
    }
    return NULL;
}

static mr_status rename_infer(mr_infer *in) {
    const struct rename_options *o = in->options;
    for (uint32_t i = 0; i < o->columns.count; i++) {
        const mr_rename *rename = &o->columns.items[i];
        const mr_rename *first = rename_find(&o->columns, rename->from.index);
        if (first == rename) continue;
        const char *text = in->rt->format(in, "column '%s' is renamed twice, to '%s' and to '%s'",
                                          rename->from.name, first->to, rename->to);
        return mr_infer_fail(in, "columns", rename->at, text);
    }
    mr_status status = MR_OK;
    for (uint32_t i = 0; i < in->in->count; i++) {
        const mr_rename *rename = rename_find(&o->columns, i);
        const mr_status next = mr_infer_carry(in, i, rename != NULL ? rename->to : NULL);
        if (status == MR_OK) status = next;
    }
    return status;
}

#define RELATIONS "Codd 1970, A Relational Model of Data for Large Shared Data Banks, CACM 13(6)"

static const mr_operator operators[] = {
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "filter",
        .summary = "Keeps the rows for which a condition is true.",
        .reference = RELATIONS,
        .options = filter_options,
        .options_size = sizeof(struct filter_options),
        .traits = MR_SELECTS | MR_BIT_EXACT,
        .infer = filter_infer,
        .process = filter_process,
    },
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "map",
        .summary = "Adds columns that are computed from others.",
        .reference = RELATIONS,
        .options = map_options,
        .options_size = sizeof(struct map_options),
        .traits = MR_ONE_TO_ONE | MR_BIT_EXACT,
        .infer = map_infer,
        .process = map_process,
    },
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "select",
        .summary = "Keeps the named columns and drops all others.",
        .reference = RELATIONS,
        .options = select_options,
        .options_size = sizeof(struct select_options),
        .traits = MR_PROJECTS | MR_BIT_EXACT,
        .infer = select_infer,
    },
    {
        .abi = MR_ABI,
        .size = sizeof(mr_operator),
        .name = "rename",
        .summary = "Gives columns other names.",
        .reference = RELATIONS,
        .options = rename_options,
        .options_size = sizeof(struct rename_options),
        .traits = MR_PROJECTS | MR_BIT_EXACT,
        .infer = rename_infer,
    },
};
MR_FAMILY(transform, operators);
