// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The module `watch`: a module that sends messages, watches for clients and observes calls, for tests of
 * these seams.
 */
#include <mosquitto_rpc.h>

#include <stdio.h>
#include <string.h>

enum { SIGNS = 64, TEXT = 64 };

struct sign {
    int sign;
    const char *client, *filter;
};

/* The last signs, and what has been observed. */
struct watch {
    struct {
        rpc_sign sign;
        char client[TEXT], filter[TEXT];
    } signs[SIGNS];
    size_t count;
    int64_t calls, errors, own;
    uint64_t longest;
};

/* ---- Sending ---- */

/* A user property in a call, and in a payload. */
struct pair {
    const char *name, *value;
};

static const rpc_field pair_fields[] = {
    RPC_STRING(struct pair, name, .doc = "Name", .length = {0, 300}),
    RPC_STRING(struct pair, value, .doc = "Value", .length = {0, 300}),
};
static const rpc_shape pair_shape = RPC_OBJECT_SHAPE(struct pair, pair_fields);

/* A typed payload, which need not fit. */
struct typed {
    const char *word;
    rpc_json any;
};

static const rpc_field typed_fields[] = {
    RPC_STRING(struct typed, word, .doc = "A word", .length = {0, 4}),
    RPC_JSON(struct typed, any, .doc = "Any value", .optional = true),
};
static const rpc_shape typed_shape = RPC_OBJECT_SHAPE(struct typed, typed_fields);

enum { PAIRS = 9 };

struct send_params {
    const char *client, *topic, *text, *response_topic, *correlation, *content_type, *word;
    rpc_json any;
    const struct pair *properties;
    size_t property_count;
    int32_t qos, expiry;
    bool retain;
};

static const rpc_field send_fields[] = {
    RPC_STRING(struct send_params, client, .doc = "Client id of the receiver", .optional = true,
               .length = {1, 64}),
    RPC_STRING(struct send_params, topic, .doc = "Topic", .length = {0, 300}),
    RPC_STRING(struct send_params, text, .doc = "Payload", .optional = true, .length = {0, 4096}),
    RPC_STRING(struct send_params, response_topic, .doc = "Response Topic", .optional = true,
               .length = {0, 300}),
    RPC_STRING(struct send_params, correlation, .doc = "Correlation Data", .optional = true,
               .length = {0, 64}),
    RPC_STRING(struct send_params, content_type, .doc = "Content Type", .optional = true, .length = {1, 64}),
    RPC_STRING(struct send_params, word, .doc = "Member word of a typed payload", .optional = true,
               .length = {0, 64}),
    RPC_JSON(struct send_params, any, .doc = "Member any of a typed payload", .optional = true),
    RPC_OBJECT_ARRAY(struct send_params, properties, property_count, struct pair, .doc = "User properties",
                     .optional = true, .items = {0, PAIRS}, .shape = &pair_shape),
    RPC_INT32(struct send_params, qos, .doc = "QoS", .default_json = "0", .range = {-1, 3}),
    RPC_INT32(struct send_params, expiry, .doc = "Message Expiry Interval", .unit = "s", .default_json = "0",
              .range = {0, 1000}),
    RPC_BOOL(struct send_params, retain, .doc = "Retain flag", .default_json = "false"),
};
static const rpc_shape send_shape = RPC_OBJECT_SHAPE(struct send_params, send_fields);

static const rpc_error send_errors[] = {{.code = "not_sent", .doc = "rpc_send() has refused the message"}};

