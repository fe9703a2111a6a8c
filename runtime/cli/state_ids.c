/* state_ids.c: names of stages and of state on the command line, and what is said of them. */
#include <inttypes.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/nearest.h"
#include "cli/state.h"

/* --- stages --------------------------------------------------------------------------------------
 */

struct selection {
    const mri_plan *plan;
    const mri_stage **stages;
    uint32_t count;
};

static mr_status stage_add(mri_cli *cli, const mri_cli_args *args, struct selection *s,
                           const char *name) {
    const mri_plan *plan = s->plan;
    const char **names = mri_alloc_array(cli->arena, plan->stage_count + 1, sizeof *names);
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        names[i] = plan->stages[i].name;
        if (strcmp(names[i], name) != 0) continue;
        for (uint32_t k = 0; k < s->count; k++) {
            if (s->stages[k] == &plan->stages[i]) return MR_OK;
        }
        s->stages[s->count++] = &plan->stages[i];
        return MR_OK;
    }
    const char *near = mri_nearest(name, names, plan->stage_count);
    return mri_cli_usage(cli, args->command, "--stage: there is no stage '%.63s' in %s%s%s%s", name,
                         plan->file, near != NULL ? "; did you mean '" : "",
                         near != NULL ? near : "", near != NULL ? "'?" : "");
}

mr_status mri_cli_stages(mri_cli *cli, const mri_cli_args *args, const mri_plan *plan,
                         const mri_stage ***out, uint32_t *count) {
    struct selection s = {.plan = plan};
    const char *list = mri_cli_value(args, "stage");
    s.stages = mri_alloc_array(cli->arena, plan->stage_count + 1u, sizeof *s.stages);
    for (uint32_t i = 0; list == NULL && i < plan->stage_count; i++) {
        s.stages[s.count++] = &plan->stages[i];
    }
    for (const char *at = list; at != NULL;) {
        const size_t size = strcspn(at, ",");
        const mr_status status = stage_add(cli, args, &s, mri_strndup(cli->arena, at, size));
        if (status != MR_OK) return status;
        at = at[size] == ',' ? at + size + 1 : NULL;
    }
    *out = s.stages;
    *count = s.count;
    return MR_OK;
}

/* --- names of state ------------------------------------------------------------------------------
 */

static mr_status ids_parse(mri_cli *cli, const mri_cli_args *args, const char *option,
                           mri_state_id **out, uint32_t *count) {
    const char *list = mri_cli_value(args, option);
    *count = 0;
    if (list == NULL) return MR_OK;
    *out = mri_alloc_array(cli->arena, strlen(list) + 1, sizeof **out);
    for (const char *at = list; at != NULL;) {
        const size_t size = strcspn(at, ",");
        if (!mri_state_id_parse(cli->arena, at, size, &(*out)[*count])) {
            return mri_cli_usage(cli, args->command,
                                 "--%s: '%.*s' is no name of state; write [STAGE/]STEP[.OUTPUT]",
                                 option, (int)(size < 130 ? size : 130), at);
        }
        ++*count;
        at = at[size] == ',' ? at + size + 1 : NULL;
    }
    return MR_OK;
}

mr_status mri_cli_state_ids(mri_cli *cli, const mri_cli_args *args, mri_state_ids *out) {
    *out = (mri_state_ids){0};
    const mr_status status = ids_parse(cli, args, "keep-state", &out->keep, &out->keep_count);
    if (status != MR_OK) return status;
    return ids_parse(cli, args, "drop-state", &out->drop, &out->drop_count);
}

/* The stages where an id names something; NULL: fewer than two. */
static const char *two_stages(mri_cli *cli, const mri_look *look, const mri_state_id *id) {
    const mri_stage *first = NULL;
    for (uint32_t i = 0; id->stage == NULL && i < look->edit_count; i++) {
        const mri_edit *edit = &look->edits[i].edit;
        if (!mri_state_id_names(id, edit->stage->name, edit->step, edit->use)) continue;
        if (first != NULL && first != edit->stage) {
            return mri_format(cli->arena, "'%s' and '%s'", first->name, edit->stage->name);
        }
        first = edit->stage;
    }
    return NULL;
}

