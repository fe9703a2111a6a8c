/* test_port.c: where the rows of a test may go in and come out.
 *
 * In: the sources of the stages under test, and the topics that none of them writes. Out: the
 * topics that they write, and their sinks. */
#include "cli/test_port.h"

#include <string.h>

#include "base/arena.h"

static bool stage_tested(const mri_script *script, const mri_stage *stage) {
    return script->test->stage < 0 || (uint32_t)script->test->stage == stage->index;
}

static bool topic_written(const mri_script *script, const mri_topic *topic) {
    if (topic->writer < 0) return false;
    return script->test->stage < 0 || topic->writer == script->test->stage;
}

static bool topic_read(const mri_script *script, const mri_topic *topic) {
    for (uint32_t i = 0; i < script->plan->stage_count; i++) {
        const mri_stage *stage = &script->plan->stages[i];
        if (stage_tested(script, stage) && stage->input == (int32_t)topic->index) return true;
    }
    return false;
}

static mri_script_port topic_port(const mri_topic *topic) {
    return (mri_script_port){
        .topic = topic,
        .schema = topic->schema,
        .key = topic->key,
        .time = topic->time,
        .name = topic->name,
    };
}

static mri_script_port source_port(const mri_stage *stage) {
    return (mri_script_port){
        .stage = stage,
        .schema = stage->in,
        .key = stage->key,
        .time = stage->time,
        .name = stage->name,
    };
}

static mri_script_port sink_port(const mri_stage *stage) {
    const mri_sink *sink = &stage->sinks[0];
    const bool from_step = sink->from.step != MRI_FROM_INPUT;
    return (mri_script_port){
        .stage = stage,
        .schema = sink->schema,
        .key = from_step ? stage->steps[sink->from.step].out_key : stage->key,
        .time = -1,
        .name = stage->name,
    };
}

void mri_script_ports(mr_arena *arena, mri_script *script) {
    const mri_plan *plan = script->plan;
    const size_t most = (size_t)plan->stage_count + plan->topic_count;
    script->inputs = mri_alloc_array(arena, most + 1, sizeof *script->inputs);
    script->outputs = mri_alloc_array(arena, most + 1, sizeof *script->outputs);
    for (uint32_t i = 0; i < plan->topic_count; i++) {
        const mri_topic *topic = &plan->topics[i];
        if (topic_written(script, topic)) {
            script->outputs[script->output_count++] = topic_port(topic);
        } else if (topic_read(script, topic)) {
            script->inputs[script->input_count++] = topic_port(topic);
        }
    }
    const mri_stage *last = NULL;
    for (uint32_t i = 0; i < plan->stage_count; i++) {
        const mri_stage *stage = &plan->stages[i];
        if (!stage_tested(script, stage)) continue;
        last = stage;
        if (stage->input < 0) script->inputs[script->input_count++] = source_port(stage);
        if (stage->sink_count > 0 && stage->output_count == 0) {
            script->outputs[script->output_count++] = sink_port(stage);
        }
    }
    for (uint32_t i = 0; last != NULL && i < script->output_count; i++) {
        mri_script_port *port = &script->outputs[i];
        const int32_t writer =
            port->topic != NULL ? port->topic->writer : (int32_t)port->stage->index;
        port->last = writer == (int32_t)last->index;
        if (!port->last) continue;
        const bool sinks = port->topic == NULL;
        if (sinks || port->topic->index == last->outputs[0].topic) script->default_output = port;
    }
}

/* A source that hands its rows on as they are is also meant by the topic that it writes. */
static bool port_hands_on(const mri_script *script, const mri_script_port *port,
                          const char *topic) {
    if (port->topic != NULL || port->stage->input >= 0 || port->stage->step_count > 0) return false;
    for (uint32_t i = 0; i < port->stage->output_count; i++) {
        const mri_topic *written = &script->plan->topics[port->stage->outputs[i].topic];
        if (strcmp(written->name, topic) == 0) return true;
    }
    return false;
}

static const mri_script_port *port_named(const mri_script *script, bool input, const char *name) {
    const mri_script_port *ports = input ? script->inputs : script->outputs;
    const uint32_t count = input ? script->input_count : script->output_count;
    for (uint32_t i = 0; i < count; i++) { /* topics stand first and win */
        if (strcmp(ports[i].name, name) == 0) return &ports[i];
        if (input && port_hands_on(script, &ports[i], name)) return &ports[i];
    }
    return NULL;
}

static void port_unknown(const mri_script *script, bool input, const char *name, mr_pos at,
                         uint32_t width, mri_diags *diags) {
    const mri_script_port *ports = input ? script->inputs : script->outputs;
    const uint32_t count = input ? script->input_count : script->output_count;
    mri_text list = {0};
    for (uint32_t i = 0; i < count; i++) {
        mri_text_printf(&list, "%s'%s'", i > 0 ? ", " : "", ports[i].name);
    }
    const char *ways = list.size > 0 ? list.data : "nothing";
    const char *verb = input ? "fed" : "expected";
    if (name != NULL) {
        mri_diag_add(diags, 14, MRI_SEV_ERROR, at, width, NULL,
                     "'%.63s' cannot be %s in this test; %s can", name, verb, ways);
    } else {
        mri_diag_add(diags, 80, MRI_SEV_ERROR, at, width, NULL,
                     "this test must say which rows are %s: '{ NAME: [rows] }' with one of %s",
                     verb, ways);
    }
    mri_text_free(&list);
}

const mri_script_port *mri_script_port_find(const mri_script *script, bool input, const char *name,
                                            mr_pos at, uint32_t width, mri_diags *diags) {
    const mri_script_port *port = NULL;
    if (name != NULL) {
        port = port_named(script, input, name);
    } else if (!input) {
        port = script->default_output;
    } else if (script->input_count == 1) {
        port = &script->inputs[0];
    }
    if (port == NULL) port_unknown(script, input, name, at, width, diags);
    return port;
}
