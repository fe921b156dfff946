// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The RPC engine of one prefix, as its host sees it. Several live side by side; nothing is shared between
 * them but code.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: an engine borrows the modules and their options, and owns the rest.
 *
 * Failure: engine_create() needs memory; the functions with `why` explain in one line.
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include "base/env.h"
#include "call/place.h"

#include <mosquitto_rpc.h>

enum { ENGINE_WHY = 640, ENGINE_WORD = 64 };

struct engine;

/*
 * Makes an engine without methods. options, but not their texts, and host are copied. Returns NULL when there
 * is no memory.
 */
struct engine *engine_create(const struct engine_options *options, const struct host *host);

/*
 * Brings two engines of one service, and all that either was brought together with, together: the usual inbox
 * root of a module that is added to one of them gives way to the prefixes and the usual roots of the others.
 */
void engine_join(struct engine *engine, struct engine *other);

/*
 * Adds a module and starts it. module_options is a struct of its options shape, NULL if it has none, and
 * outlives the engine. Returns false, with why in one line, if its tables are wrong or its init failed; all
 * that is left to do with the engine then is to destroy it.
 */
bool engine_add_module(struct engine *engine, const rpc_module *module, const void *module_options,
                       char why[ENGINE_WHY]);

/*
 * Opens the methods of options->jsonrpc_methods at {prefix}/jsonrpc; to be called when all modules are there.
 * Returns false if one of them does not exist, with why in one line that begins with the option's name.
 */
bool engine_open_methods(struct engine *engine, char why[ENGINE_WHY]);

/*
 * Whether all words of a list, which may be NULL, are names of methods. If not, unknown gets the first one
 * that is none, or its beginning.
 */
bool engine_has_methods(const struct engine *engine, const char *names, char unknown[ENGINE_WORD]);

/*
 * Whether there is a method of this name that can have this placement, a name of one. If not, why says what
 * is wrong in words that follow a comma.
 */
bool engine_check_placement(const struct engine *engine, const char *name, const char *placement,
                            char why[ENGINE_WHY]);

/*
 * Takes over those of the options that may change while the broker runs; their texts must outlive the engine,
 * or the next change. methods_off must have been checked with engine_has_methods(), and each placement with
 * engine_check_placement(). What is pending goes on;
 * limits that have become smaller hold for what comes next.
 */
void engine_reload(struct engine *engine, const struct engine_options *options);

/*
 * The two steps by which a module takes over its options: see rpc_module.reload. The module has been added.
 * engine_prepare_module() returns false after the module has refused.
 */
bool engine_prepare_module(struct engine *engine, const rpc_module *module, const void *options,
                           rpc_refusal *refusal);
void engine_reload_module(struct engine *engine, const rpc_module *module, const void *options);

/* Tells the engine, for rpc.health, what is known of the config_file; NULL: there is none. It outlives the
 * engine. */
void engine_show_reload(struct engine *engine, const struct env_reload *reload);

/*
 * Begins to end: from now on nothing leaves, calls that wait are cancelled, and work that runs is told that
 * it is not wanted any more. Several engines are all told before the first one is destroyed, so that they end
 * at the same time. Accepts NULL.
 */
void engine_stop(struct engine *engine);

/*
 * Ends all modules and frees the engine, which is stopped first if it was not; accepts NULL. Waits at most
 * `patience` nanoseconds for work that runs. Returns true: no thread is left; false: some work has not
 * returned, and its threads go on, with what they use. The code they run must never be unloaded then.
 */
bool engine_destroy(struct engine *engine, uint64_t patience);

/* Whether a topic is the engine's business, a cheap question to ask of every message. */
bool engine_serves(const struct engine *engine, const char *topic, struct engine_place *place);

/*
 * Handles a message to the topic that engine_serves() has found at this place. Replies and events leave
 * before it returns.
 */
enum engine_verdict engine_receive(struct engine *engine, const struct host_message *message,
                                   const struct engine_place *place);

/*
 * A client's connection has ended; it need not be one that ever called. Its calls are cancelled, which may
 * send replies to its session and what the modules announce.
 */
void engine_client_ended(struct engine *engine, const struct host_ending *ending);

/* Whether something is pending: a host need not call engine_client_seen() else. */
bool engine_has_pending(const struct engine *engine);

/*
 * A sign of life of a client on a connection: a message to any topic, or that it has connected. If another
 * connection is known under its id, that one's calls and copies end now, for its end may be told late, or
 * never. engine_receive() does the same.
 */
void engine_client_seen(struct engine *engine, const struct host_client *client);

/* Whether some module wants to know which clients are there: a host need not call engine_presence() else. */
bool engine_wants_presence(const struct engine *engine);

/* The host has noticed a client, which need not have to do with this engine. */
void engine_presence(struct engine *engine, const struct host_presence *presence);

/*
 * To be called soon after host->wake(), at engine_due(), and now and then: ends calls whose work has come to
 * its end or whose deadline has passed, runs timers, publishes the counters that have changed, and forgets
 * what is too old to matter.
 */
void engine_tick(struct engine *engine);

/* The monotonic time at which engine_tick() is to be called next, nanoseconds; UINT64_MAX: at no certain one.
 * It may have changed after any call of the engine. */
uint64_t engine_due(const struct engine *engine);

const struct counters *engine_counters(const struct engine *engine);

#endif
