// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A module for tests of pending calls: see works.h. */
#include "works.h"

#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/task.h"
#include "loans.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct works_slot works_slots[WORKS_SLOTS];
struct works_hooks works_hooks;

/* The data of a call for its work and its done. */
struct piece {
    struct works_slot *slot;
    const struct works_params *params;
    const rpc_bytes *bytes;
    const char *id, *user, *address, *lane; /* as they were when the call arrived */
    int32_t n;
    int version;
    double time;
    int32_t sum;
    bool worked, ended;
};

/* ---- Shapes ---- */

static const rpc_field params_fields[] = {
    RPC_INT32(struct works_params, n, .doc = "the slot", .default_json = "0", .range = {0, WORKS_SLOTS - 1}),
    RPC_STRING(struct works_params, lane, .doc = "the lane", .optional = true, .length = {1, 40}),
    RPC_BOOL(struct works_params, fail, .doc = "whether it fails", .default_json = "false")};
static const rpc_shape params_shape = RPC_OBJECT_SHAPE(struct works_params, params_fields);

static const rpc_field result_fields[] = {
    RPC_INT32(struct works_result, n, .doc = "the slot"),
    RPC_STRING(struct works_result, by, .doc = "who wrote this", .optional = true, .length = {0, 100000})};
static const rpc_shape result_shape = RPC_OBJECT_SHAPE(struct works_result, result_fields);

static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

static const rpc_error errors[] = {{.code = "plain", .doc = "an error"}};

/* ---- Common to the methods ---- */

static const char *copy(rpc_call *call, const char *text)
{
    return text ? rpc_printf(call, "%s", text) : NULL;
}

/* NULL: no memory. */
static struct piece *make_piece(rpc_call *call, int n)
{
    struct piece *piece = rpc_alloc(call, sizeof *piece);
    if (!piece)
        return NULL;
    piece->slot = &works_slots[n];
    piece->n = n;
    piece->id = copy(call, rpc_caller_id(call));
    piece->user = copy(call, rpc_caller_user(call));
    piece->address = copy(call, rpc_caller_address(call));
    piece->version = rpc_caller_version(call);
    piece->time = rpc_call_time(call);
    return piece->id && piece->user && piece->address ? piece : NULL;
}

/* Without a piece there was no memory. */
static rpc_status make_pending(rpc_call *call, struct piece *piece, const char *lane)
{
    if (!piece)
        return RPC_INTERNAL_ERROR;
    const rpc_status status =
        call->method->declared->work ? rpc_start(call, lane, piece) : rpc_defer(call, piece);
    if (status != RPC_PENDING)
        return status;
    piece->slot->pending++;
    piece->slot->call = call;
    return status;
}

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct works_params *given = params;
    struct piece *piece = make_piece(call, given->n);
    (void)state;
    works_slots[given->n].runs++;
    *(struct works_result *)result = (struct works_result){given->n, "run"};
    if (!piece)
        return RPC_INTERNAL_ERROR;
    piece->params = given;
    piece->lane = copy(call, given->lane);
    if (given->lane && !piece->lane)
        return RPC_INTERNAL_ERROR;
    return make_pending(call, piece, given->lane);
}

static void wait_while_shut(struct works_slot *slot)
{
    sem_post(&slot->begun);
    while (slot->shut && sem_wait(&slot->go) != 0 && errno == EINTR)
        continue;
}

static void work(rpc_job *job, void *data)
{
    struct piece *piece = data;
    struct works_slot *slot = piece->slot;
    atomic_fetch_add(&slot->running, 1);
    wait_while_shut(slot);
    for (size_t i = 0; piece->bytes && i < piece->bytes->size; i++)
        piece->sum += ((const unsigned char *)piece->bytes->data)[i];
    piece->worked = true;
    atomic_store(&slot->wanted, rpc_is_wanted(job));
    atomic_fetch_add(&slot->works, 1);
    atomic_fetch_sub(&slot->running, 1);
}

/* Checks all data of the call. Uses Check on failure only, since allocations may fail. */
static void check_loans(const rpc_call *call, const struct piece *piece)
{
    if (piece->ended || rpc_caller_version(call) != piece->version || rpc_call_time(call) != piece->time)
        ck_abort_msg("done runs twice, or for another call");
    if (strcmp(rpc_caller_id(call), piece->id) || strcmp(rpc_caller_user(call), piece->user) ||
        strcmp(rpc_caller_address(call), piece->address))
        ck_abort_msg("the client is another one");
    if (piece->params &&
        (piece->params->n != piece->n || (piece->params->lane != NULL) != (piece->lane != NULL)))
        ck_abort_msg("the parameters are others");
    if (piece->lane && strcmp(piece->params->lane, piece->lane))
        ck_abort_msg("the lane is another one");
}

