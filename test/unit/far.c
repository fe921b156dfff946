// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A module whose calls workers carry out: see far.h. */
#include "far.h"

#include "call/engine_parts.h"

#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The module ---- */

struct pair {
    int32_t a, b;
};

static const rpc_field pair_fields[] = {
    RPC_INT32(struct pair, a, .doc = "one"),
    RPC_INT32(struct pair, b, .doc = "another", .default_json = "7"),
};
static const rpc_shape pair_shape = RPC_OBJECT_SHAPE(struct pair, pair_fields);

struct sum {
    int32_t sum;
    const char *text;
};

static const rpc_field sum_fields[] = {
    RPC_INT32(struct sum, sum, .doc = "both"),
    RPC_STRING(struct sum, text, .doc = "a text", .optional = true, .length = {0, 100000}),
};
static const rpc_shape sum_shape = RPC_OBJECT_SHAPE(struct sum, sum_fields);

struct limit {
    int32_t limit;
};

static const rpc_field limit_fields[] = {RPC_INT32(struct limit, limit, .doc = "what fits")};
static const rpc_shape limit_shape = RPC_OBJECT_SHAPE(struct limit, limit_fields);
static const rpc_error add_errors[] = {{.code = "far_large", .doc = "it is too large", .data = &limit_shape},
                                       {.code = "far_plain", .doc = "it is plain"}};

struct step {
    int32_t step;
};

static const rpc_field step_fields[] = {RPC_INT32(struct step, step, .doc = "which")};
static const rpc_shape step_shape = RPC_OBJECT_SHAPE(struct step, step_fields);

struct lane {
    const char *lane;
};

static const rpc_field lane_fields[] = {RPC_STRING(struct lane, lane, .doc = "which", .length = {1, 40})};
static const rpc_shape lane_shape = RPC_OBJECT_SHAPE(struct lane, lane_fields);

struct value {
    int32_t value;
};

static const rpc_field value_fields[] = {RPC_INT32(struct value, value, .doc = "a digit", .range = {0, 9})};
static const rpc_shape value_shape = RPC_VALUE_SHAPE(struct value, value_fields);
static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

static rpc_status run_nowhere(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    ck_abort_msg("a call runs here");
    return RPC_INTERNAL_ERROR;
}

static rpc_status run_here(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

atomic_bool far_shut;
static sem_t gate;

static void work(rpc_job *job, void *data)
{
    (void)job, (void)data;
    while (far_shut && sem_wait(&gate) != 0 && errno == EINTR)
        continue;
}

void far_let_go(void)
{
    far_shut = false;
    for (int i = 0; i < 100; i++)
        sem_post(&gate);
}

static rpc_status run_spill(rpc_call *call, void *state, const void *params, void *result)
{
    const struct lane *given = params;
    (void)state;
    ((struct sum *)result)->text = "here";
    return rpc_start(call, given->lane, NULL);
}

static rpc_status done_spill(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)result;
    return outcome;
}

static const rpc_event events[] = {
    {.name = "far.added", .doc = "d"},
    {.name = "far.failed", .doc = "d"},
    {.name = "far.told", .doc = "d", .data = &step_shape},
    {.name = "far.kept", .doc = "d", .data = &lane_shape, .retained = true, .key = "lane"},
};

static const rpc_method methods[] = {
    {.name = "far.add",
     .doc = "d",
     .params = &pair_shape,
     .result = &sum_shape,
     .errors = RPC_TABLE(add_errors),
     .event = "far.added",
     .error_event = "far.failed",
     .run = run_nowhere,
     .placement = RPC_PLACEMENT_REMOTE},
    {.name = "far.read",
     .doc = "d",
     .read_only = true,
     .params = &pair_shape,
     .result = &sum_shape,
     .run = run_nowhere,
     .placement = RPC_PLACEMENT_REMOTE},
    {.name = "far.keep",
     .doc = "d",
     .idempotent = true,
     .params = &pair_shape,
     .result = &sum_shape,
     .run = run_nowhere,
     .placement = RPC_PLACEMENT_REMOTE},
    {.name = "far.lane",
     .doc = "d",
     .params = &lane_shape,
     .run = run_nowhere,
     .placement = RPC_PLACEMENT_REMOTE,
     .lane = "lane"},
    {.name = "far/{door}/open", .doc = "d", .run = run_nowhere, .placement = RPC_PLACEMENT_REMOTE},
    {.name = "far.steps",
     .doc = "d",
     .run = run_nowhere,
     .defers = true,
     .done = done_spill,
     .progress = &step_shape,
     .placement = RPC_PLACEMENT_REMOTE},
    {.name = "far.bytes",
     .doc = "d",
     .params = &bytes_shape,
     .run = run_nowhere,
     .placement = RPC_PLACEMENT_REMOTE},
    {.name = "far.value",
     .doc = "d",
     .params = &value_shape,
     .result = &value_shape,
     .run = run_nowhere,
     .placement = RPC_PLACEMENT_REMOTE},
    {.name = "far.spill",
     .doc = "d",
     .params = &lane_shape,
     .result = &sum_shape,
     .run = run_spill,
     .work = work,
     .done = done_spill,
     .placement = RPC_PLACEMENT_SPILL,
     .lane = "lane"},
    {.name = "far.here", .doc = "d", .run = run_here},
};

const rpc_module far = {
    .name = "far", .doc = "d", .methods = RPC_TABLE(methods), .events = RPC_TABLE(events)};

/* ---- The engine ---- */

void far_init(struct rig *rig)
{
    rig_init(rig);
    rig->client.connection = rig;
    rig->host.monotonic = 1000 * RIG_SECOND;
    rig->host.wall = 2000;
}

