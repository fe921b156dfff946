// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * mosquitto_rpc_testing.h: tests of handler modules without a broker.
 *
 * A test runs the engine itself, with the modules that its program is linked with, on a host that has neither
 * network nor broker and a clock that stands still. It publishes as a client would, and looks at what the
 * engine publishes:
 *
 *     int main(void)
 *     {
 *         rpc_test *test = rpc_test_open("door_max_open 10s");
 *
 *         rpc_test_expect(test, "openDoor", "{\"door\":\"yard\",\"seconds\":60}", "too_long", NULL);
 *         rpc_test_expect(test, "openDoor", "{\"door\":\"yard\",\"seconds\":5}", "ok", NULL);
 *         rpc_test_pass(test, 5000);
 *         rpc_test_expect_event(test, "doorClosed", "{\"door\":\"yard\"}");
 *         return rpc_test_close(test);
 *     }
 *
 * The functions check whatever test framework calls them, or none: an expectation that is not met is reported
 * on stderr, with file and line, and makes rpc_test_close() return 1. It also returns false, for frameworks
 * that want to know at once. The test goes on in any case.
 *
 * These rules hold for every function below, unless its own comment says otherwise.
 *
 * Threads: a test is used by one thread at a time, which takes the place of the broker's thread: handlers,
 * timers and done run on it, inside these functions. Work runs on worker threads, as in a broker. Several
 * tests may be open at the same time.
 *
 * Time: the test's clocks stand still, but in rpc_test_pass(). Work takes real time, and functions that look
 * at what was published wait for it: see rpc_test_set_patience().
 *
 * Ownership: the functions copy nothing that they do not say they copy, and need what they are given only
 * until they return. What they return is the test's, and valid until the next call of a function with it.
 *
 * Failure: a test may be NULL in all functions, as rpc_test_open() returns it when the modules do not start.
 * They then report nothing more, and return false, 0 or NULL, but for rpc_test_close(). Where there is no
 * memory, the program ends with a message.
 *
 * JSON texts are compared as values: neither white space nor the order of members matters.
 */
#ifndef MOSQUITTO_RPC_TESTING_H
#define MOSQUITTO_RPC_TESTING_H

#include <mosquitto_rpc.h>

/* A service with its client: an engine for each prefix, and the modules in each. */
typedef struct rpc_test rpc_test;

/* The time at the beginning of each test, as rpc_time() returns it. */
#define RPC_TEST_TIME 1700000000.25

/* ---- Beginning and end -------------------------------------------------------------------------- */

/*
 * Starts the modules. options is NULL, or has a line for each option, as in the configuration of the broker:
 * `plugin_opt_door_max_open 10s`, or without plugin_opt_. Lines that are empty or begin with `#` are left
 * out. options is copied. What differs from a broker's defaults: error_rate and sys_interval are 0, so that
 * all errors are published and no counters are; sensor_db and device_db are :memory:. There are no workers: a
 * method with RPC_PLACEMENT_REMOTE is carried out if the line `placement_METHOD local` says so.
 *
 * Returns the test, which rpc_test_close() ends. Returns NULL after it has reported why on stderr: an option
 * is not accepted, or a module does not start.
 */
#define rpc_test_open(options) rpc_test_open_at(__FILE__, __LINE__, options)
rpc_test *rpc_test_open_at(const char *file, int line, const char *options);

/*
 * Expects that the modules do not start with these options, for a reason that contains text: a line of the
 * log, or why an option is not accepted. Returns whether they do so.
 */
#define rpc_test_refuses(options, text) rpc_test_refuses_at(__FILE__, __LINE__, options, text)
bool rpc_test_refuses_at(const char *file, int line, const char *options, const char *text);

/*
 * Stops the modules and frees the test. Waits for work that still runs, at most 10 seconds. Returns 0: all
 * expectations were met. Returns 1, after reports of what is wrong: an expectation was not met; test is NULL;
 * work has not returned in time; or the engine has broken a rule of its own, which a module can cause that
 * writes where it must not.
 */
int rpc_test_close(rpc_test *test) RPC_RETURNED;

/* ---- The client --------------------------------------------------------------------------------- */

/* The client that the next messages come from. What is 0 or NULL in a designated initialiser is the default,
 * but for qos. */
