// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Subscriptions to events. It also has the functions of mosquitto_rpc_client.h that are about them.
 *
 * Threads: the one that uses the client.
 *
 * Ownership: a subscription belongs to the client's list; one that has ended stays there until no callback
 * runs.
 *
 * Failure: an event for which there is no memory is lost.
 */
#ifndef CLIENT_EVENTS_H
#define CLIENT_EVENTS_H

#include <mosquitto.h>

#include "client_state.h"

/* An event has come: calls those who have subscribed to it. */
void events_take(struct rpc_client *client, const struct mosquitto_message *message);

/* The broker has refused this SUBSCRIBE: tells those whose it is. */
void events_refuse(struct rpc_client *client, int mid);

/* Subscribes to everything, on a new connection. */
void events_subscribe_all(struct rpc_client *client);

/* Frees subscriptions that have ended, unless a callback runs. */
void events_sweep(struct rpc_client *client);

#endif
