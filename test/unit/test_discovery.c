// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/describe/discovery.c: what the built-in module answers about the lab's module, and what becomes of
 * documents that are too large. That the documents are right is for test/documents to find out.
 */
#include "lab.h"
#include "unit.h"

#include "call/topic.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

extern const rpc_module rpc_module_rpc;

static struct rig rig;
static struct lab_options options;

static void open_lab(void)
{
    rig_init(&rig);
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
}

static struct config *all_modules; /* NULL: only the lab's */

static void close_lab(void)
{
    rig_close(&rig);
    config_destroy(all_modules);
    all_modules = NULL;
}

/* The reply of a call that must succeed, as a tree to be freed. */
static cJSON *result_of(const char *method, const char *payload)
{
    const struct fake_message *reply = rig_ask(&rig, method, payload);
    ck_assert_str_eq(reply->status, "ok");
    cJSON *tree = cJSON_ParseWithLength(reply->payload, reply->size);
    ck_assert_ptr_nonnull(tree);
    return tree;
}

/* The element of an array that has this name; NULL: none. */
static const cJSON *find(const cJSON *array, const char *name)
{
    const cJSON *element;
    cJSON_ArrayForEach(element, array)
    {
        if (strcmp(rig_member(element, "name")->valuestring, name) == 0)
            return element;
    }
    return NULL;
}

static void expect_json(const cJSON *tree, const char *text)
{
    char *printed = cJSON_PrintUnformatted(tree);
    ck_assert_str_eq(printed, text);
    cJSON_free(printed);
}

START_TEST(discover)
{
    cJSON *document = result_of("rpc.discover", "{}");
    const cJSON *methods = rig_member(document, "methods");
    ck_assert_str_eq(rig_member(document, "openrpc")->valuestring, "1.3.2");
    ck_assert_str_eq(rig_member(rig_member(document, "info"), "version")->valuestring, RPC_VERSION);
    ck_assert_str_eq(rig_member(cJSON_GetArrayItem(methods, 0), "name")->valuestring, "act");
    ck_assert_ptr_nonnull(find(methods, "rpc.discover"));
    expect_json(
        rig_member(find(methods, "value"), "params"),
        "[{\"name\":\"n\",\"required\":true,\"schema\":{\"description\":\"a digit\",\"type\":\"integer\","
        "\"minimum\":0,\"maximum\":9}}]");
    ck_assert_str_eq(rig_member(find(methods, "value"), "paramStructure")->valuestring, "by-position");
    expect_json(rig_member(find(methods, "act"), "errors"),
                "[{\"code\":-32010,\"message\":\"an error that the method declares\"}]");
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(find(methods, "act"), "x-errors")), 2);
    expect_json(rig_member(find(methods, "bytes"), "x-mqtt"),
                "{\"topic\":\"rpc/call/"
                "bytes\",\"payload\":\"bytes\",\"maxQos\":2,\"readOnly\":false,\"idempotent\":false}");
    expect_json(
        rig_member(find(methods, "get"), "x-mqtt"),
        "{\"topic\":\"rpc/call/get\",\"batchTopic\":\"rpc/batch/get\",\"payload\":\"object\",\"maxQos\":2,"
        "\"readOnly\":false,\"idempotent\":false,\"announces\":{\"event\":\"got\",\"topic\":\"rpc/event/"
        "got\",\"when\":"
        "\"unanswered\"}}");
    ck_assert_int_eq(rig_member(rig_member(document, "x-limits"), "maxReply")->valueint,
                     rig.options.max_reply);
    cJSON_Delete(document);
}
END_TEST

static void reopen(bool to_subscribers, const char *open)
{
    close_lab();
    rig_init(&rig);
    rig.options.reply_delivery = to_subscribers ? DELIVERY_SUBSCRIBED : DELIVERY_CLIENT;
    rig.options.jsonrpc_methods = open;
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
}

