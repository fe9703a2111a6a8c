/* schema.c: schemas as pipeline files and schema files write them. */
#include <string.h>

#include "base/arena.h"
#include "codec/codec.h"
#include "plan/options.h"

static const struct {
    const char *name;
    mr_type type;
    uint32_t flags;
} type_names[] = {
    {"bool", MR_BOOL, 0},
    {"int64", MR_I64, 0},
    {"float64", MR_F64, 0},
    {"string", MR_STRING, 0},
    {"bytes", MR_BYTES, 0},
    {"timestamp", MR_TIMESTAMP, 0},
    {"timestamp_s", MR_TIMESTAMP, MR_COLUMN_UNIT_S},
    {"timestamp_ms", MR_TIMESTAMP, MR_COLUMN_UNIT_MS},
    {"timestamp_us", MR_TIMESTAMP, MR_COLUMN_UNIT_US},
    {"timestamp_ns", MR_TIMESTAMP, MR_COLUMN_UNIT_NS},
};

enum { PATH_MAX_BYTES = 4096 };

enum { TYPE_NAMES = sizeof type_names / sizeof type_names[0] };

mr_schema *mri_schema_new(mr_arena *arena) {
    mr_schema *schema = mri_alloc(arena, sizeof *schema);
    schema->arena = arena;
    return schema;
}

bool mri_schema_add(mr_schema *schema, const mr_column_def *def) {
    if (schema->count == MR_COLUMNS_MAX) return false;
    if (schema->count == schema->capacity) {
        const uint32_t capacity = schema->capacity > 0 ? schema->capacity * 2 : 16;
        mr_column_def *columns = mri_alloc_array(schema->arena, capacity, sizeof *columns);
        if (schema->count > 0) memcpy(columns, schema->columns, schema->count * sizeof *columns);
        schema->columns = columns;
        schema->capacity = capacity;
    }
    schema->columns[schema->count++] = *def;
    return true;
}

/* "float64?" */
static bool type_parse(const char *text, size_t size, mr_column_def *def) {
    def->nullable = size > 0 && text[size - 1] == '?';
    if (def->nullable) size--;
    for (uint32_t i = 0; i < TYPE_NAMES; i++) {
        if (strlen(type_names[i].name) == size && memcmp(type_names[i].name, text, size) == 0) {
            def->type = type_names[i].type;
            def->flags = type_names[i].flags;
            return true;
        }
    }
    return false;
}

static void type_error(mri_plan_env *env, const char *owner, const mri_node *node) {
    const char *names[TYPE_NAMES];
    for (uint32_t i = 0; i < TYPE_NAMES; i++) {
        names[i] = type_names[i].name;
    }
    const char *hint = mri_plan_hint(env, node->text, names, TYPE_NAMES, "the types are");
    mri_plan_error(env, 11, node, hint, "%s: column '%s' has no such type: %s", owner,
                   mri_node_show(env->arena, node->key), mri_plan_quote(env, node));
}

static bool column_read(mri_plan_env *env, const char *owner, const mri_node *node,
                        mr_column_def *def) {
    if (!mri_column_name_ok(node->key->text)) {
        mri_plan_error(
            env, 13, node->key, "a column's name is letters, digits and '_', not a digit first",
            "%s: %s cannot be the name of a column", owner, mri_plan_quote(env, node->key));
        return false;
    }
    *def = (mr_column_def){
        .name = node->key->text, .carried = MR_NOT_CARRIED, .made_by = owner, .at = node->key->at};
    if (node->kind != MRI_SCALAR || mri_node_is_null(node)) {
        mri_plan_error(env, 11, node, "the type of a column is one word: float64, string?",
                       "%s: column '%s' needs a type, not %s", owner, def->name,
                       mri_plan_quote(env, node));
        return false;
    }
    if (node->unresolved) {
        env->unresolved = true;
        return false;
    }
    if (type_parse(node->text, node->size, def)) return true;
    type_error(env, owner, node);
    return false;
}