/* The options shape of the module is its own: what is given here has its layout. */
void far_start(struct rig *rig, int64_t wait)
{
    static struct {
        const char *users;
        int64_t wait;
    } options;
    options.users = "crew";
    options.wait = wait;
    sem_init(&gate, 0, 0);
    far_shut = false;
    rig_start(rig);
    rig_add(rig, &rpc_module_workers, &options);
    rig_add(rig, &far, NULL);
    rig_open_methods(rig);
}

void far_open(struct rig *rig)
{
    far_init(rig);
    far_start(rig, 5000);
}

/* ---- Workers ---- */

struct far_worker far_make(const char *name)
{
    static char connections[64];
    static size_t next;
    struct far_worker worker = {.name = name};
    worker.client = (struct host_client){.id = name,
                                         .user = "crew",
                                         .address = "192.0.2.8",
                                         .version = 5,
                                         .connection = &connections[next++ % sizeof connections]};
    snprintf(worker.topic, sizeof worker.topic, "rpc/work/%s", name);
    snprintf(worker.done, sizeof worker.done, "rpc/work/%s/done", name);
    return worker;
}

const struct fake_message *far_ask(struct rig *rig, const struct far_worker *worker, const char *method,
                                   const char *payload)
{
    const struct host_client own = rig->client;
    const size_t before = rig->host.replies.count;
    char topic[128];
    snprintf(topic, sizeof topic, "rpc/call/%s", method);
    rig->client = worker->client;
    rig_send(rig, topic, payload, "w", NULL);
    rig->client = own;
    ck_assert_uint_gt(rig->host.replies.count, before);
    for (size_t i = before; i < rig->host.replies.count; i++) {
        if (strcmp(rig->host.replies.kept[i].topic, "w") == 0)
            return &rig->host.replies.kept[i];
    }
    ck_abort_msg("no reply");
    return NULL;
}

void far_attach(struct rig *rig, struct far_worker *worker, const char *params)
{
    char payload[1024];
    snprintf(payload, sizeof payload, "{\"worker\":\"%s\"%s%s}", worker->name, *params ? "," : "", params);
    const struct fake_message *reply = far_ask(rig, worker, "rpc.attach", payload);
    ck_assert_msg(strcmp(reply->status, "ok") == 0, "%s", reply->text);
    rig->host.replies.count--;
    free(rig->host.replies.kept[rig->host.replies.count].payload);
    rig->host.replies.kept[rig->host.replies.count].payload = NULL;
}

size_t far_count(const struct rig *rig)
{
    return rig->host.others.count;
}

const struct fake_message *far_sent(const struct rig *rig, size_t i)
{
    ck_assert_uint_lt(i, rig->host.others.count);
    return &rig->host.others.kept[i];
}

const struct fake_message *far_last(const struct rig *rig)
{
    return rig_last(&rig->host.others);
}

enum engine_verdict far_publish(struct rig *rig, const struct far_worker *worker, const char *topic,
                                const void *id, size_t id_size, const char *status, const char *payload)
{
    const struct host_client own = rig->client;
    rig->client = worker->client;
    struct host_message message = rig_message(rig, topic, payload);
    message.correlation = id;
    message.correlation_size = id_size;
    rig->host.property = status ? "status" : NULL;
    rig->host.value = status;
    const enum engine_verdict verdict = rig_receive(rig->engine, &message);
    rig->host.property = NULL;
    rig->client = own;
    return verdict;
}

void far_answer(struct rig *rig, const struct far_worker *worker, const struct fake_message *job,
                const char *status, const char *payload)
{
    char id[FAKE_BYTES];
    memcpy(id, job->correlation, job->correlation_size);
    ck_assert_int_eq(far_publish(rig, worker, worker->done, id, job->correlation_size, status, payload),
                     ENGINE_CONSUME);
}

void far_call(struct rig *rig, const char *method, const char *payload)
{
    char topic[128];
    snprintf(topic, sizeof topic, "rpc/call/%s", method);
    rig_send(rig, topic, payload, "r", NULL);
}

void far_expect(const struct rig *rig, size_t count, const char *status, const char *text)
{
    ck_assert_uint_eq(rig->host.replies.count, count);
    const struct fake_message *reply = rig_last(&rig->host.replies);
    ck_assert_str_eq(reply->status, status);
    ck_assert_str_eq(reply->text, text);
}

void far_pass(struct rig *rig, uint64_t milliseconds)
{
    rig->host.monotonic += milliseconds * 1000000;
    rig->host.wall += (double)milliseconds / 1e3;
    engine_tick(rig->engine);
}

void far_end(struct rig *rig, const struct far_worker *worker)
{
    engine_client_ended(rig->engine, &(const struct host_ending){.id = worker->client.id,
                                                                 .connection = worker->client.connection,
                                                                 .kind = HOST_END_SESSION_OVER});
}

cJSON *far_look(struct rig *rig, const char *name)
{
    char payload[128];
    snprintf(payload, sizeof payload, "{\"worker\":\"%s\"}", name);
    const size_t before = rig->host.replies.count;
    rig_send(rig, "rpc/call/rpc.workers", payload, "l", NULL);
    ck_assert_uint_eq(rig->host.replies.count, before + 1);
    cJSON *all =
        cJSON_ParseWithLength(rig_last(&rig->host.replies)->payload, rig_last(&rig->host.replies)->size);
    rig->host.replies.count--;
    free(rig->host.replies.kept[before].payload);
    rig->host.replies.kept[before].payload = NULL;
    cJSON *found = cJSON_DetachItemFromArray(cJSON_GetObjectItem(all, "workers"), 0);
    cJSON_Delete(all);
    return found;
}
