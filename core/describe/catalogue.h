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
#include "shape/writer.h"

struct catalogue {
    const rpc_module *const *modules; /* in the order of their start, ending with NULL */
    const struct engine_options *options;
};

/* Whether the payload of the method's calls is no JSON. */
bool catalogue_takes_bytes(const rpc_method *method);

/* Whether members that the method does not declare are refused. */
bool catalogue_is_strict(const struct catalogue *catalogue, const rpc_method *method);

/*
 * The schema of what an event carries: its data, or the results and errors of the methods that announce it.
 * It is the value of a member that has just been named.
 */
void catalogue_write_event_schema(const rpc_module *module, const rpc_event *event, struct writer *writer);

/* A member that is the topic {prefix}{middle}{name}. */
void catalogue_write_topic(const struct catalogue *catalogue, struct writer *writer, const char *member,
                           const char *middle, const char *name);

#endif
