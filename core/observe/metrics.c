// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The text format of Prometheus: see metrics.h. The document is a table of families; a family has one item,
 * or one for each table or method, and an item has the samples that stay together. An item of a method that
 * was never called is empty. Families and items never change while an engine runs, so that their numbers say
 * where a page begins.
 */
#include "observe/metrics.h"

#include "base/number.h"
#include "base/status.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "observe/health.h"
#include "observe/report.h"
#include "observe/survey.h"
#include "observe/tables.h"
#include "shape/codec_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    METRICS_ITEMS = 1000000, /* the largest number of items of a family */
    METRICS_LABEL = 512      /* bytes that hold any label's value that is not a name, escaped */
};

/* ---- Parameters and results ---- */

struct metrics_params {
    int32_t after;
};

static const rpc_field params_fields[] = {
    RPC_INT32(struct metrics_params, after,
              .doc = "`next` of the page before; without it the first page comes", .default_json = "0",
              .range = {0, INT32_MAX}),
};

const rpc_shape metrics_params_shape = RPC_OBJECT_SHAPE(struct metrics_params, params_fields);

struct metrics {
    const char *text;
    int32_t next;
    bool has_next;
};

static const rpc_field metrics_fields[] = {
    RPC_STRING(struct metrics, text,
               .doc =
                   "a page of the text format of Prometheus, 0.0.4; all pages one behind the other are one "
                   "document",
               .length = {0, 16777216}),
    RPC_INT32(struct metrics, next, .doc = "what `after` of the next page is; null: this page is the last",
              .nullable = true, .flag = RPC_FLAG(struct metrics, has_next)),
};

const rpc_shape metrics_shape = RPC_OBJECT_SHAPE(struct metrics, metrics_fields);

/* ---- A page ---- */

struct metrics_page {
    const struct engine *engine;
    struct survey survey;
    struct pool_use pool;
    char prefix[METRICS_LABEL]; /* escaped */

    char *text;
    size_t used, capacity;
    size_t escapes; /* bytes more that the text takes as a JSON string */
    bool full;
};

/* Escapes the value of a label. What does not fit is cut. Returns out. */
static const char *metrics_escape(const char *value, char out[METRICS_LABEL])
{
    size_t used = 0;
    for (; *value && used + 2 < METRICS_LABEL; value++) {
        if (*value == '"' || *value == '\\')
            out[used++] = '\\';
        out[used++] = *value;
    }
    out[used] = '\0';
    return out;
}

__attribute__((format(printf, 2, 3))) static void metrics_print(struct metrics_page *page, const char *format,
                                                                ...)
{
    const size_t room = page->capacity - page->used - page->escapes;
    char *start = page->text + page->used;
    va_list arguments;
    va_start(arguments, format);
    const int length = page->full ? -1 : vsnprintf(start, room, format, arguments);
    va_end(arguments);
    page->full = page->full || length < 0 || (size_t)length >= room;
    if (page->full)
        return;
    size_t escapes = 0;
    for (const char *at = start; *at; at++)
        escapes += *at == '"' || *at == '\\' || *at == '\n';
    page->used += (size_t)length;
    page->full = escapes > room - (size_t)length;
    page->escapes += page->full ? 0 : escapes;
}

static const char *metrics_number(double number, char out[NUMBER_PRINTED_MAX + 1])
{
    out[number_print(number, out)] = '\0';
    return out;
}

/* ---- Families ---- */

enum metrics_items { METRICS_ONE, METRICS_TABLES, METRICS_METHODS };

struct metrics_family {
    const char *name; /* behind METRICS_NAME */
    const char *type, *help;
    enum metrics_items items;
    void (*write)(struct metrics_page *page, const struct metrics_family *family, const void *item);
    size_t offset; /* of what is written, in the struct that has it */
};

#define METRICS_NAME "mosquitto_rpc_"

/* A sample of the prefix without a label of its own. */
static void metrics_write_one(struct metrics_page *page, const struct metrics_family *family, double value)
{
    char number[NUMBER_PRINTED_MAX + 1];
    metrics_print(page, METRICS_NAME "%s{prefix=\"%s\"} %s\n", family->name, page->prefix,
                  metrics_number(value, number));
}