#define CALLS "\"call\":\"rpc/call/{method}\",\"request\":\"rpc/call/{method}/request\""
#define BATCH ",\"batch\":\"rpc/batch/{method}\""
#define RESPONSE ",\"response\":\"rpc/call/{method}/response/{token}\""
#define JSONRPC ",\"jsonrpc\":\"rpc/jsonrpc\""
#define JSONRPC_RESPONSE ",\"jsonrpcResponse\":\"rpc/jsonrpc/response/{token}\""
#define REPLY ",\"reply\":\"rpc/reply/{client id}/\xE2\x80\xA6\""
#define EVENTS                                                                                           \
    ",\"event\":\"rpc/event/{event}\",\"keyedEvent\":\"rpc/event/{event}/{key}\",\"error\":\"rpc/event/" \
    "error\""
#define DEAD ",\"dead\":\"rpc/dead/{method}\""

static const struct topics {
    bool to_subscribers;
    const char *open, *json;
} topics[] = {
    {false, "", "{" CALLS RESPONSE BATCH EVENTS DEAD "}"},
    {false, " ", "{" CALLS RESPONSE BATCH EVENTS DEAD "}"},
    {false, "*", "{" CALLS RESPONSE BATCH JSONRPC JSONRPC_RESPONSE EVENTS DEAD "}"},
    {false, "get", "{" CALLS RESPONSE BATCH JSONRPC JSONRPC_RESPONSE EVENTS DEAD "}"},
    {true, "", "{" CALLS BATCH REPLY EVENTS DEAD "}"},
    {true, " get id", "{" CALLS BATCH JSONRPC REPLY EVENTS DEAD "}"},
};

/* What is read-only is idempotent, too. */
START_TEST(idempotent)
{
    static const struct {
        const char *name;
        bool read_only, idempotent;
    } rows[] = {{"look", true, true}, {"id", false, true}, {"count", false, false}};
    cJSON *document = result_of("rpc.discover", "{}");
    for (int i = 0; i < UNIT_ROWS(rows); i++) {
        const cJSON *mqtt = rig_member(find(rig_member(document, "methods"), rows[i].name), "x-mqtt");
        ck_assert_int_eq(cJSON_IsTrue(rig_member(mqtt, "readOnly")), rows[i].read_only);
        ck_assert_int_eq(cJSON_IsTrue(rig_member(mqtt, "idempotent")), rows[i].idempotent);
    }
    cJSON_Delete(document);
}
END_TEST

START_TEST(no_letters_no_topic)
{
    close_lab();
    rig_init(&rig);
    rig.options.dead_letters = false;
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
    cJSON *document = result_of("rpc.discover", "{}");
    expect_json(rig_member(document, "x-topics"), "{" CALLS RESPONSE BATCH EVENTS "}");
    cJSON_Delete(document);
}
END_TEST

START_TEST(topics_in_force)
{
    reopen(topics[_i].to_subscribers, topics[_i].open);
    rig_send(&rig, "rpc/call/rpc.discover", "", "rpc/reply/tester/1", NULL);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    cJSON *document = cJSON_ParseWithLength(reply->payload, reply->size);
    expect_json(rig_member(document, "x-topics"), topics[_i].json);
    cJSON_Delete(document);
}
END_TEST

static const struct opening {
    const char *open, *method;
    bool is_open;
} openings[] = {
    {"", "get", false},           {"get id", "get", true}, {"get id", "act", false}, {"*", "get", true},
    {"act.common", "act", false}, {"*", "bytes", false}, /* which JSON-RPC cannot call */
    {"act *", "id", true},
};

START_TEST(open_methods)
{
    reopen(false, openings[_i].open);
    cJSON *document = result_of("rpc.discover", "{}");
    const cJSON *told = cJSON_GetObjectItemCaseSensitive(
        rig_member(find(rig_member(document, "methods"), openings[_i].method), "x-mqtt"), "jsonrpcTopic");
    ck_assert_int_eq(told != NULL, openings[_i].is_open);
    if (told)
        ck_assert_str_eq(told->valuestring, "rpc/jsonrpc");
    cJSON_Delete(document);
}
END_TEST

/* The engine with all modules that there are, those of tests included. */
static void add_all(void)
{
    all_modules = rig_config(NULL, 0);
    rig_start(&rig);
    rig_add_modules(&rig, all_modules);
}

