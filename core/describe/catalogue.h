// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What there is to describe: the modules of one prefix and the limits under which they answer. Everything
 * that describes the service reads this and the tables behind it: rpc.discover inside the broker, and the
 * program that prints the manual's reference, which starts no module.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: a catalogue borrows the modules and the options. These functions keep no pointer beyond the
 * call.
 *
 * Failure: what does not fit into a writer sets its `full`; nothing else can fail.
 */
#ifndef CORE_DESCRIBE_CATALOGUE_H
#define CORE_DESCRIBE_CATALOGUE_H

#include "base/env.h"
#include "call/topic.h"
#include "shape/schema.h"
#include "shape/writer.h"

struct catalogue {
    const rpc_module *const *modules; /* in the order of their start, ending with NULL */
    const struct engine_options *options;
    struct titles *titles; /* of the document's schemas */
    bool shares;           /* the document has room for schemas of errors, which others refer to */
};

/* What names a schema of a module: see schema_name. */
struct schema_name catalogue_name(const struct catalogue *catalogue, const rpc_module *module,
                                  const char *what, const char *role);

/* The beginning of the name under which a command is called. The word in braces stands for the device. */
#define CATALOGUE_DEVICE "device/{device}/"

/* What follows the name of a keyed event in the topics of its values. */
#define CATALOGUE_KEY "/{key}"

/* Where a document that shares has schemas, by their titles. */
#define CATALOGUE_SCHEMAS "#/components/schemas/"

enum {
    CATALOGUE_REFERENCE = sizeof CATALOGUE_SCHEMAS + TITLES_MAX
}; /* bytes that hold any reference to one */

enum {
    CATALOGUE_NAME = sizeof CATALOGUE_DEVICE + 2 * TOPIC_NAME_MAX
}; /* bytes of the name of any command's calls, and of any command with its kind */

/*
 * The method by which a command is called, for what describes methods. It has no functions, says that it
 * defers, and has no errors, since those of a command are the device's. It borrows the command's table; its
 * name is `name`, which the function writes.
 */
rpc_method catalogue_make_method(const rpc_command *command, char name[CATALOGUE_NAME]);

/* The name of a command in titles and keys: {kind}/{name}. */
const char *catalogue_name_command(const rpc_module *module, const rpc_command *command,
                                   char name[CATALOGUE_NAME]);

/* Whether the calls of a method may take time, so that they have a deadline. */
bool catalogue_takes_time(const rpc_method *method);

/* Whether the payload of the method's calls is no JSON. */
bool catalogue_takes_bytes(const rpc_method *method);

/* Whether members that the method does not declare are refused. */
bool catalogue_is_strict(const struct catalogue *catalogue, const rpc_method *method);

/* A reference to the schema of a document that shares which has this title. Returns reference. */
const char *catalogue_refer(const char *title, char reference[CATALOGUE_REFERENCE]);

/* Whether several errors of the module's methods add the members of this shape to their error objects. */
bool catalogue_shares(const rpc_module *module, const rpc_shape *data);

/* The schema of an error that a method of the module declares, or a reference to it, if the document shares.
 */
void catalogue_write_error(const struct catalogue *catalogue, const rpc_module *module,
                           const rpc_error *error, struct writer *writer);

/*
 * The schema of what an event carries: its data, or the results and errors of the methods that announce it.
 * It is the value of a member that has just been named.
 */
void catalogue_write_event_schema(const struct catalogue *catalogue, const rpc_module *module,
                                  const rpc_event *event, struct writer *writer);

/* The event of a module that has this name. NULL: there is none. */
const rpc_event *catalogue_find_event(const rpc_module *module, const char *name);

/* The members that say where an event is published: its topic and, if it is keyed, its key and where its
 * values are. */
void catalogue_write_event_topics(const struct catalogue *catalogue, const rpc_event *event,
                                  struct writer *writer);

/* A member that is the topic {prefix}{middle}{name}. */
void catalogue_write_topic(const struct catalogue *catalogue, struct writer *writer, const char *member,
                           const char *middle, const char *name);

#endif
