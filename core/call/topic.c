// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Topics, names and patterns: see topic.h. */
#include "call/topic.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rest of topic behind `level`, its '/' included, where topic begins with that level; else NULL. It is
 * asked of every message that the broker gets. */
static const char *topic_behind_level(const char *topic, const char *level)
{
    while (*level && *topic == *level)
        topic++, level++;
    return !*level && (*topic == '/' || *topic == '\0') ? topic : NULL;
}

static bool topic_has_level(const char *topic, const char *level)
{
    for (;;) {
        if (topic_behind_level(topic, level))
            return true;
        topic = strchr(topic, '/');
        if (!topic)
            return false;
        topic++;
    }
}

/* ---- Trees ---- */

const struct topic_tree topic_trees[] = {
    {"call", "call", "call/{method}", TOPIC_BELOW, TOPIC_CALL, TOPIC_SENDER_CALLERS, TOPIC_ALWAYS,
     TOPIC_ALWAYS, "call a method; the payload is its parameters, nothing around them"},
    {"request", NULL, "call/{method}" TOPIC_REQUEST_LEVEL, TOPIC_BELOW_ENDING, TOPIC_REQUEST,
     TOPIC_SENDER_CALLERS, TOPIC_ALWAYS, TOPIC_ALWAYS,
     "the same for clients of JSON-RPC 2.0 that add the last level"},
    {"response", NULL, "call/{method}/response/{token}", TOPIC_BELOW_WITH, TOPIC_RESPONSE,
     TOPIC_SENDER_PLUGIN, TOPIC_ALWAYS, TOPIC_TO_CALLERS,
     "the reply to a call without a Response Topic; it reaches the caller alone"},
    {"batch", "batch", "batch/{method}", TOPIC_BELOW, TOPIC_BATCH, TOPIC_SENDER_CALLERS, TOPIC_ALWAYS,
     TOPIC_ALWAYS, "call one method many times; the payload is an array of parameters, in order"},
    {"jsonrpc", "jsonrpc", "jsonrpc", TOPIC_EXACTLY, TOPIC_JSONRPC, TOPIC_SENDER_CALLERS, TOPIC_ALWAYS,
     TOPIC_OPEN, "JSON-RPC 2.0 for the methods that the option `jsonrpc_methods` opens"},
    {"jsonrpcResponse", "jsonrpc/response", "jsonrpc/response/{token}", TOPIC_SUBTREE, TOPIC_RESPONSE,
     TOPIC_SENDER_PLUGIN, TOPIC_ALWAYS, TOPIC_TO_CALLERS | TOPIC_OPEN,
     "the reply to a call there without a Response Topic; it reaches the caller alone"},
    {"reply", "reply", "reply/{client id}/…", TOPIC_SUBTREE, TOPIC_REPLY, TOPIC_SENDER_PLUGIN,
     TOPIC_TO_SUBSCRIBERS, TOPIC_TO_SUBSCRIBERS, "all replies, with `reply_delivery subscribed`"},
    {"event", "event", "event/{event}", TOPIC_SUBTREE, TOPIC_EVENT, TOPIC_SENDER_PUBLISHERS, TOPIC_ALWAYS,
     TOPIC_ALWAYS, "an announcement; the payload is its data, nothing around it"},
    {"keyedEvent", NULL, "event/{event}/{key}", TOPIC_SUBTREE, TOPIC_EVENT, TOPIC_SENDER_PUBLISHERS,
     TOPIC_ALWAYS, TOPIC_ALWAYS,
     "an announcement of a keyed event: one topic for each value of the member that is its key"},
    {"error", "event/" TOPIC_ERROR_EVENT, "event/" TOPIC_ERROR_EVENT, TOPIC_SUBTREE, TOPIC_EVENT,
     TOPIC_SENDER_PUBLISHERS, TOPIC_ALWAYS, TOPIC_ALWAYS, TOPIC_ERROR_DOC},
    {"dead", "dead", "dead/{method}", TOPIC_SUBTREE, TOPIC_DEAD, TOPIC_SENDER_PLUGIN, TOPIC_ALWAYS,
     TOPIC_LETTERS, TOPIC_DEAD_DOC},
    {"work", "work", "work/{worker}", TOPIC_SUBTREE, TOPIC_WORK, TOPIC_SENDER_PLUGIN, TOPIC_ALWAYS,
     TOPIC_NEVER, "a call for a worker that is attached; it reaches that worker alone"},
    {"workCancel", NULL, "work/{worker}/cancel", TOPIC_BELOW_SECOND, TOPIC_WORK, TOPIC_SENDER_PLUGIN,
     TOPIC_ALWAYS, TOPIC_NEVER,
     "nobody waits any more for the result of a call that the worker has; it reaches that worker alone"},
    {"workEvent", NULL, "work/{worker}/event/{event}", TOPIC_BELOW_SECOND, TOPIC_WORK, TOPIC_SENDER_WORKER,
     TOPIC_ALWAYS, TOPIC_NEVER, "the data of an event, which the plugin announces"},
    {"workDone", NULL, "work/{worker}/done", TOPIC_BELOW_SECOND, TOPIC_WORK, TOPIC_SENDER_WORKER,
     TOPIC_ALWAYS, TOPIC_NEVER, "the result of a call that the worker has, its error, or an interim reply"},
    {.word = NULL},
};

