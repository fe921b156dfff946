// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The command events: prints events as they come, one a line, until it is interrupted or has seen enough. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "output.h"
#include "show.h"
#include "suggest.h"
#include "until.h"

struct events {
    struct tool *tool;
    int left;     /* how many are still wanted; -1: all */
    size_t width; /* of the names so far */
    int count;
    char **words;           /* the filters as they were given */
    enum tool_exit outcome; /* TOOL_OK: go on */
};

enum { EVENTS_NAME_WIDTH = 32 }; /* longer names move their data to the right */

static void events_print(struct events *events, const struct rpc_client_event *event, const char *data)
{
    struct timespec now;
    struct tm local;
    char clock[16];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(clock, sizeof clock, "%H:%M:%S", &local);
    const size_t width = output_width(event->name, strlen(event->name));
    if (width > events->width)
        events->width = width < EVENTS_NAME_WIDTH ? width : EVENTS_NAME_WIDTH;
    printf("%s.%03ld ", clock, now.tv_nsec / 1000000);
    output_styled(stdout, OUTPUT_CYAN, event->name);
    printf("%*s ", width < events->width ? (int)(events->width - width) : 0, "");
    output_text(stdout, data, strlen(data));
    output_styled(stdout, OUTPUT_DIM, event->is_retained ? " (retained)" : "");
    putchar('\n');
}

/* As a line of JSON. The data keeps its text, so that numbers stay as they were written. */
static void events_print_json(const struct events *events, const struct rpc_client_event *event,
                              const char *data)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    cJSON *const line = cJSON_CreateObject();
    cJSON_AddNumberToObject(line, "time", (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    cJSON_AddStringToObject(line, "event", event->name);
    cJSON_AddBoolToObject(line, "retained", event->is_retained);
    if (event->data)
        cJSON_AddRawToObject(line, "data", data);
    else if (event->size > 0)
        cJSON_AddStringToObject(line, "text", data);
    else
        cJSON_AddNullToObject(line, "data");
    output_json(events->tool, line);
    cJSON_Delete(line);
}

static void events_take(void *user, const struct rpc_client_event *event)
{
    struct events *const events = user;
    if (event->status != RPC_CLIENT_OK) {
        events->outcome = tool_fail(events->tool, tool_exit_of(event->status),
                                    "the broker has refused the subscription to %s", event->topic);
        return;
    }
    if (events->left == 0 || (event->is_retained && events->tool->options.no_retained))
        return;
    char *const data = strdup(event->text ? event->text : "");
    if (!data) {
        events->outcome = tool_fail(events->tool, TOOL_FAILED, "there is no memory for an event");
        return;
    }
    if (event->data)
        cJSON_Minify(data);
    if (output_is_json(events->tool))
        events_print_json(events, event, data);
    else
        events_print(events, event, data);
    free(data);
    events->left -= events->left > 0;
    events->outcome = output_flush(events->tool);
}

static bool events_has_wildcard(const char *word)
{
    return strpbrk(word, "+#") != NULL;
}

/* Whether a word is the name of an event, the beginning of its levels, or, of a keyed event, its name and a
 * key. */
static bool events_is_named(const char *word, const cJSON *event)
{
    const char *const name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, "name"));
    const size_t size = strlen(word);
    const size_t length = name ? strlen(name) : 0;
    if (!name)
        return false;
    if (size <= length)
        return strncmp(name, word, size) == 0 && (name[size] == '/' || !name[size]);
    return strncmp(name, word, length) == 0 && word[length] == '/' && cJSON_HasObjectItem(event, "key");
}

/* Whether the service declares an event of this name; else says which one may have been meant. */
static void events_check_word(const struct events *events, const char *word, const cJSON *declared)
{
    struct text_near near = suggest_for(word);
    const cJSON *event;
    cJSON_ArrayForEach(event, declared)
    {
        if (events_is_named(word, event))
            return;
        text_near_try(&near, show_string(event, "name"));
    }
    if (near.best)
        tool_fail(events->tool, TOOL_OK, "the service declares no event %s, did you mean %s?", word,
                  near.best);
    else
        tool_fail(events->tool, TOOL_OK,
                  "the service declares no event %s; mosquitto_rpc list shows its events", word);
}

/* A subscription to an event that the service does not declare may wait for ever. But others may publish it.
 */
static void events_check(void *user, const struct rpc_client_reply *reply)
{
    const struct events *const events = user;
    const cJSON *const declared = cJSON_GetObjectItemCaseSensitive(reply->data, "events");
    for (int at = 0; reply->status == RPC_CLIENT_OK && at < events->count; at++)
        if (!events_has_wildcard(events->words[at]) && strcmp(events->words[at], "error") != 0)
            events_check_word(events, events->words[at], declared);
}

/* Prints events until it is time to end, and says when the connection is lost, and when it is there again. */
static void events_run(struct events *events)
{
    const struct until until = until_start(events->tool->options.duration_ms);
    bool is_there = true;
    until_hold_signals();
    for (int ms; events->outcome == TOOL_OK && events->left != 0 && (ms = until_left(&until)) > 0;) {
        const bool was_there = is_there;
        is_there = rpc_client_run(events->tool->client, ms) == RPC_CLIENT_OK;
        if (was_there && !is_there)
            tool_fail(events->tool, TOOL_OK, "%s; trying again", rpc_client_why(events->tool->client));
        else if (is_there && !was_there)
            tool_fail(events->tool, TOOL_OK, "connected again");
    }
}

/* An event and what is below its name, or a filter as it is. */
static enum rpc_client_status events_subscribe(struct events *events, const char *word)
{
    char filter[1024];
    unsigned long id;
    const int length = snprintf(filter, sizeof filter, events_has_wildcard(word) ? "%s" : "%s/#", word);
    if (!*word || length < 0 || (size_t)length >= sizeof filter)
        return RPC_CLIENT_INVALID;
    return rpc_client_subscribe(events->tool->client, filter, events_take, events, &id);
}

enum tool_exit command_events_run(struct tool *tool, int count, char **words)
{
    char all[] = "#";
    char *everything[] = {all};
    char id[RPC_CLIENT_ID_SIZE];
    struct events events = {.tool = tool,
                            .left = tool->options.count ? tool->options.count : -1,
                            .count = count ? count : 1,
                            .words = count ? words : everything,
                            .outcome = tool_connect(tool)};
    const struct rpc_client_request list = {.method = "rpc.list", .on_reply = events_check, .user = &events};
    for (int at = 0; events.outcome == TOOL_OK && at < events.count; at++) {
        const enum rpc_client_status status = events_subscribe(&events, events.words[at]);
        if (status != RPC_CLIENT_OK)
            events.outcome = tool_fail(tool, TOOL_USAGE, "%s is no filter of events", events.words[at]);
    }
    if (events.outcome != TOOL_OK)
        return events.outcome;
    if (rpc_client_send(tool->client, &list, id) != RPC_CLIENT_OK)
        id[0] = '\0'; /* it does without */
    events_run(&events);
    rpc_client_cancel(tool->client, id);
    return events.outcome;
}
