// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The OpenRPC 1.3.2 document of a service. Extensions hold what OpenRPC has no word for:
 *
 *   x-mqtt      in a method: its topics, highest QoS, what its payload is, whether it is read-only or
 *               idempotent, the levels in braces of a family, its events
 *   x-progress  in a method or a command: the Content Descriptor of its interim replies, if it declares any
 *   x-errors    in a method: the errors it declares, each with the schema of its error object
 *   x-params    in a method that workers declare: the schema of all its parameters, as it was declared
 *   x-workers   in a method or an event that workers declare: the names of those that do
 *   x-causes    in a command: the errors that the device may report, each with the schema of its error object
 *   x-unit      in a schema: the unit of a number
 *   x-events    in the document: every event, with its topic and the schema of its payload; of a keyed event
 *               also its key and the topics of its values
 *   x-devices   in the document: the commands of each kind of devices, as Method Objects
 *   x-topics    in the document: the topics that methods and events share, as far as they are in force
 *   x-limits    in the document: the limits of sizes, rates and times; how long a duplicate is recognised
 *
 * Threads: any. These functions touch nothing but their arguments, and the titles.
 *
 * Ownership: these functions keep no pointer beyond the call.
 *
 * Failure: what does not fit into a writer sets its `full`; without memory for a title the `failed` of the
 * titles is set. Nothing else can fail.
 */
#ifndef CORE_DESCRIBE_OPENRPC_H
#define CORE_DESCRIBE_OPENRPC_H

#include "describe/catalogue.h"

/* The whole document. */
void openrpc_write(const struct catalogue *catalogue, struct writer *writer);

/* One Method Object of the document, as it stands there, but for schemas that the document shares: these
 * stand where they are used. */
void openrpc_write_method(const struct catalogue *catalogue, const rpc_module *module,
                          const rpc_method *method, struct writer *writer);

/* One Method Object of a method that workers declare, and one element of x-events of such an event. */
void openrpc_write_declared_method(const struct catalogue *catalogue, const struct foreign_row *row,
                                   struct writer *writer);
void openrpc_write_declared_event(const struct catalogue *catalogue, const struct foreign_row *row,
                                  struct writer *writer);

/* One Method Object of x-devices, as it stands there. */
void openrpc_write_command(const struct catalogue *catalogue, const rpc_module *module,
                           const rpc_command *command, struct writer *writer);

/* One element of x-events, as it stands there. */
void openrpc_write_event(const struct catalogue *catalogue, const rpc_module *module, const rpc_event *event,
                         struct writer *writer);

#endif
