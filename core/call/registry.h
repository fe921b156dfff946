// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The modules of one prefix, checked and indexed: methods, events and commands by name, inboxes by their
 * root. Exact names are looked up by hash, so that ten methods or ten thousand cost a call the same. Only a
 * name that no method has is compared with the method families, the methods with levels in braces in their
 * names.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a registry is embedded in its engine and borrows the modules, which are constant. It owns the
 * instances with their states, and what it has made of the tables. registry_call_name() returns memory of the
 * arena.
 *
 * Failure: registry_add() says in one line why it failed. registry_call_name() can fail for want of memory.
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#define HASH_NONFATAL_OOM 1

#include "base/arena.h"
#include "base/instance.h"
#include "shape/fields.h"
#include "stats/statistics.h"

#include <uthash.h>

enum { REGISTRY_WHY = 640 }; /* bytes that hold any explanation of this file */

struct foreign_row;

struct registry_event {
    const rpc_event *declared;
    rpc_instance *instance;
    struct fields data; /* of its declared data, for workers, who send it as JSON */
    char *topic;
    struct foreign_row *foreign; /* of call/foreign.h: workers declare it; NULL: a module does */
    UT_hash_handle hh;
};

struct remote_shapes;

struct registry_method {
    const rpc_method *declared;
    rpc_instance *instance;
    struct foreign_row *foreign; /* of call/foreign.h: workers declare it; NULL: a module does */
    rpc_handler run; /* the declared one, or one of the engine's that takes its calls to a worker */
    struct fields params;
    const struct registry_event *event, *error_event; /* NULL: none */
    bool at_endpoint;                                 /* it can be called at {prefix}/jsonrpc */
    bool is_family;                                   /* its name has levels in braces */
    bool off;                                         /* methods_off has its name */
    bool may_pend;                                    /* its calls may become pending */
    bool
        may_run_twice; /* a call of it that a client sends again runs again: it is read-only, or was set so */
    unsigned char placement;      /* rpc_placement, of its row or of an option */
    size_t open;                  /* its pending calls */
    size_t dispatches;            /* of remote.c, of its calls */
    struct statistics statistics; /* of its calls */
    struct remote_shapes *remote; /* remote.c's own; NULL: it runs here alone */
    UT_hash_handle hh;
    struct registry_method *next_family; /* of a family: one that was added before */
};

struct registry_command {
    const rpc_command *declared;
    const rpc_instance *instance;
    struct fields parts[RPC_COMMAND_PROGRESS + 1];
    UT_hash_handle hh;
    struct registry_command *next; /* of the same name, of another module */
};

/* Any JSON value: the result of a method that workers declare, and the data of such an event. */
struct registry_any {
    rpc_json value;
};

extern const rpc_shape registry_any_shape;

/* All zero but what the owner sets: empty. */
struct registry {
    /* Set by the owner, for instances. */
    struct engine *engine;
    struct env *env;
    struct timers *timers;

    bool strict; /* set by the owner: all methods and commands are strict */

    struct registry_method *methods;  /* by the declared name */
    struct registry_method *families; /* those of the methods that are families, the newest first */
    struct registry_method *last;     /* the one that was found last, which is looked at first; or NULL */
    struct registry_event *events;
    struct registry_command *commands; /* one of each name; the others of its name follow it */
    rpc_instance *instances;           /* the newest first */
    rpc_instance *inboxes;             /* those whose inboxes are on */
    rpc_instance *observers;           /* those whose modules observe calls */
    rpc_instance *watchers;            /* those whose modules watch for clients */
};

/*
 * Checks a module, adds its methods and events, and allocates its state, but does not start it. prefix is the
 * topic prefix. Returns the instance; NULL: why says in one line what was wrong, and what was added so far
 * stays, to be taken down by registry_fini().
 */
rpc_instance *registry_enter(struct registry *registry, const char *prefix, const rpc_module *module,
                             char why[REGISTRY_WHY]);

/*
 * Starts an instance that was entered. options is a struct of the module's options shape, or NULL if it has
 * none; it outlives the registry. Returns whether it worked; if not, all is as after a failed
 * registry_enter().
 */
