// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * One module inside one engine: what rpc_instance of mosquitto_rpc.h is.
 *
 * Threads: the broker's thread only; work of the module's runs elsewhere and may use what `state` points at.
 *
 * Ownership: the registry allocates instances and frees them, and `state` with them (call/registry.h).
 *
 * Failure: plain data.
 */
#ifndef CORE_BASE_INSTANCE_H
#define CORE_BASE_INSTANCE_H

#include "base/env.h"
#include "base/trouble.h"

struct engine;
struct fields;
struct timers;

struct rpc_instance {
    struct engine *engine;
    struct env *env;       /* the engine's */
    struct timers *timers; /* likewise */
    const rpc_module *module;
    void *state;
    struct log_limit log_limit; /* of the lines that its functions write */
    struct troubles troubles;   /* what it has said is wrong */
    bool started;               /* init was tried: fini is due */
    bool ready;                 /* init has returned */
    bool abandoned;             /* work that has not returned may use its state: both are left alone */
    struct rpc_instance *next;  /* the one that was started before it */

    char *inbox_root;              /* NULL: its inboxes are off, or it has none */
    bool root_is_set;              /* init has set it, also to NULL */
    struct fields *inbox_payloads; /* one for each inbox, all zero where it has no shape; NULL: no inboxes */
    struct rpc_instance *next_inboxes;   /* the next one with inboxes that are on */
    const struct host_message *received; /* what one of them receives now; NULL: nothing */

    bool sees_messages;                 /* its module's presence gets RPC_SIGN_SEEN */
    struct rpc_instance *next_watcher;  /* likewise, of those whose modules watch for clients */
    struct rpc_instance *next_observer; /* likewise, of those whose modules observe calls */
};

#endif
