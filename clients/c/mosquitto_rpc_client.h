// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A client in C of the service that the plugin mosquitto-rpc offers: calls methods and batches, receives
 * events. It stands on libmosquitto and cJSON.
 *
 *     struct rpc_client_options options = RPC_CLIENT_DEFAULTS;
 *     struct rpc_client *client = NULL;
 *     struct rpc_client_reply reply;
 *     if (rpc_client_create(&client, &options) == RPC_CLIENT_OK) {
 *         struct rpc_client_request request = {.method = "getSensor", .payload = "{\"sensor_id\":\"roof\"}"};
 *         if (rpc_client_call(client, &request, &reply) == RPC_CLIENT_OK)
 *             printf("%s\n", reply.text);
 *         else
 *             printf("%s: %s\n", reply.err, reply.msg);
 *         rpc_client_reply_clear(&reply);
 *         rpc_client_destroy(client);
 *     }
 *
 * A call carries a long identity, so the plugin runs it once, however often it is sent. When the connection
 * is lost, the client connects again and sends the calls that wait again, in order and with the same bytes,
 * until their timeouts have passed.
 *
 * Threads: one thread at a time uses a client, and all of the client's work is done inside rpc_client_run(),
 * rpc_client_call() and rpc_client_connect(). Two clients in two threads share nothing, but for
 * libmosquitto's initialisation: rpc_client_create() and rpc_client_destroy() must not run at the same time
 * in two threads. A client whose functions are not called for longer than its keepalive loses its connection,
 * and makes a new one the next time. A client with TLS has the process ignore SIGPIPE, unless the program has
 * set what the signal does.
 *
 * Ownership: strings and trees in options and requests are copied where they are needed later; they may be
 * freed when the function has returned. What a callback is given is valid until the callback returns. A
 * callback may use all functions but rpc_client_destroy(), and those that wait (rpc_client_run(),
 * rpc_client_call(), rpc_client_connect()), which return RPC_CLIENT_INVALID there.
 *
 * Failure: functions return an enum rpc_client_status. Whatever comes over the wire ends in one of these,
 * too. What is kept is bounded by the options; a function that returns RPC_CLIENT_NO_MEMORY has changed
 * nothing.
 */
#ifndef MOSQUITTO_RPC_CLIENT_H
#define MOSQUITTO_RPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    RPC_CLIENT_ID_SIZE = 33,   /* bytes of a call's identity: 32 lower-case hexadecimal digits, and 0 */
    RPC_CLIENT_NAME_MAX = 1152 /* bytes of a method's name, with those of a device and the like in it */
};

/* What has become of a call, or of a function's work. */
enum rpc_client_status {
    RPC_CLIENT_OK,
    RPC_CLIENT_ERROR,      /* the service has answered with an error, which is in the reply */
    RPC_CLIENT_TIMEOUT,    /* no reply, or no connection, has come in time */
    RPC_CLIENT_CLOSED,     /* the client was destroyed while the call waited */
    RPC_CLIENT_OVERLOADED, /* max_pending calls wait, or max_pending_bytes are kept: the call was not sent */
    RPC_CLIENT_INVALID, /* an argument or option is wrong, or the function may not be called now: nothing was
                           done */
    RPC_CLIENT_NO_MEMORY,    /* nothing was done */
    RPC_CLIENT_DISCONNECTED, /* there is no connection to the broker; rpc_client_why() says why */
    RPC_CLIENT_REFUSED,      /* the broker has refused the call or the subscription: its ACL, mostly */
    RPC_CLIENT_BAD_REPLY,    /* a reply was larger than max_reply, or not JSON */
    RPC_CLIENT_TOO_LARGE /* the call, err payload_too_large: the broker takes none so large. With MQTT 5 it
                            was not sent; with MQTT 3.1.1 the broker has ended the connection at it three
                            times */
};

/* The status in one word, as it stands in a reply's err: timeout, closed, overloaded, … Never NULL. */
const char *rpc_client_status_name(enum rpc_client_status status);

struct rpc_client;

/* Tells of the connection: is_connected, or why not. why is one line of printable ASCII. */
typedef void rpc_client_connection_fn(void *user, bool is_connected, const char *why);

/* How a client is to be. Begin with RPC_CLIENT_DEFAULTS; a NULL stands for what the comment says. */
struct rpc_client_options {
    const char *host; /* name or address; NULL: localhost. With port 0 the path of a unix domain socket. */
    int port;         /* -1: 1883, with TLS 8883 */
    const char *bind_address; /* the local address; NULL: any */
    int keepalive;            /* seconds, at least 5 */
    int protocol;             /* 5: MQTT 5; 311 or 4: MQTT 3.1.1, where parameters must be objects */
    const char *client_id;    /* without / + # and control characters; NULL: rpc- and 16 random digits */
    const char *username;     /* NULL: none */
    const char *password;     /* NULL: none */

