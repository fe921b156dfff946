// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Topics and names: see topic.h. */
#include "call/topic.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rest of topic behind `level`, its '/' included, where topic begins with that level; else NULL. */
static const char *behind_level(const char *topic, const char *level)
{
    const size_t length = strlen(level);
    if (strncmp(topic, level, length) != 0)
        return NULL;
    return topic[length] == '/' || topic[length] == '\0' ? topic + length : NULL;
}

static bool has_level(const char *topic, const char *level)
{
    for (;;) {
        if (behind_level(topic, level))
            return true;
        topic = strchr(topic, '/');
        if (!topic)
            return false;
        topic++;
    }
}

static bool ends_with_request(const char *name)
{
    const size_t length = strlen(name);
    const size_t level = strlen(TOPIC_REQUEST_LEVEL);
    return length > level && strcmp(name + length - level, TOPIC_REQUEST_LEVEL) == 0;
}

static enum topic_kind classify_call(const char *name)
{
    if (has_level(name, "response"))
        return TOPIC_RESPONSE;
    return ends_with_request(name) ? TOPIC_REQUEST : TOPIC_CALL;
}

static enum topic_kind classify_jsonrpc(const char *rest)
{
    if (!*rest)
        return TOPIC_JSONRPC;
    return behind_level(rest + 1, "response") ? TOPIC_RESPONSE : TOPIC_FOREIGN;
}

static enum topic_kind classify_rest(const char *rest, const char **method)
{
    const char *behind;
    if ((behind = behind_level(rest, "call")) && *behind) {
        *method = behind + 1;
        return classify_call(*method);
    }
    if ((behind = behind_level(rest, "batch")) && *behind) {
        *method = behind + 1;
        return TOPIC_BATCH;
    }
    if (behind_level(rest, "event"))
        return TOPIC_EVENT;
    if (behind_level(rest, "reply"))
        return TOPIC_REPLY;
    behind = behind_level(rest, "jsonrpc");
    return behind ? classify_jsonrpc(behind) : TOPIC_FOREIGN;
}

enum topic_kind topic_classify(const char *prefix, const char *topic, const char **method)
{
    const char *rest = behind_level(topic, prefix);
    return rest && *rest ? classify_rest(rest + 1, method) : TOPIC_FOREIGN;
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool topic_is_name(const char *name)
{
    const size_t length = strlen(name);
    if (!length || length > TOPIC_NAME_MAX || has_level(name, "") || name[length - 1] == '/')
        return false;
    for (const char *c = name; *c; c++) {
        if (!is_name_character(*c) && *c != '/')
            return false;
    }
    return !has_level(name, "response") && !has_level(name, "request");
}

bool topic_is_prefix(const char *prefix)
{
    const size_t length = strlen(prefix);
    return length && length <= TOPIC_PREFIX_MAX && text_is_topic(prefix) && !has_level(prefix, "") &&
           prefix[length - 1] != '/';
}

/* Whether `inner` lies in a subtree that `outer` uses. */
static bool lies_in(const char *outer, const char *inner)
{
    static const char *const used[] = {"call", "batch", "jsonrpc", "event", "reply", "dead"};
    const char *rest = behind_level(inner, outer);
    if (!rest)
        return false;
    if (!*rest)
        return true;
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++) {
        if (behind_level(rest + 1, used[i]))
            return true;
    }
    return false;
}

bool topic_prefixes_clash(const char *one, const char *other)
{
    return lies_in(one, other) || lies_in(other, one);
}

char *topic_of_event(const char *prefix, const char *name)
{
    const size_t size = strlen(prefix) + strlen("/event/") + strlen(name) + 1;
    char *topic = malloc(size);
    if (topic)
        snprintf(topic, size, "%s/event/%s", prefix, name);
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
