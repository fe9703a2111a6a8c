/* indicators.c: a step that holds several indicators.
 *
 * indicators  each output is one use of an indicator; they run in the order in which they stand, so
 *             that one may take an earlier one as its input
 *             in    the columns that the uses name
 *             out   per use its columns, named after the output
 *             cost  that of its uses; uses of one column share one history, of the longest reach */
#include "millrace/operator.h"

struct indicators_options {
    mr_uses outputs;
};

static const mr_option indicators_options[] = {
    {.name = "outputs",
     .type = MR_OPT_USES,
     .flags = MR_REQUIRED,
     .offset = offsetof(struct indicators_options, outputs),
     .help = "Map of column name to one indicator with its options.",
     .example = "{ fast: { sma: { timeperiod: 3 } }, slow: { ema: { timeperiod: 5, of: fast } } }"},
    {0},
};

static const mr_operator operators[] = {{
    .abi = MR_ABI,
    .size = sizeof(mr_operator),
    .name = "indicators",
    .summary = "Several indicators in one step, each a new column or more.",
    .reference = "TA-Lib 0.8.1, https://ta-lib.org/functions/",
    .options = indicators_options,
    .options_size = sizeof(struct indicators_options),
    .traits = MR_ONE_TO_ONE | MR_CONTAINER | MR_BIT_EXACT,
}};
MR_FAMILY(indicators, operators);
