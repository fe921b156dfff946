// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A module where none is looked for. */
#include <mosquitto_rpc.h>

RPC_MODULE(paper, .doc = "Papers.");
