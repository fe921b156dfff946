// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Workers that are attached: see workers.h. */
#include "workers/workers.h"

#include "base/text.h"
#include "call/engine_parts.h"
#include "call/foreign.h"
#include "call/exchange.h"
#include "call/remote.h"
#include "call/remote_shapes.h"
#include "call/topic.h"
#include "observe/wire.h"

#include <stdlib.h>
#include <string.h>

enum { WORKERS_LIST_MAX = CREW_WORKERS_MAX };

/* ---- Options ---- */

struct workers_options {
    const char *users; /* NULL: none */
    int64_t wait;      /* ms */
};

static const rpc_field options_fields[] = {
    RPC_STRING(struct workers_options, users,
               .doc = "user names whose clients may attach as workers, which get the parameters of the calls "
                      "that they carry out, and give their results; separated by spaces; without it, none",
               .unit = "words", .optional = true, .length = {1, 4096}, .reloads = true),
    RPC_INT64(struct workers_options, wait,
              .doc = "how long a call of a method that only workers carry out waits when none offers the "
                     "method, at most until its deadline; then it is `overloaded`",
              .unit = "ms", .default_json = "5000", .range = {0, ENV_TIMEOUT_MAX}, .reloads = true),
};

static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct workers_options, options_fields);

struct workers {
    struct workers_options options;
    char *users, *next_users; /* memory for options that were reloaded, and that are to be; NULL: none */
};

/* ---- Who may ---- */

static bool workers_has_user(const struct workers *workers, const rpc_call *call)
{
    const char *user = rpc_caller_user(call);
    return user && text_has_word(workers->options.users, user);
}

/* Why a caller cannot be a worker; NULL: it can. */
static const char *workers_find_fault(const rpc_call *call)
{
    const struct host *host = &call->engine->env.host;
    const struct host_client *client = call->exchange->message->client;
    if (!host->replies_to_caller || !host->tells_endings || !host->knows_caller)
        return "workers attach to a broker that has the plugin, and this is none";
    if (rpc_call_is_replay(call))
        return "a dead letter cannot attach anybody";
    if (client->bridge || client->far_bridge)
        return "a worker connects to this broker itself, and not over a bridge";
    return client->version == 5 ? NULL : "a worker needs MQTT 5";
}

static rpc_status workers_refuse_user(rpc_call *call)
{
    const char *user = rpc_caller_user(call);
    char safe[128];
    return rpc_raise(call, "not_allowed", "%s%s is not in the option workers_users",
                     user ? "user " : "an anonymous client",
                     user ? text_printable(user, safe, sizeof safe) : "");
}

/* ---- rpc.attach ---- */

struct attach_params {
    const char *worker, *version;
    const char **methods;
    size_t method_count;
    int32_t window;
    const struct foreign_method_card *declares;
    const struct foreign_event_card *events;
    size_t declare_count, event_count;
};

static const rpc_field attach_fields[] = {
    RPC_STRING(struct attach_params, worker,
               .doc = "the worker's name, which no other one has: a level of [A-Za-z0-9_.-]+",
               .length = {1, CREW_NAME_MAX}),
    RPC_STRING(struct attach_params, version, .doc = "its version, for people", .optional = true,
               .length = {0, CREW_TEXT_MAX}),
    RPC_STRING_ARRAY(struct attach_params, methods, method_count,
                     .doc = "methods that it offers, by their declared names", .optional = true,
                     .length = {1, TOPIC_NAME_MAX}, .items = {0, CREW_METHODS_MAX}),
    RPC_INT32(struct attach_params, window, .doc = "how many calls it takes at once", .default_json = "8",
              .range = {1, CREW_WINDOW_MAX}),
    RPC_OBJECT_ARRAY(struct attach_params, declares, declare_count, struct foreign_method_card,
                     .doc = "methods that no module has, which it declares and offers", .optional = true,
                     .items = {0, FOREIGN_METHODS_MAX}, .shape = &foreign_method_shape),
    RPC_OBJECT_ARRAY(struct attach_params, events, event_count, struct foreign_event_card,
                     .doc = "events that no module has, which it declares", .optional = true,
                     .items = {0, FOREIGN_EVENTS_MAX}, .shape = &foreign_event_shape),
};

