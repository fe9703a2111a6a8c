/* exec_schemas.c: schemas of writers are found under their fingerprint, and only if they are theirs. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/codec.h"
#include "exec/task.h"
#include "log/open.h"

static const char trade[] = "{\"type\":\"record\",\"name\":\"trade\",\"fields\":["
                            "{\"name\":\"price\",\"type\":\"double\"}]}";
static const char quote[] = "{\"type\":\"record\",\"name\":\"quote\",\"fields\":["
                            "{\"name\":\"price\",\"type\":\"string\"}]}";

static mr_column_def price[] = {{.name = "price", .type = MR_F64}};
static const mr_schema reader = {.columns = price, .count = 1};

static mri_log *log_with_topic(void) {
    const mri_topic_config config = {.name = "p.schemas", .partitions = 1, .compacted = true};
    mri_log *log = NULL;
    mr_error err = {0};
    uint32_t found = 0;
    cr_assert_eq(mri_sim_open(mri_env_real(), &log, &err), MR_OK, "%s", err.text);
    cr_assert_eq(log->ops->topic_ensure(log, &config, &found, &err), MR_OK, "%s", err.text);
    return log;
}

static uint64_t fingerprint_of(const char *text) {
    mr_error err = {0};
    uint64_t fingerprint = 0;
    cr_assert_eq(mri_avro_fingerprint(text, strlen(text), &fingerprint, &err), MR_OK, "%s",
                 err.text);
    return fingerprint;
}

static void store(mri_log *log, uint64_t fingerprint, const char *text) {
    char key[17];
    mr_error err = {0};
    (void)snprintf(key, sizeof key, "%016" PRIx64, fingerprint);
    const mri_record record = {.key = key,
                               .key_size = 16,
                               .value = text,
                               .value_size = (uint32_t)strlen(text),
                               .ingest_us = MR_TIME_NONE};
    cr_assert_eq(log->ops->publish(log, "p.schemas", 0, &record, 1, &err), MR_OK, "%s", err.text);
}

Test(exec_schemas, a_schema_is_found_and_one_that_is_nowhere_is_told) {
    mri_log *log = log_with_topic();
    mri_schemas *schemas = mri_schemas_open(log, "p.schemas", &reader);
    mri_avro_plan *plan = NULL;
    mr_error err = {0};
    cr_assert_eq(mri_schemas_find(schemas, fingerprint_of(trade), 0, &plan, &err), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "stands nowhere in topic 'p.schemas'"), "%s", err.text);
    store(log, fingerprint_of(trade), trade);
    cr_assert_eq(mri_schemas_find(schemas, fingerprint_of(trade), 0, &plan, &err), MR_ERR_RECORD,
                 "it was looked for within the second");
    cr_assert_eq(mri_schemas_find(schemas, fingerprint_of(trade), 2000000, &plan, &err), MR_OK,
                 "%s", err.text);
    cr_assert_not_null(plan);
    mri_schemas_close(schemas);
    log->ops->close(log);
}

Test(exec_schemas, what_is_stored_under_the_fingerprint_of_another_reads_nothing) {
    mri_log *log = log_with_topic();
    mri_schemas *schemas = mri_schemas_open(log, "p.schemas", &reader);
    mri_avro_plan *plan = NULL;
    mr_error err = {0};
    char other[17];
    store(log, fingerprint_of(quote), trade);
    store(log, 7, "{\"type\":");
    (void)snprintf(other, sizeof other, "%016" PRIx64, fingerprint_of(trade));
    cr_assert_eq(mri_schemas_find(schemas, fingerprint_of(quote), 0, &plan, &err), MR_ERR_RECORD);
    cr_assert_not_null(strstr(err.text, "is another schema"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, other), "%s", err.text);
    cr_assert_eq(mri_schemas_find(schemas, 7, 0, &plan, &err), MR_ERR_RECORD);
    cr_assert_null(plan);
    mri_schemas_close(schemas);
    log->ops->close(log);
}
