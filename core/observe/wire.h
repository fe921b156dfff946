// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What rpc.recent, rpc.running and rpc.health share: texts of clients in JSON, and rows that are added to a
 * reply as long as they fit.
 *
 * Threads: the broker's thread only.
 *
 * Ownership: texts are memory of the arena, or what was given.
 *
 * Failure: wire_text() and wire_bytes() return NULL without memory.
 */
#ifndef CORE_OBSERVE_WIRE_H
#define CORE_OBSERVE_WIRE_H

#include "base/arena.h"
#include "call/topic.h"

#include <mosquitto_rpc.h>

/* The parameters method and caller of rpc.recent and rpc.running, which say whose calls are wanted. */
#define WIRE_CALL_FIELDS(type)                                                                              \
    RPC_STRING(type, method,                                                                                \
               .doc = "only calls of this method; of a method family its name as it is declared, or as it " \
                      "was called",                                                                         \
               .optional = true, .length = {1, TOPIC_CALLED_MAX}),                                          \
        RPC_STRING(type, caller, .doc = "only calls of this client id", .optional = true,                   \
                   .length = {0, 65535})

/* A text as it may stand in JSON: itself if it is well-formed UTF-8; else what text_printable() makes of it.
 */
const char *wire_text(struct arena *arena, const char *text);

/* Likewise of bytes, of which what is cut off may be the end of a character; a copy in any case. Bytes that
 * are no text, or have a NUL, are printable ASCII, the others \xNN. */
const char *wire_bytes(struct arena *arena, const char *bytes, size_t size, bool is_cut);

/* The room that is left for the rows of a result. */
struct wire_room {
    size_t left; /* bytes */
};

/* All of a reply but what stands around the rows. */
struct wire_room wire_room_of(const rpc_instance *instance);

/*
 * Takes the room of a row: what the texts need as JSON, and a fixed part for its names and numbers. A text
 * may be NULL. Returns false: the row does not fit.
 */
bool wire_take_room(struct wire_room *room, const char *const texts[], size_t count);

#endif
