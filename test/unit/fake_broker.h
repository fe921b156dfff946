// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A broker for tests of the whole plugin: the functions of Mosquitto that plugin/ calls, on lists. It does
 * what Mosquitto 2.0 and 2.1 do, as far as it matters to who gets a reply: when a round of the loop hands out
 * what plugins have published, what becomes of a connection that another one takes over, when plugins are
 * told of it, and what an offline session keeps. It stands for both versions, one at a time.
 *
 * A round is: fake_broker_begin_round(), any events, fake_broker_end_round().
 *
 * Threads: the test's thread. The plugin's signals interrupt it, and do nothing here.
 *
 * Ownership: the broker owns its connections until fake_broker_stop(), also those that have ended.
 *
 * Failure: what the plugin may not do fails the test.
 */
#ifndef FAKE_BROKER_H
#define FAKE_BROKER_H

#include "compat/mosquitto_headers.h"

#include <stdbool.h>
#include <stddef.h>

struct published;

enum fake_transport { FAKE_TCP, FAKE_WEBSOCKETS };

/* When the plugin is told that a WebSockets connection of 2.0 that was taken over has ended. */
enum fake_telling { FAKE_TOLD_IN_ROUND, FAKE_TOLD_NEXT_ROUND, FAKE_NEVER_TOLD };

/* A connection, or the session that it has left behind. */
struct mosquitto {
    char id[64];
    enum fake_transport transport;
    int version;
    bool asked_clean; /* as it connected */
    bool clean_start; /* as the broker shows it */
    bool v5_session;  /* an MQTT 5 client whose session outlives its connection */
    bool online, replaced, told;
    enum fake_telling telling;
    unsigned replaced_in;    /* the round */
    size_t received;         /* messages */
    struct published *queue; /* of its session: what has not been written, or may be once more */
    struct mosquitto *prev, *next;
};

struct fake_connect {
    const char *id;
    enum fake_transport transport;
    int version;
    bool clean_start, v5_session;
    enum fake_telling telling; /* how the end is told of the connection that is taken over, if it is one of
                                  WebSockets on 2.0 */
};

/* To be called before fake_broker_start(): this broker, of 2.0, has per_listener_settings. */
void fake_broker_send_no_tick(void);

/* Loads the plugin. */
void fake_broker_start(bool is_2_1, const struct mosquitto_opt *options, int count);

/* Offline sessions keep messages at QoS 0, too: queue_qos0_messages. */
void fake_broker_keep_qos_0(void);

/* Unloads it and frees all connections. */
void fake_broker_stop(void);

struct mosquitto *fake_broker_connect(const struct fake_connect *how);

/* The client closes its connection. */
void fake_broker_disconnect(struct mosquitto *client);

/* A message arrives. response_topic and correlation: of MQTT 5; NULL: none. */
void fake_broker_receive(struct mosquitto *client, const char *topic, const char *payload, int qos,
                         const char *response_topic, const char *correlation);

void fake_broker_begin_round(void);
void fake_broker_end_round(void);

/* Messages that the broker lost for ever: those at QoS 0 for a session without a connection. */
size_t fake_broker_lost(void);

#endif
