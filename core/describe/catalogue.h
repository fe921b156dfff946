// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What there is to describe: the modules of one prefix and the limits under which they answer. Everything
 * that describes the service reads this and the tables behind it: rpc.discover inside the broker, and the
 * program that prints the manual's reference, which starts no module.
 *
 * Threads: any. These functions touch nothing but their arguments, and the titles.
 *
 * Ownership: a catalogue borrows the modules, the options and the titles. These functions keep no pointer
 * beyond the call.
 *
 * Failure: what does not fit into a writer sets its `full`; without memory for a title the `failed` of the
 * titles is set. Nothing else can fail.
 */
#ifndef CORE_DESCRIBE_CATALOGUE_H
#define CORE_DESCRIBE_CATALOGUE_H

#include "base/env.h"
#include "call/foreign.h"
#include "call/topic.h"
#include "shape/schema.h"
#include "shape/writer.h"

struct catalogue {
    const rpc_module *const *modules; /* in the order of their start, ending with NULL */
    const struct engine_options *options;
    const struct foreign *foreign; /* what workers declare; NULL: nothing */
    struct titles *titles;         /* of the document's schemas */
    bool shares; /* the document has schemas of errors in #/components/schemas, to which others refer */
};

/* What names a schema of a module: see schema_name. */
struct schema_name catalogue_name(const struct catalogue *catalogue, const rpc_module *module,
                                  const char *what, const char *role);

/* The beginning of the name under which a command is called. The word in braces stands for the device. */
#define CATALOGUE_DEVICE "device/{device}/"

/* What follows the name of a keyed event in the topics of its values. */
#define CATALOGUE_KEY "/{key}"

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

/* The schema of an error that a method of the module declares, or a reference to it, if the document shares.
 */
void catalogue_write_error(const struct catalogue *catalogue, const rpc_module *module,
                           const rpc_error *error, struct writer *writer);

/* The schemas to which catalogue_write_error() refers, as members of the object that is open. */
void catalogue_write_shared(const struct catalogue *catalogue, struct writer *writer);

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
