// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What fields.c and fields_check.c share: kinds, and a walk over a table, which knows at any time where it
 * is. A path is a chain of steps on the stack; it becomes text only when something is wrong.
 */
#ifndef CORE_FIELDS_PRIVATE_H
#define CORE_FIELDS_PRIVATE_H

#include "shape/fields.h"

#define FIELDS_NO_INDEX SIZE_MAX

/* One level of objects. */
struct fields_step {
    struct fields_step *outer;   /* NULL: the outermost */
    const rpc_field *field;      /* the one that the walk is at; NULL: none yet */
    const struct fields *fields; /* decoding: what was prepared for this level; else NULL */
    size_t index;                /* of the field's element; FIELDS_NO_INDEX: the field itself */
};

struct fields_walk {
    struct arena *arena;      /* decoding */
    struct writer *writer;    /* encoding */
    char *why;                /* FIELDS_WHY bytes */
    struct fields_step *step; /* the innermost; NULL: none */
};

struct fields_kind {
    rpc_status (*decode)(const rpc_field *field, const cJSON *value, void *member, struct fields_walk *walk);
    rpc_status (*encode)(const rpc_field *field, const void *member, struct fields_walk *walk);
    const char *one, *many; /* a value of this kind, and several, in words */
    size_t size;            /* of the C member; 0: as the field says */
    bool absent_by_null;    /* the member itself can say that it was left out */
};

enum { FIELDS_KINDS = RPC_KIND_OBJECT + 1 };

extern const struct fields_kind fields_kinds[FIELDS_KINDS];

/* A step below that of the walk, to be made the walk's own. fields: NULL unless something is decoded. */
struct fields_step fields_enter(const struct fields_walk *walk, const struct fields *fields);

/* Explains what is wrong where the walk is: the path and then the text. Returns RPC_INVALID_PARAMS. */
rpc_status fields_misfit(struct fields_walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Decodes the field at which the walk is into the struct at out. value: NULL if it is not there; fallback:
 * what stands in for it then, or NULL. Returns what fields_decode() does.
 */
rpc_status fields_decode_member(const rpc_field *field, const cJSON *value, const cJSON *fallback, char *out,
                                struct fields_walk *walk);

#endif
