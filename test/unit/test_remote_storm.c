// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Callers and workers that come, go, answer, refuse, lie and fall silent at random. Whatever happens: a call
 * has one outcome at most, and one if its caller stays; what may not run twice is handed out once, unless a
 * worker has refused it; no worker has more than its window; and nothing is left in the end.
 */
#include "far.h"

#include "call/engine_parts.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 3000, WORKERS = 4, CALLERS = 4, CALLS = STEPS, JOBS = 512, SEEDS = 12 };

static struct rig rig;
static uint64_t state;

static unsigned roll(unsigned sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33) % sides;
}

static struct {
    unsigned replies, begun, refused;
    bool may_repeat, has_left; /* its caller has */
    int caller;
} calls[CALLS];
static size_t call_count;

static struct far_worker workers[WORKERS];
static bool is_there[WORKERS];
static unsigned windows[WORKERS];

static struct job {
    int worker; /* -1: its worker has gone */
    size_t call;
    char id[REMOTE_ID];
} jobs[JOBS];
static size_t job_count;

static char callers[CALLERS][4];
static size_t connections; /* of callers that there ever were */
static const void *connection_of[CALLERS];

/* ---- What the host has got ---- */

static void note_reply(const struct fake_message *reply)
{
    if (strncmp(reply->topic, "r/", 2) != 0 || strcmp(reply->status, "progress") == 0)
        return;
    const size_t call = strtoul(reply->topic + 2, NULL, 10);
    ck_assert_uint_lt(call, call_count);
    ck_assert_uint_eq(++calls[call].replies, 1);
}

static void note_job(const struct fake_message *sent)
{
    const char *number = strstr(sent->text, "\"a\":");
    if (strstr(sent->topic, "/cancel"))
        return;
    ck_assert_ptr_nonnull(number);
    const size_t call = strtoul(number + 4, NULL, 10);
    calls[call].begun++;
    ck_assert_uint_le(calls[call].begun, calls[call].may_repeat ? REMOTE_ATTEMPTS : 1);
    ck_assert_uint_lt(job_count, JOBS);
    struct job *job = &jobs[job_count++];
    job->worker = sent->client[1] - '0';
    job->call = call;
    ck_assert(is_there[job->worker]);
    ck_assert_ptr_eq(sent->connection, workers[job->worker].client.connection);
    memcpy(job->id, sent->correlation, REMOTE_ID);
}

static void look(void)
{
    const struct crew *crew = &rig.engine->remote->crew;
    for (size_t i = 0; i < rig.host.replies.count; i++)
        note_reply(&rig.host.replies.kept[i]);
    for (size_t i = 0; i < rig.host.others.count; i++)
        note_job(&rig.host.others.kept[i]);
    for (int i = 0; i < WORKERS; i++) {
        const struct crew_worker *worker = crew_find(crew, workers[i].name);
        ck_assert_int_eq(worker != NULL, is_there[i]);
        /* A window that has become smaller holds for what comes next. */
        ck_assert(!worker || worker->outstanding <= CREW_WINDOW_MAX);
        windows[i] = worker ? worker->window : 0;
    }
    ck_assert_uint_le(rig.host.replies.count, FAKE_KEPT);
    ck_assert_uint_le(rig.host.others.count, FAKE_KEPT);
    fake_host_forget(&rig.host);
}

/* ---- Steps ---- */

static void call_something(void)
{
    static const char *const methods[] = {"far.add", "far.read", "far.keep"};
    const unsigned method = roll(3);
    const int caller = (int)roll(CALLERS);
    char topic[32], payload[48], reply[24];
    snprintf(topic, sizeof topic, "rpc/call/%s", methods[method]);
    snprintf(payload, sizeof payload, "{\"a\":%zu}", call_count);
    snprintf(reply, sizeof reply, "r/%zu", call_count);
    calls[call_count].may_repeat = method > 0;
    calls[call_count++].caller = caller;
    rig.client.id = callers[caller];
    rig.client.connection = connection_of[caller];
    if (roll(4) == 0) {
        static char limit[8];
        snprintf(limit, sizeof limit, "%u", 1 + roll(3000));
        rig.host.property = "timeout-ms";
        rig.host.value = limit;
    }
    rig_send(&rig, topic, payload, reply, NULL);
    rig.host.property = NULL;
}

