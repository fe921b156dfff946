// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the log tells people who have just begun with the plugin: that replies are private, and that TCP may
 * delay them. Each is logged once, so that it costs nothing later.
 *
 * Threads: the broker's.
 *
 * Ownership: a struct notices is embedded in its owner, and plain data.
 *
 * Failure: without memory for a line it is not logged.
 */
#ifndef PLUGIN_NOTICES_H
#define PLUGIN_NOTICES_H

#include "base/digest.h"

#include <stdbool.h>

struct mosquitto;

enum { NOTICES_CLIENTS = 20 };

/* All zero: nothing was logged. */
struct notices {
    struct digest clients[NOTICES_CLIENTS]; /* those whose first reply was logged */
    unsigned client_count;
    bool asked_delay; /* whether TCP delays replies is known */
};

/*
 * A reply goes to a client, and to no other. People wait for it in another one, so the first one of each
 * client is logged; as they try that with a few clients, NOTICES_CLIENTS are enough. Not to be called when
 * there are so many.
 */
void notices_log_reply(struct notices *notices, const char *client, const char *topic);

/*
 * A client calls, of which the first one over plain MQTT shows whether the broker lets TCP delay what it
 * sends: the broker sets TCP_NODELAY of the sockets that it accepts. Not to be called once that is known.
 */
void notices_log_delay(struct notices *notices, const struct mosquitto *client);

#endif
