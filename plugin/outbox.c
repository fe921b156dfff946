// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Replies on their way to the broker: see outbox.h. */
#define HASH_NONFATAL_OOM 1

#include "outbox.h"

#include "base/digest.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct outbox_letter {
    const struct mosquitto *connection; /* only compared once it has ended */
    struct outbox_letter *prev, *next;
    struct outbox_letter *bucket_prev, *bucket_next;
    struct digest key; /* of a letter that is published: see outbox_withdrawn */
    void *payload;
    mosquitto_property *properties;
    const char *topic; /* in the same memory, behind the id */
    uint64_t added;    /* monotonic nanoseconds */
    uint32_t expiry;   /* seconds; 0: none */
    unsigned bucket, round;
    int size, qos;
    bool ended;       /* the connection has: the letter is for the session that it left behind */
    bool published;   /* payload and properties are the broker's */
    bool told_late;   /* the end of the connection may be */
    bool clean_start; /* as the connection was when it called */
    size_t room;      /* for id and topic, bytes */
    char id[];
};

/* A reply that the broker has, and must not hand out. */
struct outbox_withdrawn {
    struct digest key; /* of client id, topic and payload */
    uint64_t until;    /* monotonic nanoseconds; 0: until the next round */
    unsigned bucket;   /* of the client id */
    UT_hash_handle hh;
};

enum { OUTBOX_ROOM = 256 }; /* at least, so that one letter's memory serves the next */

static struct digest outbox_key(const char *id, const char *topic, const void *payload, size_t size)
{
    const struct digest_part parts[] = {{id, strlen(id)}, {topic, strlen(topic)}, {payload, size}};
    return digest_of(0, parts, sizeof parts / sizeof parts[0]);
}

static struct outbox_withdrawn *outbox_find_withdrawn(const struct outbox *outbox, const struct digest *key)
{
    struct outbox_withdrawn *found;
    HASH_FIND(hh, outbox->withdrawn, key, sizeof *key, found);
    return found;
}

static void outbox_forget(struct outbox *outbox, struct outbox_withdrawn *withdrawn)
{
    outbox->withdrawn_of[withdrawn->bucket]--;
    outbox->brief -= withdrawn->until == 0;
    HASH_DEL(outbox->withdrawn, withdrawn);
    free(withdrawn);
}

/* ---- Letters ---- */

/* A letter is found by its connection, or by its client id if other connections are looked for, too. */
static unsigned outbox_bucket_of_connection(const struct mosquitto *connection)
{
    return (unsigned)((uintptr_t)connection >> 5) % OUTBOX_BUCKETS;
}

static unsigned outbox_bucket_of_id(const char *id)
{
    unsigned hash = 0;
    for (; *id; id++)
        hash = hash * 31 + (unsigned char)*id;
    return (hash ^ hash >> 10) % OUTBOX_BUCKETS;
}

/* Where the end of a connection is told at once, nothing else tells that another one has its id. */
static bool outbox_is_found_by_id(const struct outbox *outbox, const struct outbox_letter *letter)
{
    return letter->told_late || letter->ended || outbox->moment == OUTBOX_AT_ONCE;
}

static void outbox_index(struct outbox *outbox, struct outbox_letter *letter)
{
    letter->bucket = outbox_is_found_by_id(outbox, letter) ? outbox_bucket_of_id(letter->id)
                                                           : outbox_bucket_of_connection(letter->connection);
    DL_APPEND2(outbox->index[letter->bucket], letter, bucket_prev, bucket_next);
}

/* Memory for a letter; nearly always there is one at a time, and the memory of the last one serves it. */
static struct outbox_letter *outbox_allocate(struct outbox *outbox, size_t needed)
{
    struct outbox_letter *letter = outbox->spare;
    if (letter && letter->room >= needed) {
        outbox->spare = NULL;
        return letter;
    }
    const size_t room = needed > OUTBOX_ROOM ? needed : OUTBOX_ROOM;
    letter = malloc(sizeof *letter + room);
    if (letter)
        letter->room = room;
    return letter;
}

