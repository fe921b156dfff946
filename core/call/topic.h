// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Topics: the trees of one prefix, the names that may stand in them, and patterns,
 * which are names whose wild levels match any level: `{word}` in the name of a method family, `+` in an
 * inbox.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: topic_of_event() and topic_of_root() return memory that the caller frees with free(). The
 * functions that return a part of a topic return a pointer into it.
 *
 * Failure: topic_of_event() and topic_of_root() return NULL when there is no memory; no other function can
 * fail.
 */
#ifndef CORE_TOPIC_H
#define CORE_TOPIC_H

#include "base/env.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TOPIC_NAME_MAX = 128,    /* bytes of a method's or an event's name, and of an inbox's topic */
    TOPIC_LEVEL_MAX = 128,   /* bytes that a wild level matches */
    TOPIC_WILD_MAX = 8,      /* wild levels of a pattern */
    TOPIC_PREFIX_MAX = 128,  /* bytes of a prefix or an inbox root */
    TOPIC_REPLY_MAX = 256,   /* bytes of a Response Topic or a request_id */
    TOPIC_COUNTER_MAX = 511, /* bytes of a topic below the host's counters_topic, which has at most 200 */
    TOPIC_MAX = 65535,       /* bytes of any topic: MQTT's length field has 16 bits */
    /* bytes that hold {prefix}/event/{name}/{value} with its NUL */
    TOPIC_KEYED_MAX = TOPIC_PREFIX_MAX + sizeof "/event//" + TOPIC_NAME_MAX + TOPIC_LEVEL_MAX,
    TOPIC_CALLED_MAX = TOPIC_NAME_MAX + TOPIC_WILD_MAX * TOPIC_LEVEL_MAX /* bytes of a name as it is called */
};

/* ---- Trees ---- */

enum topic_kind {
    TOPIC_CALL,     /* {prefix}/call/{method} */
    TOPIC_REQUEST,  /* {prefix}/call/{method}/request */
    TOPIC_BATCH,    /* {prefix}/batch/{method} */
    TOPIC_JSONRPC,  /* {prefix}/jsonrpc */
    TOPIC_RESPONSE, /* where replies go: {prefix}/call/…/response/…, {prefix}/jsonrpc/response/… */
    TOPIC_REPLY,    /* {prefix}/reply/…: where replies go with reply_delivery subscribed */
    TOPIC_EVENT,    /* {prefix}/event/… */
    TOPIC_DEAD,     /* {prefix}/dead/…: dead letters */
    TOPIC_WORK      /* {prefix}/work/{worker}/…: between the plugin and a worker */
};

/* Who may publish to the topics of a tree. The guards do not hold for bridges. */
enum topic_sender {
    TOPIC_SENDER_CALLERS,    /* all clients, and bridges with the option bridge_calls */
    TOPIC_SENDER_PUBLISHERS, /* the plugin and the users of the option event_publishers */
    TOPIC_SENDER_PLUGIN,     /* the plugin alone */
    TOPIC_SENDER_WORKER      /* the worker that the topic names, on the connection on which it is attached */
};

/* What must hold for a tree to be served or shown; of several bits, all. */
enum {
    TOPIC_ALWAYS = 0,
    TOPIC_TO_CALLERS = 1,     /* replies go to the caller alone */
    TOPIC_TO_SUBSCRIBERS = 2, /* `reply_delivery subscribed` */
    TOPIC_OPEN = 4,           /* some method is open at {prefix}/jsonrpc */
    TOPIC_LETTERS = 8,        /* dead letters are kept */
    TOPIC_NEVER = 16          /* it does not hold: who writes a worker has the reference */
};

/* Which topics with a tree's level behind the prefix belong to the tree. */
enum topic_extent {
    TOPIC_EXACTLY,      /* the level itself */
    TOPIC_BELOW,        /* those below the level; what follows is the method */
    TOPIC_BELOW_ENDING, /* likewise, those whose last level is "request" */
    TOPIC_BELOW_WITH,   /* those below the level that have a level "response" */
    TOPIC_BELOW_SECOND, /* those below the level whose second level there is that of the pattern */
    TOPIC_SUBTREE       /* the level and all below it: a subscription to a/# sees messages to a */
};

