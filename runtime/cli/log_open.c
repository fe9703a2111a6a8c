/* log_open.c: the log that a command line, a pipeline file or nobody names. */
#include "cli/log_open.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "log/open.h"

/* "host:port", one of a list. */
static bool broker_valid(const char *text, size_t size) {
    const char *colon = NULL;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == ':') colon = text + i;
        if (text[i] <= ' ' || text[i] == '/' || text[i] == 0x7f) return false;
    }
    if (colon == NULL || colon == text) return false;
    const char *digits = colon + 1;
    const size_t count = (size_t)(text + size - digits);
    return count >= 1 && count <= 5 && strspn(digits, "0123456789") >= count;
}

static bool brokers_valid(const char *list) {
    for (;; list++) {
        const size_t size = strcspn(list, ",");
        if (!broker_valid(list, size)) return false;
        list += size;
        if (*list == '\0') return true;
    }
}

static mr_status log_open_kafka(const mri_plan *plan, const mri_cli_log_request *request,
                                const char *brokers, mri_log **out, mr_error *err) {
    if (request->fresh) {
        return mr_fail(err, MR_ERR_USAGE, NULL,
                       "--fresh is for the local log: on kafka, delete the topics and groups whose "
                       "names begin with '%s.' by its own tools, or give the pipeline another name",
                       plan->name);
    }
    if (!brokers_valid(brokers)) {
        return mr_fail(err, MR_ERR_USAGE, NULL,
                       "'kafka://%.200s' is not a list of brokers; write "
                       "kafka://HOST:PORT[,HOST:PORT]",
                       brokers);
    }
    const mri_kafka_config config = {
        .bootstrap = brokers, .pipeline = plan->name, .settings = plan->kafka};
    return mri_kafka_open(&config, request->env, out, err);
}

mr_status mri_cli_log_open(mri_cli *cli, const mri_plan *plan, const mri_cli_log_request *request,
                           mri_log **out, mr_error *err) {
    static const char kafka[] = "kafka://", local[] = "local:";
    mr_arena *arena = cli->arena;
    const char *folder = plan->folder != NULL && plan->folder[0] != '\0' ? plan->folder : ".";
    const char *text = request->given != NULL ? request->given
                       : plan->log != NULL    ? plan->log
                                              : "local";
    if (strncmp(text, kafka, sizeof kafka - 1) == 0) {
        return log_open_kafka(plan, request, text + sizeof kafka - 1, out, err);
    }
    mri_local_config config = {.pipeline = plan->name, .fresh = request->fresh};
    if (strcmp(text, "local") == 0) {
        config.directory = mri_format(arena, "%s/.millrace/%s", folder, plan->name);
    } else if (strncmp(text, local, sizeof local - 1) == 0 && text[sizeof local - 1] != '\0') {
        config.directory = text + sizeof local - 1;
        const bool in_file = request->given == NULL; /* paths in a file are relative to it */
        if (in_file && config.directory[0] != '/') {
            config.directory = mri_format(arena, "%s/%s", folder, config.directory);
        }
    } else {
        return mr_fail(err, MR_ERR_USAGE, NULL,
                       "'%.100s' is not a log; write local, local:DIR or "
                       "kafka://HOST:PORT[,HOST:PORT]",
                       text);
    }
    return mri_local_open(&config, request->env, out, err);
}
