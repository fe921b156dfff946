// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Replies that wait for the end of the loop's round: see outbox.h. */
#include "compat/outbox.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct outbox_letter {
    const void *client; /* only ever compared: it may be gone */
    void *payload;
    mosquitto_property *properties;
    int size, qos;
    const char *topic; /* in the same memory, behind the id */
    struct outbox_letter *prev, *next;
    size_t room; /* for id and topic, bytes */
    char id[];
};

enum { OUTBOX_ROOM = 256 }; /* at least, so that one letter's memory serves the next */

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

/*
 * A message to subscribers need not wait: only clients that have subscribed get it, and the broker frees it.
 * Nor need one to a session without a connection, which nothing can happen to in this round.
 */
bool outbox_add(struct outbox *outbox, const struct host_publication *message, const char *topic,
                mosquitto_property *properties)
{
    const struct host_client *client = message->to_subscribers ? NULL : message->client;
    const char *id = client ? client->id : NULL;
    if (!outbox->open || outbox->count >= OUTBOX_MAX || !client || !client->connection)
        return mosquitto_broker_publish(id, topic, (int)message->size, message->payload, message->qos,
                                        message->retain, properties) == MOSQ_ERR_SUCCESS;
    const size_t id_size = strlen(id) + 1, topic_size = strlen(topic) + 1;
    struct outbox_letter *letter = outbox_allocate(outbox, id_size + topic_size);
    if (!letter)
        return false;
    letter->client = client->connection;
    memcpy(letter->id, id, id_size);
    letter->topic = memcpy(letter->id + id_size, topic, topic_size);
    letter->payload = message->payload;
    letter->size = (int)message->size;
    letter->qos = message->qos;
    letter->properties = properties;
    DL_APPEND(outbox->letters, letter);
    outbox->count++;
    return true;
}

/* Frees what has not been published. */
static void outbox_take_out(struct outbox *outbox, struct outbox_letter *letter, bool published)
{
    DL_DELETE(outbox->letters, letter);
    outbox->count--;
    if (!published) {
        mosquitto_free(letter->payload);
        mosquitto_property_free_all(&letter->properties);
    }
    if (outbox->spare)
        free(letter);
    else
        outbox->spare = letter;
}

void outbox_send(struct outbox *outbox)
{
    struct outbox_letter *letter;
    while ((letter = outbox->letters))
        outbox_take_out(outbox, letter,
                        mosquitto_broker_publish(letter->id, letter->topic, letter->size, letter->payload,
                                                 letter->qos, false, letter->properties) == MOSQ_ERR_SUCCESS);
}

void outbox_drop(struct outbox *outbox, const struct mosquitto *client)
{
    const bool has_session =
        mosquitto_client_protocol_version(client) != 5 && !mosquitto_client_clean_session(client);
    struct outbox_letter *letter, *next;
    DL_FOREACH_SAFE(outbox->letters, letter, next)
    {
        if (letter->client == client && (letter->qos == 0 || !has_session))
            outbox_take_out(outbox, letter, false);
    }
}

void outbox_fini(struct outbox *outbox)
{
    while (outbox->letters)
        outbox_take_out(outbox, outbox->letters, false);
    free(outbox->spare);
    outbox->spare = NULL;
}
