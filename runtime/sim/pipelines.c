/* pipelines.c: the pipelines that are built into the simulator. Between them they have topics with
 * and without marks, keys that stay in their partition and others that move, windows, timers,
 * histories, rows that come too late, ends, and files. ${P} and ${Q} are partition counts. */
#include "sim/world.h"

#define TRADES                                                                               \
    "schema: { pair: string, time: timestamp, price: float64, quantity: float64, trade_id: " \
    "int64 }"
#define CANDLE_STEP(grace) \
    "      - candles: { id: c, every: 1s, grace: " grace ", fill: flat, max_fill: 3 }\n"
#define INDICATOR_STEP                                   \
    "      - indicators:\n"                              \
    "          id: ta\n"                                 \
    "          outputs:\n"                               \
    "            sma_5: { sma: { timeperiod: 5 } }\n"    \
    "            rsi_3: { rsi: { timeperiod: 3 } }\n"    \
    "            bb:    { bbands: { timeperiod: 4 } }\n" \
    "            obv:   { obv: {} }\n"

struct builtin {
    const char *name;
    bool until_end;
    int64_t disorder_us;
    const char *text;
};

/* A source writes marks; everything behind it lives by them. */
#define MARKED                                                                         \
    "pipeline: sim\n"                                                                  \
    "topics:\n"                                                                        \
    "  trades:  { key: pair, time: time, partitions: \"${P}\" }\n"                     \
    "  candles: { key: pair, time: window_end, partitions: \"${Q}\" }\n"               \
    "  out:     { key: pair, time: window_end, partitions: \"${Q}\", format: json }\n" \
    "stages:\n"                                                                        \
    "  feed:\n"                                                                        \
    "    source: { replay: { path: trades.csv, format: csv, time: time,\n"             \
    "      " TRADES " } }\n"                                                           \
    "    to: trades\n"                                                                 \
    "  candles:\n"                                                                     \
    "    from: trades\n"                                                               \
    "    steps:\n" CANDLE_STEP(                                                        \
        "500ms") "    to: candles\n"                                                   \
                 "  indicators:\n"                                                     \
                 "    from: candles\n"                                                 \
                 "    steps:\n" INDICATOR_STEP "    to: out\n"                         \
                 "    sink: { file: { path: \"out-{partition}.jsonl\", format: jsonl } }\n"

/* Others write the input, out of order; some rows are late, and which ones hangs on the log. */
#define LATE                                                                                    \
    "pipeline: sim\n"                                                                           \
    "topics:\n"                                                                                 \
    "  trades:  { key: pair, time: time, partitions: \"${P}\", external: true, format: json,\n" \
    "    " TRADES " }\n"                                                                        \
    "  candles: { key: pair, time: window_end, partitions: \"${P}\" }\n"                        \
    "  slow:    { key: pair, time: window_end, partitions: \"${Q}\" }\n"                        \
    "  out:     { key: pair, time: window_end, partitions: \"${Q}\", format: json }\n"          \
    "stages:\n"                                                                                 \
    "  candles:\n"                                                                              \
    "    from: trades\n"                                                                        \
    "    idle: off\n"                                                                           \
    "    steps:\n" CANDLE_STEP("200ms") "    to: candles\n"                                     \
                                        "  slow:\n"                                             \
                                        "    from: candles\n"                                   \
                                        "    steps:\n"                                          \
                                        "      - candles: { id: c5, every: 5s, fill: none, "    \
                                        "price: close, quantity: volume }\n"                    \
                                        "      - map: { twice: close * 2 }\n"                   \
                                        "    to: slow\n"                                        \
                                        "  last:\n"                                             \
                                        "    from: slow\n"                                      \
                                        "    steps:\n"                                          \
                                        "      - filter: { where: volume > 1 }\n"               \
                                        "      - ema: { id: e, timeperiod: 3, as: ema_3 }\n"    \
                                        "    to: out\n"

/* Nobody writes marks, and silence is told by the wall clock. */
#define IDLE                                                                           \
    "pipeline: sim\n"                                                                  \
    "topics:\n"                                                                        \
    "  trades:  { key: pair, time: time, partitions: \"${P}\", external: true,\n"      \
    "    " TRADES " }\n"                                                               \
    "  candles: { key: pair, time: window_end, partitions: \"${Q}\" }\n"               \
    "  out:     { key: pair, time: window_end, partitions: \"${P}\", format: json }\n" \
    "stages:\n"                                                                        \
    "  candles:\n"                                                                     \
    "    from: trades\n"                                                               \
    "    idle: 500ms\n"                                                                \
    "    steps:\n" CANDLE_STEP("100ms") "    to: candles\n"                            \
                                        "  indicators:\n"                              \
                                        "    from: candles\n"                          \
                                        "    steps:\n" INDICATOR_STEP "    to: out\n"

static const struct builtin builtins[] = {
    {"marks", false, SECOND_US / 3, MARKED},
    {"late rows", false, 2 * SECOND_US, LATE},
    {"idle", false, 0, IDLE},
    {"until the end", true, SECOND_US / 3, MARKED},
};

uint32_t mri_simulate_builtin_count(void) {
    return sizeof builtins / sizeof *builtins;
}

const char *mri_simulate_builtin_name(uint32_t index) {
    return builtins[index].name;
}

const char *mri_simulate_builtin_text(uint32_t index) {
    return builtins[index].text;
}

bool mri_simulate_builtin_until_end(uint32_t index) {
    return builtins[index].until_end;
}

int64_t mri_simulate_builtin_disorder(uint32_t index) {
    return builtins[index].disorder_us;
}
