// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Replies that wait for the end of the loop's round: see outbox.h. */
#include "compat/outbox.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct outbox_letter {
    const struct mosquitto *client; /* only ever compared: it may be gone */
    void *payload;
    mosquitto_property *properties;
    size_t size;
    int qos;
    const char *topic; /* in the same memory, behind the id */
    struct outbox_letter *prev, *next;
    size_t room; /* for id and topic, bytes */
    char id[];
};

enum { OUTBOX_ROOM = 256 }; /* at least, so that one letter's memory serves the next */

static bool outbox_publish(const char *id, const char *topic, void *payload, size_t size, int qos,
                           mosquitto_property *properties)
{
    return mosquitto_broker_publish(id, topic, (int)size, payload, qos, false, properties) ==
           MOSQ_ERR_SUCCESS;
}

/* Nearly always there is one letter at a time: the memory of the last one serves the next. */
bool outbox_add(struct outbox *outbox, const struct mosquitto *client, const char *topic, void *payload,
                size_t size, int qos, mosquitto_property *properties)
{
    const char *id = mosquitto_client_id(client);
    if (!outbox->open || outbox->count >= OUTBOX_MAX)
        return outbox_publish(id, topic, payload, size, qos, properties);
    const size_t id_size = strlen(id) + 1;
    const size_t topic_size = strlen(topic) + 1;
    const size_t needed = id_size + topic_size;
    const size_t room = needed > OUTBOX_ROOM ? needed : OUTBOX_ROOM;
    struct outbox_letter *letter = outbox->spare;
    if (!letter || letter->room < needed) {
        letter = malloc(sizeof *letter + room);
        if (!letter)
            return false;
        letter->room = room;
    } else {
        outbox->spare = NULL;
    }
    letter->client = client;
    memcpy(letter->id, id, id_size);
    letter->topic = memcpy(letter->id + id_size, topic, topic_size);
    letter->payload = payload;
    letter->size = size;
    letter->qos = qos;
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
    free(outbox->spare);
    outbox->spare = letter;
}

void outbox_send(struct outbox *outbox)
{
    struct outbox_letter *letter;
    while ((letter = outbox->letters))
        outbox_take_out(outbox, letter,
                        outbox_publish(letter->id, letter->topic, letter->payload, letter->size, letter->qos,
                                       letter->properties));
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