static void note_done(const rpc_call *call, struct piece *piece, rpc_status outcome)
{
    struct works_slot *slot = piece->slot;
    check_loans(call, piece);
    piece->ended = true;
    slot->dones++;
    slot->outcome = outcome;
    if (slot->call == call)
        slot->call = NULL;
}

static rpc_status done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct piece *piece = data;
    (void)state;
    note_done(call, piece, outcome);
    if (outcome == RPC_OK && call->method->declared->work && !piece->worked)
        ck_abort_msg("the outcome of done is RPC_OK, but the work did not run");
    *(struct works_result *)result = (struct works_result){piece->n, piece->worked ? "work" : "done"};
    return piece->params->fail ? rpc_raise(call, "plain", "slot %d", piece->n) : RPC_OK;
}

/* ---- The others ---- */

static rpc_status now(rpc_call *call, void *state, const void *params, void *result)
{
    const struct works_params *given = params;
    (void)state;
    works_slots[given->n].runs++;
    *(struct works_result *)result = (struct works_result){given->n, "now"};
    return given->fail ? rpc_raise(call, "plain", "slot %d", given->n) : RPC_OK;
}

static rpc_status tell(rpc_call *call, void *state, const void *params, void *result)
{
    const struct works_params *given = params;
    rpc_call *waiting = works_slots[given->n].call;
    (void)state;
    *(struct works_result *)result = (struct works_result){given->n, waiting ? "tell" : NULL};
    if (!waiting)
        return rpc_raise(call, "plain", "no call waits");
    rpc_resume(waiting);
    return RPC_OK;
}

static rpc_status bytes_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct piece *piece = make_piece(call, WORKS_BYTES);
    (void)state, (void)result;
    works_slots[WORKS_BYTES].runs++;
    if (piece)
        piece->bytes = params;
    return make_pending(call, piece, NULL);
}

static rpc_status bytes_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct piece *piece = data;
    (void)state;
    note_done(call, piece, outcome);
    *(struct works_result *)result = (struct works_result){piece->sum, NULL};
    return RPC_OK;
}

static rpc_status act_run(rpc_call *call, void *state, const void *params, void *result)
{
    return works_hooks.run(call, state, params, result);
}

static void act_work(rpc_job *job, void *data)
{
    if (works_hooks.work)
        works_hooks.work(job, data);
}

static rpc_status act_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    return works_hooks.done(call, state, data, outcome, result);
}

/* ---- The module ---- */

static const rpc_event events[] = {
    {.name = "worked", .doc = "work is done", .data = &result_shape},
    {.name = "workFailed", .doc = "work has failed"},
};

#define SHAPES .params = &params_shape, .result = &result_shape, .errors = RPC_TABLE(errors)
#define WORKS SHAPES, .run = run, .work = work, .done = done
#define ACTS SHAPES, .run = act_run

static const rpc_method methods[] = {
    {.name = "work", .event = "worked", .error_event = "workFailed", WORKS},
    {.name = "work.single", .max_pending = 2, WORKS},
    {.name = "work.firm", .must_finish = true, WORKS},
    {.name = "work.brief", .timeout = 200, WORKS},
    {.name = "wait", SHAPES, .run = run, .defers = true, .done = done},
    {.name = "wait.firm", .must_finish = true, SHAPES, .run = run, .defers = true, .done = done},
    {.name = "now", .event = "worked", SHAPES, .run = now},
    {.name = "tell", SHAPES, .run = tell},
    {.name = "bytes",
     .params = &bytes_shape,
     .result = &result_shape,
     .run = bytes_run,
     .work = work,
     .done = bytes_done},
    {.name = "act", ACTS, .work = act_work, .done = act_done},
    {.name = "half", ACTS, .defers = true, .done = act_done},
    {.name = "judge", ACTS, .defers = true, .decides_timeout = true, .done = act_done},
    {.name = "bare", ACTS},
};

const rpc_module works = {.name = "works",
                          .doc = "what tests of calls that take time need",
                          .methods = RPC_TABLE(methods),
                          .events = RPC_TABLE(events)};

/* ---- For tests ---- */

void works_init(struct rig *rig)
{
    rig_init(rig);
    rig->options.jsonrpc_methods = "*";
    rig->client.connection = rig;
    for (int n = 0; n < WORKS_SLOTS; n++) {
        struct works_slot *slot = &works_slots[n];
        memset(slot, 0, sizeof *slot);
        sem_init(&slot->begun, 0, 0);
        sem_init(&slot->go, 0, 0);
    }
}

void works_open(struct rig *rig)
{
    rig_start(rig);
    rig_add(rig, &works, NULL);
    rig_open_methods(rig);
}

