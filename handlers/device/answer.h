// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What devices answer: which command an answer is for, and what becomes of the command.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: a message is its sender's until commands_answer() returns.
 *
 * Failure: an answer that is for no command is none.
 */
#ifndef DEVICE_ANSWER_H
#define DEVICE_ANSWER_H

#include "lane.h"

enum { ANSWER_ID_BYTES = 129 };

/* The members by which applications and devices tell commands apart. */
struct answer_ids {
    rpc_json id, tid, request_id, transaction;
};

#define ANSWER_ID_FIELDS(type, ids)                                                                   \
    RPC_JSON(type, ids.id, .name = "id", .doc = "the id of the command", .optional = true),           \
        RPC_JSON(type, ids.tid, .name = "tid", .doc = "the same, by another name", .optional = true), \
        RPC_JSON(type, ids.request_id, .name = "request_id", .doc = "the same, by another name",      \
                 .optional = true),                                                                   \
        RPC_JSON(type, ids.transaction, .name = "transaction", .doc = "the same, by another name",    \
                 .optional = true)

/* The payload of cmd/{device}/resp. */
struct answer {
    struct answer_ids ids;
    rpc_json result, error, progress;
};

extern const rpc_shape answer_shape;

/* Writes an id to text: of a string or a number that is not empty and fits. Returns false: there is none. */
bool answer_read_id(const struct answer_ids *ids, char text[ANSWER_ID_BYTES]);

/* An answer on cmd/{device}/resp from the device itself or a gateway. The inbox has the shape answer_shape.
 */
void commands_answer(struct commands *commands, struct device *device, const rpc_message *message);

#endif
