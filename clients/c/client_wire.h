// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What a call and its reply are as bytes, for both versions of MQTT. It knows no connection.
 *
 * Threads: any.
 *
 * Ownership: the caller frees what functions return; see each.
 *
 * Failure: see each.
 */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

enum {
    WIRE_ID_SIZE = 33,      /* bytes of a call's identity: 32 lower-case hexadecimal digits, and 0 */
    WIRE_METHOD_MAX = 1152, /* bytes of a method's name, in whose levels names of devices may be */
    WIRE_TRACE_SIZE = 64,   /* bytes of a traceparent, with its 0 */
    WIRE_MEMBERS_MAX = 256  /* bytes that the members of a call by request_id take at most */
};

/* Fills id with the 32 lower-case hexadecimal digits of 16 random bytes. Returns false: the system has none.
 */
bool wire_new_id(char id[WIRE_ID_SIZE]);

/* A random number below another one, which is not 0; 0 if the system has none. */
unsigned wire_random(unsigned below);

/* Whether text is an identity as wire_new_id() makes them. */
bool wire_is_id(const char *text, size_t size);

/*
 * Whether the name of a method is levels of a topic, of at most WIRE_METHOD_MAX bytes, which can be called.
 * The levels of a family, such as the name of a device, may be any text.
 */
bool wire_is_method(const char *name);

/* Whether text is printable ASCII without a space, shorter than WIRE_TRACE_SIZE. */
bool wire_is_traceparent(const char *text);

/* The members that stand beside the parameters of a call by request_id. */
struct wire_members {
    const char *id;
    int timeout_ms;          /* 0: none is sent */
    const char *traceparent; /* NULL: none */
    bool is_batch;           /* the payload is an array, and becomes the member calls */
};

/*
 * Writes the payload of a call by request_id to out, which has room for size + WIRE_MEMBERS_MAX bytes.
 * Returns how many bytes it has; 0: the payload is no object, or no array for a batch.
 */
size_t wire_beside(char *out, const struct wire_members *members, const char *payload, size_t size);

enum wire_kind { WIRE_RESULT, WIRE_PROGRESS, WIRE_ERROR, WIRE_BAD };

/* What has come for a call. text ends with a 0 that its size does not count. */
struct wire_reply {
    enum wire_kind kind;
    cJSON *data;      /* NULL: what is WIRE_BAD, or a result that is no JSON. The caller frees it. */
    const char *text; /* within the payload, or printed */
    size_t size;
    char *printed; /* the caller frees it with cJSON_free(); NULL: text is within the payload */
};

/*
 * Reads a reply with MQTT 5. status is the user property of this name, or NULL; is_json: its content type
 * says so. payload ends with a 0 that size does not count.
 */
void wire_read(struct wire_reply *reply, const char *payload, size_t size, const char *status, bool is_json);

/* Reads a reply to a call by request_id; text may be a part of payload, of which a byte is overwritten then.
 */
void wire_read_beside(struct wire_reply *reply, char *payload, size_t size, const char *id);

/* The whole payload as JSON, with nothing behind it but white space; NULL: it is none. The caller frees it.
 */
cJSON *wire_parse(const char *payload, size_t size);

/* A member that is a string; fallback: there is none. */
const char *wire_string(const cJSON *object, const char *name, const char *fallback);

/* Copies text to out as one line of printable ASCII, cut to size bytes with the 0. */
void wire_print(char *out, size_t size, const char *text);

#endif
