/* pipelines.c: the pipelines that are built into the simulator. Between them they have topics with
 * and without marks, keys that stay in their partition and others that move, windows, timers,
 * histories, rows that come too late, ends, and files. ${P} and ${Q} are partition counts, ${FIRST} and
 * ${LAST} what the first and the last stage may do to rows. */
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

/* A source writes marks; everything behind it lives by them. */
#define MARKED                                                                         \
    "pipeline: sim\n"                                                                  \
    "topics:\n"                                                                        \
    "  trades:  { key: pair, time: time, partitions: \"${P}\" }\n"                     \
    "  candles: { key: pair, time: window_end, partitions: \"${Q}\" }\n"               \
    "  out:     { key: pair, time: window_end, partitions: \"${Q}\", format: json }\n" \
    "stages:\n"                                                                        \
    "  feed:\n"                                                                        \
    "    delivery: \"${FIRST}\"\n"                                                     \
    "    source: { replay: { path: trades.csv, format: csv, time: time,\n"             \
    "      " TRADES " } }\n"                                                           \
    "    to: trades\n"                                                                 \
    "  candles:\n"                                                                     \
    "    from: trades\n"                                                               \
    "    steps:\n" CANDLE_STEP(                                                        \
        "500ms") "    to: candles\n"                                                   \
                 "  indicators:\n"                                                     \
                 "    delivery: \"${LAST}\"\n"                                         \
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
    "    delivery: \"${FIRST}\"\n"                                                              \
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
                                        "    delivery: \"${LAST}\"\n"                           \
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
                                        "    delivery: \"${LAST}\"\n"                  \
                                        "    from: candles\n"                          \
                                        "    steps:\n" INDICATOR_STEP "    to: out\n"

/* Records that cannot be read, and rows that steps give back, in two stages. */
#define DEAD                                                                                    \
    "pipeline: sim\n"                                                                           \
    "topics:\n"                                                                                 \
    "  trades:  { key: pair, time: time, partitions: \"${P}\", external: true, format: json,\n" \
    "    schema: { pair: string, time: timestamp, price: float64?, quantity: float64,\n"        \
    "      trade_id: int64 } }\n"                                                               \
    "  candles: { key: pair, time: window_end, partitions: \"${Q}\" }\n"                        \
    "  out:     { key: pair, time: window_end, partitions: \"${P}\", format: json }\n"          \
    "defaults: { on_error: dlq }\n"                                                             \
    "stages:\n"                                                                                 \
    "  candles:\n"                                                                              \
    "    from: trades\n"                                                                        \
    "    idle: off\n"                                                                           \
    "    steps:\n" CANDLE_STEP("200ms") "    to: candles\n"                                     \
                                        "  slow:\n"                                             \
                                        "    from: candles\n"                                   \
                                        "    steps:\n"                                          \
                                        "      - rsi: { id: r, timeperiod: 4, as: rsi_4 }\n"    \
                                        "      - candles: { id: c5, every: 3s, fill: none, "    \
                                        "price: rsi_4, quantity: volume }\n"                    \
                                        "    to: out\n"

/* A source feeds steps directly; two sinks behind it, and one more behind a stage without topics. */
#define FILES                                                                              \
    "pipeline: sim\n"                                                                      \
    "topics:\n"                                                                            \
    "  candles: { key: pair, time: window_end, partitions: \"${P}\" }\n"                   \
    "stages:\n"                                                                            \
    "  feed:\n"                                                                            \
    "    on_error: dlq\n"                                                                  \
    "    key: pair\n"                                                                      \
    "    time: time\n"                                                                     \
    "    delivery: \"${FIRST}\"\n"                                                         \
    "    source: { replay: { path: trades.csv, format: csv, time: time,\n"                 \
    "      " TRADES " } }\n"                                                               \
    "    steps:\n" CANDLE_STEP("500ms") "    to: candles\n"                                \
                                        "    sink:\n"                                      \
                                        "      - file: { path: a.jsonl, format: jsonl }\n" \
                                        "      - file: { path: b.csv }\n"                  \
                                        "  last:\n"                                        \
                                        "    from: candles\n"                              \
                                        "    steps:\n" INDICATOR_STEP                      \
                                        "    sink: { file: { path: \"c-{partition}.csv\" } }\n"

/* Past values that fill several pieces of the changelog, at a row each. */
#define HISTORIES                                                                                  \
    "pipeline: sim\n"                                                                              \
    "topics:\n"                                                                                    \
    "  trades:  { key: pair, time: time, partitions: \"${P}\", external: true,\n    " TRADES       \
    " }\n"                                                                                         \
    "  out:     { key: pair, time: time, partitions: \"${P}\", format: json }\n"                   \
    "stages:\n"                                                                                    \
    "  values:\n"                                                                                  \
    "    delivery: \"${LAST}\"\n"                                                                  \
    "    from: trades\n"                                                                           \
    "    idle: off\n"                                                                              \
    "    steps:\n"                                                                                 \
    "      - indicators:\n"                                                                        \
    "          id: ta\n"                                                                           \
    "          outputs:\n"                                                                         \
    "            sma_70: { sma: { timeperiod: 70, of: price } }\n"                                 \
    "            sma_9:  { sma: { timeperiod: 9, of: quantity } }\n"                               \
    "            macd:   { macd: { of: price, fastperiod: 3, slowperiod: 6, signalperiod: 2 } }\n" \
    "      - filter: { where: trade_id % 3 != 0 }\n"                                               \
    "    to: out\n"

