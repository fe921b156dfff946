// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a worker says of a method or an event that it declares: its card, the shapes of cards in rpc.attach,
 * and what is checked of a card alone. What other cards and modules have to do with it is foreign.h.
 *
 * Threads: any.
 *
 * Ownership: cards point into the parameters of rpc.attach.
 *
 * Failure: a check says what is wrong in half a sentence, which follows the name of the card.
 */
#ifndef CORE_CALL_FOREIGN_CARD_H
#define CORE_CALL_FOREIGN_CARD_H

#include <mosquitto_rpc.h>

enum {
    FOREIGN_SCHEMA_MAX = 16 << 10, /* bytes of a schema, without white space */
    FOREIGN_DEPTH_MAX = 16,        /* levels of arrays and objects in it */
    FOREIGN_DOC_MAX = 512,         /* characters */
    FOREIGN_CARD_WHY = 160         /* bytes of what a check says */
};

/* A method, as a worker declares it. */
struct foreign_method_card {
    const char *name, *doc;  /* doc: NULL: none */
    rpc_json params, result; /* JSON Schemas; no text: none */
    bool read_only, idempotent;
    const char *lane;  /* the member of the parameters that is the lane; NULL: there are no lanes */
    int32_t timeout;   /* ms; 0: the configured one */
    const char *event; /* the result event, one of those that are declared beside it; NULL: none */
    int announce;      /* an rpc_announcement */
};

/* An event, likewise. */
struct foreign_event_card {
    const char *name, *doc;
    rpc_json data;
    bool retained;
    const char *key; /* the member that is its key; NULL: it is not keyed */
};

/* The shapes of the cards in rpc.attach. */
extern const rpc_shape foreign_method_shape, foreign_event_shape;

/* Whether a text may be shown on one line anywhere: it has no control characters. */
bool foreign_card_is_line(const char *text);

/*
 * Checks a schema, or none (NULL), as far as discovery depends on it. member: a member that the described
 * objects must have, if the schema says which they have; NULL: none. role: its name in the card. Returns
 * RPC_OK; RPC_INVALID_PARAMS: why says what is wrong; RPC_INTERNAL_ERROR: no memory.
 */
rpc_status foreign_card_check_schema(const char *text, const char *role, const char *member,
                                     char why[FOREIGN_CARD_WHY]);

#endif
