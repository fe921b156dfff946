// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A random but reproducible sequence of pending calls on four workers, connections that begin and end,
 * deadlines, timers, work without a call, dead letters and their replays, looks of an operator, settings that
 * change, and the end of the engine at any moment. The order in which threads run differs from run to run.
 * The test checks what holds in any order: the engine's lists are sound after each step, and at the end each
 * started task has had exactly one done. Meant mostly for the sanitizers.
 */
#include "sound.h"
#include "unit.h"
#include "works.h"

#include "call/connections.h"
#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/task.h"
#include "observe/letters.h"
#include "observe/observe.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { STEPS = 4000, CLIENTS = 6, SPINS = 40, SEEDS = 8 };

static struct rig rig;
static char contexts[8];
static uint64_t random_state;
static int started, dones, backgrounds;
static atomic_int works_running;

static unsigned pick(unsigned among)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(random_state >> 33) % among;
}

#define PICK(list) (list)[pick(UNIT_ROWS(list))]

/* ---- What act does ---- */

struct story {
    rpc_call *call;
    rpc_timer timer;
    int chapters; /* that are still to come */
    unsigned spins;
    atomic_bool running;
    bool open;
};

static void spin(rpc_job *job, void *data)
{
    struct story *story = data;
    atomic_store(&story->running, true);
    atomic_fetch_add(&works_running, 1);
    for (unsigned i = 0; i < story->spins && rpc_is_wanted(job); i++)
        sched_yield();
    if (story->spins % 3 == 0)
        (void)rpc_job_take_next(job);
    atomic_fetch_sub(&works_running, 1);
    atomic_store(&story->running, false);
}

static void wake_up(rpc_instance *instance, void *state, void *data)
{
    struct story *story = data;
    (void)instance, (void)state;
    rpc_resume(story->call);
}

static rpc_status wait_for_timer(rpc_call *call, struct story *story)
{
    const rpc_status status = rpc_defer(call, story);
    if (status == RPC_PENDING)
        story->timer = rpc_after(rpc_call_instance(call), pick(20000), wake_up, story);
    return status;
}

static rpc_status write_chapter(rpc_call *call, struct story *story)
{
    static const char *const lanes[] = {NULL, "a", "b"};
    story->spins = pick(SPINS);
    const rpc_status status = pick(3) ? rpc_start(call, PICK(lanes), story) : wait_for_timer(call, story);
    story->open = status == RPC_PENDING;
    started += story->open;
    return status;
}

static rpc_status begin_story(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    struct story *story = rpc_alloc(call, sizeof *story);
    ck_assert_ptr_nonnull(story);
    story->call = call;
    story->chapters = (int)pick(3);
    ((struct works_result *)result)->n = 1;
    return pick(10) ? write_chapter(call, story) : RPC_OK;
}

static rpc_status end_chapter(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct story *story = data;
    const struct works_result event = {.n = 2};
    (void)state, (void)result;
    ck_assert(story->call == call && story->open && !atomic_load(&story->running));
    story->open = false;
    dones++;
    rpc_timer_cancel(rpc_call_instance(call), story->timer); /* it may have run, or never been started */
    if (pick(4) == 0)
        rpc_announce(rpc_call_instance(call), call, "worked", &event);
    if (outcome == RPC_OK && story->chapters-- > 0)
        return write_chapter(call, story);
    return pick(4) ? RPC_OK : rpc_raise(call, "plain", "chapter %d", story->chapters);
}

/* ---- Work without a call ---- */

static struct story background_story;

static void spin_alone(rpc_job *job, void *data)
{
    (void)data;
    for (unsigned i = 0; i < SPINS && rpc_is_wanted(job); i++)
        sched_yield();
}

static rpc_status end_background(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    ck_assert(!call && !state && !result && data == &background_story && outcome != RPC_TIMEOUT);
    backgrounds--;
    return RPC_OK;
}

static void work_in_background(void)
{
    static const char *const lanes[] = {NULL, "a", "c"};
    backgrounds += rpc_background(rig.engine->registry.instances, PICK(lanes), spin_alone, end_background,
                                  &background_story) == RPC_PENDING;
}

/* ---- What clients do ---- */

static const char *const topics[] = {
    "rpc/call/work",  "rpc/call/work.single", "rpc/call/work.firm", "rpc/call/work.brief",
    "rpc/call/wait",  "rpc/call/wait.firm",   "rpc/call/now",       "rpc/call/tell",
    "rpc/call/bytes", "rpc/call/act",         "rpc/call/act",       "rpc/call/act",
    "rpc/call/half",  "rpc/batch/act",        "rpc/batch/work",     "rpc/batch/wait",
    "rpc/batch/tell", "rpc/jsonrpc",          "rpc/jsonrpc",        "rpc/jsonrpc"};
