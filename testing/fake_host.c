// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A host for tests: see fake_host.h. */
#include "fake_host.h"

#include "shape/json.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void expect(struct fake_host *fake, bool right, const char *fault)
{
    if (!right && !fake->fault)
        fake->fault = fault;
}

/* ---- Payloads ---- */

static void *allocate(void *context, size_t size)
{
    struct fake_host *fake = context;
    expect(fake, size > 0, "an empty payload was asked for");
    void *memory = fake->no_memory ? NULL : malloc(size);
    if (memory)
        fake->held++;
    return memory;
}

static void release(void *context, void *memory)
{
    struct fake_host *fake = context;
    if (memory)
        fake->held--;
    free(memory);
}

/* The next free message of a box; NULL: it is full. */
static struct fake_message *next_message(struct fake_box *box)
{
    struct fake_message *message = box->count < FAKE_KEPT ? &box->kept[box->count] : NULL;
    box->count++;
    return message;
}

/* Takes ownership of a payload. */
static void take_payload(struct fake_host *fake, struct fake_message *message, char *payload, size_t size)
{
    fake->held--;
    if (!message) {
        free(payload);
        return;
    }
    message->payload = payload;
    message->size = size;
    const size_t shown = size < FAKE_TEXT ? size : FAKE_TEXT - 1;
    memcpy(message->text, payload, shown);
    message->text[shown] = '\0';
}

static void take_head(struct fake_host *fake, struct fake_message *message, const char *topic,
                      const struct host_client *client, int qos)
{
    expect(fake, topic && *topic && text_is_topic(topic), "a topic that cannot be published to");
    expect(fake, qos >= 0 && qos <= 2, "a QoS that there is not");
    if (!message)
        return;
    snprintf(message->topic, sizeof message->topic, "%s", topic);
    snprintf(message->client, sizeof message->client, "%s", client ? client->id : "");
    message->has_client = client != NULL;
    message->connection = client ? client->connection : NULL;
    message->qos = qos;
}

static void take_properties(struct fake_message *message, const struct host_publication *sent)
{
    snprintf(message->status, sizeof message->status, "%s", sent->status ? sent->status : "");
    snprintf(message->content_type, sizeof message->content_type, "%s",
             sent->content_type ? sent->content_type : "");
    snprintf(message->response_topic, sizeof message->response_topic, "%s",
             sent->response_topic ? sent->response_topic : "");
    message->property_count = sent->property_count;
    for (size_t i = 0, used = 0; i < sent->property_count && used < sizeof message->properties; i++) {
        const rpc_property *property = &sent->properties[i];
        used += (size_t)snprintf(message->properties + used, sizeof message->properties - used, "%s=%s;",
                                 property->name, property->value);
    }
    message->expiry = sent->expiry;
    message->has_correlation = sent->correlation != NULL;
    message->correlation_size = sent->correlation_size;
    const size_t kept = sent->correlation_size < FAKE_BYTES ? sent->correlation_size : FAKE_BYTES;
    if (kept)
        memcpy(message->correlation, sent->correlation, kept);
}

/* A message with a status is a reply; events and counters have topics of their own; the rest modules have
 * sent. */
static struct fake_box *box_of(struct fake_host *fake, const struct host_publication *sent)
{
    if (sent->status)
        return &fake->replies;
    const bool is_event = strstr(sent->topic, "/event/") || strncmp(sent->topic, "$SYS/", 5) == 0;
    return is_event ? &fake->events : strstr(sent->topic, "/dead/") ? &fake->letters : &fake->others;
}

static bool publish(void *context, const struct host_publication *sent)
{
    struct fake_host *fake = context;
    struct fake_box *box = box_of(fake, sent);
    expect(fake, sent->payload && (sent->size || box == &fake->others || sent->retain),
           "a message without a payload");
    expect(fake, sent->to_subscribers || sent->client, "a message to no client");
    expect(fake, sent->to_subscribers || fake->host.replies_to_caller, "a message that it cannot send");
    expect(fake, sent->to_subscribers || !sent->retain, "a retained message to a client");
    if (fake->drop)
        return false;
    struct fake_message *message = next_message(box);
    take_head(fake, message, sent->topic, sent->client, sent->qos);
    take_payload(fake, message, sent->payload, sent->size);
    if (!message)
        return true;
    take_properties(message, sent);
    message->to_session = sent->to_session;
    message->repeated = sent->repeated;
    message->unchanged = sent->unchanged;
    message->retain = sent->retain;
    message->subscribed = sent->to_subscribers;
    message->mounted = sent->client && sent->client->mounted;
    return true;
}

/* ---- The rest of a host ---- */

static void log_line(void *context, rpc_log_level level, const char *line)
{
    struct fake_host *fake = context;
    for (const char *c = line; *c; c++)
        expect(fake, *c >= ' ' && *c <= '~', "a log line that is not printable");
    expect(fake, level >= RPC_LOG_DEBUG && level <= RPC_LOG_ERROR, "a log level that there is not");
    expect(fake, strlen(line) < 1000, "a log line that the broker would cut");
    if (fake->line_count < FAKE_KEPT) {
        struct fake_line *kept = &fake->lines[fake->line_count];
        kept->level = level;
        snprintf(kept->text, sizeof kept->text, "%s", line);
    }
    fake->line_count++;
}

/* The rest after the first level of a topic or filter; NULL: that was the last level. */
static const char *behind(const char *at)
{
    at = strchr(at, '/');
    return at ? at + 1 : NULL;
}

static bool same_level(const char *filter, const char *topic)
{
    const size_t length = strcspn(filter, "/");
    if (length == 1 && *filter == '+')
        return true;
    return length == strcspn(topic, "/") && strncmp(filter, topic, length) == 0;
}

