// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A test of modules, as the files of the kit share it: a service on a fake host, its configuration and its
 * client. Users see include/mosquitto_rpc_testing.h.
 *
 * Threads: the test's thread only.
 *
 * Ownership: a test owns its service, its configurations and the text of its options, and borrows what its
 * client points at.
 *
 * Failure: where there is no memory, the program ends. Whatever else fails is reported on stderr.
 */
#ifndef TESTING_KIT_H
#define TESTING_KIT_H

#include "config.h"
#include "fake_host.h"
#include "service.h"

#include <mosquitto_rpc_testing.h>

enum { KIT_PROPERTIES = 8, KIT_BOXES = 4 };

struct rpc_test {
    struct fake_host host;
    struct config_host config_host;
    char *text;                /* the options, which the lines point into */
    struct option_lines given; /* as in the configuration of a broker */
    struct config *first, *current;
    struct service *service;
    rpc_test_client client;
    rpc_property properties[KIT_PROPERTIES + 1]; /* of the client; the first one without a name ends them */
    double wall;                                 /* what the wall clock was set to, */
    uint64_t set;                                /* and the monotonic time then */
    uint32_t patience;                           /* ms */
    unsigned calls;
    bool failed;
    size_t shown;                     /* lines of the log that reports have shown */
    bool taken[KIT_BOXES][FAKE_KEPT]; /* messages of the host's boxes */
    rpc_test_message message;         /* the last one that was taken */
    char *payload;                    /* its payload */
};

/* A place in the source of a test. */
struct kit_place {
    const char *file;
    int line;
};

/* Returns memory, or ends the program if it is NULL. */
void *kit_need(void *memory);

/* Writes what is not as expected, with what the log says of it; the test has failed. Returns false. test may
 * be NULL. */
bool kit_report(rpc_test *test, const struct kit_place *place, const char *format, ...) RPC_PRINTF(3, 4);

/* Has the service do what is due, and waits for work. Returns false: some still runs or waits for a thread.
 */
bool kit_settle(rpc_test *test);

#endif
