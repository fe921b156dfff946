// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The place of a message: what its topic is to an engine.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a place borrows all that it points to.
 *
 * Failure: none.
 */
#ifndef CORE_CALL_PLACE_H
#define CORE_CALL_PLACE_H

#include <mosquitto_rpc.h>

struct dead_letter;
struct topic_tree;

/* Where a topic lies, as engine_serves() has found it. It points into the topic. */
struct engine_place {
    const struct topic_tree *tree; /* among the topics of the prefix; NULL: it is in none */
    const rpc_inbox *inbox;        /* of a module, outside the prefix; NULL: it is in none */
    rpc_instance *instance;        /* whose inbox it is */
    const char *name; /* the part of the topic that names a method, or that lies below the inbox root */
    const rpc_adoption *adoption; /* by which a message of an inbox came here, or a replay; NULL: its sender's
                                     doing */
    struct dead_letter *replay;   /* with an adoption: the letter whose call runs again; NULL: none */
};

#endif
