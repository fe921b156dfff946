// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The modules of one prefix, checked and indexed: methods and events by name. Lookups are by hash, so that
 * ten methods or ten thousand cost a call the same.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#define HASH_NONFATAL_OOM 1

#include "shape/fields.h"
#include "base/instance.h"

#include <uthash.h>

enum { REGISTRY_WHY = 640 }; /* bytes that hold any explanation of this file */

struct registry_event {
    const rpc_event *declared;
    rpc_instance *instance;
    char *topic;
    UT_hash_handle hh;
};

struct registry_method {
    const rpc_method *declared;
    rpc_instance *instance;
    struct fields params;
    const struct registry_event *event, *error_event; /* NULL: none */
    bool at_endpoint; /* whoever may publish to {prefix}/jsonrpc may call it */
    size_t open;      /* calls that are kept open */
    UT_hash_handle hh;
};

/* All zero but what the owner sets: empty. */
struct registry {
    /* Set by the owner, for instances. */
    struct engine *engine;
    struct env *env;
    struct timers *timers;

    struct registry_method *methods;
    struct registry_event *events;
    rpc_instance *instances; /* the newest first */
    rpc_instance *observers; /* those whose modules observe calls */
    rpc_instance *watchers;  /* those whose modules watch for clients */
};

/*
 * Checks a module, adds its methods and events, allocates its state and starts it. prefix is the topic
 * prefix. options is a struct of the module's options shape, or NULL if it has none; it outlives the
 * registry. Returns whether it worked; if not, why says in one line what was wrong, and what was added so
 * far stays, to be taken down by registry_fini().
 */
bool registry_add(struct registry *registry, const char *prefix, const rpc_module *module,
                  const void *options, char why[REGISTRY_WHY]);

/* Ends all instances, the newest first, and frees everything. The registry is empty afterwards. */
void registry_fini(struct registry *registry);

/* NULL: there is none of this name. */
struct registry_method *registry_find_method(const struct registry *registry, const char *name);
const struct registry_event *registry_find_event(const struct registry *registry, const char *name);

/* The error that a method declares under this code; NULL: none. */
const rpc_error *registry_find_error(const rpc_method *method, const char *code);

#endif
