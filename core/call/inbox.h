// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Inboxes: topics outside the prefix whose messages a module receives. A module's inboxes lie below its inbox
 * root, which its instance has (registry.h); this finds the inbox of a message and calls its receive
 * function. The functions rpc_inbox_set_root(), rpc_inbox_root() and rpc_message_level() of mosquitto_rpc.h
 * are here, too.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a message is borrowed from the host until inbox_receive() returns, and a module borrows it
 * likewise.
 *
 * Failure: only decoding a payload and rpc_inbox_set_root() need memory. A payload that cannot be decoded is
 * the module's to judge: it gets the reason.
 */
#ifndef CORE_INBOX_H
#define CORE_INBOX_H

#include "call/registry.h"

/*
 * The inbox that a topic belongs to, whose it is and what stands behind the inbox root. NULL: none. It is
 * asked of every message that the broker gets and that is not for the prefix.
 */
const rpc_inbox *inbox_find(const struct engine *engine, const char *topic, rpc_instance **owner,
                            const char **below);

/*
 * Gives a message to the inbox that inbox_find() has found, and returns what the module says; ENGINE_PASS if
 * the engine is stopping. A sender whose client id is not what the inbox demands is refused. A message of a
 * bridge is never refused, since some brokers would end the bridge's connection: it is passed if its sender
 * is the wrong one, and consumed if the module refuses it.
 */
enum engine_verdict inbox_receive(rpc_instance *instance, const rpc_inbox *inbox,
                                  const struct host_message *message, const char *below);

/*
 * Switches the inboxes of an instance off, before its init, if their usual root overlaps the topics of a
 * prefix of the service, or the usual root of an instance whose inboxes are on. Returns whether it does: then
 * overlap says with what.
 */
bool inbox_give_way(rpc_instance *instance, char overlap[REGISTRY_WHY]);

/* Logs that the inboxes of an instance are off because of an overlap. */
void inbox_log_off(const rpc_instance *instance, const char *overlap);

/*
 * Checks the inboxes of all engines of a host, once all modules are there. Returns false, with why in one
 * line, if an inbox root overlaps another one or the topics of a prefix: an init has set one of them.
 */
bool inbox_check(struct engine *const *engines, size_t count, char why[REGISTRY_WHY]);

#endif