typedef struct rpc_test_client {
    const char *id;                 /* the client id; NULL: "tester" */
    const char *user;               /* the user name; NULL: anonymous */
    const char *address;            /* the network address as text; NULL: "192.0.2.7" */
    int version;                    /* 3: MQTT 3.1, 4: 3.1.1, 5: MQTT 5.0; 0: 5 */
    int qos;                        /* of its messages */
    const rpc_property *properties; /* user properties of its messages; NULL: none */
    unsigned property_count;        /* at most 8 */
} rpc_test_client;

/*
 * Sets the client. At first it is "tester", anonymous, with MQTT 5.0 at QoS 1; NULL sets this one again. The
 * test keeps the struct, but not what it points at, which must exist until another client is set or the test
 * is closed. Clients with the same id are one client on one connection.
 */
void rpc_test_set_client(rpc_test *test, const rpc_test_client *client);

/*
 * Gives modules with `presence` a sign of the client. filter is that of RPC_SIGN_SUBSCRIBED; else NULL.
 * RPC_SIGN_GONE ends the client's connection: its pending calls are cancelled. The sign RPC_SIGN_SEEN of a
 * message need not be given: publishing gives it.
 */
void rpc_test_sign(rpc_test *test, rpc_sign sign, const char *filter);

/*
 * The client calls a method, or a command as device/{device}/{command}, in the first prefix, and asks for a
 * reply. params is the payload; NULL: {}. The reply is taken with rpc_test_expect_reply() or
 * rpc_test_take_reply(). Calls of one test are never taken for each other's duplicates. A client of MQTT 3
 * asks for a reply with the member request_id of params, and its reply has the result in an envelope.
 */
void rpc_test_call(rpc_test *test, const char *method, const char *params);

/*
 * The client publishes a message, to any topic: an inbox, `rpc/call/{method}` without asking for a reply, or
 * `rpc/jsonrpc`. Returns what the broker would do with it: RPC_INBOX_PASS: deliver it; RPC_INBOX_CONSUME: no
 * more, which is so for calls; RPC_INBOX_REFUSE: tell the client that it was not allowed. With test NULL it
 * returns RPC_INBOX_REFUSE.
 */
rpc_inbox_verdict rpc_test_publish(rpc_test *test, const char *topic, const char *payload);

/*
 * Does the same with payloads of any bytes, a Response Topic and Correlation Data: those of publication. QoS
 * and user properties are the client's; the other members of publication are not looked at.
 */
rpc_inbox_verdict rpc_test_publish_message(rpc_test *test, const rpc_publication *publication);

/* ---- Time --------------------------------------------------------------------------------------- */

/*
 * Lets so many milliseconds pass. Timers fire, and deadlines pass, each at its moment and in their order.
 * Before the time begins to pass, and after each such moment, it waits for work.
 */
void rpc_test_pass(rpc_test *test, uint32_t milliseconds);

/* Sets the Unix time, which then goes on from there. Timers and deadlines do not follow it. */
void rpc_test_set_time(rpc_test *test, double time);

/*
 * Sets how many milliseconds of real time functions wait for work that runs or waits for a thread; at first
 * 10000. 0: they do not wait, for tests of deadlines that pass while work runs. Calls that rpc_defer() has
 * made pending are not waited for.
 */
void rpc_test_set_patience(rpc_test *test, uint32_t milliseconds);

/* ---- What was published ------------------------------------------------------------------------- */

/* A message that the engine has published. */
typedef struct rpc_test_message {
    const char *topic;
    const char *payload; /* followed by a NUL that size does not count */
    size_t size;
    const char *client; /* the only receiver; NULL: all subscribers of the topic */
    int qos;
    bool retain;
    const char *status; /* user property `status` of a reply: "ok", "progress" or an error's code; "": none */
    const char *content_type;   /* "": none */
    const char *response_topic; /* "": none */
    const void *correlation;    /* Correlation Data, or its first 64 bytes; NULL: none */
    size_t correlation_size;
    const char *properties; /* further user properties, as "name=value;" each */
    uint32_t expiry;        /* Message Expiry Interval in seconds; 0: none */
} rpc_test_message;

/*
 * Forgets everything that was published and logged so far. A test keeps 64 replies, 64 events, 64 dead
 * letters and 64 other messages, also those that were taken, and 64 lines of the log; later ones are lost.
 */
