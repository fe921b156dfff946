// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Can be built and described: a module with commands of devices and without methods. */
#include <mosquitto_rpc.h>

static const rpc_command commands[] = {{.name = "boil", .doc = "Boils water."}};

RPC_MODULE(kettle, .doc = "Kettles.", .commands = RPC_TABLE(commands));
