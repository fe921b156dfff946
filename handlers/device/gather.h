// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Calls to groups: devices/{group}/{command}. Each member of the group gets a command of its own, as a call
 * of that device alone would make it, and the reply has a verdict for each. The members are fixed when the
 * call starts. The group `*` has all known devices.
 *
 * Commands of all these calls leave at device_fanout_rate, one of each call in turn. The call ends when all
 * members have a verdict, when as many have succeeded as were wanted, when no verdict has come for a while,
 * when too many have failed and nothing is on its way any more, or at its deadline.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a gather is memory of its call, and ends with it.
 *
 * Failure: what is wrong with the call itself is its error; what is wrong with one member is its verdict.
 */
#ifndef DEVICE_GATHER_H
#define DEVICE_GATHER_H

#include "command.h"
#include "group.h"

struct gather;

struct gathers {
    rpc_instance *instance;
    const struct device_options *options;
    struct devices *table;
    struct commands *commands;
    struct presence *presence;
    struct groups *groups;
    struct gather *running; /* calls that have not ended */
    struct gather *over;    /* calls that end in a moment */
    struct gather *unsent;  /* those of the running ones that have commands to send; the next one first */
    rpc_timer pacer;        /* while there are some, and until the allowance is complete again */
    rpc_timer ender;        /* for those that are over */
    double allowance;       /* commands that may leave now */
};

extern const rpc_shape gather_result_shape, gather_progress_shape, gather_group_shape;

/* The run and the done of the method family. params is the JSON text of the command's parameters. */
rpc_status gather_run(rpc_call *call, struct gathers *gathers, const char *params);
rpc_status gather_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

#endif
