// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Has another name than its module. */
#include <mosquitto_rpc.h>

RPC_MODULE(pumps, .doc = "Pumps.");