static const rpc_shape attach_params_shape = RPC_OBJECT_SHAPE(struct attach_params, attach_fields);

struct attach_result {
    const char *work;
    int32_t window, max_payload, max_reply;
    const char **ignored;
    size_t ignored_count;
};

static const rpc_field attached_fields[] = {
    RPC_STRING(struct attach_result, work, .doc = "the topic on which it gets calls", .length = {1, 65535}),
    RPC_INT32(struct attach_result, window, .doc = "how many calls it gets at once"),
    RPC_INT32(struct attach_result, max_payload, .doc = "largest payload of a call", .unit = "bytes"),
    RPC_INT32(struct attach_result, max_reply, .doc = "largest result, error or event", .unit = "bytes"),
    RPC_STRING_ARRAY(struct attach_result, ignored, ignored_count,
                     .doc = "those of its methods that this service does not have, or carries out itself",
                     .length = {1, TOPIC_NAME_MAX}, .items = {0, CREW_METHODS_MAX}),
};

static const rpc_shape attach_result_shape = RPC_OBJECT_SHAPE(struct attach_result, attached_fields);

static const rpc_error attach_errors[] = {
    {.code = "not_allowed", .doc = "this caller cannot attach as a worker: the message says why"},
    {.code = "name_in_use", .doc = "a worker of another client has this name"},
};

static bool workers_declares(const struct attach_params *given, const char *name)
{
    size_t i = 0;
    while (i < given->declare_count && strcmp(given->declares[i].name, name) != 0)
        i++;
    return i < given->declare_count;
}

/*
 * Sorts the methods that are named into those that the worker offers and those that are ignored. Returns how
 * many it offers. It also offers those which the plugin carries out itself, but would not after a reload.
 * What it declares as well is left to that.
 */
static size_t workers_sort_methods(const rpc_call *call, const struct attach_params *given,
                                   const void **offered, struct attach_result *result)
{
    size_t count = 0;
    for (size_t i = 0; i < given->method_count; i++) {
        const char *name = given->methods[i];
        const struct registry_method *method =
            registry_find_exactly(&call->engine->registry, name, strlen(name));
        const bool is_local = method && method->placement == RPC_PLACEMENT_LOCAL;
        if ((!method || method->foreign) && workers_declares(given, name))
            continue;
        if (method && registry_may_move(method))
            offered[count++] = method;
        if (!method || is_local)
            result->ignored[result->ignored_count++] = name;
    }
    return count;
}

static rpc_status workers_explain(rpc_call *call, enum crew_answer answer, const struct crew_worker *worker)
{
    char safe[128];
    switch (answer) {
    case CREW_OK:
        return RPC_OK;
    case CREW_NAME_IN_USE:
    case CREW_NAME_IS_OLD:
        return rpc_raise(call, "name_in_use", "client %s is attached by this name",
                         text_printable(worker->client, safe, sizeof safe));
    case CREW_OTHER_NAME:
        return rpc_raise(call, "name_in_use",
                         "this connection is attached as %s: a worker has a connection of its own",
                         worker->name);
    case CREW_FULL:
        return rpc_raise(call, "overloaded",
                         "there are %d workers, or they offer %d methods together, or this one offers over "
                         "%d: no more are taken",
                         CREW_WORKERS_MAX, CREW_TIES_MAX, CREW_METHODS_MAX);
    case CREW_NO_MEMORY:
        break;
    }
    return RPC_INTERNAL_ERROR;
}

