// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* What a test of modules expects to be published: see include/mosquitto_rpc_testing.h. */
#include "kit.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum expect_box { EXPECT_REPLIES, EXPECT_EVENTS, EXPECT_LETTERS, EXPECT_OTHERS };

static const struct fake_box *expect_box(const rpc_test *test, enum expect_box box)
{
    const struct fake_box *const boxes[KIT_BOXES] = {&test->host.replies, &test->host.events,
                                                     &test->host.letters, &test->host.others};
    return boxes[box];
}

/* ---- Taking messages ---- */

/* The messages of a box that are still there. */
static size_t expect_kept(const struct fake_box *box)
{
    return box->count < FAKE_KEPT ? box->count : FAKE_KEPT;
}

/* Takes the oldest message of a box to a topic; NULL: to any. Returns NULL: there is none. */
static const struct fake_message *expect_find(rpc_test *test, enum expect_box number, const char *topic,
                                              bool takes)
{
    const struct fake_box *box = expect_box(test, number);
    for (size_t i = 0; i < expect_kept(box); i++) {
        const struct fake_message *message = &box->kept[i];
        if (test->taken[number][i] || (topic && strcmp(message->topic, topic) != 0))
            continue;
        test->taken[number][i] = takes;
        return message;
    }
    return NULL;
}

/* A reply, if topic is NULL; else any other message to the topic. */
static const struct fake_message *expect_find_any(rpc_test *test, const char *topic, bool takes)
{
    if (!topic)
        return expect_find(test, EXPECT_REPLIES, NULL, takes);
    const struct fake_message *found = expect_find(test, EXPECT_EVENTS, topic, takes);
    if (!found)
        found = expect_find(test, EXPECT_OTHERS, topic, takes);
    return found ? found : expect_find(test, EXPECT_LETTERS, topic, takes);
}

/* Makes the message public, with a NUL behind its payload. */
static const rpc_test_message *expect_show(rpc_test *test, const struct fake_message *found)
{
    free(test->payload);
    test->payload = kit_need(malloc(found->size + 1));
    memcpy(test->payload, found->payload, found->size);
    test->payload[found->size] = '\0';
    test->message = (rpc_test_message){
        .topic = found->topic,
        .payload = test->payload,
        .size = found->size,
        .client = found->subscribed ? NULL : found->client,
        .qos = found->qos,
        .retain = found->retain,
        .status = found->status,
        .content_type = found->content_type,
        .response_topic = found->response_topic,
        .correlation = found->has_correlation ? found->correlation : NULL,
        .correlation_size = found->correlation_size,
        .properties = found->properties,
        .expiry = found->expiry,
    };
    return &test->message;
}

/* Takes a message as expect_find_any() does; waits for work if there is none. */
static const rpc_test_message *expect_take(rpc_test *test, const char *topic)
{
    const struct fake_message *found = expect_find_any(test, topic, true);
    if (!found) {
        kit_settle(test);
        found = expect_find_any(test, topic, true);
    }
    return found ? expect_show(test, found) : NULL;
}

const rpc_test_message *rpc_test_take_reply(rpc_test *test)
{
    return test ? expect_take(test, NULL) : NULL;
}

const rpc_test_message *rpc_test_take_message(rpc_test *test, const char *topic)
{
    return test ? expect_take(test, topic) : NULL;
}

void rpc_test_forget(rpc_test *test)
{
    if (!test)
        return;
    fake_host_forget(&test->host);
    memset(test->taken, 0, sizeof test->taken);
    test->shown = 0;
}

/* ---- Comparing ---- */

/* Whether a payload is the expected one: as JSON, if both are. */
static bool expect_same(const rpc_test_message *message, const char *expected)
{
    if (!expected)
        return true;
    cJSON *wanted = cJSON_ParseWithOpts(expected, NULL, true);
    cJSON *got = cJSON_ParseWithLength(message->payload, message->size);
    const bool same = wanted && got ? cJSON_Compare(wanted, got, true)
                                    : message->size == strlen(expected) &&
                                          memcmp(message->payload, expected, message->size) == 0;
    cJSON_Delete(wanted);
    cJSON_Delete(got);
    return same;
}

