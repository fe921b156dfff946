// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the statistics of one method say: see report.h. */
#include "observe/report.h"

#include "base/status.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "call/topic.h"
#include "observe/survey.h"
#include "shape/codec_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const rpc_field error_fields[] = {
    RPC_DOUBLE(struct report_error, at, .doc = "when it was: Unix time", .unit = "s"),
    RPC_STRING(struct report_error, err, .doc = "the error's code", .length = {1, 65535}),
    RPC_STRING(struct report_error, msg, .doc = "its message, or the beginning of it",
               .length = {0, STATISTICS_MESSAGE}),
};

static const rpc_shape error_shape = RPC_OBJECT_SHAPE(struct report_error, error_fields);

#define REPORT_FIELDS                                                                                       \
    RPC_INT64(struct report, calls, .doc = "calls whose outcome is known"),                                 \
        RPC_JSON(struct report, errors,                                                                     \
                 .doc = "an object: how many of them ended with each error, by code; without errors that "  \
                        "did not happen"),                                                                  \
        RPC_INT64(struct report, running, .doc = "calls whose work a thread runs now"),                     \
        RPC_INT64(struct report, waiting, .doc = "calls that wait for a thread, or for something else"),    \
        RPC_DOUBLE(struct report, sum_s, .doc = "how long all calls took together", .unit = "s"),           \
        RPC_DOUBLE(struct report, max_s, .doc = "how long the longest took", .unit = "s"),                  \
        RPC_INT64_ARRAY(                                                                                    \
            struct report, buckets, bucket_count,                                                           \
            .doc = "how many took up to 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, " \
                   "0.1, 0.25, 0.5, 1, 2.5, 5, 10 s and longer, each without those before",                 \
            .items = {STATISTICS_BUCKETS, STATISTICS_BUCKETS}),                                             \
        RPC_OBJECT(struct report, last_error, struct report_error, .doc = "the last call that failed",      \
                   .nullable = true, .flag = RPC_FLAG(struct report, has_last_error),                       \
                   .shape = &error_shape),                                                                  \
        RPC_DOUBLE(struct report, since, .doc = "when the counting began: Unix time", .unit = "s")

static const rpc_field document_fields[] = {REPORT_FIELDS};

const rpc_shape report_document_shape = RPC_OBJECT_SHAPE(struct report, document_fields);

static const rpc_field report_fields[] = {
    RPC_STRING(struct report, method, .doc = "the method's declared name", .length = {1, TOPIC_NAME_MAX}),
    REPORT_FIELDS,
};

const rpc_shape report_shape = RPC_OBJECT_SHAPE(struct report, report_fields);

bool report_is_due(const struct registry_method *method)
{
    const struct statistics *statistics = &method->statistics;
    return statistics->calls || statistics->open.running || statistics->open.waiting;
}

double report_since(const struct engine *engine)
{
    const struct env *env = &engine->env;
    const double uptime = (double)(env_now(env) - engine->started) / 1e9;
    return round((env_wall_time(env) - uptime) * 1000) / 1000;
}

/* A method may declare an error of the engine's own, to give it members: that one is counted by its status.
 */
uint64_t report_raised(const struct registry_method *method, size_t i)
{
    return status_find(method->declared->errors.rows[i].code) == RPC_RAISED ? method->statistics.raised[i]
                                                                            : 0;
}

static void report_add_error(struct writer *writer, const char *code, uint64_t count)
{
    if (count)
        writer_member_integer(writer, code, (int64_t)count);
}