static void reopen_with_all(void)
{
    rig_close(&rig);
    rig_init(&rig);
    rig.options.max_reply = 1 << 20;
    add_all();
}

/* An event without data of its own has that of the methods that announce it. */
START_TEST(events)
{
    cJSON *document = result_of("rpc.discover", "{}");
    const cJSON *list = rig_member(document, "x-events");
    const cJSON *counted = find(list, "counted");
    expect_json(rig_member(counted, "topic"), "\"rpc/event/counted\"");
    expect_json(rig_member(counted, "retained"), "false");
    expect_json(rig_member(counted, "schema"),
                "{\"title\":\"CountResult\",\"type\":\"object\",\"properties\":{\"n\":{\"description\":\"a "
                "number\",\"type\":\"integer\","
                "\"minimum\":-2147483648,\"maximum\":2147483647}},\"required\":[\"n\"]}");
    const cJSON *failed = find(list, "actFailed");
    expect_json(rig_member(failed, "retained"), "true");
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(rig_member(failed, "schema"), "anyOf")), 3);
    cJSON_Delete(document);
}
END_TEST

/* A keyed event says what its key is, and where its values are. */
START_TEST(keyed_events)
{
    reopen_with_all();
    cJSON *document = result_of("rpc.discover", "{}"), *listed = result_of("rpc.list", "");
    cJSON *described = result_of("rpc.describe", "{\"method\":\"setGate\"}");
    const cJSON *gate = find(rig_member(document, "x-events"), "gate");
    expect_json(rig_member(gate, "topic"), "\"rpc/event/gate\"");
    expect_json(rig_member(gate, "key"), "\"gate\"");
    expect_json(rig_member(gate, "keyedTopic"), "\"rpc/event/gate/{key}\"");
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(
        find(rig_member(document, "x-events"), "probeCounted"), "keyedTopic"));
    ck_assert(cJSON_Compare(find(rig_member(described, "events"), "gate"), gate, true));
    expect_json(rig_member(rig_member(rig_member(described, "method"), "x-mqtt"), "announces"),
                "{\"event\":\"gate\",\"topic\":\"rpc/event/gate\",\"key\":\"gate\",\"keyedTopic\":"
                "\"rpc/event/gate/{key}\",\"when\":\"always\"}");
    expect_json(find(rig_member(listed, "events"), "gate"),
                "{\"name\":\"gate\",\"doc\":\"The state of a gate\",\"key\":\"gate\"}");
    cJSON_Delete(described);
    cJSON_Delete(listed);
    cJSON_Delete(document);
}
END_TEST

/* ---- Titles ---- */

static bool is_object(const cJSON *schema)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(schema, "type"), *one;
    cJSON_ArrayForEach(one, type)
    {
        if (strcmp(one->valuestring, "object") == 0)
            return true;
    }
    return cJSON_IsString(type) && strcmp(type->valuestring, "object") == 0;
}

enum { TITLED_MAX = 2000 };

static struct titled {
    const char *title;
    char *schema; /* without what belongs to the place where it stands */
} titled[TITLED_MAX];

static size_t titled_count;

static void note_title(const cJSON *schema)
{
    const cJSON *title = rig_member(schema, "title");
    cJSON *copy = cJSON_Duplicate(schema, true);
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "description");
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "default");
    ck_assert_uint_lt(titled_count, TITLED_MAX);
    titled[titled_count++] = (struct titled){title->valuestring, cJSON_PrintUnformatted(copy)};
    cJSON_Delete(copy);
}

/* Every schema of an object has a title. A member of `properties` may be called `type`. */
static void note_titles(const cJSON *tree, bool is_properties)
{
    const cJSON *child;
    if (!is_properties && is_object(tree))
        note_title(tree);
    cJSON_ArrayForEach(child, tree)
    {
        note_titles(child,
                    cJSON_IsObject(tree) && strcmp(child->string, "properties") == 0 && !is_properties);
    }
}

