// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Tables: RPC_TABLE() and the shapes count the rows of an array, not of a pointer. WRONG=n has a pointer.
 * Says: RPC_TABLE() takes an array of methods, events, errors, commands, inboxes, gauges or texts, no pointer
 * Says: RPC_OBJECT_SHAPE() and RPC_VALUE_SHAPE() take an array of fields, no pointer
 */
#include <mosquitto_rpc.h>

struct sample {
    int value;
};

static const char *const texts[] = {"red", "green"};
static const rpc_field fields[] = {
    RPC_CHOICE(struct sample, value, .doc = "a colour", .choices = RPC_TABLE(texts)),
};
static const rpc_error errors[] = {{.code = "dark"}};
static const rpc_method methods[] = {{.name = "paint", .errors = RPC_TABLE(errors)}};
static const rpc_event events[] = {{.name = "painted"}};
static const rpc_inbox inboxes[] = {{.topic = "colour"}};
static const rpc_command commands[] = {{.name = "dim", .errors = RPC_TABLE(errors)}};

extern const rpc_shape object, value;
const rpc_shape object = RPC_OBJECT_SHAPE(struct sample, fields);
const rpc_shape value = RPC_VALUE_SHAPE(struct sample, fields);
RPC_MODULE(right, .methods = RPC_TABLE(methods), .events = RPC_TABLE(events), .inboxes = RPC_TABLE(inboxes));
RPC_MODULE(kind, .commands = RPC_TABLE(commands));
RPC_MODULE(literal, .methods = RPC_TABLE((const rpc_method[]){{.name = "a"}, {.name = "b"}}));

#if WRONG == 1
static const rpc_method *const pointer = methods;
RPC_MODULE(wrong, .methods = RPC_TABLE(pointer));
#elif WRONG == 2
static const rpc_event *const pointer = events;
RPC_MODULE(wrong, .events = RPC_TABLE(pointer));
#elif WRONG == 3
static const rpc_inbox *const pointer = inboxes;
RPC_MODULE(wrong, .inboxes = RPC_TABLE(pointer));
#elif WRONG == 4
static const rpc_error *const pointer = errors;
static const rpc_method failing[] = {{.name = "a", .errors = RPC_TABLE(pointer)}};
#elif WRONG == 5
static const char *const *const pointer = texts;
static const rpc_field chosen[] = {RPC_CHOICE(struct sample, value, .choices = RPC_TABLE(pointer))};
#elif WRONG == 6
static const rpc_field *const pointer = fields;
static const rpc_shape shape = RPC_OBJECT_SHAPE(struct sample, pointer);
#elif WRONG == 7
static const rpc_field *const pointer = fields;
static const rpc_shape shape = RPC_VALUE_SHAPE(struct sample, pointer);
#elif WRONG == 8
static const rpc_command *const pointer = commands;
RPC_MODULE(wrong, .commands = RPC_TABLE(pointer));
#elif WRONG == 9
static const rpc_error *const pointer = errors;
static const rpc_command failing[] = {{.name = "a", .errors = RPC_TABLE(pointer)}};
#endif
