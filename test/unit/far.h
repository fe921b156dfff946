// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A module whose calls workers carry out, and workers on the fake host, which are no more than a client and a
 * name. The module's handlers fail the test if they run where a worker should.
 *
 *   far.add      {"a":1,"b":2}: {"sum":3}; always announced as far.added; its error far_large has a member
 *                limit, and is announced as far.failed
 *   far.read     likewise, read-only, without events
 *   far.keep     likewise, idempotent
 *   far.lane     {"lane":"a"}: {}; its lane is the member
 *   far/{door}/open  no parameters, no result
 *   far.steps    has interim replies {"step":1}
 *   far.bytes    takes raw bytes
 *   far.value    a number of 0 to 9 and nothing around it, and so is its result
 *   far.spill    runs here or at a worker, with work that waits until far_let_go(); {"lane":"a"} is its lane
 *   far.here     is local
 */
#ifndef FAR_H
#define FAR_H

#include "rig.h"

#include "call/remote.h"

#include <stdatomic.h>

extern const rpc_module far;
extern const rpc_module rpc_module_workers;

/* A worker's side. */
struct far_worker {
    const char *name;
    struct host_client client;
    char topic[64], done[80]; /* its topics */
};

/* rig_init() with what these tests have in common; then the engine with both modules. The user crew may
 * attach. wait: workers_wait, ms. */
void far_init(struct rig *rig);
void far_start(struct rig *rig, int64_t wait);
void far_open(struct rig *rig);

/* Attaches, with all parameters but the name: "\"methods\":[\"far.add\"]". The reply must be a success. */
struct far_worker far_make(const char *name);
void far_attach(struct rig *rig, struct far_worker *worker, const char *params);

/* Calls a method as the worker; returns the reply. */
const struct fake_message *far_ask(struct rig *rig, const struct far_worker *worker, const char *method,
                                   const char *payload);

/* How many messages workers have got; the i-th of them, and the last one. */
size_t far_count(const struct rig *rig);
const struct fake_message *far_sent(const struct rig *rig, size_t i);
const struct fake_message *far_last(const struct rig *rig);

/* Publishes as a worker, with the Correlation Data of a message. status NULL: none. */
enum engine_verdict far_publish(struct rig *rig, const struct far_worker *worker, const char *topic,
                                const void *id, size_t id_size, const char *status, const char *payload);
void far_answer(struct rig *rig, const struct far_worker *worker, const struct fake_message *job,
                const char *status, const char *payload);

/* Calls with a Response Topic "r" and without Correlation Data. */
void far_call(struct rig *rig, const char *method, const char *payload);

/* There are so many replies, and the last one is this. */
void far_expect(const struct rig *rig, size_t count, const char *status, const char *text);

/* Moves the clock and ticks the engine. */
void far_pass(struct rig *rig, uint64_t milliseconds);

/* The worker's connection ends. */
void far_end(struct rig *rig, const struct far_worker *worker);

/* Work of far.spill that has begun goes on, and further work, too. */
extern atomic_bool far_shut;
void far_let_go(void);

/* What rpc.workers says of one worker, as JSON; NULL: it is not there. The caller frees it with
 * cJSON_Delete(). */
cJSON *far_look(struct rig *rig, const char *name);

#endif
