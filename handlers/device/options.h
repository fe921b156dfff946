// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The options of the module device, as plugin_opt_device_{member} sets them; device.c has their table.
 *
 * Threads, Ownership, Failure: plain data; the engine owns it, and it does not change. What changes while the
 * broker runs, guard_requests and groups, the module keeps elsewhere.
 */
#ifndef DEVICE_OPTIONS_H
#define DEVICE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* By what a connection is known as a device's. */
enum device_identity { IDENTITY_CLIENT, IDENTITY_USER };

/* To whom commands are published: the subscribers of the device's topic, or its connection alone. */
enum device_delivery { DELIVER_TO_SUBSCRIBERS, DELIVER_TO_CLIENT };

struct device_options {
    const char *topic; /* the root of the device topics; NULL: the usual one; "none": there are none */
    enum device_identity identity;
    const char *gateways; /* user names, separated by spaces; NULL: none */
    const char *managed;  /* device names, separated by spaces, or "*"; NULL: none */
    bool guard_requests;
    bool call;       /* device.call is open */
    bool undeclared; /* commands that no module declares are passed on */
    bool known_only; /* a device that was never seen is device_unknown */
    bool adopt;
    enum device_delivery delivery;
    int32_t window;       /* commands of one device in flight */
    int32_t max_payload;  /* bytes of a message to a device */
    int32_t retries;      /* of one command */
    int32_t queue;        /* commands of one device that wait */
    int32_t commands_max; /* live commands of all devices */
    int64_t ttl, ttl_max; /* s, of queued commands: the usual one, the most a caller may ask for */
    int32_t max;          /* devices */
    int32_t fanout_rate;  /* commands of group calls that are sent in a second */
    int32_t heartbeat;    /* ms between two messages of a device; 0: not watched */
    int32_t grace;        /* ms from the end of a connection until its device is offline */
    const char *groups;   /* name=d1,d2 words; NULL: none */
    const char *db;       /* file of the SQLite database, or ":memory:" */
};

#endif
