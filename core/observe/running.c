// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* rpc.running: see running.h. */
#include "observe/running.h"

#include "base/status.h"
#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/remote.h"
#include "call/task.h"
#include "observe/wire.h"

#include <string.h>
#include <utlist.h>

enum { RUNNING_MAX = 1000 };

/* ---- Parameters ---- */

struct running_params {
    const char *method, *caller;
    int32_t limit;
};

static const rpc_field params_fields[] = {
    WIRE_CALL_FIELDS(struct running_params),
    RPC_INT32(struct running_params, limit, .doc = "at most so many calls", .default_json = "50",
              .range = {1, RUNNING_MAX}),
};

const rpc_shape running_params_shape = RPC_OBJECT_SHAPE(struct running_params, params_fields);

/* ---- Result ---- */

enum running_state { RUNNING_WAITING, RUNNING_WORKER, RUNNING_DEFERRED, RUNNING_DEVICE, RUNNING_REMOTE };

static const char *const running_states[] = {
    [RUNNING_WAITING] = "waiting", [RUNNING_WORKER] = "worker", [RUNNING_DEFERRED] = "deferred",
    [RUNNING_DEVICE] = "device",   [RUNNING_REMOTE] = "remote",
};

struct running_call {
    int64_t id;
    const char *method, *caller;
    double age_s, deadline_s;
    bool has_deadline;
    enum running_state state;
    const char *lane, *trace, *answered, *worker;
};

static const rpc_field call_fields[] = {
    RPC_INT64(struct running_call, id,
              .doc =
                  "its number here, the same as long as it waits for the same thing; nothing else knows it"),
    RPC_STRING(struct running_call, method, .doc = "the method as it was called",
               .length = {1, TOPIC_CALLED_MAX}),
    RPC_STRING(struct running_call, caller, .doc = "the caller's client id", .length = {0, 65535}),
    RPC_DOUBLE(struct running_call, age_s, .doc = "how long ago it arrived", .unit = "s"),
    RPC_CHOICE(
        struct running_call, state,
        .doc = "where it is: it waits for a thread or a worker; a worker thread runs its work; its module "
               "has deferred it; it is a command of a device, which has not answered; or a worker has it",
        .choices = RPC_TABLE(running_states)),
    RPC_DOUBLE(struct running_call, deadline_s,
               .doc = "how long it is until its deadline; less than 0: passed", .unit = "s", .optional = true,
               .flag = RPC_FLAG(struct running_call, has_deadline)),
    RPC_STRING(struct running_call, lane, .doc = "the lane of its work, or the first bytes of its name",
               .optional = true, .length = {0, TASK_LANE_NAME}),
    RPC_STRING(struct running_call, trace, .doc = "the id of its trace", .optional = true,
               .length = {0, 65535}),
    RPC_STRING(struct running_call, worker, .doc = "the worker that has it", .optional = true,
               .length = {1, 65535}),
    RPC_STRING(struct running_call, answered,
               .doc = "the error that its caller has got already: its work runs on, and nothing can stop it",
               .optional = true, .length = {1, 65535}),
};

static const rpc_shape call_shape = RPC_OBJECT_SHAPE(struct running_call, call_fields);

struct running {
    int64_t open;
    struct running_call *calls;
    size_t count;
};

static const rpc_field running_fields[] = {
    RPC_INT64(struct running, open, .name = "count",
              .doc = "how many such calls are open, also those that are left out of `calls`"),
    RPC_OBJECT_ARRAY(struct running, calls, count, struct running_call,
                     .doc = "open calls, the oldest first, as far as limit and max_reply allow",
                     .items = {0, RUNNING_MAX}, .shape = &call_shape),
};

const rpc_shape running_shape = RPC_OBJECT_SHAPE(struct running, running_fields);

/* ---- Looking them up ---- */

static bool running_is_wanted(const struct task *task, const struct running_params *wanted)
{
    const rpc_call *call = task->call;
    if (!call)
        return false;
    if (wanted->method && strcmp(wanted->method, call->name) != 0 &&
        strcmp(wanted->method, call->method->declared->name) != 0)
        return false;
    return !wanted->caller || strcmp(wanted->caller, call->exchange->message->client->id) == 0;
}

/* Enters a task among the oldest, of which there is room for max. Tasks stand nearly in this order anyway. */
static void running_enter(const struct task **oldest, size_t *count, size_t max, const struct task *task)
{
    const uint64_t arrived = task->call->exchange->now;
    if (*count == max && arrived >= oldest[max - 1]->call->exchange->now)
        return;
    size_t at = *count < max ? (*count)++ : max - 1;
    for (; at && oldest[at - 1]->call->exchange->now > arrived; at--)
        oldest[at] = oldest[at - 1];
    oldest[at] = task;
}

static enum running_state running_state(const struct task *task)
{
    if (task->dispatch)
        return remote_worker(task->dispatch) ? RUNNING_REMOTE : RUNNING_WAITING;
    if (task->has_work)
        return task->begun ? RUNNING_WORKER : RUNNING_WAITING;
    return task->call->method->declared->awaits_device ? RUNNING_DEVICE : RUNNING_DEFERRED;
}

/* Returns false: no memory. */
static bool running_make(rpc_call *call, const struct task *task, struct running_call *made)
{
    const uint64_t now = env_now(&call->engine->env), arrived = task->call->exchange->now;
    const bool is_answered = task->state == TASK_HANGING || task->state == TASK_LEFT;
    *made = (struct running_call){
        .id = (int64_t)task->id,
        .method = wire_text(&call->arena, task->call->name),
        .caller = wire_text(&call->arena, task->call->exchange->message->client->id),
        .age_s = (double)(now - arrived) / 1e9,
        .state = running_state(task),
        .has_deadline = task->deadline.position != 0,
        .deadline_s = ((double)task->deadline.key - (double)now) / 1e9,
        .lane = task->has_lane ? task->lane : NULL,
        .answered = is_answered ? status_name(task->outcome) : NULL,
    };
    const struct crew_worker *worker = task->dispatch ? remote_worker(task->dispatch) : NULL;
    made->worker = worker ? worker->name : NULL;
    const struct trace *trace = task->call->exchange->to.trace;
    if (trace && !(made->trace = arena_copy(&call->arena, trace_id(trace), TRACE_ID)))
        return false;
    return made->method && made->caller;
}

rpc_status running_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct running_params *wanted = params;
    const size_t max = (size_t)wanted->limit;
    const struct task **oldest = rpc_alloc(call, max * sizeof *oldest), *task;
    struct running *running = result;
    struct wire_room room = wire_room_of(call->method->instance);
    size_t count = 0;
    (void)state;
    running->calls = rpc_alloc(call, max * sizeof *running->calls);
    if (!oldest || !running->calls)
        return RPC_INTERNAL_ERROR;
    tasks_note_begun(call->engine);
    DL_FOREACH(call->engine->tasks->pending, task)
    {
        if (!running_is_wanted(task, wanted))
            continue;
        running->open++;
        running_enter(oldest, &count, max, task);
    }
    for (size_t i = 0; i < count; i++) {
        struct running_call *made = &running->calls[i];
        if (!running_make(call, oldest[i], made))
            return RPC_INTERNAL_ERROR;
        const char *const texts[] = {made->method, made->caller,   made->lane,
                                     made->trace,  made->answered, made->worker};
        if (!wire_take_room(&room, texts, sizeof texts / sizeof *texts))
            break;
        running->count++;
    }
    return RPC_OK;
}
