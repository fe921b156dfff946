// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A walk over a field table, which keeps the path to the field that it is at, for explanations. A path is a
 * chain of steps on the stack; it becomes text only when something is wrong.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: steps lie on the stack of the functions that walk; a walk borrows all that it points at.
 *
 * Failure: an explanation that is too long is cut between two characters.
 */
#ifndef CORE_SHAPE_FIELDS_WALK_H
#define CORE_SHAPE_FIELDS_WALK_H

#include <mosquitto_rpc.h>

struct arena;
struct fields;
struct writer;

enum { FIELDS_WHY = 480 }; /* bytes that hold any explanation of a field */

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

/* The name of a field on the wire. */
static inline const char *fields_name(const rpc_field *field)
{
    return field->name ? field->name : field->member;
}

/* A step below that of the walk, to be made the walk's own. fields: NULL unless something is decoded. */
static inline struct fields_step fields_enter(const struct fields_walk *walk, const struct fields *fields)
{
    return (struct fields_step){.outer = walk->step, .fields = fields, .index = FIELDS_NO_INDEX};
}

/* Explains what is wrong where the walk is: the path and then the text. Returns RPC_INVALID_PARAMS. */
rpc_status fields_misfit(struct fields_walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends to a string, whose memory has `capacity` bytes. */
void fields_append(char *out, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
