// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * An engine on a fake host with one client, and functions that make calls and check their replies.
 *
 * Threads: the test's thread only.
 *
 * Ownership: the test embeds the rig. Messages that functions return are the host's.
 *
 * Failure: every function fails the test if something is wrong.
 */
#ifndef RIG_H
#define RIG_H

#include "engine.h"
#include "fake_host.h"
#include "config.h"

#include <cjson/cJSON.h>

#define RIG_REPLY "reply/here" /* the Response Topic of rig_ask() */
#define RIG_SECOND UINT64_C(1000000000)

enum {
    RIG_PATIENCE = 300000
}; /* milliseconds that a test waits for work, far above what a busy machine takes */

struct rig {
    struct fake_host host;
    struct config *defaults;
    struct engine_options options;
    struct host_client client;
    int qos;        /* of the client's messages */
    bool impatient; /* rig_wait() advances the clock to the next deadline instead of failing */
    struct engine *engine;
};

/* Sets what tests may change before rig_start(): the options are the defaults of their table, but for
 * slow_call, error_rate, sys_interval, duplicate_window and redelivery_guard, which are off. */
void rig_init(struct rig *rig);

void rig_start(struct rig *rig);

/* Adds a module; its init must succeed. */
void rig_add(struct rig *rig, const rpc_module *module, const void *options);

/* Resolves the options that name methods; they must be right. */
void rig_open_methods(struct rig *rig);

/* rig_init(), rig_start() and rig_add() for a module without options. */
void rig_open(struct rig *rig, const rpc_module *module);

/* Ends the engine and checks that nothing is left over. */
void rig_close(struct rig *rig);

/* Closes a host, and fails the test if a rule was broken. */
void rig_close_host(struct fake_host *host);

/*
 * Creates the configuration of at most eight lines, which must be valid. sensor_db and device_db are
 * :memory: unless a line sets them. The caller ends the configuration with config_destroy().
 */
struct config *rig_config(const struct option_line *lines, size_t count);

/* Adds all modules of the config. */
void rig_add_modules(struct rig *rig, const struct config *config);

/* Waits until no call is pending. Fails the test if no work ends for 20 seconds. */
void rig_settle(struct rig *rig);

/* Waits until there are so many replies. If no work ends for RIG_PATIENCE, fails the test; an impatient rig
 * advances the clock instead. */
void rig_wait(struct rig *rig, size_t replies);

/* A message of the client, without properties. */
struct host_message rig_message(const struct rig *rig, const char *topic, const char *payload);

/* The instance of the module that was added last. */
rpc_instance *rig_instance(const struct rig *rig);

/* Calls visit for every registered method, in the order of registration. */
void rig_each_method(const struct engine *engine, void (*visit)(const rpc_method *method, void *context),
                     void *context);

/* What a host does with a message: engine_serves(), and engine_receive() if the engine serves its topic. */
bool rig_serves(const struct engine *engine, const char *topic);
enum engine_verdict rig_receive(struct engine *engine, const struct host_message *message);

/* Publishes to a topic. */
enum engine_verdict rig_publish(struct rig *rig, const char *topic, const char *payload);

/* Publishes with a Response Topic and Correlation Data, which is a string; NULL: without. */
enum engine_verdict rig_send(struct rig *rig, const char *topic, const char *payload,
                             const char *response_topic, const char *correlation);

/* Calls a method without a Response Topic. */
enum engine_verdict rig_tell(struct rig *rig, const char *method, const char *payload);

/* Calls a method with a Response Topic. Clears earlier messages; there must be one reply, which is
 * returned. */
const struct fake_message *rig_ask(struct rig *rig, const char *method, const char *payload);

/* rig_ask(), and the reply must have this status and this text. */
void rig_expect(struct rig *rig, const char *method, const char *payload, const char *status,
                const char *text);

/* The newest event or reply; there must be one. */
const struct fake_message *rig_last(const struct fake_box *box);

/* The newest event must be an error of the engine's own: this object, with the client beside its members. */
void rig_expect_error(const struct rig *rig, const char *text);

/* The newest event must have this topic and this text. */
void rig_expect_event(const struct rig *rig, const char *topic, const char *text);

/* The newest dead letter, of which there must be one, and the reply to dead.replay of it. */
const struct dead_letter *rig_newest_letter(const struct rig *rig);
const struct fake_message *rig_replay_newest(struct rig *rig);

/* The member of an object, which must be there. */
const cJSON *rig_member(const cJSON *object, const char *name);

/* Functions of methods that do nothing: run, and done, which returns the outcome that it gets. */
rpc_status rig_do_nothing(rpc_call *call, void *state, const void *params, void *result);
rpc_status rig_end(rpc_call *call, void *state, void *data, rpc_status outcome, void *result);

#endif
