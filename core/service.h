// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The service that a host offers: the engines of one configuration, one for each prefix. A host needs
 * config.h, this, engine_receive() of engine.h, and the functions of host.h that it implements.
 *
 * Threads: the host's thread alone, on which all engines and handlers run.
 *
 * Ownership: a service owns its engines and borrows the configuration, which must outlive it; where
 * service_stop() returns false, the configuration must never be destroyed. The host's functions are copied.
 *
 * Failure: service_create() returns NULL without memory. service_start() and service_reload() return false
 * and say why in one line.
 */
#ifndef CORE_SERVICE_H
#define CORE_SERVICE_H

#include "config.h"
#include "engine.h"

enum { SERVICE_WHY = ENGINE_WHY + 32 };

struct service;

/* Makes a service without engines. The caller destroys it with service_destroy(). */
struct service *service_create(const struct config *config, const struct host *host);

/* Frees a service that was never started or has been stopped. Accepts NULL. */
void service_destroy(struct service *service);

/*
 * Starts the engines of all prefixes, each with all modules. Returns false if one of them does not start; the
 * ones before it run then, until service_stop().
 */
bool service_start(struct service *service, char why[SERVICE_WHY]);

/* Tells all engines, for rpc.health, what is known of the config_file, which outlives them. To be called
 * before service_start(). */
void service_show_reload(struct service *service, const struct env_reload *reload);

/*
 * Takes over the options that may change while the broker runs, from a configuration that was made of the
 * same lines but for those of the config_file. Either all of them are taken over, in all engines and modules,
 * or, if it returns false, none. From then on the service borrows the new configuration, too: it must outlive
 * the service or the next change, and the one that the service was made with must outlive the service. Takes
 * time in proportion to what has changed, and waits for nothing.
 */
bool service_reload(struct service *service, const struct config *config, char why[SERVICE_WHY]);

/*
 * Stops and destroys all engines: nothing is sent any more, pending calls are cancelled. It waits at most
 * `patience` nanoseconds for work that runs. Returns true: no thread is left; false: some work has not
 * returned, and its threads go on with what they use; their code must never be unloaded.
 */
bool service_stop(struct service *service, uint64_t patience);

/* The engine that a message to this topic is for, a cheap question to ask of every message; place is what
 * engine_receive() wants. NULL: there is none. */
struct engine *service_find(const struct service *service, const char *topic, struct engine_place *place);

/* Calls engine_tick() of all engines. */
void service_tick(struct service *service);

/* The earliest engine_due() of all engines. UINT64_MAX: at no certain time. */
uint64_t service_due(const struct service *service);

/* Whether something is pending in some engine: a host need not call service_client_seen() else. */
bool service_has_pending(const struct service *service);

/* Calls engine_client_seen() of all engines. */
void service_client_seen(struct service *service, const struct host_client *client);

/* Whether some module of some engine wants to know which clients are there. */
bool service_wants_presence(const struct service *service);

/* Calls engine_presence() of all engines. */
void service_presence(struct service *service, const struct host_presence *presence);

/* Calls engine_client_ended() of all engines. */
void service_client_ended(struct service *service, const struct host_ending *ending);

#endif
