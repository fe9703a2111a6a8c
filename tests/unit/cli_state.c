/* cli_state.c: state shown to people: many keys in order, odd keys, damage of every kind. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/state.h"
#include "cli/state_gather.h"
#include "support_exec.h"
#include "support_random.h"

#define FILE_TEXT                                                                                \
    "pipeline: p\n"                                                                              \
    "topics:\n"                                                                                  \
    "  trades: { key: pair, time: time, format: json, external: true, schema: { pair: string,\n" \
    "    time: timestamp, price: float64, quantity: float64, trade_id: int64 } }\n"              \
    "  out: { key: pair, time: window_end, partitions: 1, format: json }\n"                      \
    "stages:\n"                                                                                  \
    "  s:\n"                                                                                     \
    "    from: trades\n"                                                                         \
    "    idle: off\n"                                                                            \
    "    to: out\n"                                                                              \
    "    steps:\n"                                                                               \
    "      - candles: { id: c, every: 1s, grace: 5s }\n"                                         \
    "      - indicators: { id: ta, outputs: { sma: { sma: { timeperiod: 5 } },\n"                \
    "          rsi: { rsi: { timeperiod: 3 } } } }\n"

struct shown {
    exec x;
    mri_look_config config;
    const mri_stage *stages[1];
    mri_look *look;
    mri_state_target target;
    mri_cli cli;
    char *text;
    size_t size;
};

static void world_open(struct shown *s) {
    *s = (struct shown){0};
    exec_open(&s->x, FILE_TEXT);
    exec_topic(&s->x, "trades", 1);
    exec_start(&s->x, "s", (exec_run){0});
    for (int64_t i = 0; i < 60; i++) {
        exec_feed(&s->x, "trades",
                  "{\"pair\":\"%s\",\"time\":%" PRId64
                  ",\"price\":%d,\"quantity\":1,\"trade_id\":1}",
                  i % 2 == 0 ? "A" : "B", i * 500000, 1 + (int)(i * 7 % 5));
    }
    exec_settle(&s->x);
    exec_kill(&s->x);
}

static mr_status look(struct shown *s, bool count) {
    s->stages[0] = &s->x.plan->stages[0];
    s->config = (mri_look_config){
        .plan = s->x.plan, .stages = s->stages, .stage_count = 1, .log = s->x.log, .count = count};
    s->cli = (mri_cli){.arena = s->x.arena, .err = stderr};
    const mr_status status = mri_look_read(&s->config, s->x.arena, &s->look, &s->x.err);
    s->target = (mri_state_target){.config = &s->config, .stage = &s->look->stages[0]};
    return status;
}

static mr_status export_(struct shown *s, mri_state_form form) {
    free(s->text);
    s->cli.out = open_memstream(&s->text, &s->size);
    const mr_status status = mri_cli_state_export(&s->cli, &s->target, form, &s->x.err);
    (void)fclose(s->cli.out);
    return status;
}

static mr_status get(struct shown *s, const char *key, size_t size, bool *found) {
    free(s->text);
    s->cli.out = open_memstream(&s->text, &s->size);
    const mr_status status =
        mri_cli_state_get(&s->cli, &s->target, key, size, MRI_STATE_TEXT, found, &s->x.err);
    (void)fclose(s->cli.out);
    return status;
}

static void world_close(struct shown *s) {
    free(s->text);
    exec_close(&s->x);
}

static void put(struct shown *s, const void *key, size_t key_size, const void *value,
                size_t value_size) {
    const mri_record record = {.key = key,
                               .key_size = (uint32_t)key_size,
                               .value = value,
                               .value_size = (uint32_t)value_size,
                               .ingest_us = MR_TIME_NONE};
    const mr_status status =
        s->x.sim->ops->publish(s->x.sim, "p.s.e1.state", 0, &record, 1, &s->x.err);
    cr_assert_eq(status, MR_OK, "%s", s->x.err.text);
}

static uint32_t lines(const char *text) {
    uint32_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* A block of candles with nothing in it, under any key. */