static const char *const payloads[] = {
    "",
    "{\"n\":1}",
    "{\"n\":2,\"lane\":\"a\"}",
    "{\"n\":3,\"lane\":\"b\",\"fail\":true}",
    "{\"n\":99}",
    "{\"n\":1,\"request_id\":\"1\"}",
    "{\"n\":2,\"request_id\":\"sixteen-bytes-id\"}",
    "[{\"n\":1},{\"n\":2,\"lane\":\"a\"},{\"n\":3}]",
    "{\"request_id\":\"2\",\"calls\":[{\"n\":1},{\"n\":2}]}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"act\",\"id\":1}",
    "[{\"jsonrpc\":\"2.0\",\"method\":\"act\",\"id\":1},{\"jsonrpc\":\"2.0\",\"method\":\"now\",\"id\":2},"
    "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[4]},{\"jsonrpc\":\"2.0\",\"method\":\"tell\","
    "\"id\":"
    "\"x\",\"params\":[4]}]",
    "[{\"jsonrpc\":\"2.0\",\"method\":\"work.firm\"},{\"jsonrpc\":\"2.0\",\"method\":\"act\"}]",
    "[{\"jsonrpc\":\"2.0\",\"method\":\"tell\",\"params\":[99],\"id\":1},{\"jsonrpc\":\"2.0\",\"method\":"
    "\"work.firm\",\"params\":[5],\"id\":2},"
    "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.recent\",\"id\":3}]",
};
static const char *const response_topics[] = {NULL, "r", "r", "s"};
static const char *const correlations[] = {NULL, NULL, "1", "2", "sixteen-bytes-id"};
static const char *const timeouts[] = {"1", "100", "5000", "60000", "0", "x"};
static const char *const ids[CLIENTS] = {"a", "b", "c/+\"\\#", "d", "", "\xc3\xa4\xf0\x9f\x90\x9d\xff"};

/* Traces that are sampled, and that are not. */
static const rpc_property traces[][3] = {
    {{NULL, NULL}},
    {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
     {"tracestate", "a=b"},
     {NULL, NULL}},
    {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}, {NULL, NULL}},
};

static void choose_client(void)
{
    rig.client.id = PICK(ids);
    rig.client.connection = &contexts[pick(sizeof contexts)];
    rig.client.version = (int)(3 + pick(3));
    rig.client.clean_start = pick(4) == 0;
    rig.qos = (int)pick(3);
    rig.host.property = pick(4) ? NULL : "timeout-ms";
    rig.host.value = PICK(timeouts);
    rig.host.more = traces[pick(3)];
}

static void send(void)
{
    choose_client();
    works_send(&rig, PICK(topics), PICK(payloads), PICK(response_topics), PICK(correlations));
}

/* ---- What an operator does ---- */