static void wait_and_tick(struct rig *rig)
{
    ck_assert_msg(fake_host_wait(&rig->host, WORKS_PATIENCE), "no work came to its end");
    engine_tick(rig->engine);
}

static struct task *find_working(const struct engine *engine)
{
    struct task *task = engine->tasks->pending;
    while (task && !task->has_work)
        task = task->next;
    return task;
}

void works_finish(struct rig *rig)
{
    for (int n = 0; n < WORKS_SLOTS; n++)
        for (int i = 0; i < 100; i++)
            sem_post(&works_slots[n].go);
    for (int n = 0; n < WORKS_SLOTS; n++)
        if (works_slots[n].call && !works_slots[n].call->task->has_work)
            rpc_resume(works_slots[n].call);
    engine_tick(rig->engine);
    while (find_working(rig->engine))
        wait_and_tick(rig);
}

static void expect_nothing_open(const struct engine *engine)
{
    const struct registry_method *method = engine->registry.methods;
    ck_assert_ptr_null(engine->tasks->pending);
    ck_assert_ptr_null(engine->tasks->evicted);
    ck_assert_ptr_null(engine->connections);
    ck_assert_uint_eq(engine->slots.count, 0);
    ck_assert_ptr_null(engine->slots.clients);
    ck_assert_uint_eq(engine->tasks->background, 0);
    ck_assert_uint_eq(engine->tasks->deadlines.count, 0);
    for (; method; method = method->hh.next)
        ck_assert_uint_eq(method->open, 0);
}

void works_close(struct rig *rig)
{
    works_finish(rig);
    expect_nothing_open(rig->engine);
    for (int n = 0; n < WORKS_SLOTS; n++)
        ck_assert_int_eq(works_slots[n].pending, works_slots[n].dones);
    rig_close(rig);
}

/* ---- Messages that are freed at once ---- */

void works_send(struct rig *rig, const char *topic, const char *payload, const char *response_topic,
                const char *correlation)
{
    struct loans loans = {.count = 0};
    struct host_client client = rig->client;
    client.id = loans_lend_text(&loans, client.id);
    client.user = loans_lend_text(&loans, client.user);
    client.address = loans_lend_text(&loans, client.address);
    struct host_message message =
        rig_message(rig, loans_lend_text(&loans, topic), loans_lend_text(&loans, payload));
    message.client = &client;
    message.response_topic = loans_lend_text(&loans, response_topic);
    message.correlation = loans_lend_text(&loans, correlation);
    message.correlation_size = correlation ? strlen(correlation) : 0;
    if (rig_receive(rig->engine, &message) != ENGINE_CONSUME)
        abort();
    memset(&client, 'X', sizeof client);
    memset(&message, 'X', sizeof message);
    loans_take_back(&loans);
}

void works_call(struct rig *rig, const char *method, int n)
{
    char topic[64];
    char payload[32];
    snprintf(topic, sizeof topic, "rpc/call/%s", method);
    snprintf(payload, sizeof payload, "{\"n\":%d}", n);
    works_send(rig, topic, payload, "r", NULL);
}

/* ---- The order of events ---- */

void works_wait_begun(int n)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WORKS_PATIENCE / 1000;
    int result;
    do
        result = sem_timedwait(&works_slots[n].begun, &until);
    while (result != 0 && errno == EINTR);
    ck_assert_msg(result == 0, "the work of slot %d has not begun", n);
}

void works_begin(struct rig *rig, const char *method, int n)
{
    works_slots[n].shut = true;
    works_call(rig, method, n);
    works_wait_begun(n);
}

void works_wait_done(struct rig *rig, int n, int dones)
{
    while (works_slots[n].dones < dones)
        wait_and_tick(rig);
    ck_assert_int_eq(works_slots[n].dones, dones);
}

void works_let_go(struct rig *rig, int n)
{
    sem_post(&works_slots[n].go);
    works_wait_done(rig, n, works_slots[n].dones + 1);
}

void works_pass(struct rig *rig, uint64_t milliseconds)
{
    rig->host.monotonic += milliseconds * (RIG_SECOND / 1000);
    engine_tick(rig->engine);
}

void works_end_client(struct rig *rig, enum host_end kind)
{
    const struct host_ending ending = {
        .id = rig->client.id, .connection = rig->client.connection, .kind = kind};
    engine_client_ended(rig->engine, &ending);
}

void works_expect(const struct rig *rig, size_t count, const char *status, const char *text)
{
    ck_assert_uint_eq(rig->host.replies.count, count);
    ck_assert_str_eq(rig_last(&rig->host.replies)->text, text);
    ck_assert_str_eq(rig_last(&rig->host.replies)->status, status);
}