static void attach(int i)
{
    static const char *const offers[] = {"\"methods\":[\"far.add\",\"far.read\",\"far.keep\"]",
                                         "\"methods\":[\"far.add\"]",
                                         "\"methods\":[\"far.read\",\"far.keep\"]", "\"methods\":[]"};
    char params[128];
    rig.host.drop = false;
    if (!is_there[i])
        workers[i] = far_make(workers[i].name);
    is_there[i] = true;
    snprintf(params, sizeof params, "%s,\"window\":%u", offers[roll(4)], 1 + roll(3));
    far_attach(&rig, &workers[i], params);
}

static void end(int i)
{
    if (!is_there[i])
        return;
    is_there[i] = false;
    for (size_t j = 0; j < job_count; j++) {
        if (jobs[j].worker == i)
            jobs[j].worker = -1;
    }
    far_end(&rig, &workers[i]);
}

static void answer(void)
{
    static const struct {
        const char *status, *payload;
    } answers[] = {{"ok", "{\"sum\":1}"}, {"ok", "{\"sum\":1}"},    {"ok", "{\"sum\":\"x\"}"},
                   {"far_plain", "{}"},   {"far_plain", "no JSON"}, {"refused", ""},
                   {"progress", "{}"},    {NULL, "{\"sum\":1}"}};
    if (!job_count)
        return;
    const unsigned which = roll((unsigned)job_count), how = roll(sizeof answers / sizeof *answers);
    struct job *job = &jobs[which];
    if (job->worker >= 0) {
        const struct far_worker *worker = &workers[job->worker];
        const bool is_open = calls[job->call].replies == 0;
        if (answers[how].status && strcmp(answers[how].status, "refused") == 0 && is_open)
            calls[job->call].begun--;
        far_publish(&rig, worker, worker->done, job->id, sizeof job->id, answers[how].status,
                    answers[how].payload);
    }
    if (job->worker < 0 || !answers[how].status || strcmp(answers[how].status, "progress") != 0)
        jobs[which] = jobs[--job_count];
}

static void leave(int caller)
{
    const struct host_ending ending = {
        .id = callers[caller], .connection = connection_of[caller], .kind = HOST_END_SESSION_OVER};
    for (size_t i = 0; i < call_count; i++)
        calls[i].has_left |= calls[i].caller == caller;
    connection_of[caller] = (const char *)&connections + ++connections;
    engine_client_ended(rig.engine, &ending);
}

static void step(void)
{
    const unsigned what = roll(100);
    const int worker = (int)roll(WORKERS);
    if (what < 40)
        call_something();
    else if (what < 75)
        answer();
    else if (what < 82)
        attach(worker);
    else if (what < 86)
        end(worker);
    else if (what < 88 && is_there[worker])
        remote_detach(rig.engine, crew_find(&rig.engine->remote->crew, workers[worker].name));
    else if (what < 90)
        leave((int)roll(CALLERS));
    else if (what < 92)
        rig.host.drop = !rig.host.drop && roll(2);
    else
        far_pass(&rig, roll(20) ? roll(400) : 30000);
}

START_TEST(storm)
{
    static const char *const names[] = {"w0", "w1", "w2", "w3"};
    state = (uint64_t)_i * UINT64_C(0x9E3779B97F4A7C15) + 88172645463325252u;
    far_open(&rig);
    rig.engine->env.options.max_pending = 20;
    for (int i = 0; i < WORKERS; i++)
        workers[i] = far_make(names[i]);
    for (int i = 0; i < CALLERS; i++) {
        snprintf(callers[i], sizeof callers[i], "c%d", i);
        connection_of[i] = (const char *)&connections + ++connections;
    }
    for (int i = 0; i < STEPS; i++) {
        step();
        look();
        rig.host.drop = rig.host.drop && roll(3); /* replies are not lost in such a step, but jobs may wait */
    }
    rig.host.drop = false;
    for (int i = 0; i < 20; i++) {
        far_pass(&rig, 20000);
        look();
    }
    size_t lost = 0;
    for (size_t i = 0; i < call_count; i++)
        lost += calls[i].replies == 0 && !calls[i].has_left;
    /* The host has dropped some replies, which are counted. */
    ck_assert_uint_le(lost, rig.engine->env.counters.dropped);
    ck_assert_uint_eq(rig.engine->remote->crew.outstanding, 0);
    ck_assert_uint_eq(rig.engine->remote->crew.queues.jobs, 0);
    ck_assert_uint_eq(rig.engine->remote->alarms.count, 0);
    ck_assert_uint_eq(rig.engine->remote->late, 0);
    ck_assert_uint_eq(rig.engine->slots.bytes, 0);
    ck_assert_uint_gt(rig.engine->env.counters.dispatched, STEPS / 10);
    rig_close(&rig);
}
END_TEST

UNIT_MAIN("remote_storm", NULL, NULL, {storm, SEEDS})
