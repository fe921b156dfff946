// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A glance at a JSON text that is not parsed, because it is broken, too large, or from a client over its
 * rate: whose call it is, as far as that can be read. A glance makes no tree, and reads the first GLANCE_MAX
 * bytes and, of an object that is longer, its last member: so it costs about three microseconds at most,
 * whatever the text is.
 *
 * What a glance does not need it does not check: `{"a":tru,"id":7` has the id 7.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: a struct glance has copies of what it found.
 *
 * Failure: what cannot be read is said in the struct.
 */
#ifndef CORE_SHAPE_GLANCE_H
#define CORE_SHAPE_GLANCE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    GLANCE_MAX = 4096,      /* bytes of the text that are read from its beginning */
    GLANCE_TAIL_MAX = 2048, /* bytes that are read from its end */
    GLANCE_TEXT_MAX = 256   /* bytes of a member's text */
};

enum glance_type {
    GLANCE_NONE, /* it is not there, or not where a glance looks */
    GLANCE_STRING,
    GLANCE_NUMBER,
    GLANCE_NULL,
    GLANCE_OTHER,   /* true, false, an object or an array */
    GLANCE_BROKEN,  /* no JSON value, such as a string that is cut off or has malformed UTF-8 */
    GLANCE_TOO_LONG /* a string of more than GLANCE_TEXT_MAX bytes */
};

struct glance_member {
    enum glance_type type;
    char text[GLANCE_TEXT_MAX + 1]; /* of a string, decoded, with U+0001 for U+0000; of a number, as it is
                                       written; else "" */
};

/* Of members that are given twice the first one counts. */
struct glance {
    char outermost; /* '{' or '[': what the text is; '\0': neither */
    bool notifies;  /* it was read to its end, and is an object without an id, or an array of such objects,
                       which is not empty: as JSON-RPC, it asks for no reply */
    struct glance_member jsonrpc, request_id; /* of the object, or of the array's first element */
    struct glance_member id; /* likewise, but of the array's first element that has an id which is a string, a
                                number or null; if none has, of the first one with any id */
};

/* Glances at size bytes; nothing behind them is read, and no NUL need follow. */
void glance_at(struct glance *glance, const char *text, size_t size);

/* Whether the text is meant as JSON-RPC 2.0. */
bool glance_is_jsonrpc(const struct glance *glance);

#endif