static void block_put(struct shown *s, const void *key, size_t size) {
    char record[64] = "bc"; /* and the end of the name */
    memcpy(record + 3, key, size);
    put(s, record, 3 + size, "\x01\x00\x00\x00", 4);
}

/* More than are gathered at once, written in any order, some of them twice: each comes once, in the
 * order of bytes. */
Test(cli_state, an_export_of_many_keys_is_whole_and_in_order) {
    enum { KEYS = 2 * MRI_GATHER_KEYS + 1000 };
    struct shown s;
    random_start();
    world_open(&s);
    s.x.uncompacted = true;
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[16];
        const uint32_t at = (uint32_t)((uint64_t)i * 48271 % KEYS); /* KEYS and it have no factor */
        const int size = snprintf(key, sizeof key, "k%06u", at);
        block_put(&s, key, (size_t)size);
        if (random_below(4) == 0) block_put(&s, key, (size_t)size);
    }
    cr_assert_eq(look(&s, false), MR_OK);
    cr_assert_eq(export_(&s, MRI_STATE_JSONL), MR_OK, "%s", s.x.err.text);
    cr_assert_eq(lines(s.text), KEYS + 2);
    const char *line = s.text;
    for (uint32_t i = 0; i < KEYS + 2; i++) {
        char want[32] = "\"key\": \"A\"";
        if (i == 1) (void)snprintf(want, sizeof want, "\"key\": \"B\"");
        if (i > 1) (void)snprintf(want, sizeof want, "\"key\": \"k%06u\"", i - 2);
        const char *at = strstr(line, want);
        cr_assert(at != NULL && at < line + strcspn(line, "\n"), "line %u: %.60s", i, line);
        line += strcspn(line, "\n") + 1;
    }
    world_close(&s);
}

Test(cli_state, keys_of_any_bytes_are_shown_and_found) {
    static const char odd[] = {'\x00', '\xff', '\n', '"', ',', '\x1b', '\x7f'};
    struct shown s;
    bool found = false;
    world_open(&s);
    block_put(&s, odd, sizeof odd);
    block_put(&s, "", 0);
    cr_assert_eq(look(&s, true), MR_OK);
    cr_assert_eq(s.look->stages[0].parts[0].counts[0].keys, 2, "blocks without a struct");
    cr_assert_eq(export_(&s, MRI_STATE_JSONL), MR_OK);
    cr_assert_eq(lines(s.text), 4);
    cr_assert_not_null(strstr(s.text, "\"key\": \"\\\\x00\\\\xff\\\\x0a\\\",\\\\x1b\\\\x7f\""),
                       "%s", s.text);
    cr_assert_eq(get(&s, odd, sizeof odd, &found), MR_OK);
    cr_assert(found);
    for (size_t i = 0; i < s.size; i++) {
        cr_assert(s.text[i] == '\n' || (s.text[i] >= 0x20 && s.text[i] < 0x7f));
    }
    cr_assert_eq(get(&s, "", 0, &found), MR_OK);
    cr_assert(found);
    cr_assert_eq(get(&s, "nobody", 6, &found), MR_OK);
    cr_assert_not(found);
    world_close(&s);
}

Test(cli_state, a_struct_of_another_version_is_shown_as_bytes) {
    struct shown s;
    bool found = false;
    char value[] = {1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 0, '\xab', '\xcd'};
    world_open(&s);
    cr_assert_eq(look(&s, false), MR_OK);
    const uint32_t name = mri_look_use_hash(&s.look->stages[0].parts[0].saved->uses[0]);
    memcpy(value + 4, &name, sizeof name);
    put(&s, "bc\0X", 4, value, sizeof value);
    cr_assert_eq(get(&s, "X", 1, &found), MR_OK, "%s", s.x.err.text);
    cr_assert_not_null(strstr(s.text, "version_9"));
    cr_assert_not_null(strstr(s.text, "abcd"));
    world_close(&s);
}