static void metrics_write_info(struct metrics_page *page, const struct metrics_family *family,
                               const void *item)
{
    const char *broker = page->engine->env.host.broker;
    char escaped[METRICS_LABEL];
    (void)item;
    metrics_print(page, METRICS_NAME "%s{prefix=\"%s\",version=\"%s\",broker=\"%s\"} 1\n", family->name,
                  page->prefix, RPC_VERSION, metrics_escape(broker ? broker : "unknown", escaped));
}

static void metrics_write_start(struct metrics_page *page, const struct metrics_family *family,
                                const void *item)
{
    (void)item;
    metrics_write_one(page, family, report_since(page->engine));
}

static void metrics_write_healthy(struct metrics_page *page, const struct metrics_family *family,
                                  const void *item)
{
    (void)item;
    metrics_write_one(page, family, health_check(page->engine));
}

static void metrics_write_counter(struct metrics_page *page, const struct metrics_family *family,
                                  const void *item)
{
    uint64_t value;
    (void)item;
    memcpy(&value, (const char *)&page->engine->env.counters + family->offset, sizeof value);
    metrics_write_one(page, family, (double)value);
}

static void metrics_write_pool(struct metrics_page *page, const struct metrics_family *family,
                               const void *item)
{
    unsigned value;
    (void)item;
    memcpy(&value, (const char *)&page->pool + family->offset, sizeof value);
    metrics_write_one(page, family, value);
}

static void metrics_write_waiting_work(struct metrics_page *page, const struct metrics_family *family,
                                       const void *item)
{
    (void)item;
    metrics_write_one(page, family, (double)page->survey.waiting);
}

/* A table without a maximum has no sample of it. */
static void metrics_write_table(struct metrics_page *page, const struct metrics_family *family,
                                const void *item)
{
    const struct tables_shown *shown = item;
    const struct tables_use *use = &shown->use;
    size_t value;
    memcpy(&value, (const char *)use + family->offset, sizeof value);
    const bool is_bytes = family->offset >= offsetof(struct tables_use, bytes);
    const bool is_max = family->offset == offsetof(struct tables_use, max);
    if ((is_bytes && !use->bytes_max) || (is_max && !use->max))
        return;
    metrics_print(page, METRICS_NAME "%s{prefix=\"%s\",table=\"%s%s%s\"} %zu\n", family->name, page->prefix,
                  shown->module ? shown->module : "", shown->module ? "." : "", shown->name, value);
}

static void metrics_write_status(struct metrics_page *page, const struct metrics_family *family,
                                 const struct registry_method *method, const char *status, uint64_t count)
{
    if (count)
        metrics_print(page, METRICS_NAME "%s{prefix=\"%s\",method=\"%s\",status=\"%s\"} %" PRIu64 "\n",
                      family->name, page->prefix, method->declared->name, status, count);
}

/* Successes have a sample in any case, so that the rate of each method can be asked for. */
static void metrics_write_calls(struct metrics_page *page, const struct metrics_family *family,
                                const void *item)
{
    const struct registry_method *method = item;
    const uint64_t *statuses = method->statistics.statuses;
    metrics_print(page, METRICS_NAME "%s{prefix=\"%s\",method=\"%s\",status=\"ok\"} %" PRIu64 "\n",
                  family->name, page->prefix, method->declared->name, statuses[RPC_OK]);
    for (int status = RPC_OK + 1; status < RPC_RAISED; status++)
        metrics_write_status(page, family, method, status_name((rpc_status)status), statuses[status]);
    for (size_t i = 0; i < method->declared->errors.count; i++)
        metrics_write_status(page, family, method, method->declared->errors.rows[i].code,
                             report_raised(method, i));
}