static mr_status id_check(mri_cli *cli, const mri_look *look, const char *option,
                          const mri_state_id *id, mr_error *err) {
    const char *stages = two_stages(cli, look, id);
    if (stages != NULL) {
        return mr_fail(err, MR_ERR_USAGE, NULL,
                       "--%s: stages %s both have '%.130s'; write STAGE/%.130s", option, stages,
                       id->text, id->text);
    }
    if (id->used) return MR_OK;
    const char **names = mri_alloc_array(cli->arena, 3 * look->edit_count + 1u, sizeof *names);
    uint32_t count = 0;
    for (uint32_t i = 0; i < look->edit_count; i++) {
        const mri_edit *edit = &look->edits[i].edit;
        const char *name = mri_state_name(cli->arena, edit->step, edit->use);
        names[count++] = name;
        names[count++] = edit->step;
        names[count++] = mri_format(cli->arena, "%s/%s", edit->stage->name, name);
    }
    const char *near = mri_nearest(id->text, names, count);
    return mr_fail(err, MR_ERR_USAGE, NULL,
                   "--%s: neither the file nor the log has state of '%.130s'%s%s%s", option,
                   id->text, near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                   near != NULL ? "'?" : "");
}

mr_status mri_cli_state_ids_check(mri_cli *cli, const mri_look *look, const mri_state_ids *ids,
                                  mr_error *err) {
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && i < ids->keep_count; i++) {
        status = id_check(cli, look, "keep-state", &ids->keep[i], err);
    }
    for (uint32_t i = 0; status == MR_OK && i < ids->drop_count; i++) {
        status = id_check(cli, look, "drop-state", &ids->drop[i], err);
    }
    return status;
}

/* --- what is refused -----------------------------------------------------------------------------
 */

static void problem_next(mri_cli *cli, uint32_t *count, mr_error *err, const mr_error *next) {
    if (*count > 0) (void)mri_cli_fail(cli, err);
    *err = *next;
    ++*count;
}

mr_status mri_cli_state_refused(mri_cli *cli, const mri_look *look, const mri_state_ids *ids,
                                mr_error *err) {
    uint32_t count = 0;
    mr_status status = mri_cli_state_ids_check(cli, look, ids, err);
    if (status != MR_OK) return status;
    for (uint32_t i = 0; i < look->problem_count; i++) {
        mr_error next = {0};
        next.status = mr_fail(&next, MR_ERR_TOPIC, NULL, "stage '%s': %s",
                              look->problems[i].stage->name, look->problems[i].text);
        next.at = look->problems[i].at;
        problem_next(cli, &count, err, &next);
    }
    for (uint32_t i = 0; i < look->edit_count; i++) {
        const mri_look_edit *edit = &look->edits[i];
        mr_error next = {0};
        if (edit->edit.kind != MRI_EDIT_REFUSE) continue;
        next.status =
            mr_fail(&next, MR_ERR_STATE, NULL,
                    "stage '%s': saved state of %s; %s, or begin all of it anew (on the embedded "
                    "log with --fresh)",
                    edit->edit.stage->name, mri_edit_text(cli->arena, &edit->edit),
                    mri_edit_remedy(cli->arena, &edit->edit));
        next.at = edit->edit.at;
        problem_next(cli, &count, err, &next);
    }
    return mri_look_status(look);
}

/* --- quiet and progress --------------------------------------------------------------------------
 */

static void quiet_log(void *self, mri_level level, const char *text) {
    const mri_env *real = mri_env_real();
    if (level >= MRI_WARN) real->log(self, level, text);
}

mri_env mri_cli_quiet_env(void) {
    mri_env env = *mri_env_real();
    env.log = quiet_log;
    return env;
}

void mri_cli_look_progress(void *arg, const char *what, int64_t records, int64_t at, int64_t end) {
    mri_cli *cli = arg;
    if (!cli->terminal_err) return;
    (void)fprintf(cli->err, "\r\033[K%s: %" PRId64 " records", what, records);
    if (end > 0) (void)fprintf(cli->err, ", %" PRId64 " %%", at * 100 / end);
    (void)fflush(cli->err);
}

void mri_cli_look_progress_clear(mri_cli *cli) {
    if (cli->terminal_err) (void)fputs("\r\033[K", cli->err);
}