static rpc_status watch_send(rpc_call *call, void *state, const void *params, void *result)
{
    const struct send_params *given = params;
    const struct typed typed = {.word = given->word, .any = given->any};
    rpc_property properties[PAIRS];
    (void)state, (void)result;
    for (size_t i = 0; i < given->property_count; i++)
        properties[i] = (rpc_property){given->properties[i].name, given->properties[i].value};
    const rpc_publication publication = {
        .client = given->client,
        .topic = given->topic,
        .payload = given->text,
        .size = given->text ? strlen(given->text) : 0,
        .qos = given->qos,
        .retain = given->retain,
        .expiry = (uint32_t)given->expiry,
        .content_type = given->content_type,
        .response_topic = given->response_topic,
        .correlation = given->correlation,
        .correlation_size = given->correlation ? strlen(given->correlation) : 0,
        .shape = given->word ? &typed_shape : NULL,
        .data = given->word ? &typed : NULL,
        .properties = properties,
        .property_count = (unsigned)given->property_count,
    };
    const rpc_status status = rpc_send(rpc_call_instance(call), &publication);
    return status == RPC_OK ? status : rpc_raise(call, "not_sent", "rpc_send() returned %d", (int)status);
}

/* ---- Presence ---- */

static void watch_presence(rpc_instance *instance, void *state, const rpc_presence *presence)
{
    struct watch *watch = state;
    const size_t last = watch->count - 1;
    (void)instance;
    /* A message after the other of one client is one sign. */
    if (watch->count && presence->sign == RPC_SIGN_SEEN && watch->signs[last % SIGNS].sign == RPC_SIGN_SEEN &&
        strcmp(watch->signs[last % SIGNS].client, presence->client) == 0)
        return;
    const size_t next = watch->count++ % SIGNS;
    watch->signs[next].sign = presence->sign;
    snprintf(watch->signs[next].client, TEXT, "%s", presence->client);
    snprintf(watch->signs[next].filter, TEXT, "%s", presence->filter ? presence->filter : "");
}

struct signs {
    const struct sign *signs;
    size_t count;
};

static const char *const sign_names[] = {"seen", "connected", "subscribed", "gone"};
static const rpc_field sign_fields[] = {
    RPC_CHOICE(struct sign, sign, .doc = "What was noticed", .choices = RPC_TABLE(sign_names)),
    RPC_STRING(struct sign, client, .doc = "Client id", .length = {0, TEXT}),
    RPC_STRING(struct sign, filter, .doc = "Topic filter", .optional = true, .length = {0, TEXT}),
};
static const rpc_shape sign_shape = RPC_OBJECT_SHAPE(struct sign, sign_fields);
static const rpc_field signs_fields[] = {RPC_OBJECT_ARRAY(struct signs, signs, count, struct sign,
                                                          .doc = "The last signs, the oldest first",
                                                          .items = {0, SIGNS}, .shape = &sign_shape)};
static const rpc_shape signs_shape = RPC_OBJECT_SHAPE(struct signs, signs_fields);

static rpc_status watch_signs(rpc_call *call, void *state, const void *params, void *result)
{
    const struct watch *watch = state;
    struct signs *signs = result;
    (void)params;
    const size_t count = watch->count < SIGNS ? watch->count : SIGNS;
    struct sign *list = rpc_alloc(call, (count + 1) * sizeof *list);
    if (!list)
        return RPC_INTERNAL_ERROR;
    for (size_t i = 0; i < count; i++) {
        const size_t at = (watch->count - count + i) % SIGNS;
        const char *filter = watch->signs[at].filter;
        list[i] = (struct sign){(int)watch->signs[at].sign, watch->signs[at].client, *filter ? filter : NULL};
    }
    *signs = (struct signs){list, count};
    return RPC_OK;
}

struct look {
    bool at_messages;
};

static const rpc_field look_fields[] = {
    RPC_BOOL(struct look, at_messages, .doc = "Get the sign of each message", .default_json = "true")};
static const rpc_shape look_shape = RPC_OBJECT_SHAPE(struct look, look_fields);

static rpc_status watch_look(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)result;
    rpc_presence_watch(rpc_call_instance(call), ((const struct look *)params)->at_messages);
    return RPC_OK;
}

/* ---- Observing ---- */

static void watch_observe(rpc_instance *instance, void *state, const rpc_observation *observation)
{
    struct watch *watch = state;
    (void)instance;
    watch->calls++;
    watch->errors += observation->status != RPC_OK;
    watch->own += strncmp(observation->method->name, "watch.", 6) == 0;
    if (observation->elapsed > watch->longest)
        watch->longest = observation->elapsed;
}