/* No state and no key in front; rows get another key, and every task writes every partition. */
#define MOVED                                                                                   \
    "pipeline: sim\n"                                                                           \
    "topics:\n"                                                                                 \
    "  trades:  { time: time, partitions: \"${P}\", external: true, format: json,\n    " TRADES \
    " }\n"                                                                                      \
    "  moved:   { key: who, time: time, partitions: \"${Q}\" }\n"                               \
    "  out:     { key: who, time: window_end, partitions: \"${Q}\", format: json }\n"           \
    "stages:\n"                                                                                 \
    "  move:\n"                                                                                 \
    "    delivery: \"${FIRST}\"\n"                                                              \
    "    from: trades\n"                                                                        \
    "    idle: off\n"                                                                           \
    "    on_error: skip\n"                                                                      \
    "    steps:\n"                                                                              \
    "      - filter: { where: quantity > 91 }\n"                                                \
    "      - map: { double: price * 2 }\n"                                                      \
    "      - select: [pair, time, double, quantity, trade_id]\n"                                \
    "      - rename: { who: pair, price: double }\n"                                            \
    "    to: moved\n"                                                                           \
    "  bars:\n"                                                                                 \
    "    delivery: \"${LAST}\"\n"                                                               \
    "    from: moved\n"                                                                         \
    "    steps:\n"                                                                              \
    "      - candles: { id: c, every: 2s, grace: 1s, fill: empty, max_fill: 2 }\n"              \
    "    to: out\n"

/* Windows of windows of windows in one stage: what is due lies in several of its steps. */
#define CHAIN_STEPS                                                                       \
    "    steps:\n"                                                                        \
    "      - filter: { where: quantity > 11 }\n" CANDLE_STEP("300ms") INDICATOR_STEP      \
        "      - candles: { id: c3, every: 3s, fill: empty, max_fill: 2, price: sma_5,\n" \
        "          quantity: volume }\n"                                                  \
        "      - candles: { id: c9, every: 9s, grace: 1s, fill: flat, max_fill: 1 }\n"
#define CHAIN                                                                                   \
    "pipeline: sim\n"                                                                           \
    "topics:\n"                                                                                 \
    "  trades:  { key: pair, time: time, partitions: \"${P}\", external: true, format: json,\n" \
    "    " TRADES " }\n"                                                                        \
    "  long:    { key: pair, time: window_end, partitions: \"${Q}\" }\n"                        \
    "  out:     { key: pair, time: window_end, partitions: \"${Q}\", format: json }\n"          \
    "defaults: { on_error: dlq }\n"                                                             \
    "stages:\n"                                                                                 \
    "  chain:\n"                                                                                \
    "    delivery: \"${FIRST}\"\n"                                                              \
    "    from: trades\n"                                                                        \
    "    idle: off\n" CHAIN_STEPS "    to: long\n"                                              \
    "  last:\n"                                                                                 \
    "    delivery: \"${LAST}\"\n"                                                               \
    "    from: long\n"                                                                          \
    "    steps:\n"                                                                              \
    "      - candles: { id: c20, every: 20s }\n"                                                \
    "    to: out\n"

/* The same behind a source that has lines which cannot be read. */
#define CHAIN_FILES                                                        \
    "pipeline: sim\n"                                                      \
    "topics:\n"                                                            \
    "  long:    { key: pair, time: window_end, partitions: \"${P}\" }\n"   \
    "stages:\n"                                                            \
    "  feed:\n"                                                            \
    "    on_error: dlq\n"                                                  \
    "    key: pair\n"                                                      \
    "    time: time\n"                                                     \
    "    delivery: \"${FIRST}\"\n"                                         \
    "    source: { replay: { path: trades.csv, format: csv, time: time,\n" \
    "      " TRADES " } }\n" CHAIN_STEPS "    to: long\n"                  \
    "    sink: { file: { path: a.jsonl, format: jsonl } }\n"

const struct builtin mri_simulate_builtins[] = {
    {"marks", false, false, SECOND_US / 3, MARKED},
    {"late rows", false, false, 2 * SECOND_US, LATE},
    {"idle", false, false, 0, IDLE},
    {"until the end", true, false, SECOND_US / 3, MARKED},
    {"dead letters", false, false, SECOND_US / 4, DEAD},
    {"files", false, false, SECOND_US / 3, FILES},
    {"files until the end", true, false, SECOND_US / 3, FILES},
    {"histories", false, false, SECOND_US / 3, HISTORIES},
    {"moved", false, false, SECOND_US / 3, MOVED},
    {"until the end that was there", true, true, SECOND_US, LATE},
    {"chain", false, false, SECOND_US / 5, CHAIN},
    {"chain until the end", true, false, SECOND_US / 5, CHAIN_FILES},
};

uint32_t mri_simulate_builtin_count(void) {
    return sizeof mri_simulate_builtins / sizeof *mri_simulate_builtins;
}

const char *mri_simulate_builtin_name(uint32_t index) {
    return mri_simulate_builtins[index].name;
}