void rpc_test_forget(rpc_test *test);

/*
 * Forgets what was published, calls a method as rpc_test_call() does, and expects this reply, as
 * rpc_test_expect_reply() does. Returns whether it came.
 */
#define rpc_test_expect(test, method, params, status, payload) \
    rpc_test_expect_at(__FILE__, __LINE__, test, method, params, status, payload)
bool rpc_test_expect_at(const char *file, int line, rpc_test *test, const char *method, const char *params,
                        const char *status, const char *payload);

/*
 * Takes the oldest reply that was not taken, and expects that it has this status and this payload. status is
 * "ok", the code of an error, or "progress" for an interim reply. payload is JSON text; NULL: any. Waits for
 * work if there is no reply. Returns whether there is one, and it is as expected.
 */
#define rpc_test_expect_reply(test, status, payload) \
    rpc_test_expect_reply_at(__FILE__, __LINE__, test, status, payload)
bool rpc_test_expect_reply_at(const char *file, int line, rpc_test *test, const char *status,
                              const char *payload);

/* Waits for work, and expects that all replies have been taken. Returns whether it is so. */
#define rpc_test_expect_no_reply(test) rpc_test_expect_no_reply_at(__FILE__, __LINE__, test)
bool rpc_test_expect_no_reply_at(const char *file, int line, rpc_test *test);

/*
 * Takes the oldest message to {prefix}/event/{event} of the first prefix that was not taken, and expects that
 * it has this payload: JSON text, "" for one that rpc_retract() has published, or NULL for any. event is
 * `door/yard` for a keyed event, and `error` for the engine's own. Waits for work if there is none. Returns
 * whether there is one, and it is as expected.
 */
#define rpc_test_expect_event(test, event, payload) \
    rpc_test_expect_event_at(__FILE__, __LINE__, test, event, payload)
bool rpc_test_expect_event_at(const char *file, int line, rpc_test *test, const char *event,
                              const char *payload);

/* Waits for work, and expects that all messages to {prefix}/event/{event} have been taken. Returns whether it
 * is so. */
#define rpc_test_expect_no_event(test, event) rpc_test_expect_no_event_at(__FILE__, __LINE__, test, event)
bool rpc_test_expect_no_event_at(const char *file, int line, rpc_test *test, const char *event);

/*
 * Takes the oldest message to this topic that was not taken and is no reply: what rpc_send() has published,
 * an event, a dead letter. payload is compared as JSON if it is JSON, else byte by byte; NULL: any. Waits for
 * work if there is none. Returns whether there is one, and it is as expected.
 */
#define rpc_test_expect_message(test, topic, payload) \
    rpc_test_expect_message_at(__FILE__, __LINE__, test, topic, payload)
bool rpc_test_expect_message_at(const char *file, int line, rpc_test *test, const char *topic,
                                const char *payload);

/* Likewise, without expecting anything: take the oldest reply, and the oldest message to a topic. Return NULL
 * if there is none. */
const rpc_test_message *rpc_test_take_reply(rpc_test *test);
const rpc_test_message *rpc_test_take_message(rpc_test *test, const char *topic);

/* Waits for work, and expects that a line of the log contains this text. Returns whether one does. */
#define rpc_test_expect_log(test, text) rpc_test_expect_log_at(__FILE__, __LINE__, test, text)
bool rpc_test_expect_log_at(const char *file, int line, rpc_test *test, const char *text);

/* ---- Further expectations ----------------------------------------------------------------------- */

/*
 * Changes the options that may change while the broker runs: settings has lines as the file of the option
 * config_file has them, in addition to the options that the test was opened with. refusal is NULL: they must
 * be taken; or a text that the reason for which they are refused must contain. Returns whether it is so.
 */
#define rpc_test_reload(test, settings, refusal) \
    rpc_test_reload_at(__FILE__, __LINE__, test, settings, refusal)
bool rpc_test_reload_at(const char *file, int line, rpc_test *test, const char *settings,
                        const char *refusal);

/* Expects that a condition holds, whose text is reported otherwise. Returns whether it does. */
#define rpc_test_check(test, condition) rpc_test_check_at(__FILE__, __LINE__, test, condition, #condition)
bool rpc_test_check_at(const char *file, int line, rpc_test *test, bool condition, const char *text);

#endif
