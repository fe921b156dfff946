// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What reads field tables: decoding a parsed value into a struct, encoding a struct with a writer, and saying
 * in words what a field takes. The table is the only description of a shape.
 *
 * Threads: as json.h says of trees. These functions touch nothing but their arguments.
 *
 * Ownership: what is decoded is memory of the arena, and points into the defaults and, unless it is told to
 * copy, into the tree. A walk
 * borrows all that it points at; its steps lie on the stack.
 *
 * Failure: a value that does not fit is explained with its path; an explanation that is too long is cut
 * between two characters. What does not fit into the writer sets writer->full.
 */
#ifndef CORE_SHAPE_FIELDS_H
#define CORE_SHAPE_FIELDS_H

#include "base/arena.h"
#include "shape/json.h"
#include "shape/writer.h"

#include <mosquitto_rpc.h>

enum {
    FIELDS_DEPTH = 8,          /* levels of objects in objects, the outermost included */
    FIELDS_WHY = RPC_WHY_BYTES /* bytes that hold any explanation of a field */
};

/* A shape that was checked, with its defaults parsed, and the shapes nested in it. All zero: no shape. */
struct fields {
    const rpc_shape *shape;
    cJSON **defaults;      /* one for each field; NULL where it has none */
    struct fields *nested; /* one for each field, all zero where it is no object */
    bool copies;           /* what is decoded is to point at nothing of the value; of the outermost shape */
    struct arena *arena;   /* has all that was prepared; of the outermost shape only, else NULL */
    bool strict;           /* members of objects that no field declares are refused, else ignored */
};

/* Makes the shape and those nested in it strict. */
void fields_set_strict(struct fields *fields);

/* Whether an object of the shape, or the object that is its value, has a field of this name. fields: all zero
 * declare none. */
bool fields_declare(const struct fields *fields, const char *name);

/*
 * Decodes value into *out, a new struct of the arena, which lives as long as arena and fields do, and as
 * value does unless fields->copies. Not for RPC_FORM_BYTES. Returns RPC_OK; RPC_INVALID_PARAMS: value does
 * not fit, why gives the path of the first offending value; RPC_INTERNAL_ERROR: no memory.
 */
rpc_status fields_decode(const struct fields *fields, const cJSON *value, struct arena *arena, void **out,
                         char why[FIELDS_WHY]);

/*
 * Likewise, out of an array whose elements are the members in the order of the table. Those that are missing
 * at its end were not given; more than there are fields is RPC_INVALID_PARAMS. Of RPC_FORM_VALUE the value is
 * the only element.
 */
rpc_status fields_decode_positional(const struct fields *fields, const cJSON *array, struct arena *arena,
                                    void **out, char why[FIELDS_WHY]);

/*
 * Writes a struct of a shape as JSON. Returns RPC_OK, also when the writer is full; RPC_INVALID_PARAMS: the
 * struct does not fit its own shape, why says how.
 */
rpc_status fields_encode(const rpc_shape *shape, const void *in, struct writer *writer, char why[FIELDS_WHY]);

/* Writes only the members of an object shape, for an object that has others as well. */
rpc_status fields_encode_members(const rpc_shape *shape, const void *in, struct writer *writer,
                                 char why[FIELDS_WHY]);

/* The field of a shape that has this name. NULL: an object of the shape has none, or shape is NULL or no
 * object's. */
const rpc_field *fields_find(const rpc_shape *shape, const char *name);

/* Whether the field can be the key of events: one string, choice or integer that is in every object. */
bool fields_can_be_key(const rpc_field *field);

enum { FIELDS_KEY = 24 }; /* bytes that hold any integer and a NUL */

/* The value of a field that can be a key, as text: in is a struct that fits its shape. Returns number, or
 * what the struct or the table points at. */
const char *fields_key(const rpc_field *field, const void *in, char number[FIELDS_KEY]);

/* Likewise, of a value that no table describes. NULL: item is NULL, or no string and no integer of 64 bits.
 */
const char *fields_key_of(const cJSON *item, char number[FIELDS_KEY]);

/* The name of a field on the wire. */
static inline const char *fields_name(const rpc_field *field)
{
    return field->name ? field->name : field->member;
}

/* Whether a call may leave the field out. */
static inline bool fields_may_miss(const rpc_field *field)
{
    return field->optional || field->default_json;
}

/* Whether the field has a range: without one a number is only bounded by its kind. */
static inline bool fields_has_range(const rpc_field *field)
{
    return field->range.min < field->range.max;
}

/* The integers that the field takes, one of RPC_KIND_INT32 or RPC_KIND_INT64: none if min > max. */
struct fields_bounds {
    int64_t min, max;
};

struct fields_bounds fields_bounds(const rpc_field *field);

/*
 * What the field takes, in words: "a number from -90 to 60", "a string of 1 to 64 characters or null", "an
 * array of 1 to 100 numbers". Cut at capacity, that of out, which is at most FIELDS_WHY. Returns out.
 */
const char *fields_describe(const rpc_field *field, char *out, size_t capacity);

/* ---- Walks over a table, which fields_check.c and options.c take, too ---- */

#define FIELDS_NO_INDEX SIZE_MAX

/* One level of objects. The steps are the path to a field, which becomes text only when something is wrong.
 */
struct fields_step {
    struct fields_step *outer;   /* NULL: the outermost */
    const rpc_field *field;      /* the one that the walk is at; NULL: none yet */
    const struct fields *fields; /* decoding: what was prepared for this level; else NULL */
    size_t index;                /* of the field's element; FIELDS_NO_INDEX: the field itself */
};

struct fields_walk {
    struct arena *arena;      /* decoding */
    bool copies;              /* likewise: strings are copied into it */
    struct writer *writer;    /* encoding */
    char *why;                /* FIELDS_WHY bytes */
    struct fields_step *step; /* the innermost; NULL: none */
};

/* A step below that of the walk, to be made the walk's own. fields: NULL unless something is decoded. */
static inline struct fields_step fields_enter(const struct fields_walk *walk, const struct fields *fields)
{
    return (struct fields_step){.outer = walk->step, .fields = fields, .index = FIELDS_NO_INDEX};
}

/* Explains what is wrong where the walk is: the path and then the text. Returns RPC_INVALID_PARAMS. */
rpc_status fields_misfit(struct fields_walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What one kind of field needs. */
struct fields_kind {
    rpc_status (*decode)(const rpc_field *field, const cJSON *value, void *member, struct fields_walk *walk);
    rpc_status (*encode)(const rpc_field *field, const void *member, struct fields_walk *walk);
    const char *type;       /* in JSON Schema; NULL: any */
    const char *one, *many; /* a value of this kind, and several, in words */
    size_t size;            /* of the C member; 0: as the field says */
    bool absent_by_null;    /* the member itself can say that it was left out */
};

enum { FIELDS_KINDS = RPC_KIND_OBJECT + 1 };

extern const struct fields_kind fields_kinds[FIELDS_KINDS];

/*
 * Decodes the field at which the walk is into the struct at out. value: NULL if it is not there; fallback:
 * what stands in for it then, or NULL. Returns what fields_decode() does.
 */
rpc_status fields_decode_member(const rpc_field *field, const cJSON *value, const cJSON *fallback, char *out,
                                struct fields_walk *walk);

#endif