/* Out of line, as is outbox_keep_in_mind(): nearly every letter is published, and then is gone. */
__attribute__((noinline)) static void outbox_free_contents(struct outbox *outbox,
                                                           struct outbox_letter *letter)
{
    outbox->waiting--;
    outbox->late -= letter->told_late;
    mosquitto_free(letter->payload);
    mosquitto_property_free_all(&letter->properties);
}

/* Frees what has not been published. */
static inline void outbox_take_out(struct outbox *outbox, struct outbox_letter *letter)
{
    DL_DELETE(outbox->letters, letter);
    DL_DELETE2(outbox->index[letter->bucket], letter, bucket_prev, bucket_next);
    outbox->count--;
    outbox->bytes -= (size_t)letter->size;
    if (!letter->published)
        outbox_free_contents(outbox, letter);
    if (outbox->spare)
        free(letter);
    else
        outbox->spare = letter;
}

/*
 * Whether one more reply that may get into a session could be kept in mind if it were withdrawn. What is on
 * its way already may be, too.
 */
static bool outbox_has_room_in_mind(const struct outbox *outbox)
{
    return outbox->moment != OUTBOX_AT_ONCE ||
           HASH_COUNT(outbox->withdrawn) + outbox->count < OUTBOX_WITHDRAWN_MAX;
}

static struct outbox_letter *outbox_put_in(struct outbox *outbox, const struct host_publication *message,
                                           const char *topic, mosquitto_property *properties)
{
    const struct host_client *client = message->client;
    const size_t id_size = strlen(client->id) + 1, topic_size = strlen(topic) + 1;
    struct outbox_letter *letter = outbox_allocate(outbox, id_size + topic_size);
    if (!letter)
        return NULL;
    letter->connection = client->connection;
    memcpy(letter->id, client->id, id_size);
    letter->topic = memcpy(letter->id + id_size, topic, topic_size);
    letter->payload = message->payload;
    letter->properties = properties;
    letter->size = (int)message->size;
    letter->qos = outbox_has_room_in_mind(outbox) ? message->qos : 0;
    letter->expiry = message->expiry;
    letter->round = outbox->round;
    letter->published = false;
    letter->ended = message->to_session;
    letter->told_late = client->told_late && !letter->ended;
    letter->clean_start = client->clean_start;
    DL_APPEND(outbox->letters, letter);
    outbox_index(outbox, letter);
    outbox->count++;
    outbox->bytes += message->size;
    outbox->waiting++;
    outbox->late += letter->told_late;
    return letter;
}

/* ---- In ---- */

/*
 * Whether a reply must not be published before its client is known to have stayed. Where the broker tells
 * everything in time, that is one at QoS 0 to a client that may leave a session: in a session it would stay
 * for good.
 */
static bool outbox_must_wait(const struct outbox *outbox, const struct host_publication *message, int qos)
{
    if (outbox->moment != OUTBOX_AT_ONCE)
        return outbox->moment != OUTBOX_UNTOLD;
    return qos == 0 && (message->client->version == 5 || !message->client->clean_start);
}

/* With OUTBOX_AT_ONCE a letter that is published is kept in mind until the next round. */
__attribute__((noinline)) static void outbox_keep_in_mind(struct outbox *outbox, struct outbox_letter *letter)
{
    letter->key = outbox_key(letter->id, letter->topic, letter->payload, (size_t)letter->size);
    struct outbox_withdrawn *same = outbox_find_withdrawn(outbox, &letter->key);
    if (same)
        outbox_forget(outbox, same); /* the same client has sent the same call again, and gets this reply */
}

/* Hands a letter over to the broker. Returns false: no memory. */
static bool outbox_publish(struct outbox *outbox, struct outbox_letter *letter)
{
    if (mosquitto_broker_publish(letter->id, letter->topic, letter->size, letter->payload, letter->qos, false,
                                 letter->properties) != MOSQ_ERR_SUCCESS)
        return false;
    outbox->waiting--;
    outbox->late -= letter->told_late;
    letter->published = true;
    if (outbox->moment == OUTBOX_AT_ONCE)
        outbox_keep_in_mind(outbox, letter);
    else
        outbox_take_out(outbox, letter);
    return true;
}