static bool topic_matches(void *context, const char *filter, const char *topic)
{
    (void)context;
    if (*topic == '$' && *filter != '$')
        return false;
    while (filter && topic) {
        if (strcmp(filter, "#") == 0)
            return true;
        if (!same_level(filter, topic))
            return false;
        filter = behind(filter);
        topic = behind(topic);
    }
    return topic == NULL && (filter == NULL || strcmp(filter, "#") == 0);
}

static bool user_property(void *context, const struct host_message *message, const char *name, char *value,
                          size_t size)
{
    const struct fake_host *fake = context;
    const rpc_property *more = fake->more;
    if (message->client->version < 5)
        return false;
    const char *found = fake->property && strcmp(fake->property, name) == 0 ? fake->value : NULL;
    for (; more && more->name && !found; more++)
        found = strcmp(more->name, name) == 0 ? more->value : NULL;
    if (found)
        snprintf(value, size, "%s", found);
    return found;
}

/* Called on any thread. */
static void handled(void *context, const void *mark)
{
    struct fake_host *fake = context;
    fake->handled++;
    fake->handled_mark = mark;
}

static void wake(void *context)
{
    struct fake_host *fake = context;
    sem_post(&fake->woken);
}

static void watch_messages(void *context, bool more)
{
    struct fake_host *fake = context;
    expect(fake, more || fake->watchers, "an end of watching that has not begun");
    fake->watchers += more ? 1 : (size_t)-1;
}

static double wall_clock(void *context)
{
    const struct fake_host *fake = context;
    return fake->wall;
}

static uint64_t monotonic_clock(void *context)
{
    struct fake_host *fake = context;
    const uint64_t now = fake->monotonic;
    fake->monotonic += fake->step;
    return now;
}

/* ---- The configuration ---- */

static const rpc_field fake_option_fields[] = {
    RPC_STRING(struct fake_options, place, .doc = "a place", .optional = true, .length = {1, 1024})};

static const rpc_shape fake_options_shape = RPC_OBJECT_SHAPE(struct fake_options, fake_option_fields);

static bool check_options(const struct config *config, const struct option_lines *lines,
                          char why[OPTIONS_WHY])
{
    const char *place = ((const struct fake_options *)config->host_options)->place;
    return !place || strcmp(place, "nowhere") != 0 ||
           options_refuse(lines, "place", place, "it takes another place", why);
}

static const char *const reserved_levels[] = {"$SYS", "$share", NULL};

const struct config_host fake_config_host = {
    .option_prefix = "opt_",
    .counters_topic = "$SYS/broker/rpc",
    .reserved = reserved_levels,
    .options = &fake_options_shape,
    .check = check_options,
};

/* ---- For tests ---- */

void fake_host_open(struct fake_host *fake)
{
    memset(fake, 0, sizeof *fake);
    sem_init(&fake->woken, 0, 0);
    fake->wall = 1700000000.25;
    fake->monotonic = 1000000000;
    fake->host = (struct host){
        .context = fake,
        .knows_caller = true,
        .replies_to_caller = true,
        .tells_endings = true,
        .counters_topic = fake_config_host.counters_topic,
        .allocate = allocate,
        .release = release,
        .publish = publish,
        .log = log_line,
        .topic_matches = topic_matches,
        .user_property = user_property,
        .wake = wake,
        .handled = handled,
        .watch_messages = watch_messages,
        .wall_clock = wall_clock,
        .monotonic_clock = monotonic_clock,
    };
}

bool fake_host_wait(struct fake_host *fake, unsigned milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    const uint64_t nanoseconds = (uint64_t)until.tv_nsec + milliseconds * UINT64_C(1000000);
    until.tv_sec += (time_t)(nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    int result;
    do
        result = sem_timedwait(&fake->woken, &until);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* Whether the engine's strict parser accepts a payload as JSON, or the payload says that it is something
 * else. Without memory it counts as none. */
static bool is_json(const struct fake_message *message)
{
    if (*message->content_type && strcmp(message->content_type, "application/json") != 0)
        return true;
    char *copy = malloc(message->size + 1);
    if (!copy)
        return false;
    memcpy(copy, message->payload, message->size);
    copy[message->size] = '\0';
    struct json_error error;
    struct arena arena;
    arena_init(&arena);
    json_parse(copy, message->size, &arena, &error);
    arena_fini(&arena);
    free(copy);
    return error.fault == JSON_FINE;
}

static void empty(struct fake_host *fake, struct fake_box *box)
{
    for (size_t i = 0; i < box->count && i < FAKE_KEPT; i++) {
        const struct fake_message *message = &box->kept[i];
        const bool removes = message->retain && !message->size; /* the retained message of its topic */
        expect(fake, box == &fake->others || removes || is_json(message), "a payload that is not JSON");
        free(box->kept[i].payload);
        box->kept[i] = (struct fake_message){.payload = NULL};
    }
    box->count = 0;
}

void fake_host_forget(struct fake_host *fake)
{
    empty(fake, &fake->replies);
    empty(fake, &fake->events);
    empty(fake, &fake->letters);
    empty(fake, &fake->others);
    fake->line_count = 0;
}

const char *fake_host_close(struct fake_host *fake)
{
    fake_host_forget(fake);
    sem_destroy(&fake->woken);
    expect(fake, !fake->watchers, "instances that still want to see messages");
    expect(fake, !fake->held, "no payload back of some that it has taken");
    return fake->fault;
}

bool fake_host_logged(const struct fake_host *fake, const char *text)
{
    for (size_t i = 0; i < fake->line_count && i < FAKE_KEPT; i++) {
        if (strstr(fake->lines[i].text, text))
            return true;
    }
    return false;
}
