// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The worker's own options: options.c defines rpc_host of core/config.h for mosquitto_rpc_worker.
 *
 * Threads: any; all is constant.
 *
 * Ownership: the configuration that the options are part of owns their texts.
 *
 * Failure: see core/config.h.
 */
#ifndef WORKER_OPTIONS_H
#define WORKER_OPTIONS_H

#include <mosquitto_rpc.h>

/* The worker's own options: host_options of struct config. NULL: a text was not given. */
struct worker_options {
    const char *config;
    const char *broker; /* see broker_address_read() */
    const char *user, *password_file;
    const char *cafile, *capath, *cert, *key;
    bool system_certs, insecure;
    const char *client_id;
    const char *name;
    int32_t keepalive; /* seconds */
    int64_t drain;     /* ms */
    bool attach, rendezvous, automatic;
    const char *share;
    int32_t window;
    const char *methods;
};

enum { WORKER_NAME_MAX = 64 }; /* bytes of a worker's name */

/* A broker's address, taken apart. */
struct broker_address {
    char host[256]; /* a name, an IPv4 or IPv6 address, or the path of a socket */
    int port;       /* 0: of a Unix domain socket */
};

/* Takes HOST, HOST:PORT, [IPv6]:PORT or unix:PATH apart. Returns false: it is none of these. */
bool broker_address_read(const char *text, bool tls, struct broker_address *address);

/* Whether the connection is to have TLS. */
bool worker_options_have_tls(const struct worker_options *options);

/* Whether a text can be a worker's name: one level of [A-Za-z0-9_.-]. */
bool worker_is_name(const char *text);

#endif
