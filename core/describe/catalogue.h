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
#include "shape/writer.h"

struct catalogue {
    const rpc_module *const *modules; /* in the order of their start, ending with NULL */
    const struct engine_options *options;
    bool shares; /* the document has room for schemas that several errors refer to */
};

/* The beginning of the name under which a command is called. The word in braces stands for the device. */
#define CATALOGUE_DEVICE "device/{device}/"

enum {
    CATALOGUE_NAME = sizeof CATALOGUE_DEVICE + TOPIC_NAME_MAX
}; /* bytes of the name of any command's calls */

/*
 * The method by which a command is called, for what describes methods. It has no functions, says that it
 * defers, and has no errors, since those of a command are the device's. It borrows the command's table; its
 * name is `name`, which the function writes.
 */
rpc_method catalogue_make_method(const rpc_command *command, char name[CATALOGUE_NAME]);

/* Whether the calls of a method may take time, so that they have a deadline. */
bool catalogue_takes_time(const rpc_method *method);

/* Whether the payload of the method's calls is no JSON. */
bool catalogue_takes_bytes(const rpc_method *method);

/* Whether members that the method does not declare are refused. */
bool catalogue_is_strict(const struct catalogue *catalogue, const rpc_method *method);

/*
 * The number of a shape that several errors of the module's methods add to their error objects: that of the
 * first of these errors, counted over all methods from 1. 0: at most one error has it.
 */
unsigned catalogue_find_shared(const rpc_module *module, const rpc_shape *shape);

/*
 * The schema of what an event carries: its data, or the results and errors of the methods that announce it.
 * It is the value of a member that has just been named.
 */
void catalogue_write_event_schema(const rpc_module *module, const rpc_event *event, struct writer *writer);

/* A member that is the topic {prefix}{middle}{name}. */
void catalogue_write_topic(const struct catalogue *catalogue, struct writer *writer, const char *member,
                           const char *middle, const char *name);

#endif