struct observed {
    int64_t calls, errors, own, longest;
};

static const rpc_field observed_fields[] = {
    RPC_INT64(struct observed, calls, .doc = "Calls that were settled"),
    RPC_INT64(struct observed, errors, .doc = "Those that ended with an error"),
    RPC_INT64(struct observed, own, .doc = "Those of this module's methods"),
    RPC_INT64(struct observed, longest, .doc = "The longest time from arrival to outcome", .unit = "ns"),
};
static const rpc_shape observed_shape = RPC_OBJECT_SHAPE(struct observed, observed_fields);

static rpc_status watch_observed(rpc_call *call, void *state, const void *params, void *result)
{
    const struct watch *watch = state;
    (void)call, (void)params;
    *(struct observed *)result =
        (struct observed){watch->calls, watch->errors, watch->own, (int64_t)watch->longest};
    return RPC_OK;
}

/* ---- Decoding ---- */

struct part {
    int32_t number;
    const char *word;
};

static const rpc_field part_fields[] = {
    RPC_INT32(struct part, number, .doc = "A number", .range = {0, 9}),
    RPC_STRING(struct part, word, .doc = "A word", .default_json = "\"none\"", .length = {1, 8}),
};
static const rpc_shape part_shape = RPC_OBJECT_SHAPE(struct part, part_fields);

/* Not the parameters of any method. */
static const rpc_shape stray_shape = RPC_OBJECT_SHAPE(struct part, part_fields);

static rpc_status watch_part(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state;
    *(struct part *)result = *(const struct part *)params;
    return RPC_OK;
}

struct whole {
    rpc_json part;
    bool stray;
};

static const rpc_field whole_fields[] = {
    RPC_JSON(struct whole, part, .doc = "JSON text of a part, or anything else"),
    RPC_BOOL(struct whole, stray, .doc = "Decode by a shape that no method has", .default_json = "false"),
};
static const rpc_shape whole_shape = RPC_OBJECT_SHAPE(struct whole, whole_fields);
static const rpc_error whole_errors[] = {{.code = "no_part", .doc = "It is no part"}};

static rpc_status watch_decode(rpc_call *call, void *state, const void *params, void *result)
{
    const struct whole *whole = params;
    const void *part;
    (void)state;
    const rpc_status status =
        rpc_decode(call, whole->stray ? &stray_shape : &part_shape, whole->part.text, &part);
    if (status != RPC_OK)
        return rpc_raise(call, "no_part", "rpc_decode() returned %d", (int)status);
    *(struct part *)result = *(const struct part *)part;
    return RPC_OK;
}

static const rpc_method watch_methods[] = {
    {.name = "watch.send",
     .doc = "Sends a message",
     .idempotent = true,
     .params = &send_shape,
     .errors = RPC_TABLE(send_errors),
     .run = watch_send},
    {.name = "watch.signs",
     .doc = "The signs of clients",
     .read_only = true,
     .result = &signs_shape,
     .run = watch_signs},
    {.name = "watch.look",
     .doc = "Sets which signs of clients it gets",
     .idempotent = true,
     .params = &look_shape,
     .run = watch_look},
    {.name = "watch.observed",
     .doc = "What was observed of calls",
     .read_only = true,
     .result = &observed_shape,
     .run = watch_observed},
    {.name = "watch.part",
     .doc = "Gives a part back",
     .read_only = true,
     .params = &part_shape,
     .result = &part_shape,
     .run = watch_part},
    {.name = "watch.decode",
     .doc = "Decodes a part",
     .read_only = true,
     .params = &whole_shape,
     .result = &part_shape,
     .errors = RPC_TABLE(whole_errors),
     .run = watch_decode},
};

RPC_MODULE(watch, .doc = "Sends, watches and observes, for tests", .state_size = sizeof(struct watch),
           .methods = RPC_TABLE(watch_methods), .presence = watch_presence, .observe = watch_observe);