/* Whether the crew would take the worker, as far as its name says. */
static bool workers_may_have_name(const struct crew *crew, const char *name, const struct host_client *client)
{
    const struct crew_worker *worker = crew_find(crew, name);
    const struct crew_worker *own = crew_find_connection(crew, client->connection);
    return (!worker || strcmp(worker->client, client->id) == 0) && (!own || own == worker);
}

/* Declares what the worker declares, which it also offers. Returns RPC_OK and adds these methods to those
 * that it offers. */
static rpc_status workers_declare(rpc_call *call, const struct attach_params *given, const void **offered,
                                  size_t *count)
{
    struct engine *engine = call->engine;
    const struct foreign_cards cards = {.methods = given->declares,
                                        .method_count = given->declare_count,
                                        .events = given->events,
                                        .event_count = given->event_count,
                                        .offered = offered,
                                        .offered_count = *count};
    char why[FOREIGN_WHY];
    const rpc_status status =
        foreign_declare(engine, call->exchange->message->client->connection, given->worker, &cards, why);
    if (status != RPC_OK)
        return *why ? call_fail(call, status, "%s", why) : status;
    for (size_t i = 0; i < given->declare_count; i++) {
        const char *name = given->declares[i].name;
        offered[(*count)++] = registry_find_exactly(&engine->registry, name, strlen(name));
    }
    return RPC_OK;
}

/* What is wrong is found before anything has changed, but for want of memory: see remote_attach(). */
static rpc_status workers_enter(rpc_call *call, const struct attach_params *given, const void **offered,
                                size_t count)
{
    struct engine *engine = call->engine;
    struct crew *crew = &engine->remote->crew;
    const struct host_client *client = call->exchange->message->client;
    const struct crew_card card = {
        .name = given->worker,
        .client = client->id,
        .connection = client->connection,
        .version = given->version,
        .address = client->address,
        .user = client->user,
        .window = (unsigned)given->window,
        .now = env_now(&engine->env),
    };
    struct crew_worker *worker = NULL;
    if (workers_may_have_name(crew, given->worker, client)) {
        if (!crew_has_room(crew, given->worker, count + given->declare_count))
            return workers_explain(call, CREW_FULL, NULL);
        const rpc_status status = workers_declare(call, given, offered, &count);
        if (status != RPC_OK)
            return status;
    }
    const enum crew_answer answer = remote_attach(engine, &card, client, offered, count, &worker);
    if (answer != CREW_OK && !crew_find_connection(crew, client->connection))
        foreign_forget(engine, client->connection);
    return workers_explain(call, answer, worker);
}

static rpc_status workers_attach(rpc_call *call, void *state, const void *params, void *result)
{
    struct engine *engine = call->engine;
    const struct attach_params *given = params;
    struct attach_result *attached = result;
    const char *fault = workers_find_fault(call);
    if (!workers_has_user(state, call))
        return workers_refuse_user(call);
    if (fault)
        return rpc_raise(call, "not_allowed", "%s", fault);
    if (!topic_is_plain_level(given->worker))
        return rpc_raise(call, "invalid_params", "worker must be a level of [A-Za-z0-9_.-]+");
    const void **offered = rpc_alloc(call, (given->method_count + given->declare_count) * sizeof *offered);
    attached->ignored = rpc_alloc(call, given->method_count * sizeof *attached->ignored);
    attached->work = rpc_printf(call, "%s/work/%s", engine->env.options.prefix, given->worker);
    if (!offered || !attached->ignored || !attached->work)
        return RPC_INTERNAL_ERROR;
    const size_t count = workers_sort_methods(call, given, offered, attached);
    attached->window = given->window;
    attached->max_payload = engine->env.options.max_payload;
    attached->max_reply = engine->env.options.max_reply;
    return workers_enter(call, given, offered, count);
}

/* ---- rpc.detach ---- */

struct detach_params {
    const char *worker;
};

static const rpc_field detach_fields[] = {
    RPC_STRING(struct detach_params, worker, .doc = "the worker", .length = {1, CREW_NAME_MAX}),
};

