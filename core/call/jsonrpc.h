// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * JSON-RPC 2.0 as it stands in a payload: recognising it, and taking requests apart.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a request points into the tree that it was read from.
 *
 * Failure: a wrong request says why it is none.
 */
#ifndef CORE_CALL_JSONRPC_H
#define CORE_CALL_JSONRPC_H

#include <cjson/cJSON.h>
#include <stdbool.h>

enum { JSONRPC_ID_MAX = 256 }; /* bytes of an id that is a string */

/* One request; what it points at is part of the tree that it was read from. */
struct jsonrpc_request {
    const char *wrong;   /* why it is no request, in words that follow "the request"; NULL: it is one */
    const cJSON *id;     /* a string, a number or null; NULL: it has none */
    const char *method;  /* NULL: wrong */
    const cJSON *params; /* an object or an array; NULL: none */
};

/* Whether a payload at a topic where parameters are expected is meant as JSON-RPC. */
bool jsonrpc_is_meant(const cJSON *tree);

/* Takes a request apart. What could be read of a wrong one is there: its id above all. */
struct jsonrpc_request jsonrpc_read(const cJSON *item);

#endif
