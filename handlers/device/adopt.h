// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Messages that applications publish to cmd/{device}/req themselves: with an identity, and to a managed
 * device, they are calls of device/{device}/{command}, and the message goes to the device as it is.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a message is its sender's until adopt_request() returns.
 *
 * Failure: what cannot be adopted passes untouched.
 */
#ifndef DEVICE_ADOPT_H
#define DEVICE_ADOPT_H

#include "module.h"

/* What the handler of the call has to know beside it. */
struct adopted {
    const rpc_message *message;
    const char *id; /* NULL: the payload has none */
};

/* The shape of the inbox, whose payload has any members that are not declared. */
extern const rpc_shape adopt_shape;

/* Adopts a message to a managed device, if it has an identity. Returns whether it is to be consumed. */
bool adopt_request(struct device_module *module, const char *device, const rpc_message *message);

#endif
