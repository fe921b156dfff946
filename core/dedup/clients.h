// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What an engine has to remember of its callers: how fast they may go on calling, and which of their calls
 * are remembered as long as their session lasts. A client is an id; connections come and go under it, told
 * apart by an address that is only ever compared. Brokers tell little about sessions, and some of it late:
 *
 * - A connection's end may be told after the next connection under the same id has begun to call.
 * - Some do not say whether a session stays behind. They tell the end of the same connection a second time
 *   when its session is taken up again, and so it is only then known that there was one.
 *
 * A record costs nothing once the client is gone: when nothing in it matters any more, it is freed.
 *
 * All of it runs on the broker's thread, in the engine to which the table belongs.
 */
#ifndef CORE_CLIENTS_H
#define CORE_CLIENTS_H

#include "base/bucket.h"
#include "host.h"
#include "dedup/reply_cache.h"

/* What the next connection under the same id finds. */
enum clients_session {
    CLIENTS_SESSION_OVER,  /* nothing */
    CLIENTS_SESSION_WAITS, /* a session, if the host tells of its being taken up, else nothing */
    CLIENTS_SESSION_KEPT   /* a session, unless it asks for a new one */
};

struct client {
    struct digest key;      /* of the id */
    const void *connection; /* the last one that is known: it need not have called */
    int version;
    bool online, clean_start;
    bool in_order; /* it took its last connection down as MQTT demands, */
    bool unsure;   /* which the host does not know */
    enum clients_session session;
    uint64_t begun, ended; /* this connection, and the last one; monotonic nanoseconds */

    struct bucket calls, refusals, queued; /* calls; refusals sent; replies put into its session */

    struct cached_reply *bound;  /* calls that are forgotten with the session */
    struct cached_reply *order;  /* the last calls at QoS 1 and 2, in order, for the redelivery guard */
    struct cached_reply *cursor; /* the first one that may come again now; NULL: none */
    size_t order_count;

    struct client *prev, *next; /* in the table's list gone */
    UT_hash_handle hh;
};

struct clients {
    /* Set by the owner of the table. */
    uint64_t seed;
    uint64_t redelivery_guard;                /* nanoseconds; 0: there is none */
    struct reply_cache *duplicates, *ordered; /* where bound and order point to */
    bool no_endings; /* the host tells of no endings: any record is freed when nothing in it matters */

    struct client *by_id;
    struct client *gone; /* those that are offline, or all with no_endings, in the order in which they are
                            looked at next */
    size_t gone_count;
};

/*
 * The record of a client that calls now; it is made if there is none. If the connection is another one than
 * before, what ended with the last one's session is forgotten first. NULL: no memory.
 */
struct client *clients_meet(struct clients *clients, const struct host_client *client, uint64_t now);

/* Likewise, if there is a record of it. NULL: there is none. */
struct client *clients_meet_again(struct clients *clients, const struct host_client *client, uint64_t now);

/* Whether another connection than this one is known to have the id now. */
bool clients_has_other(const struct clients *clients, const char *id, const void *connection);

/*
 * Whether one more reply may go to the session that waits under this id: 100 at once, and one a second. What
 * a broker cannot put into a full session it may never free.
 */
bool clients_may_queue(struct clients *clients, const char *id, uint64_t now);

/* A connection has ended. It may be one that never called, or be told twice, or late. */
void clients_ended(struct clients *clients, const struct host_ending *ending, uint64_t now);

/*
 * The client's next call at QoS 1 or 2, in order: is it one that it sends again because its last connection
 * was cut? Returns the call that it equals, which counts as arrived now; or NULL, and then nothing that comes
 * on this connection is any more taken for one that was sent again.
 */
struct cached_reply *clients_sent_again(struct clients *clients, struct client *client,
                                        const struct digest *key, uint64_t now);

/* A call that is never sent again has arrived: so nothing is, from now on. */
void clients_end_guard(struct clients *clients, struct client *client);

/* Notes a call in the client's order. Returns its entry; NULL: there is no room for one. */
struct cached_reply *clients_note(struct clients *clients, struct client *client, const struct digest *key,
                                  uint64_t now);

/* Called by entry.c: an entry begins and ceases to be the client's. */
void clients_hold(struct client *client, struct cached_reply *entry);
void clients_release(struct client *client, struct cached_reply *entry);

/* To be called now and then: frees records in which nothing matters any more. */
void clients_expire(struct clients *clients, uint64_t now);

/* Frees all records, after the tables of cache have been cleared. */
void clients_fini(struct clients *clients);

#endif
