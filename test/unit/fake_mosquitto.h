// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * libmosquitto without a network, for the client in C: a broker that a test plays, and a clock that a test
 * moves. What of the library needs no connection, such as properties, is the library's own. To be linked with
 * --wrap=clock_gettime,--wrap=nanosleep.
 *
 * Threads: the test's thread.
 *
 * Ownership: all that is kept is in `fake`, which the test may read and set; a test begins with fake_reset().
 *
 * Failure: a text that does not fit is cut; more than FAKE_SENT packets of a kind end the program.
 */
#ifndef FAKE_MOSQUITTO_H
#define FAKE_MOSQUITTO_H

#include <stdbool.h>
#include <stddef.h>

enum { FAKE_SENT = 64, FAKE_TEXT = 400 };

/* What the client has sent since fake_forget(). */
struct fake_sent {
    char topic[FAKE_TEXT], payload[FAKE_TEXT], id[FAKE_TEXT], timeout[16];
    char properties[FAKE_TEXT]; /* its user properties: name=value; each */
    int mid, qos;
};

struct fake_network {
    int accepts; /* the reason code of the next CONNACKs; -1: the broker is not there */
    bool cuts;   /* the connection is lost at the next look */
    bool is_connected;
    int connections;    /* how many have been accepted */
    int refuse_publish; /* if not 0, what the next mosquitto_publish_v5() returns */
    struct fake_sent sent[FAKE_SENT], subscribed[FAKE_SENT], unsubscribed[FAKE_SENT];
    size_t sent_count, subscribed_count, unsubscribed_count;
    long long now; /* ms */
    int live;      /* structs of connections that exist */
};

extern struct fake_network fake;

/* Sets all back to a broker that accepts. */
void fake_reset(void);

/* Forgets what was sent. */
void fake_forget(void);

/* The broker has a message for the client: the next look delivers it. id NULL: no Correlation Data; status
 * NULL: none. */
void fake_deliver(const char *topic, const char *payload, const char *id, const char *status);

/* The broker's answer to a PUBLISH or a SUBSCRIBE, at once. */
void fake_acknowledge(int mid, int reason);
void fake_grant(int mid, int granted);

#endif
