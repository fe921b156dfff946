// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * JSON as the wire contract wants it, read into trees of cJSON nodes. cJSON's own parser is not used: it
 * takes "01", "1." and control characters, does not look at UTF-8, ends strings at U+0000, nests 1000 deep,
 * keeps both of two equal members, stores every number as a double and reads numbers as the locale has them.
 *
 * Threads: one thread at a time uses a tree and its arena.
 *
 * Ownership: a tree is memory of its arena. cJSON's functions that allocate or free must not be used on it.
 *
 * Failure: struct json_error says what is wrong, in words for the client.
 */
#ifndef CORE_SHAPE_JSON_H
#define CORE_SHAPE_JSON_H

#include "base/arena.h"
#include "base/number.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    JSON_DEPTH_MAX = 32,                 /* levels of arrays and objects */
    JSON_NUMBER_MAX = NUMBER_LITERAL_MAX /* bytes of a number */
};

enum json_fault {
    JSON_FINE,
    JSON_BROKEN,   /* no JSON text (RFC 8259), too deep, or bytes behind the value; no tree */
    JSON_UNWANTED, /* JSON, but with a member twice, a number too large for a double, or U+0000 in a
                      string. There is a tree, in which U+0001 stands for U+0000 */
    JSON_NO_MEMORY /* no tree */
};

struct json_error {
    enum json_fault fault;
    bool nul;      /* a string has U+0000, which the tree no longer shows; with JSON_UNWANTED only */
    char why[200]; /* one sentence without a full stop, of a broken text with the place; "" if all is fine */
};

/*
 * Parses size bytes at text; a NUL must follow them. Returns a tree in memory of the arena, or NULL; error
 * says which. No part of a tree is freed: a node may be detached, but not deleted.
 *
 * A number that a double would not give back digit by digit (more than 15 significant ones), or that takes
 * long to print, is kept as a node of type cJSON_Raw with its literal in valuestring beside valuedouble, so
 * that 64-bit integers stay exact and come out as they went in: json_is_number() knows both types.
 */
cJSON *json_parse(const char *text, size_t size, struct arena *arena, struct json_error *error);

/* The member of an object; NULL: it has none of this name, or is no object. */
cJSON *json_member(const cJSON *object, const char *name);

static inline bool json_is_number(const cJSON *item)
{
    return item->type & (cJSON_Number | cJSON_Raw);
}

/*
 * Makes cJSON_Raw of all numbers that are members named id or request_id and not spelt as whole numbers, too,
 * since ids have to come out as they went in.
 */
void json_keep_ids(cJSON *tree);

/*
 * Whether a part of a tree is free of what makes the whole JSON_UNWANTED, but for U+0000; error says why not.
 * Without memory, which some objects take, it is JSON_NO_MEMORY.
 */
bool json_is_wanted(const cJSON *item, struct json_error *error);

/* Likewise, whether an object has no member twice, whatever its members hold. */
bool json_has_members_once(const cJSON *object, struct json_error *error);

/*
 * Whether a text is JSON, without making a tree of it; a NUL must follow its size bytes. What would make it
 * JSON_UNWANTED is not looked for. error says why not.
 */
bool json_check(const char *text, size_t size, struct json_error *error);

/*
 * Decodes the literal of a string, its quotes included, in its place; a NUL must follow its size bytes.
 * U+0000 becomes U+0001. Returns the text, or NULL: the literal is malformed, and no longer as it was.
 */
char *json_decode_string(char *literal, size_t size);

#endif
