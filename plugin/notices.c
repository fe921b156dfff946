// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What the log tells once: see notices.h. */
#include "notices.h"

#include "base/text.h"
#include "compat/mosquitto_headers.h"
#include "sockets.h"

#include <stdio.h>
#include <string.h>

void notices_log_reply(struct notices *notices, const char *client, const char *topic)
{
    enum { SHOWN = 100 };
    char safe_client[SHOWN], safe_topic[SHOWN];
    const struct digest digest = digest_of(0, &(const struct digest_part){client, strlen(client)}, 1);
    for (unsigned i = 0; i < notices->client_count; i++) {
        if (memcmp(&notices->clients[i], &digest, sizeof digest) == 0)
            return;
    }
    notices->clients[notices->client_count++] = digest;
    mosquitto_log_printf(
        MOSQ_LOG_NOTICE,
        "mosquitto-rpc: reply to %s only: replies go to the client that called, whether or not "
        "it has subscribed, and to no other subscriber of %s%s",
        text_printable(client, safe_client, sizeof safe_client),
        text_printable(topic, safe_topic, sizeof safe_topic),
        notices->client_count < NOTICES_CLIENTS ? "" : "; this is not logged of further clients");
}

void notices_log_delay(struct notices *notices, const struct mosquitto *client)
{
    const char *address = mosquitto_client_address(client);
    if (!address || mosquitto_client_protocol(client) != mp_mqtt)
        return;
    notices->asked_delay = true;
    if (sockets_delay(address))
        mosquitto_log_printf(MOSQ_LOG_NOTICE,
                             "mosquitto-rpc: TCP may delay replies by 40 ms or more, since the broker's "
                             "configuration does not have the line set_tcp_nodelay true");
}