/* The same title means the same schema, over all modules; with and without options that change schemas. */
START_TEST(titles)
{
    rig_close(&rig);
    rig_init(&rig);
    rig.options.max_reply = 1 << 20;
    rig.options.undeclared = _i ? UNDECLARED_REFUSE : UNDECLARED_IGNORE;
    add_all();
    cJSON *document = result_of("rpc.discover", "{}");
    titled_count = 0;
    note_titles(document, false);
    ck_assert_uint_gt(titled_count, 100);
    for (size_t i = 0; i < titled_count; i++) {
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(strcmp(titled[i].title, titled[j].title) != 0 ||
                              strcmp(titled[i].schema, titled[j].schema) == 0,
                          "%s: %s and %s", titled[i].title, titled[i].schema, titled[j].schema);
    }
    for (size_t i = 0; i < titled_count; i++)
        cJSON_free(titled[i].schema);
    cJSON_Delete(document);
}
END_TEST

START_TEST(list)
{
    cJSON *listed = result_of("rpc.list", "");
    const cJSON *first = cJSON_GetArrayItem(rig_member(listed, "events"), 0);
    expect_json(first, "{\"name\":\"actFailed\",\"doc\":\"act has failed\"}");
    expect_json(find(rig_member(listed, "methods"), "act"), "{\"name\":\"act\",\"doc\":\"\"}");
    ck_assert_ptr_nonnull(find(rig_member(listed, "methods"), "rpc.list"));
    cJSON_Delete(listed);
}
END_TEST

START_TEST(describe)
{
    cJSON *described = result_of("rpc.describe", "{\"method\":\"act\"}");
    ck_assert_str_eq(rig_member(rig_member(described, "method"), "name")->valuestring, "act");
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(described, "events")), 1);
    ck_assert_ptr_nonnull(find(rig_member(described, "events"), "actFailed"));
    cJSON_Delete(described);
    rig_expect(&rig, "rpc.describe", "{\"method\":\"none\"}", "unknown_method",
               "{\"method\":\"rpc.describe\",\"err\":\"unknown_method\",\"msg\":\"there is no method of this "
               "name\"}");
}
END_TEST

START_TEST(what_is_too_large)
{
    close_lab();
    rig_init(&rig);
    rig.options.max_reply = 64 + _i;
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
    ck_assert_str_eq(rig_ask(&rig, "rpc.discover", "")->status, "reply_too_large");
    ck_assert_str_eq(rig_ask(&rig, "rpc.list", "")->status, "reply_too_large");
    ck_assert_str_eq(rig_ask(&rig, "rpc.describe", "{\"method\":\"act\"}")->status, "reply_too_large");
}
END_TEST

/* Exactly the document fits, one byte less does not. */
START_TEST(what_just_fits)
{
    const size_t size = rig_ask(&rig, "rpc.describe", "{\"method\":\"act\"}")->size;
    for (size_t less = 0; less < 2; less++) {
        close_lab();
        rig_init(&rig);
        rig.options.max_reply = (int32_t)(size - less);
        lab_start(&rig, &options, NULL);
        rig_add(&rig, &rpc_module_rpc, NULL);
        ck_assert_str_eq(rig_ask(&rig, "rpc.describe", "{\"method\":\"act\"}")->status,
                         less ? "reply_too_large" : "ok");
    }
}
END_TEST

/* ---- Commands of devices ---- */

struct level {
    int32_t level;
};
static const rpc_field level_fields[] = {RPC_INT32(struct level, level, .doc = "d", .range = {0, 9})};
static const rpc_shape level_shape = RPC_OBJECT_SHAPE(struct level, level_fields);
static const rpc_error level_errors[] = {{.code = "hot", .doc = "too hot", .data = &level_shape},
                                         {.code = "cold"}};