bool registry_start(struct registry *registry, const char *prefix, rpc_instance *instance,
                    const void *options, char why[REGISTRY_WHY]);

/* Enters a module and starts it. */
bool registry_add(struct registry *registry, const char *prefix, const rpc_module *module,
                  const void *options, char why[REGISTRY_WHY]);

/* Ends all instances, the newest first, and frees everything. The registry is empty afterwards. */
void registry_fini(struct registry *registry);

/* The method that declares this name, of length bytes, exactly. NULL: there is none. */
struct registry_method *registry_find_exactly(const struct registry *registry, const char *name,
                                              size_t length);

/* The method of this name, exactly, or the family whose levels match it. NULL: there is none. */
struct registry_method *registry_find_method(struct registry *registry, const char *name);

/*
 * The declared name of a method that a misspelt name could mean, for people. at_endpoint: only of those that
 * can be called there. Its cost is bounded: of many methods only the first are looked at. NULL: none is near.
 */
const char *registry_find_near(const struct registry *registry, const char *name, bool at_endpoint);

/*
 * The name of a call of the method that was found by `name`, for as long as the arena lives: the declared
 * name or, of a family, a copy of `name`, from which registry_call_level() reads. NULL: no memory.
 */
const char *registry_call_name(const struct registry_method *method, const char *name, struct arena *arena);

/* What stands in a call's name, made by registry_call_name(), at the level {level} of a family. NULL: the
   method's name has no such level. */
const char *registry_call_level(const struct registry_method *method, const char *call_name,
                                const char *level);

/* NULL: there is none of this name. */
const struct registry_event *registry_find_event(const struct registry *registry, const char *name);

/* The first of the commands of this name, which are linked by `next`. NULL: there is none. */
struct registry_command *registry_find_first(const struct registry *registry, const char *name);

/* The command that the module `kind` declares under this name; kind NULL: that the only module with such a
 * command declares. NULL: there is none, or there are several. */
const struct registry_command *registry_find_command(const struct registry *registry, const char *kind,
                                                     const char *name);

/* The command of this row. NULL: it is no row of these modules. */
const struct registry_command *registry_find_declared(const struct registry *registry,
                                                      const rpc_command *declared);

/*
 * Rows that are made while the service runs, which their owner has checked, and which stay the owner's.
 * Linking returns false: no memory; nothing has changed then. What is unlinked is found no more.
 */
bool registry_link_method(struct registry *registry, struct registry_method *method);
bool registry_link_event(struct registry *registry, struct registry_event *event);
void registry_unlink_method(struct registry *registry, struct registry_method *method);
void registry_unlink_event(struct registry *registry, struct registry_event *event);

/* The method family, of which a call of the family `name` could also be one. NULL: there is none. */
const struct registry_method *registry_find_meeting(const struct registry *registry, const char *name);

/*
 * The event whose name lies where the values of another one lie, of which one is `declared` and the other one
 * is returned. It is keyed, or `declared` is. An event of the name of `declared` does not count. NULL: there
 * is none.
 */
const struct registry_event *registry_find_overlap(const struct registry *registry,
                                                   const rpc_event *declared);

/* The names of placements, by rpc_placement. */
extern const char *const registry_placements[RPC_PLACEMENT_REMOTE + 1];

/* The placement of a name, which has so many bytes; -1: there is none. */
int registry_find_placement(const char *name, size_t length);

/* Where calls of a method are carried out: by its row, or by engine_options.placements if those name it. */
rpc_placement registry_placement_of(const char *placements, const rpc_method *declared);

/* Why a method cannot have a placement, in words that say what is wrong with it. NULL: it can. */
const char *registry_check_placement(const rpc_module *module, const rpc_method *method,
                                     rpc_placement placement);

/* Whether workers carry out calls of a method, or could do so after a reload. */
bool registry_may_move(const struct registry_method *method);

/* The error that a method declares under this code; NULL: none. */
const rpc_error *registry_find_error(const rpc_method *method, const char *code);

#endif
