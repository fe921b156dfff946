// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The module of relay.c, for tests that add it themselves. */
#ifndef RELAY_H
#define RELAY_H

#include <mosquitto_rpc.h>

struct relay_options {
    const char *root; /* of the inboxes; "none": there are none */
};

extern const rpc_module rpc_module_relay;

#endif