static const mr_schema *map_read(mri_plan_env *env, const char *owner, const mri_node *map) {
    if (map->count == 0 || map->count > MR_COLUMNS_MAX) {
        mri_plan_error(env, map->count == 0 ? 11 : 4, map, NULL,
                       "%s: a schema has 1 to %d columns, this one has %u", owner,
                       (int)MR_COLUMNS_MAX, (unsigned)map->count);
        return NULL;
    }
    mr_schema *schema = mri_schema_new(env->arena);
    bool ok = true;
    for (const mri_node *node = map->first; node != NULL; node = node->next) {
        mr_column_def def = {0};
        ok = column_read(env, owner, node, &def) && mri_schema_add(schema, &def) && ok;
    }
    return ok ? schema : NULL;
}

/* Columns of an Avro schema file; what Avro allows and our names do not is refused. */
static const mr_schema *avro_read(mri_plan_env *env, const char *owner, const mri_node *node,
                                  const char *path) {
    const mri_plan_file *file = NULL;
    mr_error err = {0};
    mr_schema *schema = NULL;
    mr_status status = mri_plan_read_file(env, path, node->at, &file, &err);
    if (status == MR_OK) {
        status = mri_avro_read_schema(env->arena, file->data, file->size, &schema, &err);
        if (status != MR_OK) {
            mri_plan_error(env, 60, node, NULL, "%s: '%s': %s", owner, path, err.text);
            return NULL;
        }
    } else {
        mri_plan_error(env, 60, node, NULL, "%s: %s", owner, err.text);
        return NULL;
    }
    for (uint32_t i = 0; i < schema->count; i++) {
        mr_column_def *column = &schema->columns[i];
        if (!mri_column_name_ok(column->name)) {
            mri_plan_error(env, 60, node, NULL, "%s: '%s': '%s' cannot be the name of a column",
                           owner, path, column->name);
            return NULL;
        }
        column->carried = MR_NOT_CARRIED;
        column->made_by = owner;
        column->at = node->at;
    }
    return schema;
}

static const mr_schema *file_read(mri_plan_env *env, const char *owner, const mri_node *node) {
    const char *path = mri_plan_path(env, node->text);
    const size_t size = strlen(path);
    if (size > 5 && strcmp(path + size - 5, ".avsc") == 0) {
        return avro_read(env, owner, node, path);
    }
    /* Read once here for a message at the place that names it, instead of one without a line. */
    const mri_plan_file *file = NULL;
    mr_error err = {0};
    if (mri_plan_read_file(env, path, node->at, &file, &err) != MR_OK) {
        mri_plan_error(env, 60, node, NULL, "%s: %s", owner, err.text);
        return NULL;
    }
    if (file->size > MRI_FILE_MAX) {
        mri_plan_error(env, 60, node, NULL, "%s: '%s' has %zu bytes, a schema file has at most %d",
                       owner, path, file->size, (int)MRI_FILE_MAX);
        return NULL;
    }
    const uint32_t errors = mri_diags_errors(env->diags);
    const mri_node *root =
        mri_tree_parse(env->arena, file->path, file->data, file->size, env->load, env->diags);
    if (root == NULL || mri_diags_errors(env->diags) > errors) return NULL;
    if (root->kind != MRI_MAP_NODE) {
        mri_plan_error(env, 11, root, NULL, "a schema file is a map of columns to types");
        return NULL;
    }
    return map_read(env, owner, root);
}

const mr_schema *mri_schema_read(mri_plan_env *env, const char *owner, const mri_node *node) {
    if (node->kind == MRI_MAP_NODE) return map_read(env, owner, node);
    if (node->kind == MRI_SCALAR && node->unresolved) {
        env->unresolved = true;
        return NULL;
    }
    if (node->kind == MRI_SCALAR && !mri_node_is_null(node) && node->size > 0 &&
        node->size <= PATH_MAX_BYTES) {
        return file_read(env, owner, node);
    }
    mri_plan_error(env, 11, node, NULL,
                   "%s: a schema is a map of columns to types, or the path of a schema file",
                   owner);
    return NULL;
}