    const char *cafile, *capath;    /* certificates to trust; one of them turns TLS on */
    const char *certfile, *keyfile; /* the client's own; NULL: none */
    const char *tls_version;        /* tlsv1.3, tlsv1.2, tlsv1.1; NULL: what the library chooses */
    const char *ciphers;            /* NULL: what the library chooses */
    const char *tls_alpn;           /* NULL: none */
    bool tls_os_certs;              /* trust the system's certificates; turns TLS on */
    bool tls_insecure;              /* do not compare the broker's name with its certificate */
    const char *psk, *psk_identity; /* hexadecimal key and its name, both or none; they turn TLS on */

    const char *prefix;       /* NULL: rpc */
    int qos;                  /* of calls, subscriptions and so of replies: 0, 1 or 2 */
    int timeout_ms;           /* of calls that set none: 1 to 86400000 */
    int connect_timeout_ms;   /* how long one attempt to connect may take */
    size_t max_pending;       /* calls that wait at once */
    size_t max_pending_bytes; /* bytes that these calls hold */
    size_t max_reply;         /* bytes of one reply or event. Larger ones are not parsed; libmosquitto holds
                                 them in memory until then. */
    size_t max_subscriptions; /* of events */

    rpc_client_connection_fn *on_connection; /* NULL: it is not called */
    void *user;                              /* for on_connection */
};

#define RPC_CLIENT_DEFAULTS                                                              \
    {                                                                                    \
        .port = -1, .keepalive = 60, .protocol = 5, .qos = 1, .timeout_ms = 10000,       \
        .connect_timeout_ms = 10000, .max_pending = 1000, .max_pending_bytes = 16 << 20, \
        .max_reply = 1 << 20, .max_subscriptions = 1000                                  \
    }

/*
 * Makes a client, which the caller destroys with rpc_client_destroy(). It connects when it is first run.
 *
 * Returns RPC_CLIENT_INVALID if an option is out of range, if the client id has one of / + # or a control
 * character, if files of TLS cannot be read, or if the library was built without it; RPC_CLIENT_NO_MEMORY.
 * *client is NULL then, and the reason is not kept: rpc_client_check() says it.
 */
enum rpc_client_status rpc_client_create(struct rpc_client **client,
                                         const struct rpc_client_options *options);

/* What is wrong with options, in words that stay valid; NULL: nothing that can be seen without trying it. */
const char *rpc_client_check(const struct rpc_client_options *options);

/*
 * Ends all calls that wait with RPC_CLIENT_CLOSED, disconnects, and frees the client. Accepts NULL. Must not
 * be called in a callback.
 */
void rpc_client_destroy(struct rpc_client *client);

/*
 * Waits until the client is connected, or until one attempt to connect has failed, at most timeout_ms. There
 * is no need to call it: it tells early, and precisely, that there is no broker. The client goes on trying
 * whenever it is run.
 *
 * Returns RPC_CLIENT_OK; RPC_CLIENT_DISCONNECTED: rpc_client_why() says why; RPC_CLIENT_REFUSED: the broker
 * does not want this client, because of its user name or password, mostly; RPC_CLIENT_TIMEOUT;
 * RPC_CLIENT_INVALID in a callback.
 */
enum rpc_client_status rpc_client_connect(struct rpc_client *client, int timeout_ms);

/* Why there is no connection: a line of printable ASCII, valid until the client is run again. Never NULL. */
const char *rpc_client_why(const struct rpc_client *client);

/* The client id that the client connects with. */
const char *rpc_client_id(const struct rpc_client *client);

/* Whether the broker has accepted the connection, as far as is known. */
bool rpc_client_is_connected(const struct rpc_client *client);

/*
 * Does what there is to do: connects, sends, receives, calls callbacks, ends calls whose time is over.
 * Returns when a callback was called, when a connection has come about or was lost, or after timeout_ms;
 * 0: without waiting. A signal does not end the wait.
 *
 * To look up the broker's name may take longer: the C library does that.
 *
 * Returns RPC_CLIENT_OK; RPC_CLIENT_DISCONNECTED: there is no connection at the end, and the client goes on
 * trying; RPC_CLIENT_INVALID in a callback.
 */
enum rpc_client_status rpc_client_run(struct rpc_client *client, int timeout_ms);

/* ---- Calls ---- */

/* A reply, or why there is none. */
struct rpc_client_reply {
    enum rpc_client_status status;
    const char *err;   /* NULL: it is a result. Else the error's name, as on the wire. */
    const char *msg;   /* NULL: it is a result. Else the error in words, as the service sent them. */
    const cJSON *data; /* the result; the whole error object; NULL: there is none, or it is not JSON */
    const char *text;  /* the same as it came, with a 0 behind it; NULL: there is none */
    size_t size;       /* bytes of text */
    bool is_repeated;  /* the plugin has given this reply before: the call was sent more than once */
    void *memory;      /* the client's own */
};

