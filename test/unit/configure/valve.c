// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A module that is right, but has a namesake. */
#include <mosquitto_rpc.h>

RPC_MODULE(valve, .doc = "Valves.");