static const rpc_shape detach_params_shape = RPC_OBJECT_SHAPE(struct detach_params, detach_fields);

struct detach_result {
    int32_t outstanding;
};

static const rpc_field detached_fields[] = {
    RPC_INT32(struct detach_result, outstanding, .doc = "how many calls it has, which it still answers"),
};

static const rpc_shape detach_result_shape = RPC_OBJECT_SHAPE(struct detach_result, detached_fields);

static const rpc_error detach_errors[] = {
    {.code = "not_allowed", .doc = "this caller is not the worker, and its user is not in workers_users"},
    {.code = "unknown_worker", .doc = "no worker of this name is attached"},
};

static rpc_status workers_detach(rpc_call *call, void *state, const void *params, void *result)
{
    const struct detach_params *given = params;
    const struct host_client *client = call->exchange->message->client;
    struct crew_worker *worker = crew_find(&call->engine->remote->crew, given->worker);
    const bool is_own = worker && worker->connection == client->connection;
    if (!is_own && !workers_has_user(state, call))
        return workers_refuse_user(call);
    if (!worker)
        return rpc_raise(call, "unknown_worker", "no worker %.64s is attached", given->worker);
    remote_detach(call->engine, worker);
    ((struct detach_result *)result)->outstanding = (int32_t)worker->outstanding;
    return RPC_OK;
}

/* ---- rpc.workers ---- */

struct list_params {
    const char *worker;
    int32_t limit;
};

static const rpc_field list_fields[] = {
    RPC_STRING(struct list_params, worker, .doc = "only the worker of this name", .optional = true,
               .length = {1, CREW_NAME_MAX}),
    RPC_INT32(struct list_params, limit, .doc = "at most so many workers", .default_json = "50",
              .range = {1, WORKERS_LIST_MAX}),
};

static const rpc_shape list_params_shape = RPC_OBJECT_SHAPE(struct list_params, list_fields);

struct workers_row {
    const char *id, *client, *address, *user, *version;
    const char **methods;
    size_t method_count;
    int32_t window, outstanding;
    int64_t calls, errors, refused, lost, again, unknown;
    bool leaving, has_times;
    double since, p50_s, p99_s;
};

static const rpc_field row_fields[] = {
    RPC_STRING(struct workers_row, id, .doc = "the worker's name", .length = {1, CREW_NAME_MAX}),
    RPC_STRING(struct workers_row, client, .doc = "its client id", .length = {0, 65535}),
    RPC_STRING(struct workers_row, address, .doc = "its network address", .optional = true,
               .length = {0, 65535}),
    RPC_STRING(struct workers_row, user, .doc = "its user name", .optional = true, .length = {0, 65535}),
    RPC_STRING(struct workers_row, version, .doc = "its version, as it has told it", .optional = true,
               .length = {0, 65535}),
    RPC_STRING_ARRAY(struct workers_row, methods, method_count, .doc = "the methods that it offers",
                     .length = {1, TOPIC_NAME_MAX}, .items = {0, CREW_METHODS_MAX}),
    RPC_INT32(struct workers_row, window, .doc = "how many calls it takes at once"),
    RPC_INT32(struct workers_row, outstanding, .doc = "how many calls it has"),
    RPC_INT64(struct workers_row, calls, .doc = "calls that it has answered"),
    RPC_INT64(struct workers_row, errors, .doc = "those of them that it has answered with an error"),
    RPC_INT64(struct workers_row, refused, .doc = "calls that it has given back without beginning them"),
    RPC_INT64(struct workers_row, lost,
              .doc = "calls that it had not answered a minute after their deadline"),
    RPC_INT64(struct workers_row, again, .doc = "calls that another one got when a worker of this name went"),
    RPC_INT64(struct workers_row, unknown,
              .doc = "calls whose outcome is unknown because a worker of this name went while it had them"),
    RPC_BOOL(struct workers_row, leaving, .doc = "it gets no further call"),
    RPC_DOUBLE(struct workers_row, since, .doc = "when it was attached: Unix time", .unit = "s"),
    RPC_DOUBLE(struct workers_row, p50_s, .doc = "half of its calls took no longer, as far as is counted",
               .unit = "s", .optional = true, .flag = RPC_FLAG(struct workers_row, has_times)),
    RPC_DOUBLE(struct workers_row, p99_s, .doc = "99 of 100 took no longer, likewise", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct workers_row, has_times)),
};

