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
 * Failure: these functions allocate nothing and cannot fail, but for rpc_inbox_set_root().
 */
#ifndef CORE_INBOX_H
#define CORE_INBOX_H

#include "host.h"

#include <stddef.h>

enum { INBOX_WHY = 640 }; /* bytes that hold any explanation of this file */

struct engine;

/* Whether a topic belongs to an inbox of a module. It is asked of every message that the broker gets. */
bool inbox_serves(const struct engine *engine, const char *topic);

/*
 * Gives a message to the inbox that it belongs to, and returns what the module says. Without asking the
 * module it returns RPC_INBOX_PASS for a message that belongs to no inbox, or when the engine is stopping;
 * and for a sender whose client id is not what the inbox demands RPC_INBOX_REFUSE, or RPC_INBOX_PASS if it is
 * a bridge.
 */
rpc_inbox_verdict inbox_receive(struct engine *engine, const struct host_message *message);

/*
 * Checks the inboxes of all engines of a host, once all modules are there. Returns false, with why in one
 * line, if an inbox root overlaps another one or the topics of a prefix.
 */
bool inbox_check(struct engine *const *engines, size_t count, char why[INBOX_WHY]);

#endif
