// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Copies of a message whose first delivery is still being run: each waits for the first one's reply.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a copy hangs on its cached reply and on its connection; it has copies of what it needs. It is
 * freed when it has been served, when its connection ends, and by copies_clear().
 *
 * Failure: without memory, behind 16 others, or beyond max_pending_bytes, a copy does not wait and gets no
 * reply. Its client has sent it again before, and may once more.
 */
#ifndef CORE_CALL_COPIES_H
#define CORE_CALL_COPIES_H

#include "call/exchange.h"

/* Lets a copy wait for an unfinished message. */
void copies_add(struct engine *engine, struct cached_reply *entry, const struct destination *to);

/* Sends the exchange's reply to all copies that wait for the entry, if there is a reply, and frees them.
 * Returns whether one of them got it. */
bool copies_serve(const struct exchange *exchange, struct cached_reply *entry);

/* Counts what the copies that wait for the exchange hold as free: it ends soon, and they with it. */
void copies_let_go(struct engine *engine, const struct exchange *exchange);

/* Frees the copies of a connection that has ended. */
void copies_connection_ended(struct engine *engine, const struct host_ending *ending);

/* Frees all copies without serving them. */
void copies_clear(struct engine *engine);

#endif
