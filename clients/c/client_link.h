// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The connection to the broker: made, lost, and made again.
 *
 * Threads: the one that uses the client.
 *
 * Ownership: the client's struct mosquitto belongs to this file.
 *
 * Failure: what goes wrong stands in client->why, and the next attempt is set to client->retry.
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "client_state.h"

/* Whether the options ask for TLS. */
bool link_has_tls(const struct rpc_client_options *options);

/* Makes the struct of one connection, which is not connected yet. Returns an error of libmosquitto. */
int link_make(struct rpc_client *client);

/* Begins an attempt to connect. */
void link_begin(struct rpc_client *client);

/* Waits for the network until the moment at most, and has libmosquitto do what there is to do. */
void link_wait(struct rpc_client *client, long long now, long long until);

/* Sets client->why, with the broker's address before it. */
void link_say(struct rpc_client *client, const char *what);

#endif
