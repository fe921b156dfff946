// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What an engine remembers of clients: which of their messages are remembered as long as their session
 * lasts, and how many replies were put into that. A client is an id; connections come and go under it, told
 * apart by an address that is only ever compared. Brokers tell little about sessions, and some of it late:
 *
 * - A connection's end may be told after the next connection with the same id has begun to call.
 * - Some brokers do not tell whether a session stays behind. They tell the end of the same connection a
 * second time when its session is resumed, so that only then is it known that there was one.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the table owns its records. A record is freed by clients_expire() when its client is gone and
 * nothing in it matters any more, so a record must not be kept from one message to the next.
 *
 * Failure: clients_meet() needs memory for a client that has no record yet.
 */
#ifndef CORE_DEDUP_CLIENTS_H
#define CORE_DEDUP_CLIENTS_H

#include "base/bucket.h"
#include "dedup/reply_cache.h"
#include "host.h"

/* What the next connection with the same id finds. */
enum clients_session {
    CLIENTS_SESSION_OVER,  /* nothing */
    CLIENTS_SESSION_WAITS, /* a session, if the host tells that it is resumed, else nothing */
    CLIENTS_SESSION_KEPT   /* a session, unless the connection asks for a new one */
};

struct client {
    struct digest key;      /* of the id */
    const void *connection; /* the last one that is known: it need not have called */
    int version;
    bool online, clean_start;
    bool in_order; /* it sent DISCONNECT on its last connection, */
    bool unsure;   /* which the host does not know */
    enum clients_session session;
    uint64_t begun, ended; /* this connection, and the last one; monotonic nanoseconds */

    struct bucket queued; /* replies put into its session */

    struct cached_holder held; /* messages that are forgotten with the session; the last ones at QoS 1 and 2,
                                  in order, with the cursor at the first that may be delivered again now */

    struct client *prev, *next; /* in the table's list `gone` */
    UT_hash_handle hh;
};

struct clients {
    /* Set by the owner of the table. */
    uint64_t seed;
    uint64_t redelivery_guard;                /* nanoseconds; 0: none, after clients_end_all_guards() */
    struct reply_cache *duplicates, *ordered; /* what `held` of the records points into */

    struct client *last; /* the one that called last, which is looked at first; NULL: it is gone */
    char last_id[64];    /* if it is so short; else `last` is NULL */
    bool no_endings;     /* the host tells no endings: any record is freed when nothing in it matters */

    struct client *by_id;
    struct client *gone; /* those that are offline, or all with no_endings, in the order in which they are
                            looked at next */
    size_t gone_count;
};

/*
 * Returns the record of a client that calls now, a new one if there was none. If the connection is another
 * one than before, what ended with the last one's session is forgotten first. NULL: no memory.
 */
struct client *clients_meet(struct clients *clients, const struct host_client *client, uint64_t now);

/* Likewise, but makes no record. NULL: there is none. */
struct client *clients_meet_again(struct clients *clients, const struct host_client *client, uint64_t now);

/*
 * The connection that was last known under the client's id, whether or not it has ended. NULL: none, or it is
 * the client's own. One that has ended may have had the same address.
 */
const void *clients_find_former(const struct clients *clients, const struct host_client *seen);

/*
 * Takes the right to put one more reply into the session that waits with this id: 100 at once, and one a
 * second. A broker may never free what it cannot put into a full session. Returns false: the right is used
 * up, or there is no memory.
 */
bool clients_take_queued(struct clients *clients, const char *id, uint64_t now);

/* A connection has ended. It may be one that never called; the end may be told twice, or late. */
void clients_ended(struct clients *clients, const struct host_ending *ending, uint64_t now);

/*
 * Looks for the client's next message at QoS 1 or 2 among those that it may send again because its last
 * connection was cut. Returns the message that it equals, which counts as arrived now. NULL: none, and from
 * now on nothing that comes on this connection is taken for a redelivery.
 */
struct cached_reply *clients_find_redelivery(struct clients *clients, struct client *client,
                                             const struct digest *key, uint64_t now);

/* A message at QoS 0 has arrived: the client has nothing left to send again. */
void clients_end_guard(struct clients *clients, struct client *client);

/* Notes a message in the client's order. Returns its entry. NULL: there is no room for one. */
struct cached_reply *clients_note(struct clients *clients, struct client *client, const struct digest *key,
                                  uint64_t now);

/* Ends the redelivery guard of all clients. */
void clients_end_all_guards(struct clients *clients);

/* To be called now and then: frees records in which nothing matters any more, at most 1000 at a time. */
void clients_expire(struct clients *clients, uint64_t now);

/* Frees all records. The tables that `held` points into have been cleared. */
void clients_fini(struct clients *clients);

#endif
