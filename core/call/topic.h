// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The topics of one prefix, and the names that may stand in them (protocol, section 1). */
#ifndef CORE_TOPIC_H
#define CORE_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

enum {
    TOPIC_NAME_MAX = 128,   /* bytes of a method's or an event's name */
    TOPIC_PREFIX_MAX = 128, /* bytes of a prefix */
    TOPIC_REPLY_MAX = 256,  /* bytes of a Response Topic or a request_id */
    TOPIC_MAX = 65535       /* bytes of any topic: MQTT's length field has 16 bits */
};

enum topic_kind {
    TOPIC_FOREIGN,  /* nothing that the engine has to do with */
    TOPIC_CALL,     /* {prefix}/call/{method} */
    TOPIC_REQUEST,  /* {prefix}/call/{method}/request */
    TOPIC_BATCH,    /* {prefix}/batch/{method} */
    TOPIC_JSONRPC,  /* {prefix}/jsonrpc */
    TOPIC_RESPONSE, /* where replies go: {prefix}/call/…/response/…, {prefix}/jsonrpc/response/… */
    TOPIC_REPLY,    /* {prefix}/reply/…: where they go with reply_delivery subscribed */
    TOPIC_EVENT     /* {prefix}/event/… */
};

#define TOPIC_REQUEST_LEVEL "/request"

/*
 * What topic is to prefix. *method gets the part of topic that names a method: behind "call/" or "batch/",
 * of TOPIC_REQUEST with TOPIC_REQUEST_LEVEL at its end; it need not be a valid name. Parents of a subtree
 * belong to it, since a subscription to a/# sees messages to a.
 */
enum topic_kind topic_classify(const char *prefix, const char *topic, const char **method);

/* Whether name can be a method's or an event's. */
bool topic_is_name(const char *name);

/* Whether prefix can be served: a topic of 1 to TOPIC_PREFIX_MAX bytes without empty levels. */
bool topic_is_prefix(const char *prefix);

/* {prefix}/event/{name}, to be freed with free(). NULL: no memory. */
char *topic_of_event(const char *prefix, const char *name);

/* Whether filter can be subscribed to: + is a whole level and # the last one. */
bool topic_is_filter(const char *filter);

/* Whether some topic would belong to both prefixes. */
bool topic_prefixes_clash(const char *one, const char *other);

#endif
