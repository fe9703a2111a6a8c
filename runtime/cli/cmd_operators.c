/* cmd_operators.c: `millrace operators [NAME]`: the reference, straight from the descriptors. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "millrace/source.h"
#include "plan/plan.h"

static const char *operator_kind(const mr_operator *op) {
    if (op->source != NULL) return "source";
    if (op->sink != NULL) return "sink";
    return (op->traits & MR_NESTABLE) != 0 ? "indicator" : "step";
}

static void operators_list(mri_cli *cli) {
    static const char *const heads[] = {"name", "kind", "summary"};
    mri_table *table = mri_table_open(cli->arena, 3, heads, 0);
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count; i++) {
            const mr_operator *op = &(*family)->operators[i];
            mri_table_cell(table, op->name);
            mri_table_cell(table, operator_kind(op));
            mri_table_cell(table, op->summary);
        }
    }
    mri_table_print(table, "", cli->out);
}

static const char *option_kind(const mr_option *option) {
    switch (option->type) {
    case MR_OPT_INT:
        return "whole number";
    case MR_OPT_FLOAT:
        return "number";
    case MR_OPT_BOOL:
        return "true or false";
    case MR_OPT_DURATION:
        return "duration";
    case MR_OPT_SIZE:
        return "size";
    case MR_OPT_CHOICE:
        return "one of";
    case MR_OPT_STRING:
        return "text";
    case MR_OPT_NAME:
        return "new column";
    case MR_OPT_PATH:
        return "path";
    case MR_OPT_COLUMN:
        return "column";
    case MR_OPT_EXPR:
        return "expression";
    case MR_OPT_STRINGS:
        return "text or list";
    case MR_OPT_PATHS:
        return "path, glob or list";
    case MR_OPT_COLUMNS:
        return "column or list";
    case MR_OPT_EXPRS:
        return "map of name to expression";
    case MR_OPT_RENAMES:
        return "map of new to old name";
    case MR_OPT_USES:
        return "map of name to operator";
    case MR_OPT_SCHEMA:
        return "schema or path";
    }
    return "?";
}

static const char *option_number(mri_cli *cli, const mr_option *option, int64_t value) {
    char text[MRI_DURATION_TEXT];
    if (option->type == MR_OPT_DURATION) {
        (void)mri_format_duration(value, text);
        return mri_strdup(cli->arena, text);
    }
    return mri_format(cli->arena, "%" PRId64 "%s", value, option->type == MR_OPT_SIZE ? "B" : "");
}

static const char *option_float(mri_cli *cli, double value) {
    char text[MRI_F64_TEXT];
    (void)mri_format_f64(value, text);
    return mri_strdup(cli->arena, text);
}

static const char *option_default(mri_cli *cli, const mr_option *option) {
    if ((option->flags & MR_REQUIRED) != 0) return "required";
    switch (option->type) {
    case MR_OPT_INT:
    case MR_OPT_DURATION:
    case MR_OPT_SIZE:
        return option_number(cli, option, option->fallback_int);
    case MR_OPT_FLOAT:
        return option_float(cli, option->fallback_float);
    case MR_OPT_BOOL:
        return option->fallback_int != 0 ? "true" : "false";
    default:
        return option->fallback != NULL ? option->fallback : "-";
    }
}

static const char *option_range(mri_cli *cli, const mr_option *option) {
    if (option->type == MR_OPT_CHOICE) {
        mri_text text = {0};
        for (const char *const *c = option->choices; *c != NULL; c++) {
            mri_text_printf(&text, "%s%s", c == option->choices ? "" : " ", *c);
        }
        const char *copy = mri_strndup(cli->arena, text.data != NULL ? text.data : "", text.size);
        mri_text_free(&text);
        return copy;
    }
    const bool whole = option->type == MR_OPT_INT || option->type == MR_OPT_DURATION ||
                       option->type == MR_OPT_SIZE;
    if (whole && (option->min != 0 || option->max != 0)) {
        const char *min = option_number(cli, option, option->min);
        if (option->max == INT64_MAX) return mri_format(cli->arena, "from %s", min);
        return mri_format(cli->arena, "%s..%s", min, option_number(cli, option, option->max));
    }
    if (option->type == MR_OPT_FLOAT && (option->min_float < 0 || option->max_float > 0)) {
        return mri_format(cli->arena, "%s..%s", option_float(cli, option->min_float),
                          option_float(cli, option->max_float));
    }
    return option->column_type != 0 ? mri_type_name((int)option->column_type) : "";
}

static void options_print(mri_cli *cli, const mr_operator *op) {
    if (op->options == NULL || op->options[0].name == NULL) return;
    static const char *const heads[] = {"option", "value", "allowed", "default", ""};
    mri_table *table = mri_table_open(cli->arena, 5, heads, 0);
    for (const mr_option *option = op->options; option->name != NULL; option++) {
        const bool unit =
            option->unit != NULL && option->type != MR_OPT_DURATION && option->type != MR_OPT_SIZE;
        mri_table_cellf(table, "%s%s%s", option->name, option->alias != NULL ? ", " : "",
                        option->alias != NULL ? option->alias : "");
        mri_table_cellf(table, "%s%s%s", option_kind(option), unit ? ", " : "",
                        unit ? option->unit : "");
        mri_table_cell(table, option_range(cli, option));
        mri_table_cell(table, option_default(cli, option));
        mri_table_cellf(table, "%s%s", option->help != NULL ? option->help : "",
                        (option->flags & MR_BODY) != 0 ? " May stand as the whole value." : "");
    }
    (void)fputc('\n', cli->out);
    mri_table_print(table, "", cli->out);
}

static void names_print(mri_cli *cli, const char *title, const char *const *names,
                        const char *fallback) {
    (void)fprintf(cli->out, "%s:", title);
    if (names == NULL) (void)fprintf(cli->out, " %s", fallback);
    for (; names != NULL && *names != NULL; names++) {
        (void)fprintf(cli->out, " %s", *names);
    }
    (void)fputc('\n', cli->out);
}

static void agreement_print(mri_cli *cli, const mr_agreement *agrees) {
    char bound[MRI_F64_TEXT];
    if (agrees->with == NULL) return;
    (void)fprintf(cli->out, "agrees with %s: ", agrees->with);
    switch (agrees->how) {
    case MR_EXACT:
        (void)fputs("every bit (exact)\n", cli->out);
        break;
    case MR_LIBM:
        (void)fputs("every bit over the same C library, otherwise within 2 units in the last place "
                    "(libm)\n",
                    cli->out);
        break;
    case MR_CLOSE:
        (void)mri_format_f64(agrees->bound, bound);
        (void)fprintf(cli->out, "within %s of the largest value (close): %s\n", bound, agrees->why);
        break;
    }
}

static void operator_print(mri_cli *cli, const mr_operator *op) {
    (void)fprintf(cli->out, "%s%s%s (%s): %s\n", MRI_BOLD(cli->colour_out), op->name,
                  MRI_PLAIN(cli->colour_out), operator_kind(op), op->summary);
    if (op->reference != NULL) (void)fprintf(cli->out, "reference: %s\n", op->reference);
    agreement_print(cli, &op->agrees);
    if (op->source == NULL) names_print(cli, "inputs", op->inputs, "in");
    if (op->sink == NULL) names_print(cli, "outputs", op->outputs, "out");
    options_print(cli, op);
    if (op->produces != NULL) {
        static const char *const heads[] = {"new column", "type", ""};
        mri_table *table = mri_table_open(cli->arena, 3, heads, 0);
        for (const mr_output *output = op->produces; output->name != NULL; output++) {
            mri_table_cell(table, output->name);
            mri_table_cell(table, mri_type_name((int)output->type));
            mri_table_cell(table, output->help != NULL ? output->help : "");
        }
        (void)fputc('\n', cli->out);
        mri_table_print(table, "", cli->out);
    }
    if (op->state_size > 0) {
        (void)fprintf(cli->out, "\nstate: %zu bytes per key, version %u%s\n", op->state_size,
                      (unsigned)op->state_version,
                      op->collections != NULL ? ", and collections" : "");
    }
    if (op->counters != NULL) names_print(cli, "counts", op->counters, "");
}

static mr_status operator_unknown(mri_cli *cli, const char *name) {
    uint32_t count = 0;
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        count += (*family)->count;
    }
    const char **names = mri_alloc_array(cli->arena, count + 1, sizeof *names);
    count = 0;
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count; i++) {
            names[count++] = (*family)->operators[i].name;
        }
    }
    const char *near = mri_nearest(name, names, count);
    return mri_cli_usage(cli, &mri_command_operators, "unknown operator '%.60s'%s%s%s", name,
                         near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                         near != NULL ? "'?" : "");
}

static mr_status operators_run(mri_cli *cli, const mri_cli_args *args) {
    if (args->operand_count == 0) {
        operators_list(cli);
        return MR_OK;
    }
    const mr_operator *op = mri_operator_find(args->operands[0]);
    if (op == NULL) return operator_unknown(cli, args->operands[0]);
    operator_print(cli, op);
    return MR_OK;
}

static const char *const examples[] = {
    "millrace operators",
    "all operators with one line each",
    "millrace operators candles",
    "options, columns and state of one",
    NULL,
};

const mri_command mri_command_operators = {
    .name = "operators",
    .summary = "list the operators, or say all about one",
    .usage = "[NAME]",
    .examples = examples,
    .operands_max = 1,
    .run = operators_run,
};