/* A row of the table of trees. */
struct topic_tree {
    const char *word;  /* its key in documents */
    const char *level; /* the first level behind the prefix, or the first two; NULL: that of the row before */
    const char *pattern; /* what stands behind the prefix, for readers */
    enum topic_extent extent;
    enum topic_kind kind;
    enum topic_sender sender;
    unsigned served; /* when the engine looks at its messages */
    unsigned shown;  /* when documents of a running service have it */
    const char *doc;
};

/* The table of trees, in the order of documents: the first one is that of calls; it ends with a NULL word. */
extern const struct topic_tree topic_trees[];

/* The event that errors go to when nothing else is declared for them. */
#define TOPIC_ERROR_EVENT "error"
#define TOPIC_ERROR_DOC "an error that has no event of its own, of a call that asked for no reply"

#define TOPIC_DEAD_DOC \
    "a dead letter: a call that failed with nobody to tell, or a command that a device did not carry out"

#define TOPIC_REQUEST_LEVEL "/request"

/*
 * The tree of prefix that topic belongs to; NULL: none. *method gets the part of topic that names a method:
 * behind "call/" or "batch/", of TOPIC_REQUEST with TOPIC_REQUEST_LEVEL at its end; it need not be a valid
 * name.
 */
const struct topic_tree *topic_classify(const char *prefix, const char *topic, const char **method);

/* How many bytes of a reply's topic, behind "call/", are the name of the method: all before "/response". */
size_t topic_replied_length(const char *method);

/* Whether all of needs, bits of TOPIC_ALWAYS and the following, holds under these options. */
bool topic_is_in_force(const struct engine_options *options, unsigned needs);

/* ---- Names and patterns ---- */

/* Whether name can be a method's or an event's. */
bool topic_is_name(const char *name);

/* Whether text can be one level of a topic to publish to, as the value of a key is: 1 to TOPIC_LEVEL_MAX
   bytes of well-formed UTF-8 without '/', wildcards and control characters. */
bool topic_is_level(const char *text);

/* Whether text can be one level of [A-Za-z0-9_.-]+, of at most TOPIC_LEVEL_MAX bytes, as a worker's name is.
 */
bool topic_is_plain_level(const char *text);

/* Whether name can be a method family's: levels of names, and 1 to TOPIC_WILD_MAX levels `{word}`, each word
   [A-Za-z0-9_]+ and different from the others. */
bool topic_is_family(const char *name);

/* Whether topic can be an inbox's below its root: levels of [A-Za-z0-9_.-]+ and at most TOPIC_WILD_MAX levels
   `+`. */
bool topic_is_inbox(const char *topic);

/* How many levels of a pattern are wild. */
size_t topic_count_wild(const char *pattern);

/* The first level of a pattern from here on that is wild; NULL: none. */
const char *topic_find_wild(const char *pattern);

/*
 * Whether a topic or a name has the levels of a pattern. A wild level matches 1 to TOPIC_LEVEL_MAX bytes of
 * well-formed UTF-8 without wildcards and control characters; a level in braces matches neither "response"
 * nor "request".
 */
bool topic_matches(const char *pattern, const char *topic);

/* Whether some topic would match both patterns. */
bool topic_patterns_meet(const char *one, const char *other);

/* ---- Prefixes, roots and whole topics ---- */

/* Whether prefix can be served, as a prefix or as an inbox root: a topic of 1 to TOPIC_PREFIX_MAX bytes
   without empty levels but the first one. */
bool topic_is_prefix(const char *prefix);

/* What stands in topic behind root and the '/' that follows it; NULL: topic is not below root. */
const char *topic_below(const char *root, const char *topic);

/* The level below a prefix's counters where the documents of its methods are. */
#define TOPIC_METHOD_LEVEL "method"

/* Whether some topic would belong to both prefixes. */
bool topic_prefixes_clash(const char *one, const char *other);

/* Whether some topic of prefix would lie below an inbox root, or the other way round. */
bool topic_root_clashes(const char *root, const char *prefix);

/* Whether two inbox roots are the same, or one lies below the other. */
bool topic_roots_clash(const char *one, const char *other);

/* {prefix}/event/{name} */
char *topic_of_event(const char *prefix, const char *name);

/* The prefix with its last level replaced. */
char *topic_of_root(const char *prefix, const char *level);

/* Whether filter can be subscribed to: + is a whole level and # the last one. */
bool topic_is_filter(const char *filter);

#endif
