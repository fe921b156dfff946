// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Recognises messages that were sent before, in two ways:
 *
 * - A duplicate: a caller that wants to be sure gives its call an identity, and the same message within the
 * window is the same call.
 * - A redelivery: after its connection was cut, a client sends again what was not acknowledged, in order and
 * before anything else. The broker shows neither packet identifiers nor which messages are sent again, so a
 * call at QoS 2 is known by its place in its client's order. Calls at QoS 1, of read-only methods, and
 * malformed ones have their place in the order, too; when they come again they are run again, or known by
 * their identity.
 *
 * This room decides and remembers; it sends nothing.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: the tables are the engine's part. A record is embedded in its exchange; the entries that it
 * points at belong to the tables, and stay at least until dedup_finish().
 *
 * Failure: without memory a message is not recognised the next time, or dedup_enter() refuses it.
 */
#ifndef CORE_DEDUP_DEDUP_H
#define CORE_DEDUP_DEDUP_H

#include "base/env.h"
#include "dedup/clients.h"
#include "dedup/reply_cache.h"

/* One engine's tables. */
struct dedup {
    uint64_t seed;                          /* of digests */
    bool knows_caller;                      /* the host does: else the Response Topic stands for the caller */
    struct reply_cache duplicates, ordered; /* by identity; by the place in a client's order */
    struct clients clients;
};

/* A message, as far as it matters here. */
struct dedup_message {
    const struct host_message *message;
    size_t identity;    /* bytes of its identity; 0: it has none, or its caller wants no reply */
    bool may_run_twice; /* its methods change nothing */
    bool is_valid;      /* nothing is wrong with it so far */
    uint64_t now;       /* monotonic nanoseconds */
};

/* What is known of one message. All zero: nothing yet. */
struct dedup_record {
    struct client *client; /* its client's record; NULL: not needed so far, or not any more */
    bool identified;       /* it has an identity that counts, which key is the digest of */
    bool bound;            /* its identity is forgotten with the client's session */
    bool guarded;          /* its place in the client's order keeps it from running twice */
    struct digest key;
    struct cached_reply *entry;   /* its entry among the duplicates, or NULL */
    struct cached_reply *ordered; /* likewise in its client's order */
};

/* How a message ended. */
struct dedup_end {
    bool ran;           /* false: it was not run, and may be when it comes again */
    const char *status; /* of the reply; of static storage */
    const char *reply;  /* NULL: there was none */
    size_t size;        /* bytes */
};

void dedup_init(struct dedup *dedup, const struct env *env);

/* Takes over duplicate_window, duplicate_entries, duplicate_bytes and redelivery_guard, which may have
 * changed. A table that is larger than they allow shrinks with each new entry, and from one dedup_expire() to
 * the next. */
void dedup_reload(struct dedup *dedup, const struct engine_options *options);

/* Frees all tables. No entry may have copies waiting any more. */
void dedup_fini(struct dedup *dedup);

/*
 * Looks for the message's earlier delivery by its place in the client's order, and notes the place. To be
 * called for every message, since also one that is refused has a place. Returns NULL: there was none.
 */
struct cached_reply *dedup_find_redelivery(struct dedup *dedup, struct dedup_record *record,
                                           const struct dedup_message *message);

/* Looks for an earlier copy by identity of a message that may not run twice. Returns NULL: none, or the
 * message has no identity that counts. */
struct cached_reply *dedup_find_duplicate(struct dedup *dedup, struct dedup_record *record,
                                          const struct dedup_message *message);

/*
 * Enters a message that has an identity and no earlier copy; one without an identity needs no entry. Returns
 * false: there is no room to promise that it runs only once.
 */
bool dedup_enter(struct dedup *dedup, struct dedup_record *record, uint64_t now);

/* The message has been answered, or refused in silence. Copies that waited for its entries have been served.
 */
void dedup_finish(struct dedup *dedup, const struct dedup_record *record, const struct dedup_end *end);

/* A client's connection has ended. */
void dedup_connection_ended(struct dedup *dedup, const struct host_ending *ending, uint64_t now);

/* To be called now and then: forgets what is too old to matter. */
void dedup_expire(struct dedup *dedup, uint64_t now);

#endif