/* Returns false: no memory. */
static bool report_make_errors(const struct registry_method *method, struct arena *arena, rpc_json *errors)
{
    enum { STATUS_ROOM = 64, ROW_ROOM = 26 }; /* bytes that hold a member, in the latter without its name */
    const struct statistics *statistics = &method->statistics;
    size_t room = STATUS_ROOM * RPC_STATUS_COUNT_;
    for (size_t i = 0; i < method->declared->errors.count; i++)
        room += strlen(method->declared->errors.rows[i].code) + ROW_ROOM;
    char *text = arena_take(arena, room);
    if (!text)
        return false;
    struct writer writer = writer_make(&codec_json, text, room - 1);
    writer_begin_object(&writer);
    for (int status = RPC_OK + 1; status < RPC_RAISED; status++)
        report_add_error(&writer, status_name((rpc_status)status), statistics->statuses[status]);
    for (size_t i = 0; i < method->declared->errors.count; i++)
        report_add_error(&writer, method->declared->errors.rows[i].code, report_raised(method, i));
    writer_end_object(&writer);
    text[writer.used] = '\0';
    errors->text = text;
    return true;
}

/* Returns NULL: no memory. */
static const int64_t *report_make_buckets(const struct statistics *statistics, struct arena *arena)
{
    int64_t *buckets = arena_take(arena, STATISTICS_BUCKETS * sizeof *buckets);
    for (size_t i = 0; buckets && i < STATISTICS_BUCKETS; i++)
        buckets[i] = (int64_t)statistics->buckets[i];
    return buckets;
}

bool report_make(const struct registry_method *method, struct arena *arena, struct report *report)
{
    const struct statistics *statistics = &method->statistics;
    const struct statistics_error *last = &statistics->last;
    *report = (struct report){
        .method = method->declared->name,
        .calls = (int64_t)statistics->calls,
        .running = (int64_t)statistics->open.running,
        .waiting = (int64_t)statistics->open.waiting,
        .sum_s = (double)statistics->sum / 1e9,
        .max_s = (double)statistics->max / 1e9,
        .buckets = report_make_buckets(statistics, arena),
        .bucket_count = STATISTICS_BUCKETS,
        .has_last_error = last->code != NULL,
        .last_error = {.at = last->at, .err = last->code, .msg = last->message},
        .since = report_since(method->instance->engine),
    };
    return report->buckets && report_make_errors(method, arena, &report->errors);
}

/* Returns whether the document is on its way. */
static bool report_publish_method(struct engine *engine, const struct registry_method *method,
                                  struct arena *arena)
{
    struct report report;
    char level[sizeof TOPIC_METHOD_LEVEL "/" + TOPIC_NAME_MAX];
    char why[FIELDS_WHY];
    if (!report_make(method, arena, &report))
        return false;
    struct writer writer = answer_writer(engine, &codec_json);
    if (fields_encode(&report_document_shape, &report, &writer, why) != RPC_OK || writer.full)
        return false;
    snprintf(level, sizeof level, TOPIC_METHOD_LEVEL "/%s", report.method);
    return answer_publish_counter(&engine->env, level, true, codec_json.content_type, writer.out,
                                  writer.used);
}

static bool report_has_changed(const struct statistics *statistics)
{
    return statistics->changed || statistics->open.running != statistics->published.running ||
           statistics->open.waiting != statistics->published.waiting;
}

/* Publishes the document of a method, if it has changed. Returns whether it has. */
static bool report_publish_change(struct engine *engine, struct registry_method *method)
{
    struct statistics *statistics = &method->statistics;
    struct arena arena;
    if (!report_has_changed(statistics))
        return false;
    arena_init(&arena);
    if (report_publish_method(engine, method, &arena)) {
        statistics->changed = false;
        statistics->published = statistics->open;
    }
    arena_fini(&arena);
    return true;
}

void report_begin(struct engine *engine, uint64_t now)
{
    struct survey survey;
    survey_tasks(engine, &survey);
    engine->to_report = engine->registry.methods;
    engine->report_due = now;
    report_publish(engine, now);
}

void report_publish(struct engine *engine, uint64_t now)
{
    enum { ROUND_MAX = 100, ROUND_EVERY = 10000000 }; /* documents; ns */
    size_t changes = 0;
    if (!engine->to_report || now < engine->report_due)
        return;
    while (engine->to_report && changes < ROUND_MAX) {
        changes += report_publish_change(engine, engine->to_report);
        engine->to_report = engine->to_report->hh.next;
    }
    engine->report_due = now + ROUND_EVERY;
}
