/* support_stage.c: stages for targets that need one. */
#include "support_stage.h"

#include <string.h>

#include "base/arena.h"
#include "support_fuzz.h"

static const char text[] =
    "pipeline: fuzz\n"
    "topics:\n"
    "  rows: { key: pair, time: time, schema: { pair: string, time: timestamp,\n"
    "          price: float64, quantity: float64, trade_id: int64 } }\n"
    "  out: { key: pair, time: window_end }\n"
    "stages:\n"
    "  s:\n"
    "    from: rows\n"
    "    on_error: skip\n"
    "    to: out\n"
    "    steps:\n"
    "      - candles: { id: c1m, every: 1m, grace: 2s, fill: flat, max_fill: 50 }\n"
    "      - indicators:\n"
    "          id: ta\n"
    "          outputs:\n"
    "            sma_7: { sma: { timeperiod: 7 } }\n"
    "            ema_5: { ema: { timeperiod: 5 } }\n"
    "            rsi_14: { rsi: { timeperiod: 14 } }\n"
    "            macd: { macd: {} }\n"
    "            bb: { bbands: {} }\n"
    "            obv: { obv: {} }\n";

const mri_plan *fuzz_plan(mri_plan **kept, const char *pipeline) {
    if (*kept != NULL) return *kept;
    mr_arena *arena = mri_arena_open(1 << 16); /* reachable by the plan for ever: no leak */
    mri_diags *diags = mri_diags_open(arena);
    (void)mri_plan_parse(arena, "fuzz.yaml", pipeline, strlen(pipeline), NULL, diags, kept);
    if (mri_diags_count(diags) > 0) fuzz_note(mri_diags_at(diags, 0)->text);
    FUZZ_CHECK(*kept != NULL);
    return *kept;
}

const mri_stage *fuzz_stage(void) {
    static mri_plan *plan;
    return &fuzz_plan(&plan, text)->stages[0];
}
