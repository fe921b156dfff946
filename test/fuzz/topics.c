// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Topics, names, patterns and prefixes, and whether what is said of two of them fits what is said of each.
 * The input's lines are two prefixes or roots, two patterns, and topics.
 */
#include "fuzz.h"

#include "base/text.h"
#include "call/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPIC_BYTES = 1024 };

static void check_text(const char *text)
{
    char printed[40];
    size_t characters = 0;
    const bool is_utf8 = text_is_utf8(text, &characters);
    const size_t length = strlen(text), cut = text_cut(text, length / 2);
    FUZZ_EXPECT(!text_is_topic(text) || text_is_mqtt(text));
    FUZZ_EXPECT(!text_is_mqtt(text) || is_utf8);
    FUZZ_EXPECT(!is_utf8 || characters <= length);
    FUZZ_EXPECT(cut <= length / 2);
    text_printable(text, printed, sizeof printed);
    for (const char *at = printed; *at; at++)
        FUZZ_EXPECT(*at >= ' ' && *at <= '~');
}

/* A name can be called: its topic is that of a call, and the method is the name. */
static void check_name(const char *prefix, const char *name)
{
    char topic[TOPIC_BYTES];
    const char *method = NULL;
    if (!topic_is_name(name) || strlen(prefix) > TOPIC_PREFIX_MAX)
        return;
    FUZZ_EXPECT(text_is_topic(name) && strlen(name) <= TOPIC_NAME_MAX);
    snprintf(topic, sizeof topic, "%s/call/%s", prefix, name);
    const struct topic_tree *tree = topic_classify(prefix, topic, &method);
    FUZZ_EXPECT(tree && tree->kind == TOPIC_CALL && strcmp(method, name) == 0);
    char *event = topic_of_event(prefix, name);
    FUZZ_EXPECT(event && topic_classify(prefix, event, &method)->kind == TOPIC_EVENT);
    free(event);
}

static void check_topic(const char *const prefixes[2], const char *const patterns[2], const char *topic)
{
    const char *method;
    const struct topic_tree *one = topic_classify(prefixes[0], topic, &method);
    const struct topic_tree *other = topic_classify(prefixes[1], topic, &method);
    const bool are_prefixes = topic_is_prefix(prefixes[0]) && topic_is_prefix(prefixes[1]);
    if (one && other && are_prefixes)
        FUZZ_EXPECT(topic_prefixes_clash(prefixes[0], prefixes[1]));
    if (are_prefixes && one && topic_below(prefixes[1], topic))
        FUZZ_EXPECT(topic_root_clashes(prefixes[1], prefixes[0]));
    const bool are_families = topic_is_family(patterns[0]) && topic_is_family(patterns[1]);
    const bool are_inboxes = topic_is_inbox(patterns[0]) && topic_is_inbox(patterns[1]);
    if ((are_families || are_inboxes) && topic_matches(patterns[0], topic) &&
        topic_matches(patterns[1], topic))
        FUZZ_EXPECT(topic_patterns_meet(patterns[0], patterns[1]));
    check_name(prefixes[0], topic);
}

/* What is said of two is the same in both orders. */
static void check_pair(const char *one, const char *other)
{
    struct text_near near = text_near_to(one);
    text_near_try(&near, other);
    FUZZ_EXPECT(strcmp(one, other) != 0 || !*one || near.best == other || strlen(one) > TOPIC_NAME_MAX / 4);
    if (topic_is_prefix(one) && topic_is_prefix(other)) {
        FUZZ_EXPECT(topic_prefixes_clash(one, other) == topic_prefixes_clash(other, one));
        FUZZ_EXPECT(topic_roots_clash(one, other) == topic_roots_clash(other, one));
    }
    if (topic_is_family(one) && topic_is_family(other))
        FUZZ_EXPECT(topic_patterns_meet(one, other) == topic_patterns_meet(other, one));
    if (topic_is_family(one))
        FUZZ_EXPECT(topic_patterns_meet(one, one) && topic_count_wild(one) >= 1 && topic_find_wild(one));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text;
    const char *first[4], *topic;
    for (size_t i = 0; i < 4; i++) {
        const char *line = fuzz_line(&rest);
        first[i] = line ? line : "";
        check_text(first[i]);
        topic_is_filter(first[i]);
        topic_is_level(first[i]);
    }
    check_pair(first[0], first[1]);
    check_pair(first[2], first[3]);
    while ((topic = fuzz_line(&rest))) {
        check_text(topic);
        check_topic(first, first + 2, topic);
    }
    free(text);
    return 0;
}