static const rpc_command lamp_commands[] = {
    {
        .name = "light",
        .doc = "Lights.",
        .params = &level_shape,
        .progress = &level_shape,
        .errors = RPC_TABLE(level_errors),
        .strict = true,
        .read_only = true,
        .timeout = 7000,
    },
    {.name = "off", .idempotent = true},
};
static const rpc_command fan_commands[] = {{.name = "off", .doc = "Stops."}};
static const rpc_module lamp = {.name = "lamp", .doc = "Lamps.", .commands = RPC_TABLE(lamp_commands)};
static const rpc_module fan = {.name = "fan", .commands = RPC_TABLE(fan_commands)};
static const rpc_method device_methods[] = {{.name = "device/{device}/{command}", .run = rig_do_nothing},
                                            {.name = "devices/{group}/{command}", .run = rig_do_nothing},
                                            {.name = "thing/{thing}/{command}", .run = rig_do_nothing}};
static const rpc_module device = {.name = "device", .methods = RPC_TABLE(device_methods)};

static void add_devices(void)
{
    rig_add(&rig, &fan, NULL);
    rig_add(&rig, &lamp, NULL);
    rig_add(&rig, &device, NULL);
}

START_TEST(commands_in_the_document)
{
    add_devices();
    cJSON *document = result_of("rpc.discover", "{}");
    const cJSON *devices = rig_member(document, "x-devices");
    ck_assert_int_eq(cJSON_GetArraySize(devices), 2);
    expect_json(rig_member(rig_member(devices, "lamp"), "description"), "\"Lamps.\"");
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(rig_member(devices, "fan"), "description"));
    const cJSON *commands = rig_member(rig_member(devices, "lamp"), "commands");
    ck_assert_int_eq(cJSON_GetArraySize(commands), 2);
    const cJSON *light = find(commands, "device/{device}/light"),
                *off = find(commands, "device/{device}/off");
    expect_json(
        rig_member(light, "x-mqtt"),
        "{\"topic\":\"rpc/call/device/{device}/light\",\"batchTopic\":\"rpc/batch/device/{device}/light\","
        "\"levels\":[\"device\"],\"payload\":\"object\",\"maxQos\":2,\"strict\":true,\"readOnly\":true,"
        "\"idempotent\":true,\"timeoutMs\":7000}");
    expect_json(rig_member(rig_member(light, "result"), "schema"), "{\"description\":\"any JSON value\"}");
    expect_json(rig_member(rig_member(rig_member(light, "x-progress"), "schema"), "required"), "[\"level\"]");
    expect_json(rig_member(cJSON_GetArrayItem(rig_member(light, "x-causes"), 0), "schema"),
                "{\"title\":\"HotCause\",\"type\":\"object\",\"properties\":{\"err\":{\"type\":\"string\","
                "\"const\":\"hot\"},\"msg\":{"
                "\"type\":\"string\"},\"level\":{\"description\":\"d\",\"type\":\"integer\",\"minimum\":0,"
                "\"maximum\":9}},\"required\":[\"err\"]}");
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(light, "errors"));
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(off, "x-causes"));
    ck_assert_ptr_null(cJSON_GetObjectItemCaseSensitive(off, "x-progress"));
    ck_assert(!cJSON_IsTrue(rig_member(rig_member(off, "x-mqtt"), "readOnly")) &&
              cJSON_IsTrue(rig_member(rig_member(off, "x-mqtt"), "idempotent")));
    ck_assert_int_eq(rig_member(rig_member(off, "x-mqtt"), "timeoutMs")->valueint, rig.options.timeout);
    cJSON_Delete(document);
}
END_TEST

START_TEST(no_commands_in_the_document)
{
    cJSON *document = result_of("rpc.discover", "{}"), *listed = result_of("rpc.list", "");
    expect_json(rig_member(document, "x-devices"), "{}");
    expect_json(rig_member(listed, "devices"), "[]");
    cJSON_Delete(document);
    cJSON_Delete(listed);
}
END_TEST

START_TEST(commands_in_the_list)
{
    add_devices();
    cJSON *listed = result_of("rpc.list", "");
    expect_json(
        rig_member(listed, "devices"),
        "[{\"name\":\"fan\",\"doc\":\"\",\"commands\":[{\"name\":\"off\",\"doc\":\"Stops.\"}]},"
        "{\"name\":\"lamp\",\"doc\":\"Lamps.\",\"commands\":[{\"name\":\"light\",\"doc\":\"Lights.\"},"
        "{\"name\":\"off\",\"doc\":\"\"}]}]");
    cJSON_Delete(listed);
}
END_TEST

