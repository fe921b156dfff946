// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a client is, for the files of this folder.
 *
 * A client has one connection at a time, a struct mosquitto of its own: what the library has queued for a
 * lost connection goes with it, and the pending table says what to send again. So neither grows with the
 * number of connections.
 *
 * Threads, ownership, failure: see mosquitto_rpc_client.h.
 */
#ifndef CLIENT_STATE_H
#define CLIENT_STATE_H

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->is_not_added = true)

#include <stdlib.h>
#include <time.h>
#include <uthash.h>

#include "client_wire.h"
#include "mosquitto_rpc_client.h"

struct mosquitto;

enum {
    CLIENT_GRACE_MS = 1000, /* for the plugin's own `timeout` to arrive */
    CLIENT_TIMEOUT_MAX = 86400000,
    CLIENT_DELAY_MIN = 250, /* the longest pause before the first attempt to connect again; it doubles */
    CLIENT_DELAY_MAX = 15000,
    CLIENT_STABLE_MS = 5000,  /* a connection that has lasted so long is a good one */
    CLIENT_SUSPECT_MS = 2000, /* what was sent not longer ago may be why a connection was lost */
    CLIENT_LOSSES = 3,        /* after so many of them it counts as the reason */
    CLIENT_WHY = 200,
    CLIENT_TEXT_MAX = 65535 /* bytes of a string in MQTT */
};

struct client_call {
    char id[RPC_CLIENT_ID_SIZE];
    UT_hash_handle hh;                 /* in the order in which they were made */
    bool is_not_added;                 /* the table had no memory for it */
    bool is_sent;                      /* on the present connection */
    bool is_taken;                     /* the broker has acknowledged it on the present connection */
    int losses;                        /* of the connection: see calls_suspect() */
    int mid;                           /* of the last PUBLISH */
    long long sent;                    /* when that was */
    long long expires, deadline;       /* it is not sent any more; it ends */
    char timeout[12];                  /* of the user property; "": none is sent */
    char traceparent[WIRE_TRACE_SIZE]; /* likewise */
    rpc_client_reply_fn *on_reply, *on_progress;
    void *user;
    struct client_wait *wait;      /* rpc_client_call() waits for it; NULL: on_reply is called */
    const char *failure;           /* why it cannot be sent at all; NULL: it can */
    enum rpc_client_status failed; /* likewise */
    size_t bytes;
    char *topic, *payload;
    size_t size;
    char *properties; /* further user properties: name, 0, value, 0, each */
    size_t property_count;
    char memory[];
};

struct client_subscription {
    struct client_subscription *next, *prev;
    unsigned long id;
    int mid;       /* of the SUBSCRIBE that waits for its answer */
    bool is_ended; /* while callbacks run, it stays in the list */
    rpc_client_event_fn *on_event;
    void *user;
    char filter[]; /* the whole one */
};

/* What rpc_client_call() waits for. */
struct client_wait {
    bool is_over;
    struct rpc_client_reply reply;
};

/* What the text and the data of a reply stand in. */
struct client_memory {
    cJSON *data;
    char *printed;
    char text[];
};

_Static_assert((int)RPC_CLIENT_ID_SIZE == (int)WIRE_ID_SIZE &&
                   (int)RPC_CLIENT_NAME_MAX == (int)WIRE_METHOD_MAX,
               "one wire");

enum client_state { CLIENT_AWAY, CLIENT_CONNECTING, CLIENT_THERE };

struct rpc_client {
    struct rpc_client_options options; /* its texts are in memory */
    char *memory;
    char *reply_topic, *reply_filter, *event_root;
    struct mosquitto *connection; /* NULL: none */
    enum client_state state;
    bool is_ipv4;    /* this attempt takes addresses of IPv4 alone */
    bool is_refused; /* the broker has refused the last attempt */
    bool is_in_callback;
    bool has_news;           /* rpc_client_run() has something to return for */
    bool is_closing;         /* rpc_client_destroy() was called */
    bool has_unsent;         /* calls wait that are not sent on this connection */
    bool has_ended;          /* subscriptions wait that are to be freed */
    bool has_family;         /* a connection came about with is_ipv4 as it is */
    long long since;         /* when the state began */
    long long retry;         /* when to connect again */
    long long next_deadline; /* no call ends before */
    long delay;
    struct client_call *calls;
    size_t pending_bytes;
    struct client_subscription *subscriptions;
    size_t subscription_count;
    unsigned long last_subscription;
    const char *wrong;       /* with the request that RPC_CLIENT_INVALID was returned for last */
    char why[CLIENT_WHY];    /* there is no connection */
    char detail[CLIENT_WHY]; /* what the library has logged last of this attempt; "": nothing */
};

/* Milliseconds of the monotonic clock. */
static inline long long client_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

#endif