bool outbox_add(struct outbox *outbox, const struct host_publication *message, const char *topic,
                mosquitto_property *properties, uint64_t now)
{
    const struct host_client *client = message->to_subscribers ? NULL : message->client;
    if (!client || !client->connection)
        return mosquitto_broker_publish(client ? client->id : NULL, topic, (int)message->size,
                                        message->payload, message->qos, message->retain,
                                        properties) == MOSQ_ERR_SUCCESS;
    if (outbox->count >= OUTBOX_MAX || outbox->bytes + message->size > OUTBOX_BYTES ||
        (message->to_session && !outbox_has_room_in_mind(outbox)))
        return false;
    struct outbox_letter *letter = outbox_put_in(outbox, message, topic, properties);
    if (!letter)
        return false;
    letter->added = now;
    if (outbox_must_wait(outbox, message, letter->qos) || outbox_publish(outbox, letter))
        return true;
    letter->payload = letter->properties = NULL;
    outbox_take_out(outbox, letter);
    return false;
}

/* ---- Out ---- */

/*
 * Before 2.1 the broker marks a connection that is taken over as if it had asked for a new session. One that
 * had asked for it shows nothing.
 */
static bool outbox_is_taken_over(const struct outbox_letter *letter)
{
    return letter->told_late && mosquitto_client_clean_session(letter->connection) != letter->clean_start;
}

/*
 * The first round that ends is the one in which the letter was added. Where there is no TICK, two signals may
 * come in one and the same round. With OUTBOX_AT_ONCE an end that had come with the call is told in the
 * second round at the latest.
 */
static bool outbox_may_leave(const struct outbox *outbox, const struct outbox_letter *letter)
{
    const unsigned rounds = outbox->round - letter->round;
    if (outbox->moment == OUTBOX_AT_ONCE)
        return rounds >= 2;
    if (!letter->told_late || rounds >= OUTBOX_ROUNDS)
        return true;
    return outbox->round_was_short && rounds >= (outbox->moment == OUTBOX_AT_WAIT ? 4 : 2);
}

/* A letter whose connection's end may be told late waits much longer than any round takes. */
static bool outbox_is_older(const struct outbox_letter *letter, uint64_t now)
{
    return now - letter->added > (letter->told_late ? OUTBOX_PATIENCE_LATE : OUTBOX_PATIENCE);
}

bool outbox_send(struct outbox *outbox, uint64_t now)
{
    struct outbox_letter *letter, *next;
    DL_FOREACH_SAFE(outbox->waiting ? outbox->letters : NULL, letter, next)
    {
        const bool may_leave = now ? outbox_is_older(letter, now) : outbox_may_leave(outbox, letter);
        if (letter->published || !may_leave)
            continue;
        if (outbox_is_taken_over(letter) || !outbox_publish(outbox, letter))
            outbox_take_out(outbox, letter);
    }
    return outbox->waiting;
}

/* Rounds are measured only while a letter's leaving depends on it. */
void outbox_round(struct outbox *outbox, uint64_t now)
{
    struct outbox_letter *letter, *next;
    struct outbox_withdrawn *withdrawn, *after;
    outbox->round++;
    outbox->round_was_short = outbox->round_began && now - outbox->round_began < OUTBOX_SHORT_ROUND;
    outbox->round_began = outbox->late ? now : 0;
    DL_FOREACH_SAFE(outbox->count > outbox->waiting ? outbox->letters : NULL, letter, next)
    {
        if (letter->published)
            outbox_take_out(outbox, letter);
    }
    HASH_ITER(hh, outbox->withdrawn, withdrawn, after)
    {
        if (withdrawn->until <= now)
            outbox_forget(outbox, withdrawn);
        else if (!outbox->brief)
            break; /* the others were withdrawn later */
    }
}

/* ---- Back ---- */

