// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A module for tests of pending calls. Nothing in it sleeps: each call names a slot, and its work waits until
 * the test lets the slot go, if the test has shut the slot before. The slot counts all that runs. Each done
 * checks that its work does not run, that it runs for the first time, and that all data of the call is valid.
 *
 *   work        {"n":slot,"lane":"…","fail":true}: {"n":slot,"by":"…"}; by: which function wrote the result
 * last; always announced as worked, its errors ("plain") as workFailed work.single likewise, two at most
 *   work.firm   likewise, must finish
 *   work.brief  likewise, its deadline is 200 ms
 *   wait        likewise, but without work: it waits for tell
 *   wait.firm   likewise, must finish
 *   now         likewise, at once
 *   tell        {"n":slot}: resumes what waits in the slot
 *   bytes       its payload is any bytes, work adds them up: {"n":sum}; uses the slot BYTES_SLOT
 *   act         has the hooks of the test for run, work and done
 *   half        like act, but without work
 *   bare        like act, but without work and done
 */
#ifndef WORKS_H
#define WORKS_H

#include "rig.h"

#include <semaphore.h>
#include <stdatomic.h>

enum { WORKS_SLOTS = 64, WORKS_BYTES = WORKS_SLOTS - 1, WORKS_PATIENCE = RIG_PATIENCE };

struct works_slot {
    /* For tests to set. */
    bool shut; /* its work waits */

    /* For tests to read. */
    int runs, pending, dones; /* handlers that ran, calls that became pending, dones */
    rpc_status outcome;       /* of the last done */
    rpc_call *call;           /* the pending call; NULL: none, or there was a second one */
    atomic_int works;         /* pieces of work that have returned */
    atomic_bool wanted;       /* rpc_is_wanted() at the end of the last one */

    atomic_int running;
    sem_t begun, go;
};

extern struct works_slot works_slots[WORKS_SLOTS];

/* What act, half and bare do; to be set before works_open(). */
struct works_hooks {
    rpc_handler run;
    rpc_work work;
    rpc_done done;
};

extern struct works_hooks works_hooks;
extern const rpc_module works;

struct works_params {
    int32_t n;
    const char *lane;
    bool fail;
};

struct works_result {
    int32_t n;
    const char *by; /* NULL: left out */
};

/* rig_init() with what these tests have in common; then rig_start() with the module. */
void works_init(struct rig *rig);
void works_open(struct rig *rig);

/* works_finish() ends all pending calls and checks that nothing is left of them; works_close() also closes
 * the rig. */
void works_finish(struct rig *rig);
void works_close(struct rig *rig);

/* Publishes a message that is overwritten and freed as soon as the engine has received it. */
void works_send(struct rig *rig, const char *topic, const char *payload, const char *response_topic,
                const char *correlation);

/* Calls a method with the payload {"n":n}, with a Response Topic "r" and without Correlation Data. */
void works_call(struct rig *rig, const char *method, int n);

/* Shuts a slot, calls work in it, and waits until the work has begun. */
void works_begin(struct rig *rig, const char *method, int n);
void works_wait_begun(int n);

/* Lets one job of a slot go on, and waits for its done. */
void works_let_go(struct rig *rig, int n);

/* Waits until so many dones have run in the slot. */
void works_wait_done(struct rig *rig, int n, int dones);

/* Moves the clock and ticks the engine. */
void works_pass(struct rig *rig, uint64_t milliseconds);

/* The client's connection ends. */
void works_end_client(struct rig *rig, enum host_end kind);

/* There are so many replies, and the last one is this. */
void works_expect(const struct rig *rig, size_t count, const char *status, const char *text);

/* The text of an error of a method without data. */
#define WORKS_ERROR(method, err, msg) "{\"method\":\"" method "\",\"err\":\"" err "\",\"msg\":\"" msg "\"}"
#define WORKS_TIMEOUT(method) \
    WORKS_ERROR(method, "timeout", "the deadline passed before the handler finished")
#define WORKS_CANCELLED(method) \
    WORKS_ERROR(method, "cancelled", "the caller went away, or the service is stopping")

#endif
