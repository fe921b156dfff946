// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Field tables as JSON Schema (draft 7), for the documents of discovery. A schema is exact: what it accepts
 * the method accepts, what it refuses is invalid_params. Only rules that hold for every payload's text are
 * beyond any schema: no member twice, no U+0000, no number that is not finite or too long, no nesting that is
 * too deep, which also hold for members that no table declares.
 *
 * Threads: any. These functions touch nothing but their arguments and the titles.
 *
 * Ownership: nothing is allocated but titles.
 *
 * Failure: what does not fit into the writer sets writer->full. Without memory for a title there is none.
 */
#ifndef CORE_SHAPE_SCHEMA_H
#define CORE_SHAPE_SCHEMA_H

#include "shape/titles.h"
#include "shape/writer.h"

#include <mosquitto_rpc.h>

/*
 * What names the schemas of objects. Without it they have no titles. The outermost object is named by where
 * it stands: `updateSensor` and `Params` make UpdateSensorParams. An object in it is named by its struct,
 * with the module's name before it.
 */
struct schema_name {
    struct titles *titles;
    const char *module; /* whose shape it is */
    const char *what;   /* a name of the module's: of a method, an event, … */
    const char *role;   /* what the schema is of that; begins with a capital */
};

/*
 * The schema of what has this shape; NULL: of an object of which nothing is known. Raw bytes are no JSON and
 * have the schema that says nothing. strict: objects have no members that no field declares. The shape is one
 * that fields_init() has accepted. name may be NULL.
 */
void schema_write(const rpc_shape *shape, bool strict, const struct schema_name *name, struct writer *writer);

/* The schema of one field, with its description, unit and default. */
void schema_write_field(const rpc_field *field, bool strict, const struct schema_name *name,
                        struct writer *writer);

/* Whose errors a schema is for. */
enum schema_source {
    SCHEMA_METHOD, /* the error that a method declares, which may add members */
    SCHEMA_DEVICE, /* likewise, as a device reports it, without the member `method` */
    SCHEMA_ENGINE, /* the engine's own errors */
    SCHEMA_ANY     /* all errors, of every code */
};

/* The schema of an error object. error: NULL with SCHEMA_ENGINE and SCHEMA_ANY. reference: to the schema of
 * what the error adds, as schema_write_added() writes it; NULL: it is written here. Of name, which may be
 * NULL, what and role are not used; the same holds for the functions below. */
void schema_write_error(const rpc_error *error, enum schema_source source, const char *reference,
                        const struct schema_name *name, struct writer *writer);

/* The schema of an object that may have the members of a shape: an error may also be raised without them. */
void schema_write_added(const rpc_shape *shape, const struct schema_name *name, struct writer *writer);

/* The titles of these schemas. NULL: they have none. */
const char *schema_title_error(const rpc_error *error, enum schema_source source,
                               const struct schema_name *name);
const char *schema_title_added(const rpc_shape *shape, const struct schema_name *name);

/* The title of an object with members that no shape describes, as a member of the object that is open. */
void schema_write_title(const struct schema_name *name, struct writer *writer);

#endif