/* Writes why there is no such message: what was published instead. */
static bool expect_report_missing(rpc_test *test, const struct kit_place *place, const char *call,
                                  const char *topic)
{
    kit_report(test, place, "%sthere is no %s%s%s", call, topic ? "message to " : "reply", topic ? topic : "",
               service_has_pending(test->service) ? "; a call is pending" : "");
    for (int box = topic ? EXPECT_EVENTS : EXPECT_REPLIES; topic && box < KIT_BOXES; box++) {
        const struct fake_box *kept = expect_box(test, (enum expect_box)box);
        for (size_t i = 0; i < expect_kept(kept); i++)
            fprintf(stderr, "    published%s: %s %s\n", test->taken[box][i] ? " and taken" : "",
                    kept->kept[i].topic, kept->kept[i].text);
        if (kept->count > FAKE_KEPT)
            fprintf(stderr, "    and %zu that were not kept\n", kept->count - FAKE_KEPT);
    }
    return false;
}

static bool expect_reply(const struct kit_place *place, rpc_test *test, const char *call, const char *status,
                         const char *payload)
{
    const rpc_test_message *reply = expect_take(test, NULL);
    if (!reply)
        return expect_report_missing(test, place, call, NULL);
    if (strcmp(reply->status, status) == 0 && expect_same(reply, payload))
        return true;
    return kit_report(test, place, "%sthe reply is %s %s\n    expected:    %s %s", call, reply->status,
                      reply->payload, status, payload ? payload : "");
}

bool rpc_test_expect_reply_at(const char *file, int line, rpc_test *test, const char *status,
                              const char *payload)
{
    return test && expect_reply(&(struct kit_place){file, line}, test, "", status, payload);
}

bool rpc_test_expect_at(const char *file, int line, rpc_test *test, const char *method, const char *params,
                        const char *status, const char *payload)
{
    char call[FAKE_TEXT];
    if (!test)
        return false;
    rpc_test_forget(test);
    rpc_test_call(test, method, params);
    snprintf(call, sizeof call, "%s %s: ", method, params ? params : "{}");
    return expect_reply(&(struct kit_place){file, line}, test, call, status, payload);
}

bool rpc_test_expect_message_at(const char *file, int line, rpc_test *test, const char *topic,
                                const char *payload)
{
    const struct kit_place place = {file, line};
    if (!test)
        return false;
    const rpc_test_message *message = expect_take(test, topic);
    if (!message)
        return expect_report_missing(test, &place, "", topic);
    return expect_same(message, payload) ||
           kit_report(test, &place, "the message to %s is %s\n    expected:    %s", topic, message->payload,
                      payload);
}

/* The topic of an event of the first prefix. */
static const char *expect_event_topic(const rpc_test *test, const char *event, char topic[FAKE_TOPIC])
{
    snprintf(topic, FAKE_TOPIC, "%s/event/%s", test->first->prefixes[0], event);
    return topic;
}

bool rpc_test_expect_event_at(const char *file, int line, rpc_test *test, const char *event,
                              const char *payload)
{
    char topic[FAKE_TOPIC];
    return test &&
           rpc_test_expect_message_at(file, line, test, expect_event_topic(test, event, topic), payload);
}

/* ---- What must not be there ---- */

static bool expect_none(const struct kit_place *place, rpc_test *test, const char *topic)
{
    if (!kit_settle(test) && test->patience)
        return kit_report(test, place, "work still runs after %u ms", test->patience);
    const struct fake_message *found = expect_find_any(test, topic, false);
    return !found || kit_report(test, place, "there is a %s: %s %s%s%s", topic ? "message" : "reply",
                                found->topic, found->status, *found->status ? " " : "", found->text);
}

bool rpc_test_expect_no_reply_at(const char *file, int line, rpc_test *test)
{
    return test && expect_none(&(struct kit_place){file, line}, test, NULL);
}

bool rpc_test_expect_no_event_at(const char *file, int line, rpc_test *test, const char *event)
{
    char topic[FAKE_TOPIC];
    return test && expect_none(&(struct kit_place){file, line}, test, expect_event_topic(test, event, topic));
}

/* ---- The log, and conditions ---- */

bool rpc_test_expect_log_at(const char *file, int line, rpc_test *test, const char *text)
{
    if (!test)
        return false;
    kit_settle(test);
    return fake_host_logged(&test->host, text) ||
           kit_report(test, &(struct kit_place){file, line}, "no line of the log contains: %s", text);
}

bool rpc_test_check_at(const char *file, int line, rpc_test *test, bool condition, const char *text)
{
    return test &&
           (condition || kit_report(test, &(struct kit_place){file, line}, "this does not hold: %s", text));
}