/* Calls a method of the module `dead` for any letter, once, in a batch or several times in one batch. */
static void handle_letter(const char *method)
{
    const struct dead *dead = &rig.engine->dead;
    const struct dead_letter *letter = dead->letters;
    for (unsigned i = dead->count ? pick((unsigned)dead->count) : 0; i; i--)
        letter = letter->next;
    const char *id = letter ? letter->id : "none";
    char topic[64], payload[1024];
    const bool is_batch = pick(4) == 0, is_jsonrpc = pick(4) == 0;
    snprintf(topic, sizeof topic, "rpc/%s/%s", is_batch ? "batch" : "call", method);
    if (is_jsonrpc)
        snprintf(payload, sizeof payload,
                 "[{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":[\"%s\"],\"id\":1},{\"jsonrpc\":\"2.0\","
                 "\"method\":\"dead.replay\",\"params\":[\"%s\"]},{\"jsonrpc\":\"2.0\",\"method\":"
                 "\"rpc.recent\",\"id\":2}]",
                 method, id, id);
    else
        snprintf(payload, sizeof payload, is_batch ? "[{\"id\":\"%s\"},{\"id\":\"%s\"}]" : "{\"id\":\"%s\"}",
                 id, id);
    works_send(&rig, is_jsonrpc ? "rpc/jsonrpc" : topic, payload, PICK(response_topics), NULL);
}

static void look(void)
{
    static const char *const looks[] = {
        "rpc/call/rpc.stats",  "rpc/call/rpc.metrics",  "rpc/call/rpc.recent", "rpc/call/rpc.running",
        "rpc/call/rpc.health", "rpc/batch/rpc.running", "rpc/call/dead.list",  "rpc/call/dead.drop",
    };
    static const char *const wishes[] = {"", "", "{\"method\":\"act\"}", "{\"limit\":1}", "[{},{}]"};
    static const char *const methods[] = {"dead.replay", "dead.replay", "dead.replay", "dead.get",
                                          "dead.drop"};
    choose_client();
    if (pick(2))
        handle_letter(PICK(methods));
    else
        works_send(&rig, PICK(looks), PICK(wishes), PICK(response_topics), NULL);
}

static void reload(void)
{
    static const char *const off[] = {NULL, NULL, NULL, "act", "work wait dead.replay", "rpc.recent"};
    struct engine_options changed = rig.engine->env.options;
    changed.methods_off = PICK(off);
    changed.sys_interval = pick(2) ? 1000 : 0;
    changed.slow_call = pick(2);
    changed.log_calls = pick(2);
    changed.error_rate = (int)pick(2) * 20;
    changed.rate_limit = pick(5) ? 0 : 5;
    changed.rate_limit_by = (int)pick(3);
    changed.max_pending = (int)(1 + pick(300));
    changed.max_payload = pick(5) ? 65536 : 50;
    changed.duplicate_window = pick(2) ? 20000 : 0;
    engine_reload(rig.engine, &changed);
}

static void end_client(void)
{
    static const enum host_end kinds[] = {HOST_END_UNKNOWN, HOST_END_SESSION_OVER, HOST_END_SESSION_WAITS,
                                          HOST_END_TAKEN_OVER};
    const struct host_ending ending = {.id = PICK(ids),
                                       .connection = &contexts[pick(sizeof contexts)],
                                       .kind = PICK(kinds),
                                       .in_order = pick(2) == 0,
                                       .clean_start = pick(2) == 0};
    engine_client_ended(rig.engine, &ending);
}

static void do_something(void)
{
    const unsigned what = pick(48);
    if (what >= 41)
        look();
    else if (what == 40)
        reload();
    else if (what < 20)
        send();
    else if (what < 25)
        end_client();
    else if (what < 28)
        works_pass(&rig, pick(2) ? pick(100) : pick(6000));
    else if (what < 30)
        work_in_background();
    else if (what < 31)
        rig.host.no_memory = pick(4) == 0;
    else if (what < 32)
        rig.host.drop = pick(4) == 0;
    else
        engine_tick(rig.engine);
}

/* A letter whose replay runs has a pending call that is not its caller's. */
static void check_letters(const struct engine *engine)
{
    const struct dead_letter *letter;
    const struct task *task;
    size_t count = 0, bytes = 0, replayed = 0, replays = 0;
    DL_FOREACH(engine->dead.letters, letter)
    {
        count++;
        bytes += letter->bytes;
        replayed += letter->is_replayed;
        ck_assert(!letter->is_removed);
    }
    DL_FOREACH(engine->tasks->pending, task)
    {
        replays += task->call && task->state == TASK_PENDING && task->call->exchange->pending.replay;
    }
    ck_assert_uint_eq(count, engine->dead.count);
    ck_assert_uint_eq(bytes, engine->dead.bytes);
    ck_assert_uint_le(replayed, replays);
    ck_assert_uint_le(bytes, DEAD_BYTES_MAX);
}

/* ---- The storms ---- */

static void start(int number)
{
    works_init(&rig);
    random_state = (uint64_t)number;
    works_hooks = (struct works_hooks){begin_story, spin, end_chapter};
    rig.options.workers = 4;
    rig.options.max_pending = number % 3 ? 20 : 300;
    rig.options.max_pending_bytes = number % 4 == 1 ? 120000 : 67108864;
    rig.options.rate_limit_by = number % 3;
    rig.options.max_reply = number % 4 == 3 ? 100 : 65536;
    rig.options.duplicate_window = number % 5 == 4 ? 0 : 20000;
    rig.options.duplicate_entries = number % 2 ? 10 : 1000;
    rig.options.redelivery_guard = number % 5 == 3 ? 0 : 10000;
    rig.options.error_rate = 20;
    rig.options.slow_call = number % 2 ? 1 : 0;
    rig.options.sys_interval = number % 2 ? 1000 : 0;
    rig.options.recorder_payloads = number % 3 == 1;
    rig.options.dead_letters = number % 7 != 6;
    rig.options.dead_payload = number % 7 != 5;
    works_open(&rig);
    rig_add(&rig, &rpc_module_dead, NULL);
    rig_add(&rig, &rpc_module_observe, NULL);
    rig_open_methods(&rig);
}

/* Half of them are left to their deadlines, the others to the end of the engine. */
static void end(int number)
{
    rig.host.no_memory = rig.host.drop = false;
    for (int i = 0; number % 2 && rig.engine->tasks->pending; i++) {
        ck_assert_int_lt(i, 1000000);
        works_pass(&rig, 70000);
        sched_yield();
    }
    if (number % 2) {
        ck_assert_ptr_null(rig.engine->connections);
        ck_assert_uint_eq(rig.engine->slots.bytes, 0);
        ck_assert_ptr_null(rig.engine->slots.clients);
    }
    rig_close(&rig);
    ck_assert_int_eq(started, dones);
    ck_assert_int_eq(backgrounds, 0);
    ck_assert_int_eq(atomic_load(&works_running), 0);
    for (int n = 0; n < WORKS_SLOTS; n++)
        ck_assert_int_eq(works_slots[n].pending, works_slots[n].dones);
}

START_TEST(storms)
{
    start(_i);
    for (int i = 0; i < STEPS; i++) {
        do_something();
        sound_tasks(rig.engine);
        check_letters(rig.engine);
        ck_assert_msg(!rig.host.fault, "step %d: %s", i, rig.host.fault);
        if (i % 20 == 0)
            fake_host_forget(&rig.host);
    }
    ck_assert_int_gt(started, 50); /* it depends on the threads */
    end(_i);
}
END_TEST

UNIT_MAIN("task_storm", NULL, NULL, {storms, SEEDS})
