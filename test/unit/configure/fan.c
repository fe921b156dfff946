// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Has no line RPC_MODULE(fan, ...) of its own. */
#include <mosquitto_rpc.h>

// RPC_MODULE(fan, .doc = "Fans.");