/* Buckets are cumulative here. */
static void metrics_write_durations(struct metrics_page *page, const struct metrics_family *family,
                                    const void *item)
{
    const struct registry_method *method = item;
    const struct statistics *statistics = &method->statistics;
    const char *name = method->declared->name;
    char number[NUMBER_PRINTED_MAX + 1];
    uint64_t count = 0;
    for (size_t i = 0; i < STATISTICS_BUCKETS; i++) {
        count += statistics->buckets[i];
        metrics_print(page, METRICS_NAME "%s_bucket{prefix=\"%s\",method=\"%s\",le=\"%s\"} %" PRIu64 "\n",
                      family->name, page->prefix, name,
                      i < STATISTICS_BUCKETS - 1 ? metrics_number(statistics_bounds[i], number) : "+Inf",
                      count);
    }
    metrics_print(page, METRICS_NAME "%s_sum{prefix=\"%s\",method=\"%s\"} %s\n", family->name, page->prefix,
                  name, metrics_number((double)statistics->sum / 1e9, number));
    metrics_print(page, METRICS_NAME "%s_count{prefix=\"%s\",method=\"%s\"} %" PRIu64 "\n", family->name,
                  page->prefix, name, count);
}

static void metrics_write_open(struct metrics_page *page, const struct metrics_family *family,
                               const void *item)
{
    const struct registry_method *method = item;
    size_t value;
    memcpy(&value, (const char *)&method->statistics.open + family->offset, sizeof value);
    metrics_print(page, METRICS_NAME "%s{prefix=\"%s\",method=\"%s\"} %zu\n", family->name, page->prefix,
                  method->declared->name, value);
}

/* The counter of all calls is the sum of those of the methods, which have its name. */
static const struct metrics_family families[] = {
    {"info", "gauge", "the versions of mosquitto-rpc and of the broker", METRICS_ONE, metrics_write_info, 0},
    {"start_time_seconds", "gauge", "when the counting began, Unix time", METRICS_ONE, metrics_write_start,
     0},
    {"healthy", "gauge", "1: rpc.health finds nothing wrong; 0: it does", METRICS_ONE, metrics_write_healthy,
     0},
    {"workers", "gauge", "worker threads that may be busy", METRICS_ONE, metrics_write_pool,
     offsetof(struct pool_use, workers)},
    {"workers_busy", "gauge", "worker threads that run work", METRICS_ONE, metrics_write_pool,
     offsetof(struct pool_use, busy)},
    {"workers_replaced", "gauge", "busy worker threads whose work no caller waits for", METRICS_ONE,
     metrics_write_pool, offsetof(struct pool_use, replaced)},
    {"work_waiting", "gauge", "pieces of work that wait for a thread", METRICS_ONE,
     metrics_write_waiting_work, 0},
#define COUNTER(member, level, text) \
    {level "_total", "counter", text, METRICS_ONE, metrics_write_counter, offsetof(struct counters, member)},
    ENGINE_COUNTERS(COUNTER)
#undef COUNTER
        {"table_entries", "gauge", "what is in a bounded table", METRICS_TABLES, metrics_write_table,
         offsetof(struct tables_use, entries)},
    {"table_entries_max", "gauge", "how much fits into it", METRICS_TABLES, metrics_write_table,
     offsetof(struct tables_use, max)},
    {"table_bytes", "gauge", "the bytes that it holds", METRICS_TABLES, metrics_write_table,
     offsetof(struct tables_use, bytes)},
    {"table_bytes_max", "gauge", "how many it may hold", METRICS_TABLES, metrics_write_table,
     offsetof(struct tables_use, bytes_max)},
    {"calls_total", "counter", "calls of a method that ended with a status", METRICS_METHODS,
     metrics_write_calls, 0},
    {"call_duration_seconds", "histogram", "from the arrival of a call to its outcome", METRICS_METHODS,
     metrics_write_durations, 0},
    {"calls_running", "gauge", "calls whose work a thread runs", METRICS_METHODS, metrics_write_open,
     offsetof(struct statistics_open, running)},
    {"calls_waiting", "gauge", "calls that wait for a thread or for something else", METRICS_METHODS,
     metrics_write_open, offsetof(struct statistics_open, waiting)},
};

enum { FAMILIES = sizeof families / sizeof families[0] };