/* Called once for a call: at its reply, or when it ends without one. */
typedef void rpc_client_reply_fn(void *user, const struct rpc_client_reply *reply);

/* A user property of MQTT 5. */
struct rpc_client_property {
    const char *name, *value;
};

/* A call. Members that are not named are 0, and stand for what the comments say. */
struct rpc_client_request {
    const char *method; /* its name. Of a command of a device: device/{device}/{command} */
    bool is_batch; /* the payload is an array of parameters; the result, of {"result":…} or {"error":…} */
    const cJSON *params;     /* the parameters; NULL: payload */
    const char *payload;     /* the parameters as text, or raw bytes; NULL: none */
    size_t size;             /* of payload; 0: it ends with a 0 */
    int timeout_ms;          /* 0: that of the options */
    bool keeps_deadline;     /* timeout_ms is not sent: the method's own deadline is left as it is */
    const char *traceparent; /* W3C Trace Context; NULL: none */
    const struct rpc_client_property *properties; /* further user properties, such as offline; MQTT 5 only */
    size_t property_count;
    rpc_client_reply_fn *on_reply;    /* NULL: it is not called */
    rpc_client_reply_fn *on_progress; /* called for each interim reply; NULL: none is asked for */
    void *user;                       /* for both */
};

/*
 * Sends a call, now or as soon as there is a connection, and returns. request->on_reply is called exactly
 * once, in a later rpc_client_run() or in rpc_client_destroy(), unless the call is cancelled. A call that is
 * not answered ends a second after its timeout, because the plugin itself answers `timeout` at that time.
 *
 * id, if it is not NULL, gets the call's identity, with which it can be cancelled.
 *
 * Returns RPC_CLIENT_OK: the call waits. In all other cases on_reply is not called: RPC_CLIENT_INVALID: the
 * name of the method or its length, the timeout, traceparent or a property is wrong, or the payload is no
 * object (MQTT 3.1.1 only), or no array (a batch with MQTT 3.1.1); RPC_CLIENT_OVERLOADED;
 * RPC_CLIENT_NO_MEMORY.
 */
enum rpc_client_status rpc_client_send(struct rpc_client *client, const struct rpc_client_request *request,
                                       char id[RPC_CLIENT_ID_SIZE]);

/*
 * Calls, and waits for the reply; other calls and events go on meanwhile. on_reply of the request is not
 * used.
 *
 * reply gets what has come, in every case; the caller frees it with rpc_client_reply_clear(). Returns
 * reply->status, which is RPC_CLIENT_OK only for a result.
 */
enum rpc_client_status rpc_client_call(struct rpc_client *client, const struct rpc_client_request *request,
                                       struct rpc_client_reply *reply);

/* Frees what a reply of rpc_client_call() holds. */
void rpc_client_reply_clear(struct rpc_client_reply *reply);

/* Forgets a call: its callbacks are not called any more. The service may still run it. Returns false: there
 * is none of this identity. */
bool rpc_client_cancel(struct rpc_client *client, const char *id);

/* How many calls wait. */
size_t rpc_client_pending(const struct rpc_client *client);

/* ---- Events ---- */

struct rpc_client_event {
    enum rpc_client_status
        status;        /* RPC_CLIENT_OK; RPC_CLIENT_REFUSED: the broker has refused the subscription */
    const char *topic; /* the whole topic */
    const char *name;  /* the topic below {prefix}/event/ */
    const cJSON *data; /* NULL: it is empty, or not JSON, or larger than max_reply */
    const char *text;  /* as it came, with a 0 behind it */
    size_t size;       /* bytes of text; of an event that is larger than max_reply, 0 */
    bool is_retained;  /* it was published before the subscription */
};

typedef void rpc_client_event_fn(void *user, const struct rpc_client_event *event);

/*
 * Subscribes to events: filter is the name of an event, or a filter of topics below {prefix}/event/, such as
 * `door/#`. The client subscribes again whenever it has connected; events that are published while there is
 * no connection are lost, unless they are retained. Subscriptions to one filter share one of the broker's,
 * which sends what is retained when the first of them is made. An event that two different filters match may
 * come twice to both, as the broker chooses.
 *
 * Returns RPC_CLIENT_OK, and in *id what rpc_client_unsubscribe() takes; RPC_CLIENT_INVALID: it is no filter;
 * RPC_CLIENT_OVERLOADED: there are max_subscriptions; RPC_CLIENT_NO_MEMORY.
 */
enum rpc_client_status rpc_client_subscribe(struct rpc_client *client, const char *filter,
                                            rpc_client_event_fn *on_event, void *user, unsigned long *id);

/* Ends a subscription. Returns false: there is none of this id. */
bool rpc_client_unsubscribe(struct rpc_client *client, unsigned long id);

#ifdef __cplusplus
}
#endif

#endif
