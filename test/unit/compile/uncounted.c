// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A table is passed with RPC_TABLE(), or nothing counts its rows. WRONG=n does without it.
 * Says: rpc_count_by_RPC_TABLE
 */
#include <mosquitto_rpc.h>

struct sample {
    int value;
};

static const char *const texts[] = {"red", "green"};
static const rpc_error errors[] = {{.code = "dark"}};
static const rpc_method methods[] = {{.name = "paint", .errors = RPC_TABLE(errors)}};
static const rpc_event events[] = {{.name = "painted"}};
static const rpc_inbox inboxes[] = {{.topic = "colour"}};
static const rpc_command commands[] = {{.name = "dim", .errors = RPC_TABLE(errors)}};
extern const rpc_field fields[1];
const rpc_field fields[] = {RPC_CHOICE(struct sample, value, .doc = "a colour", .choices = RPC_TABLE(texts))};
RPC_MODULE(right, .methods = RPC_TABLE(methods), .events = RPC_TABLE(events), .inboxes = RPC_TABLE(inboxes));
RPC_MODULE(kind, .commands = RPC_TABLE(commands));

#if WRONG == 1
RPC_MODULE(wrong, .methods = methods);
#elif WRONG == 2
RPC_MODULE(wrong, .events = events);
#elif WRONG == 3
RPC_MODULE(wrong, .inboxes = inboxes);
#elif WRONG == 4
extern const rpc_method failing;
const rpc_method failing = {.name = "a", .errors = errors};
#elif WRONG == 5
extern const rpc_field chosen;
const rpc_field chosen = RPC_CHOICE(struct sample, value, .choices = texts);
#elif WRONG == 6
RPC_MODULE(wrong, .commands = commands);
#elif WRONG == 7
extern const rpc_command refusing;
const rpc_command refusing = {.name = "a", .errors = errors};
#endif