/* Commands are called by the family of devices, one or a group. */
static const struct described {
    const char *name;
    int commands; /* -1: the member is not there */
} described_names[] = {
    {"device/{device}/light", 1},     {"device/lamp1/light", 1},
    {"devices/all/light", 1},         {"device/lamp1/off", 2},
    {"devices/{group}/off", 2},       {"device/lamp1/none", 0},
    {"device/{device}/{command}", 0}, {"devices/{group}/{command}", 0},
    {"thing/lamp1/off", -1},          {"act", -1},
};

START_TEST(describe_commands)
{
    const struct described *named = &described_names[_i];
    char payload[100];
    add_devices();
    snprintf(payload, sizeof payload, "{\"method\":\"%s\"}", named->name);
    cJSON *described = result_of("rpc.describe", payload), *document = result_of("rpc.discover", "");
    const cJSON *commands = cJSON_GetObjectItemCaseSensitive(described, "commands"), *command;
    ck_assert_int_eq(commands ? cJSON_GetArraySize(commands) : -1, named->commands);
    cJSON_ArrayForEach(command, commands)
    {
        const cJSON *kind = rig_member(rig_member(document, "x-devices"),
                                       rig_member(rig_member(command, "tags")->child, "name")->valuestring);
        ck_assert(cJSON_Compare(
            command, find(rig_member(kind, "commands"), rig_member(command, "name")->valuestring), true));
    }
    cJSON_Delete(document);
    cJSON_Delete(described);
}
END_TEST

/* The name of a device may be as long as a level. */
START_TEST(describe_a_long_name)
{
    char payload[300], name[TOPIC_LEVEL_MAX + 1] = "";
    add_devices();
    memset(name, 'd', TOPIC_LEVEL_MAX);
    snprintf(payload, sizeof payload, "{\"method\":\"device/%s/light\"}", name);
    cJSON *described = result_of("rpc.describe", payload);
    ck_assert_int_eq(cJSON_GetArraySize(rig_member(described, "commands")), 1);
    cJSON_Delete(described);
}
END_TEST

/* Whether commands can be called at the endpoint is said of their family. */
START_TEST(commands_at_the_endpoint)
{
    static const struct opening commands[] = {{"", "off", false},
                                              {"*", "off", true},
                                              {"get device/{device}/{command}", "off", true},
                                              {"off get", "off", false}};
    for (int i = 0; i < UNIT_ROWS(commands); i++) {
        reopen(false, commands[i].open);
        add_devices();
        cJSON *described = result_of("rpc.describe", "{\"method\":\"device/d/off\"}");
        const cJSON *mqtt = rig_member(rig_member(described, "commands")->child, "x-mqtt");
        ck_assert_int_eq(cJSON_GetObjectItemCaseSensitive(mqtt, "jsonrpcTopic") != NULL, commands[i].is_open);
        cJSON_Delete(described);
    }
}
END_TEST

/* ---- The document is made once ---- */

/* A module whose text changes, as that of no real one does: it shows when a document was made. */
static char summary[2000];
static const rpc_method late_methods[] = {{.name = "late", .doc = summary, .run = rig_do_nothing}};
static const rpc_module late = {.name = "late", .methods = RPC_TABLE(late_methods)};
struct news_data {
    const char *text;
};
static const rpc_field news_fields[] = {RPC_STRING(struct news_data, text, .doc = "d", .length = {0, 9})};
static const rpc_shape news_shape = RPC_OBJECT_SHAPE(struct news_data, news_fields);
static const rpc_event news[] = {{.name = "news", .doc = "d", .data = &news_shape}};
static const rpc_module later = {.name = "later", .events = RPC_TABLE(news)};

static bool is_told(const char *payload, const char *text)
{
    const struct fake_message *reply = rig_ask(&rig, "rpc.discover", payload);
    ck_assert_str_eq(reply->status, "ok");
    cJSON *document = cJSON_ParseWithLength(reply->payload, reply->size);
    char *printed = cJSON_PrintUnformatted(document);
    const bool told = strstr(printed, text) != NULL;
    cJSON_free(printed);
    cJSON_Delete(document);
    return told;
}