/* Whether the family is written: not the counter of the engine that another family replaces. */
static bool metrics_is_written(const struct metrics_family *family)
{
    return family->write != metrics_write_counter || family->offset != offsetof(struct counters, calls);
}

/* ---- The document ---- */

/* Where a page begins or ends. */
struct metrics_place {
    size_t family, item;
    const struct registry_method *method; /* the item, of a family of methods */
};

static void metrics_go_to(const struct engine *engine, struct metrics_place *place, size_t family,
                          size_t item)
{
    *place = (struct metrics_place){family, item, engine->registry.methods};
    for (; item && place->method; item--)
        place->method = place->method->hh.next;
}

static bool metrics_has_item(const struct engine *engine, const struct metrics_place *place)
{
    switch (families[place->family].items) {
    case METRICS_TABLES:
        return place->item < tables_count(engine);
    case METRICS_METHODS:
        return place->method != NULL;
    case METRICS_ONE:
        break;
    }
    return place->item == 0;
}

static void metrics_write_samples(struct metrics_page *page, const struct metrics_place *place)
{
    const struct metrics_family *family = &families[place->family];
    struct tables_shown shown;
    if (family->items != METRICS_TABLES) {
        family->write(page, family, place->method);
        return;
    }
    tables_look(page->engine, place->item, &shown);
    family->write(page, family, &shown);
}

/* Writes the item at the place, and before the first one, which there need not be, what the family is. What
 * does not fit is taken back. Returns whether it fits. */
static bool metrics_write_item(struct metrics_page *page, const struct metrics_place *place)
{
    const struct metrics_family *family = &families[place->family];
    const size_t used = page->used, escapes = page->escapes;
    if (place->item == 0)
        metrics_print(page, "# HELP " METRICS_NAME "%s %s\n# TYPE " METRICS_NAME "%s %s\n", family->name,
                      family->help, family->name, family->type);
    if (metrics_has_item(page->engine, place) &&
        (family->items != METRICS_METHODS || report_is_due(place->method)))
        metrics_write_samples(page, place);
    if (!page->full)
        return true;
    page->used = used;
    page->escapes = escapes;
    return false;
}

/* Writes as many items as fit, from a place on, which moves to the first that does not, or to the end. */
static void metrics_write_items(struct metrics_page *page, struct metrics_place *place)
{
    while (place->family < FAMILIES) {
        if (metrics_is_written(&families[place->family]) && !metrics_write_item(page, place))
            return;
        place->item++;
        place->method = place->method ? place->method->hh.next : NULL;
        if (!metrics_has_item(page->engine, place))
            metrics_go_to(page->engine, place, place->family + 1, 0);
    }
}

/* A part of max_reply is left for what stands around the text. */
static void metrics_begin(struct metrics_page *page, struct engine *engine)
{
    const struct writer scratch = answer_writer(engine, &codec_json);
    *page = (struct metrics_page){
        .engine = engine, .text = scratch.out, .capacity = scratch.capacity - scratch.capacity / 8};
    metrics_escape(engine->env.options.prefix, page->prefix);
    survey_tasks(engine, &page->survey);
    pool_look(engine->tasks->pool, &page->pool);
}

rpc_status metrics_run(rpc_call *call, void *state, const void *params, void *result)
{
    const size_t after = (size_t)((const struct metrics_params *)params)->after;
    struct metrics *metrics = result;
    struct metrics_page page;
    struct metrics_place place;
    (void)state;
    metrics_begin(&page, call->engine);
    metrics_go_to(call->engine, &place, after / METRICS_ITEMS, after % METRICS_ITEMS);
    metrics_write_items(&page, &place);
    if (place.family < FAMILIES && !page.used)
        return rpc_raise(call, "reply_too_large",
                         "the samples of one method do not fit into %d bytes: see max_reply",
                         call->engine->env.options.max_reply);
    metrics->has_next = place.family < FAMILIES;
    metrics->next = (int32_t)(place.family * METRICS_ITEMS + place.item);
    metrics->text = arena_copy(&call->arena, page.text, page.used);
    return metrics->text ? RPC_OK : RPC_INTERNAL_ERROR;
}
