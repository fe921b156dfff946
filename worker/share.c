// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The mode `share`: see share.h. */
#include "share.h"

#include "calls.h"

/* The group that `auto` shares calls in, too. */
static const char *share_group(const struct worker *worker)
{
    return worker->options->share ? worker->options->share : "rpc";
}

static void share_connected(struct worker *worker)
{
    if (worker->connection.has_shared) {
        calls_subscribe(worker, share_group(worker));
        return;
    }
    worker_log(RPC_LOG_ERROR, "broker %.300s: it has no shared subscriptions: try --rendezvous",
               worker->options->broker);
    worker_fail(worker);
}

static void share_subscribed(struct worker *worker, int mid, int reason)
{
    if (calls_subscribed(worker, mid, reason))
        worker_ready(worker);
}

static void share_drain(struct worker *worker)
{
    calls_unsubscribe(worker, share_group(worker));
}

static void share_message(struct worker *worker, const struct mosquitto_message *received,
                          const mosquitto_property *properties)
{
    struct client_message message;
    if (calls_answer_all(worker, received, properties) || calls_is_reply(worker, received->topic))
        return;
    client_message_init(&message, received, properties);
    worker_receive(worker, &message.seen);
    client_message_fini(&message);
}

static void share_handled(struct worker *worker, const void *mark)
{
    (void)worker, (void)mark; /* of calls to all */
}

const struct worker_mode share_mode = {
    .word = "share",
    .connected = share_connected,
    .subscribed = share_subscribed,
    .message = share_message,
    .publish = calls_publish,
    .handled = share_handled,
    .drain = share_drain,
};
