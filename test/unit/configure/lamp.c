// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Has two modules. */
#include <mosquitto_rpc.h>

RPC_MODULE(lamp, .doc = "Lamps.");

RPC_MODULE(lamps, .doc = "More lamps.");