/* Whether the second levels of two texts are the same. */
static bool topic_has_second(const char *text, const char *other)
{
    const char *level = strchr(text, '/'), *wanted = strchr(other, '/');
    const size_t length = wanted ? strcspn(wanted + 1, "/") : 0;
    return level && wanted && strcspn(level + 1, "/") == length && memcmp(level, wanted, length + 1) == 0;
}

/* Whether a topic belongs to a tree in whose level it lies; rest is what stands behind the level. */
static bool topic_is_within(const struct topic_tree *tree, const char *rest)
{
    const size_t level = sizeof TOPIC_REQUEST_LEVEL - 1;
    switch (tree->extent) {
    case TOPIC_EXACTLY:
        return !*rest;
    case TOPIC_BELOW:
        return *rest;
    case TOPIC_BELOW_ENDING:
        return strlen(rest) > level + 1 && strcmp(rest + strlen(rest) - level, TOPIC_REQUEST_LEVEL) == 0;
    case TOPIC_BELOW_WITH:
        return *rest && topic_has_level(rest + 1, "response");
    case TOPIC_BELOW_SECOND:
        return *rest && topic_has_second(rest + 1, tree->pattern + strcspn(tree->pattern, "/") + 1);
    case TOPIC_SUBTREE:
        break;
    }
    return true;
}

/* Of several rows with the same level, the last one that fits says more than those before it. */
const struct topic_tree *topic_classify(const char *prefix, const char *topic, const char **method)
{
    const struct topic_tree *found = NULL;
    const char *behind_prefix = topic_behind_level(topic, prefix), *rest = NULL;
    if (!behind_prefix || !*behind_prefix)
        return NULL;
    for (const struct topic_tree *tree = topic_trees; tree->word && !(found && tree->level); tree++) {
        if (tree->level)
            rest = topic_behind_level(behind_prefix + 1, tree->level);
        if (rest && topic_is_within(tree, rest))
            found = tree;
    }
    if (found)
        *method = rest + (*rest == '/');
    return found;
}

size_t topic_replied_length(const char *method)
{
    const char *level = method;
    while (level && !topic_behind_level(level, "response")) {
        level = strchr(level, '/');
        level = level ? level + 1 : NULL;
    }
    return level == method ? 0 : level ? (size_t)(level - 1 - method) : strlen(method);
}

bool topic_is_in_force(const struct engine_options *options, unsigned needs)
{
    if (needs == TOPIC_ALWAYS)
        return true;
    unsigned given = options->reply_delivery == DELIVERY_SUBSCRIBED ? TOPIC_TO_SUBSCRIBERS : TOPIC_TO_CALLERS;
    if (options->jsonrpc_methods && options->jsonrpc_methods[strspn(options->jsonrpc_methods, " ")])
        given |= TOPIC_OPEN;
    if (options->dead_letters)
        given |= TOPIC_LETTERS;
    return (needs & ~given) == 0;
}

/* ---- Names and patterns ---- */

#define WORD_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
#define NAME_CHARACTERS WORD_CHARACTERS ".-"

static bool topic_is_wild(const char *level)
{
    return *level == '{' || *level == '+';
}

static bool topic_is_reserved(const char *level)
{
    return topic_behind_level(level, "response") || topic_behind_level(level, "request");
}

/* A word must not come a second time. */
static bool topic_is_proper_wild(const char *level, size_t length)
{
    if (*level == '+')
        return length == 1;
    const char *rest = level + length;
    return length > 2 && level[length - 1] == '}' && strspn(level + 1, WORD_CHARACTERS) == length - 2 &&
           !memmem(rest, strlen(rest), level, length);
}

/* Whether each level is one of a name, or wild in this way: '{', '+', or '\0' for none. */
static bool topic_has_levels_of(const char *pattern, char wild)
{
    if (strlen(pattern) > TOPIC_NAME_MAX || topic_count_wild(pattern) > TOPIC_WILD_MAX)
        return false;
    for (;; pattern++) {
        const size_t length = strcspn(pattern, "/");
        const bool fits = wild && *pattern == wild ? topic_is_proper_wild(pattern, length)
                                                   : length && strspn(pattern, NAME_CHARACTERS) == length &&
                                                         (wild == '+' || !topic_is_reserved(pattern));
        if (!fits)
            return false;
        pattern += length;
        if (!*pattern)
            return true;
    }
}

bool topic_is_name(const char *name)
{
    return topic_has_levels_of(name, '\0');
}

bool topic_is_level(const char *text)
{
    const size_t length = strlen(text);
    return length && length <= TOPIC_LEVEL_MAX && !strchr(text, '/') && text_is_topic(text);
}

