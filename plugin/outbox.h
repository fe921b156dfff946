// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Replies on their way to the broker. Each belongs to one connection, or to the session that this connection
 * has left behind, and reaches nobody else.
 *
 * The broker hands out what plugins publish at the top of its loop, to the client that has the id then. So a
 * client that takes over an id between a call and that moment would get the reply; and a reply at QoS 0 to a
 * session that is without a connection by then is never freed. What can be done about it depends on the
 * broker:
 *
 * - OUTBOX_AT_TICK (2.0): TICK is the last thing before that moment. Replies wait for it here, and those
 *   whose connection has ended by then are dropped. The end of a WebSockets connection that is taken over may
 *   be told only in the next round, so its replies wait for one round more, and for the end of a round that
 *   was short, in which hardly another connection can have begun, but for OUTBOX_ROUNDS at most. Before it
 *   leaves, a reply is dropped if the broker has marked its connection as taken over, which shows where the
 *   client had not asked for a new session.
 * - OUTBOX_AT_WAIT (2.0.0 to 2.0.14 with per_listener_settings): there is no TICK. Replies wait for the safe
 *   point (compat/safepoint.h), or, while the loop is too busy to reach it, for a message that comes
 *   OUTBOX_PATIENCE later, or OUTBOX_PATIENCE_LATE where the end of the connection may be told late.
 * - OUTBOX_UNTOLD: the same without a safe point. Replies leave at once, to the client that has the id.
 * - OUTBOX_AT_ONCE (2.1): no event comes that late, but every connection is told when it begins, and every
 *   message to a client can be refused just before it is written. Replies are published at once and kept in
 *   mind until the broker has handed them out. When their connection ends or another one takes its id before
 *   that, they are withdrawn: outbox_may_pass() refuses them, for as long as they may lie in a session. None
 *   is forgotten before: while there are too many, replies leave at QoS 0, which no session keeps. Replies at
 *   QoS 0 to clients that may leave a session wait here for two TICKs, so that they are not published if the
 *   client has gone with the same packet, or right behind it.
 *
 * Threads: the broker's.
 *
 * Ownership: outbox_add() takes the payload and the properties over, and copies the id and the topic. A
 * connection is looked at only as long as its end has not been told; the broker frees none before that.
 *
 * Failure: outbox_add() returns false without memory, and when OUTBOX_MAX or OUTBOX_BYTES is reached; with
 * OUTBOX_AT_ONCE a reply to a session also when OUTBOX_WITHDRAWN_MAX is.
 */
#ifndef PLUGIN_OUTBOX_H
#define PLUGIN_OUTBOX_H

#include "compat/mosquitto_headers.h"
#include "host.h"

enum {
    OUTBOX_MAX = 65536,                /* replies on their way */
    OUTBOX_BYTES = 64 << 20,           /* of their payloads */
    OUTBOX_WITHDRAWN_MAX = 4096,       /* withdrawn replies that may be in sessions, and are kept in mind */
    OUTBOX_BUCKETS = 1024,             /* of the index */
    OUTBOX_PATIENCE = 20000000,        /* nanoseconds */
    OUTBOX_PATIENCE_LATE = 1000000000, /* the same for replies to WebSockets connections */
    OUTBOX_SHORT_ROUND = 5000000,      /* nanoseconds */
    OUTBOX_ROUNDS = 16                 /* after which a reply to a WebSockets connection leaves in any case */
};

enum outbox_moment { OUTBOX_UNTOLD, OUTBOX_AT_ONCE, OUTBOX_AT_TICK, OUTBOX_AT_WAIT };

struct outbox_letter;
struct outbox_withdrawn;

/* All zero: empty; replies leave at once. */
struct outbox {
    enum outbox_moment moment;
    struct outbox_letter *letters;               /* the oldest first */
    struct outbox_letter *index[OUTBOX_BUCKETS]; /* the same ones, by a hash of client id or connection */
    struct outbox_letter *spare;                 /* memory for the next one; NULL: none */
    size_t count, bytes;                         /* of the letters and their payloads */
    size_t waiting;                              /* letters that have not been published */
    size_t late;                                 /* those of them whose connection's end may be told late */
    unsigned round;                              /* counts the loop's rounds */
    uint64_t round_began;                        /* 0: not looked at */
    bool round_was_short;                        /* the last one */
    struct outbox_withdrawn *withdrawn;          /* the oldest first */
    unsigned withdrawn_of[OUTBOX_BUCKETS];       /* how many of them, by a hash of the client id */
    size_t brief;                                /* how many of them are forgotten in the next round */
};

/*
 * Publishes a message to a topic, which stands for its own: at once if it is to subscribers or to whoever has
 * an id, else when `moment` says. Its payload is of mosquitto_malloc(). now: monotonic nanoseconds. Returns
 * true: payload and properties are taken; false: no memory or no room, and they are still the caller's.
 */
bool outbox_add(struct outbox *outbox, const struct host_publication *message, const char *topic,
                mosquitto_property *properties, uint64_t now);

/*
 * A TICK or the safe point has come: a round of the loop is over. With OUTBOX_AT_ONCE the broker has handed
 * out what was published before it. It need not be called while outbox_needs_rounds() is false.
 */
static inline bool outbox_needs_rounds(const struct outbox *outbox)
{
    const size_t published = outbox->count - outbox->waiting;
    const size_t counting = outbox->moment == OUTBOX_AT_ONCE ? outbox->waiting : outbox->late;
    return (published | counting | outbox->round_began) || outbox->withdrawn;
}

void outbox_round(struct outbox *outbox, uint64_t now);

/*
 * Publishes the replies that wait and need wait no longer: with a `now` of 0 at the end of a round, else
 * those that have waited OUTBOX_PATIENCE, wherever the loop is. Returns whether some still wait.
 */
bool outbox_send(struct outbox *outbox, uint64_t now);

/*
 * A sign of life of a connection: replies are dropped that wait for another one with the same client id, or
 * for its session. With OUTBOX_AT_TICK and OUTBOX_AT_WAIT those are not looked at whose connection's end
 * would have been told before.
 */
void outbox_meet(struct outbox *outbox, const char *id, const struct mosquitto *connection);

/*
 * A connection has ended, or the session that it left behind has been resumed. Its replies are dropped, but
 * if a session waits, those at QoS 1 and 2 go there.
 */
void outbox_end(struct outbox *outbox, const char *id, const struct mosquitto *connection,
                bool session_waits);

/* Whether the broker may write this message to this client: it is not a reply that was withdrawn. */
bool outbox_may_pass(const struct outbox *outbox, const struct mosquitto_evt_message *message);

/* Drops all replies. */
void outbox_fini(struct outbox *outbox);

#endif
