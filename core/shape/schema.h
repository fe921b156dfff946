// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Field tables as JSON Schema (draft 7), for the documents of discovery. A schema is exact: what it accepts
 * the method accepts, what it refuses is invalid_params. Only rules that hold for every payload's text are
 * beyond any schema: no member twice, no U+0000, no number that is not finite or too long, no nesting that is
 * too deep, which also hold for members that no table declares.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: nothing is allocated.
 *
 * Failure: what does not fit into the writer sets writer->full.
 */
#ifndef CORE_SHAPE_SCHEMA_H
#define CORE_SHAPE_SCHEMA_H

#include "shape/writer.h"

#include <mosquitto_rpc.h>

/*
 * The schema of what has this shape; NULL: of an object of which nothing is known. Raw bytes are no JSON and
 * have the schema that says nothing. strict: objects have no members that no field declares. The shape is one
 * that fields_init() has accepted.
 */
void schema_write(const rpc_shape *shape, bool strict, struct writer *writer);

/* The schema of one field, with its description, unit and default. */
void schema_write_field(const rpc_field *field, bool strict, struct writer *writer);

/* The schema of the error object of an error that a method declares, which may add members. */
void schema_write_error(const rpc_error *error, struct writer *writer);

/* Likewise, with a reference to the schema of what it adds, as schema_write_added() writes it. */
void schema_write_error_with(const rpc_error *error, const char *reference, struct writer *writer);

/* The schema of an object that may have the members of a shape: an error may also be raised without them. */
void schema_write_added(const rpc_shape *shape, struct writer *writer);

/* The schema of an error object as a device reports it, without the member `method`. */
void schema_write_device_error(const rpc_error *error, struct writer *writer);

/* That of the engine's own errors. */
void schema_write_engine_error(struct writer *writer);

/* That of errors of either kind, whatever their codes are. */
void schema_write_any_error(struct writer *writer);

#endif