static const rpc_shape row_shape = RPC_OBJECT_SHAPE(struct workers_row, row_fields);

struct workers_list {
    int64_t attached;
    struct workers_row *rows;
    size_t row_count;
};

static const rpc_field result_fields[] = {
    RPC_INT64(struct workers_list, attached, .name = "count",
              .doc = "how many such workers are attached, also those that are left out of `workers`"),
    RPC_OBJECT_ARRAY(struct workers_list, rows, row_count, struct workers_row, .name = "workers",
                     .doc = "workers in the order in which they were attached, as far as limit and max_reply "
                            "allow",
                     .items = {0, WORKERS_LIST_MAX}, .shape = &row_shape),
};

static const rpc_shape list_result_shape = RPC_OBJECT_SHAPE(struct workers_list, result_fields);

/* NULL stays NULL. */
static const char *workers_text(rpc_call *call, const char *text)
{
    return text ? wire_text(&call->arena, text) : NULL;
}

/* Returns false: no memory. */
static bool workers_list_methods(rpc_call *call, const struct crew_worker *worker, struct workers_row *row)
{
    row->methods = rpc_alloc(call, HASH_COUNT(worker->ties) * sizeof *row->methods);
    for (const struct crew_tie *tie = worker->ties; row->methods && tie; tie = tie->hh.next) {
        const struct registry_method *method = tie->method;
        if (method->placement != RPC_PLACEMENT_LOCAL)
            row->methods[row->method_count++] = method->declared->name;
    }
    return row->methods;
}

/* Returns false: no memory. */
static bool workers_show(rpc_call *call, const struct crew_worker *worker, struct workers_row *row)
{
    const struct env *env = &call->engine->env;
    const struct statistics *statistics = &worker->statistics;
    *row = (struct workers_row){
        .id = worker->name,
        .client = wire_text(&call->arena, worker->client),
        .address = workers_text(call, worker->address),
        .user = workers_text(call, worker->user),
        .version = workers_text(call, worker->version),
        .window = (int32_t)worker->window,
        .outstanding = (int32_t)worker->outstanding,
        .calls = (int64_t)statistics->calls,
        .errors = (int64_t)(statistics->calls - statistics->statuses[RPC_OK]),
        .refused = (int64_t)worker->counts.refused,
        .lost = (int64_t)worker->counts.lost,
        .again = (int64_t)worker->counts.again,
        .unknown = (int64_t)worker->counts.unknown,
        .leaving = worker->leaving,
        .since = env_wall_time(env) - (double)(env_now(env) - worker->since) / 1e9,
        .has_times = statistics->calls,
        .p50_s = statistics_quantile(statistics, 0.5),
        .p99_s = statistics_quantile(statistics, 0.99),
    };
    return row->client && workers_list_methods(call, worker, row);
}

/* Takes the room of a row. Returns false: it does not fit. */
static bool workers_take_room(struct wire_room *room, const struct workers_row *row)
{
    const char *const texts[] = {row->client, row->address, row->user, row->version};
    size_t names = 0;
    for (size_t i = 0; i < row->method_count; i++)
        names += strlen(row->methods[i]) + sizeof "\"\",";
    if (names > room->left || !wire_take_room(room, texts, sizeof texts / sizeof *texts) ||
        names + CREW_NAME_MAX > room->left)
        return false;
    room->left -= names + CREW_NAME_MAX;
    return true;
}

