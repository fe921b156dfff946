// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A module that is right, but whose folder has another module. */
#include <mosquitto_rpc.h>

RPC_MODULE(folder, .doc = "Folders.");