/* Without memory it cannot be kept in mind. */
static struct outbox_withdrawn *outbox_add_withdrawn(struct outbox *outbox,
                                                     const struct outbox_letter *letter)
{
    struct outbox_withdrawn *withdrawn = calloc(1, sizeof *withdrawn);
    if (!withdrawn)
        return NULL;
    withdrawn->key = letter->key;
    withdrawn->bucket = outbox_bucket_of_id(letter->id);
    HASH_ADD(hh, outbox->withdrawn, key, sizeof withdrawn->key, withdrawn);
    if (!withdrawn->hh.tbl) {
        free(withdrawn);
        return NULL;
    }
    outbox->withdrawn_of[withdrawn->bucket]++;
    outbox->brief++;
    return withdrawn;
}

/*
 * What the broker puts into a session may be written later, and again when the client comes back, until it
 * has expired, which the broker notices up to a second late. At QoS 0 that takes queue_qos0_messages.
 */
static void outbox_withdraw(struct outbox *outbox, struct outbox_letter *letter)
{
    enum { LATE = 2 }; /* seconds */
    struct outbox_withdrawn *withdrawn = outbox_find_withdrawn(outbox, &letter->key);
    if (!withdrawn)
        withdrawn = outbox_add_withdrawn(outbox, letter);
    if (!withdrawn || (letter->qos == 0 && HASH_COUNT(outbox->withdrawn) > OUTBOX_WITHDRAWN_MAX))
        return;
    const uint64_t seconds = (uint64_t)letter->expiry + LATE;
    const uint64_t until = letter->expiry ? letter->added + seconds * UINT64_C(1000000000) : UINT64_MAX;
    outbox->brief -= withdrawn->until == 0;
    withdrawn->until = until > withdrawn->until ? until : withdrawn->until;
}

static void outbox_drop(struct outbox *outbox, struct outbox_letter *letter)
{
    if (letter->published)
        outbox_withdraw(outbox, letter);
    outbox_take_out(outbox, letter);
}

void outbox_meet(struct outbox *outbox, const char *id, const struct mosquitto *connection)
{
    struct outbox_letter *letter, *next;
    DL_FOREACH_SAFE2(outbox->index[outbox_bucket_of_id(id)], letter, next, bucket_next)
    {
        if (letter->connection != connection && strcmp(letter->id, id) == 0)
            outbox_drop(outbox, letter);
    }
}

/* The end of a connection has been told: a letter that goes to its session waits for nothing more. */
static void outbox_end_in(struct outbox *outbox, unsigned bucket, const char *id,
                          const struct mosquitto *connection, bool session_waits)
{
    struct outbox_letter *letter, *next;
    DL_FOREACH_SAFE2(outbox->index[bucket], letter, next, bucket_next)
    {
        if (letter->connection != connection || strcmp(letter->id, id) != 0)
            continue;
        if (letter->qos == 0 || !session_waits) {
            outbox_drop(outbox, letter);
            continue;
        }
        if (letter->ended)
            continue;
        outbox->late -= !letter->published && letter->told_late;
        letter->told_late = false;
        letter->ended = true;
        DL_DELETE2(outbox->index[bucket], letter, bucket_prev, bucket_next);
        outbox_index(outbox, letter);
    }
}

void outbox_end(struct outbox *outbox, const char *id, const struct mosquitto *connection, bool session_waits)
{
    if (!outbox->count)
        return;
    outbox_end_in(outbox, outbox_bucket_of_id(id), id, connection, session_waits);
    outbox_end_in(outbox, outbox_bucket_of_connection(connection), id, connection, session_waits);
}

bool outbox_may_pass(const struct outbox *outbox, const struct mosquitto_evt_message *message)
{
    const char *id = mosquitto_client_id(message->client);
    if (!outbox->withdrawn || !id || !outbox->withdrawn_of[outbox_bucket_of_id(id)])
        return true;
    const struct digest key = outbox_key(id, message->topic, message->payload, message->payloadlen);
    return !outbox_find_withdrawn(outbox, &key);
}

void outbox_fini(struct outbox *outbox)
{
    struct outbox_withdrawn *withdrawn, *next;
    while (outbox->letters)
        outbox_take_out(outbox, outbox->letters);
    HASH_ITER(hh, outbox->withdrawn, withdrawn, next)
    {
        outbox_forget(outbox, withdrawn);
    }
    free(outbox->spare);
    outbox->spare = NULL;
}