static rpc_status workers_list_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct list_params *wanted = params;
    const struct crew_worker *worker = call->engine->remote->crew.workers;
    struct workers_list *list = result;
    struct wire_room room = wire_room_of(call->method->instance);
    const size_t max = (size_t)wanted->limit;
    bool is_full = false;
    (void)state;
    list->rows = rpc_alloc(call, max * sizeof *list->rows);
    if (!list->rows)
        return RPC_INTERNAL_ERROR;
    for (; worker; worker = worker->hh.next) {
        if (wanted->worker && strcmp(wanted->worker, worker->name) != 0)
            continue;
        list->attached++;
        if (is_full || list->row_count == max)
            continue;
        struct workers_row *row = &list->rows[list->row_count];
        if (!workers_show(call, worker, row))
            return RPC_INTERNAL_ERROR;
        is_full = !workers_take_room(&room, row);
        list->row_count += !is_full;
    }
    return RPC_OK;
}

/* ---- The module ---- */

static const rpc_method methods[] = {
    {
        .name = "rpc.attach",
        .doc = "Attaches the calling connection as a worker, which then gets calls of the methods that it "
               "offers; attached once more, it offers these methods and no others.",
        .idempotent = true,
        .params = &attach_params_shape,
        .result = &attach_result_shape,
        .errors = RPC_TABLE(attach_errors),
        .run = workers_attach,
    },
    {
        .name = "rpc.detach",
        .doc = "Lets a worker leave: it gets no further call, and still answers those that it has.",
        .idempotent = true,
        .params = &detach_params_shape,
        .result = &detach_result_shape,
        .errors = RPC_TABLE(detach_errors),
        .run = workers_detach,
    },
    {
        .name = "rpc.workers",
        .doc = "Lists the workers that are attached.",
        .read_only = true,
        .params = &list_params_shape,
        .result = &list_result_shape,
        .run = workers_list_run,
    },
};

/* What rpc.attach has done ends with the connection: sent again on another one, it attaches that. */
static void workers_run_anew(rpc_instance *instance)
{
    static const char *const names[] = {"rpc.attach", "rpc.detach"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        registry_find_exactly(&instance->engine->registry, names[i], strlen(names[i]))->may_run_twice = true;
}

static rpc_status workers_init(rpc_instance *instance, void *state, const void *options)
{
    struct workers *workers = state;
    workers->options = *(const struct workers_options *)options;
    instance->engine->remote->wait = env_nanoseconds(workers->options.wait);
    workers_run_anew(instance);
    return RPC_OK;
}

static rpc_status workers_prepare(rpc_instance *instance, void *state, const void *options,
                                  rpc_refusal *refusal)
{
    const char *users = ((const struct workers_options *)options)->users;
    struct workers *workers = state;
    (void)instance;
    free(workers->next_users);
    workers->next_users = strdup(users ? users : "");
    *refusal = (rpc_refusal){.option = "users", .why = "there is no memory"};
    return workers->next_users ? RPC_OK : RPC_INTERNAL_ERROR;
}

/* Workers that are attached stay so. */
static void workers_reload(rpc_instance *instance, void *state, const void *options)
{
    struct workers *workers = state;
    free(workers->users);
    workers->users = workers->next_users;
    workers->next_users = NULL;
    workers->options = *(const struct workers_options *)options;
    workers->options.users = workers->users;
    instance->engine->remote->wait = env_nanoseconds(workers->options.wait);
}

static void workers_fini(void *state)
{
    struct workers *workers = state;
    free(workers->users);
    free(workers->next_users);
}

RPC_MODULE(workers, .doc = "Workers: processes that carry out calls for the plugin.",
           .state_size = sizeof(struct workers), .options = &options_shape, .methods = RPC_TABLE(methods),
           .init = workers_init, .prepare = workers_prepare, .reload = workers_reload, .fini = workers_fini);