bool topic_is_plain_level(const char *text)
{
    const size_t length = strlen(text);
    return length && length <= TOPIC_LEVEL_MAX && strspn(text, NAME_CHARACTERS) == length;
}

bool topic_is_family(const char *name)
{
    return topic_has_levels_of(name, '{') && topic_find_wild(name);
}

bool topic_is_inbox(const char *topic)
{
    return topic_has_levels_of(topic, '+');
}

const char *topic_find_wild(const char *pattern)
{
    while (pattern && !topic_is_wild(pattern)) {
        pattern = strchr(pattern, '/');
        pattern = pattern ? pattern + 1 : NULL;
    }
    return pattern;
}

size_t topic_count_wild(const char *pattern)
{
    size_t count = 0;
    for (pattern = topic_find_wild(pattern); pattern; pattern = topic_find_wild(pattern + 1))
        count++;
    return count;
}

bool topic_matches(const char *pattern, const char *topic)
{
    const char *level = topic;
    for (;; pattern++, level++) {
        const size_t length = strcspn(level, "/"), own_length = strcspn(pattern, "/");
        const bool fits =
            topic_is_wild(pattern)
                ? length && length <= TOPIC_LEVEL_MAX && !(*pattern == '{' && topic_is_reserved(level))
                : own_length == length && memcmp(pattern, level, length) == 0;
        if (!fits)
            return false;
        pattern += own_length;
        level += length;
        if (!*pattern || !*level)
            return *pattern == *level && text_is_topic(topic);
    }
}

bool topic_patterns_meet(const char *one, const char *other)
{
    for (;; one++, other++) {
        const size_t length = strcspn(one, "/"), other_length = strcspn(other, "/");
        if (!topic_is_wild(one) && !topic_is_wild(other) &&
            (length != other_length || memcmp(one, other, length) != 0))
            return false;
        one += length;
        other += other_length;
        if (!*one || !*other)
            return *one == *other;
    }
}

/* ---- Prefixes, roots and whole topics ---- */

bool topic_is_prefix(const char *prefix)
{
    const char *levels = prefix + (*prefix == '/');
    const size_t length = strlen(levels);
    return length && strlen(prefix) <= TOPIC_PREFIX_MAX && text_is_topic(levels) &&
           !topic_has_level(levels, "") && levels[length - 1] != '/';
}

const char *topic_below(const char *root, const char *topic)
{
    const char *behind = topic_behind_level(topic, root);
    return behind && *behind ? behind + 1 : NULL;
}

/* Whether `inner` is the prefix `outer`, or lies in a tree of it. */
static bool topic_lies_in(const char *outer, const char *inner)
{
    const char *rest = topic_behind_level(inner, outer);
    if (!rest)
        return false;
    if (!*rest)
        return true;
    for (const struct topic_tree *tree = topic_trees; tree->word; tree++) {
        if (tree->level && topic_behind_level(rest + 1, tree->level))
            return true;
    }
    return false;
}

/* Whether the counters of a prefix stand where the other has the documents of its methods, below the root
 * that the host has for both. */
static bool topic_counts_in(const char *prefix, const char *other)
{
    const char *rest = topic_behind_level(prefix, other);
    return rest && *rest && topic_behind_level(rest + 1, TOPIC_METHOD_LEVEL);
}

bool topic_prefixes_clash(const char *one, const char *other)
{
    return topic_lies_in(one, other) || topic_lies_in(other, one) || topic_counts_in(one, other) ||
           topic_counts_in(other, one);
}

bool topic_root_clashes(const char *root, const char *prefix)
{
    return topic_lies_in(prefix, root) || topic_behind_level(prefix, root);
}

bool topic_roots_clash(const char *one, const char *other)
{
    return topic_behind_level(one, other) || topic_behind_level(other, one);
}

char *topic_of_event(const char *prefix, const char *name)
{
    const size_t size = strlen(prefix) + strlen("/event/") + strlen(name) + 1;
    char *topic = malloc(size);
    if (topic)
        snprintf(topic, size, "%s/event/%s", prefix, name);
    return topic;
}

char *topic_of_root(const char *prefix, const char *level)
{
    const char *slash = strrchr(prefix, '/');
    const size_t head = slash ? (size_t)(slash + 1 - prefix) : 0;
    const size_t size = head + strlen(level) + 1;
    char *topic = malloc(size);
    if (topic)
        snprintf(topic, size, "%.*s%s", (int)head, prefix, level);
    return topic;
}

bool topic_is_filter(const char *filter)
{
    for (const char *c = filter; *c; c++) {
        const bool at_start = c == filter || c[-1] == '/';
        if (*c == '#' && (!at_start || c[1]))
            return false;
        if (*c == '+' && (!at_start || (c[1] && c[1] != '/')))
            return false;
    }
    size_t characters;
    return text_is_utf8(filter, &characters);
}
