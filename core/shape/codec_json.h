// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * JSON as a codec: what json.h reads and what MQTT clients get, without white space.
 *
 * Threads: as json.h says of trees. Writing touches nothing but its arguments.
 *
 * Ownership: codec_json has static storage.
 *
 * Failure: as codec.h says. codec_json_text() returns NULL where there is no memory.
 */
#ifndef CORE_SHAPE_CODEC_JSON_H
#define CORE_SHAPE_CODEC_JSON_H

#include "base/arena.h"
#include "shape/codec.h"

extern const struct codec codec_json;

/*
 * A tree as JSON text, in memory of the arena, with a NUL behind it. cJSON could do it, too, but prints each
 * number twice and reads it back.
 */
const char *codec_json_text(const cJSON *item, struct arena *arena);

#endif
