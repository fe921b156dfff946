// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Calls: the pending table, what is sent, how replies are read, and how calls end. It also has the functions
 * of mosquitto_rpc_client.h that are about calls.
 *
 * Threads: the one that uses the client.
 *
 * Ownership: a call belongs to the pending table. A reply that is handed on takes its memory along.
 *
 * Failure: see each.
 */
#ifndef CLIENT_CALLS_H
#define CLIENT_CALLS_H

#include <mosquitto.h>

#include "client_state.h"

/*
 * Enters a call, and sends it if there is a connection. wait: what rpc_client_call() waits for; NULL:
 * on_reply is called. id, if it is not NULL, gets the identity. Returns what rpc_client_send() returns.
 */
enum rpc_client_status calls_add(struct rpc_client *client, const struct rpc_client_request *request,
                                 struct client_wait *wait, char id[RPC_CLIENT_ID_SIZE]);

/* Sends what was not sent on this connection, in order. If one cannot be sent now, those behind it wait, too.
 */
void calls_send_waiting(struct rpc_client *client, long long now);

/* The connection is lost: nothing counts as sent. With MQTT 3.1.1 a call that is too large may have been the
 * reason, and ends at the third time. */
void calls_forget_connection(struct rpc_client *client);

/* Ends all calls whose time is over. */
void calls_expire(struct rpc_client *client, long long now);

/* Ends a call without a reply of the service. */
void calls_fail(struct rpc_client *client, struct client_call *call, enum rpc_client_status status,
                const char *msg);

/* Has the call of this PUBLISH end as refused, at the next look. why stays valid. */
void calls_refuse(struct rpc_client *client, int mid, const char *why);

/* The broker has acknowledged the call of this PUBLISH, or the library has written it, at QoS 0. */
void calls_note_taken(struct rpc_client *client, int mid);

/* The call that a message is the reply of; NULL: none that waits. */
struct client_call *calls_find(struct rpc_client *client, const char *topic,
                               const mosquitto_property *properties);

/* A reply has come: ends the call, or calls its on_progress. */
void calls_take_reply(struct rpc_client *client, struct client_call *call,
                      const struct mosquitto_message *message, const mosquitto_property *properties);

#endif
