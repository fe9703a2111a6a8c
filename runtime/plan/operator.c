/* operator.c: operators by name, in the role that the file gives them. */
#include <string.h>

#include "base/arena.h"
#include "plan/internal.h"

enum { NAMES_MAX = 1024 };

const mr_operator *mri_operator_find(const char *name) {
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count; i++) {
            const mr_operator *op = &(*family)->operators[i];
            if (strcmp(op->name, name) == 0) return op;
        }
    }
    return NULL;
}

static bool plays(const mr_operator *op, mri_role role) {
    switch (role) {
    case MRI_AS_SOURCE:
        return op->source != NULL;
    case MRI_AS_SINK:
        return op->sink != NULL;
    case MRI_AS_USE:
        return (op->traits & MR_NESTABLE) != 0;
    case MRI_AS_STEP:
        return op->source == NULL && op->sink == NULL;
    }
    return false;
}

static const char *role_hint(const mr_operator *op, mri_role role) {
    if (op->source != NULL) return "it is a source, it stands under 'source:' of a stage";
    if (op->sink != NULL) return "it is a sink, it stands under 'sink:' of a stage";
    return role == MRI_AS_USE ? "it stands as a step of its own"
                              : "it is a step, it stands under 'steps:' of a stage";
}

static uint32_t names_of(mri_role role, const char **names) {
    uint32_t count = 0;
    for (const mr_family *const *family = mr_families; *family != NULL; family++) {
        for (uint32_t i = 0; i < (*family)->count && count < NAMES_MAX; i++) {
            const mr_operator *op = &(*family)->operators[i];
            if (plays(op, role)) names[count++] = op->name;
        }
    }
    return count;
}

static const mr_operator *unknown_operator(mri_planner *p, const mri_node *key, mri_role role) {
    static const char *const roles[] = {"operator", "source", "sink", "operator"};
    /* There are few of these two, and too many of the others for a line. */
    static const char *const labels[] = {
        [MRI_AS_SOURCE] = "the sources are", [MRI_AS_SINK] = "the sinks are", [MRI_AS_USE] = NULL};
    const mr_operator *op = mri_operator_find(key->text);
    if (op != NULL) {
        mri_plan_error(&p->env, 20, key, role_hint(op, role), "'%s' cannot stand here", op->name);
        return NULL;
    }
    const char *names[NAMES_MAX];
    const uint32_t count = names_of(role, names);
    const char *near = mri_plan_nearest(&p->env, key->text, names, count);
    const char *hint = near == NULL && labels[role] == NULL
                           ? "'millrace operators' lists them"
                           : mri_plan_hint(&p->env, key->text, names, count, labels[role]);
    mri_plan_error(&p->env, 20, key, hint, "there is no %s %s", roles[role],
                   mri_plan_quote(&p->env, key));
    return near != NULL ? mri_operator_find(near) : NULL;
}

/* Two keys where one belongs: mostly options that are not indented under their operator. */
static void second_key(mri_planner *p, const mri_node *node, mri_role role) {
    static const char *const hints[] = {
        [MRI_AS_STEP] = "start another step with '-'",
        [MRI_AS_SOURCE] = "a stage has one source",
        [MRI_AS_SINK] = "write several sinks as a list",
        [MRI_AS_USE] = "give it an output of its own",
    };
    const mri_node *first = node->first->key, *second = node->first->next->key;
    const mr_operator *op = mri_operator_find(first->text);
    const bool option = op != NULL && (mri_options_row(op->options, second->text) >= 0 ||
                                       strcmp(second->text, "id") == 0);
    const char *hint =
        option
            ? mri_format(p->env.arena, "indent it further to make it an option of '%s'", op->name)
            : hints[role];
    mri_plan_error(&p->env, 11, second, hint, "one operator belongs here, %s is a second key",
                   mri_plan_quote(&p->env, second));
}

/* A plug-in that breaks the contract must not take us with it. */
static bool is_sound(mri_planner *p, const mr_operator *op, const mri_node *key) {
    const char *why = NULL;
    if (op->abi != MR_ABI || op->size != sizeof(mr_operator)) {
        why = "it was built for another version of millrace";
    } else if (op->state_size > MR_STATE_MAX) {
        why = "its state is larger than a key may have";
    } else if (op->state_size == 0 && (op->series != NULL || op->extra || op->cache)) {
        why = "it keeps values of its own without a state that tells how many";
    } else if (op->extra && op->state_size % sizeof(double) != 0) {
        why = "numbers behind its state would not stand where they may";
    } else if (op->timers > MR_TIMERS_MAX) {
        why = "it has more timers than a key may have";
    } else if ((op->traits & MR_NESTABLE) != 0 && op->timers > 0) {
        why = "it sets timers, which nothing inside of another step may do";
    }
    if (why == NULL) return true;
    mri_plan_error(&p->env, 20, key, NULL, "the operator '%s' cannot be used: %s", op->name, why);
    return false;
}

const mr_operator *mri_operator_read(mri_planner *p, const mri_node *node, mri_role role,
                                     const mri_node **value) {
    *value = NULL;
    if (node->kind != MRI_MAP_NODE || node->count == 0) {
        const bool word = node->kind == MRI_SCALAR && mri_operator_find(node->text) != NULL;
        const char *hint = word ? mri_format(p->env.arena, "write '%s: {}'", node->text) : NULL;
        mri_plan_error(&p->env, 11, node, hint,
                       "an operator and its options are needed here, not %s",
                       mri_plan_quote(&p->env, node));
        return NULL;
    }
    *value = node->first;
    if (node->count > 1) {
        second_key(p, node, role);
        return NULL;
    }
    const mri_node *key = node->first->key;
    const mr_operator *op = mri_operator_find(key->text);
    if (op == NULL || !plays(op, role)) op = unknown_operator(p, key, role);
    return op != NULL && is_sound(p, op, key) ? op : NULL;
}
