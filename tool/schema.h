// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a JSON Schema of the service says, in words for people.
 *
 * Threads: any. Ownership: the schema is borrowed, and the caller's buffer is written to.
 *
 * Failure: what does not fit is cut.
 */
#ifndef TOOL_SCHEMA_H
#define TOOL_SCHEMA_H

#include <stddef.h>

#include <cjson/cJSON.h>

/* Writes the type, such as `number 0 to 100, in percent` or `string C|F|K`, to out. */
void schema_type(char *out, size_t size, const cJSON *schema);

#endif