START_TEST(the_document_is_kept)
{
    strcpy(summary, "first words");
    rig_add(&rig, &late, NULL);
    ck_assert(is_told("", "first words"));
    strcpy(summary, "second words");
    ck_assert(is_told("", "first words"));
    ck_assert(is_told("{}", "first words"));
    rig_add(&rig, &later, NULL);
    ck_assert(is_told("", "second words"));
    ck_assert(is_told("", "rpc/event/news"));
    strcpy(summary, "third words");
    ck_assert(is_told("", "second words"));
    rig_add(&rig, &lamp, NULL);
    ck_assert(is_told("", "third words"));
    ck_assert(is_told("", "device/{device}/light"));
}
END_TEST

START_TEST(a_new_method_makes_it_anew)
{
    strcpy(summary, "first words");
    ck_assert(!is_told("", "first words"));
    rig_add(&rig, &late, NULL);
    ck_assert(is_told("", "first words"));
}
END_TEST

/* That it is too large is known the next time, too, until there is more to tell. */
START_TEST(what_is_too_large_is_written_once)
{
    memset(summary, 'x', sizeof summary - 1);
    rig_add(&rig, &late, NULL);
    const size_t size = rig_ask(&rig, "rpc.discover", "")->size;
    close_lab();
    rig_init(&rig);
    rig.options.max_reply = (int32_t)size - 2; /* the limit is in the document, with fewer digits */
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
    rig_add(&rig, &late, NULL);
    ck_assert_str_eq(rig_ask(&rig, "rpc.discover", "")->status, "reply_too_large");
    strcpy(summary, "shorter");
    ck_assert_str_eq(rig_ask(&rig, "rpc.discover", "")->status, "reply_too_large");
    rig_add(&rig, &later, NULL);
    ck_assert_str_eq(rig_ask(&rig, "rpc.discover", "")->status, "ok");
}
END_TEST

/* Each item of a batch has it, and each is the whole document. */
START_TEST(many_of_it_in_a_batch)
{
    const size_t size = rig_ask(&rig, "rpc.discover", "")->size;
    close_lab();
    rig_init(&rig);
    rig.options.max_reply = 4 * (int32_t)size;
    lab_start(&rig, &options, NULL);
    rig_add(&rig, &rpc_module_rpc, NULL);
    rig_send(&rig, "rpc/batch/rpc.discover", "[{},{},1]", RIG_REPLY, NULL);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    cJSON *batch = cJSON_ParseWithLength(reply->payload, reply->size);
    ck_assert_int_eq(cJSON_GetArraySize(batch), 3);
    const cJSON *first = rig_member(cJSON_GetArrayItem(batch, 0), "result");
    const cJSON *second = rig_member(cJSON_GetArrayItem(batch, 1), "result");
    ck_assert(cJSON_Compare(first, second, true));
    ck_assert_ptr_nonnull(find(rig_member(first, "methods"), "act"));
    rig_member(cJSON_GetArrayItem(batch, 2), "error");
    cJSON_Delete(batch);
}
END_TEST

UNIT_MAIN("discovery", open_lab, close_lab, {discover, 0}, {idempotent, 0},
          {topics_in_force, UNIT_ROWS(topics)}, {no_letters_no_topic, 0}, {open_methods, UNIT_ROWS(openings)},
          {events, 0}, {keyed_events, 0}, {titles, 2}, {list, 0}, {describe, 0}, {what_is_too_large, 300},
          {what_just_fits, 0}, {the_document_is_kept, 0}, {a_new_method_makes_it_anew, 0},
          {what_is_too_large_is_written_once, 0}, {many_of_it_in_a_batch, 0}, {commands_in_the_document, 0},
          {no_commands_in_the_document, 0}, {commands_in_the_list, 0},
          {describe_commands, UNIT_ROWS(described_names)}, {describe_a_long_name, 0},
          {commands_at_the_endpoint, 0})