Test(cli_state, damage_is_told_with_its_place) {
    struct shown s;
    bool found = false;
    world_open(&s);
    put(&s, "bc\0A", 4, "\x01", 1);
    cr_assert_eq(look(&s, true), MR_OK);
    cr_assert_eq(s.look->stages[0].parts[0].unreadable, 1);
    cr_assert_eq(get(&s, "A", 1, &found), MR_ERR_STATE);
    cr_assert_not_null(strstr(s.x.err.text, "p.s.e1.state, partition 0, key 'A': the block"), "%s",
                       s.x.err.text);
    cr_assert_eq(export_(&s, MRI_STATE_CSV), MR_ERR_STATE);
    cr_assert_not_null(strstr(s.text, "B,c,"), "what can be read is there");
    put(&s, "tlayout", 7, "#9\n", 3);
    put(&s, "q", 1, "", 0);
    cr_assert_eq(look(&s, false), MR_OK, "the copy counts");
    cr_assert_eq(export_(&s, MRI_STATE_JSONL), MR_ERR_STATE);
    const mri_record gone = {.key = "layout/s/0", .key_size = 10};
    cr_assert_eq(s.x.sim->ops->publish(s.x.sim, "p.meta", 0, &gone, 1, &s.x.err), MR_OK);
    cr_assert_eq(look(&s, false), MR_ERR_STATE);
    cr_assert_not_null(strstr(s.x.err.text, "stage s, partition 0"), "%s", s.x.err.text);
    world_close(&s);
}

struct pieces {
    exec *x;
    mri_record all[256];
    size_t count;
};

static mr_status piece_add(void *arg, const mri_record *record, mr_error *err) {
    struct pieces *pieces = arg;
    (void)err;
    if (pieces->count == sizeof pieces->all / sizeof *pieces->all) return MR_OK;
    mri_record *to = &pieces->all[pieces->count++];
    *to = *record;
    to->key = mri_strndup(pieces->x->arena, record->key, record->key_size);
    to->value = mri_strndup(pieces->x->arena, record->value, record->value_size);
    return MR_OK;
}

/* Records with bytes changed, cut or with more behind them: an answer or an error, never a crash, and
 * lines that are still lines. */
Test(cli_state, any_damage_is_an_answer_or_an_error) {
    enum { ROUNDS = 400 };
    struct shown s;
    struct pieces pieces;
    uint32_t refused = 0;
    random_start();
    world_open(&s);
    pieces = (struct pieces){.x = &s.x};
    cr_assert_eq(s.x.sim->ops->scan(s.x.sim, "p.s.e1.state", 0, piece_add, &pieces, &s.x.err),
                 MR_OK);
    for (int round = 0; round < ROUNDS; round++) {
        const mri_record *from = &pieces.all[random_below((uint32_t)pieces.count)];
        const bool of_key = random_below(3) == 0;
        char *key = mri_strndup(s.x.arena, from->key, from->key_size);
        char *value = mri_alloc(s.x.arena, from->value_size + 16);
        memcpy(value, from->value, from->value_size);
        uint32_t key_size = from->key_size, value_size = from->value_size;
        if (of_key) key[random_below(key_size)] = (char)random_below(256);
        if (of_key && random_below(2) == 0) key_size = 1 + random_below(key_size);
        if (!of_key && value_size > 0) value[random_below(value_size)] = (char)random_below(256);
        if (!of_key && random_below(2) == 0) value_size = random_below(value_size + 16);
        if (strncmp(key, "tlayout", 7) == 0) continue; /* the copy is read in its place */
        put(&s, key, key_size, value, value_size);
        bool found = false;
        if (look(&s, true) != MR_OK) continue;
        const mr_status status = export_(&s, MRI_STATE_JSONL);
        cr_assert(status == MR_OK || status == MR_ERR_STATE);
        refused += status != MR_OK;
        for (const char *line = s.text; *line != '\0'; line += strcspn(line, "\n") + 1) {
            cr_assert_eq(strncmp(line, "{\"partition\": 0, \"key\": ", 24), 0, "%s", line);
            cr_assert_eq(line[strcspn(line, "\n") - 1], '}');
        }
        (void)get(&s, "A", 1, &found);
    }
    cr_assert_gt(refused, 10);
    world_close(&s);
}
