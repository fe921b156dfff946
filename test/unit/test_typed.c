// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* clients/c/mosquitto_rpc_typed.h: structs as JSON, and calls with them, on a client that the test plays. */
#include "failing_malloc.h"
#include "unit.h"

#include "mosquitto_rpc_typed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A struct with every kind of member ---- */

struct part {
    int64_t number;
};

struct thing {
    bool has_truth, truth;
    int64_t integer;
    bool has_real;
    double real;
    const char *text;
    int choice;
    const cJSON *any;
    struct part part;
    const struct part *other;
    const struct part *parts;
    size_t part_count;
    const char *const *names;
    size_t name_count;
};

static const char *const choices[] = {"small", "large"};
static const struct rpc_typed_member part_members[] = {{.name = "number",
                                                        .kind = RPC_TYPED_INTEGER,
                                                        .offset = offsetof(struct part, number),
                                                        .is_required = true}};
static const struct rpc_typed_shape part_shape = {part_members, 1, sizeof(struct part)};
static const struct rpc_typed_member members[] = {
    {.name = "truth",
     .kind = RPC_TYPED_BOOL,
     .offset = offsetof(struct thing, truth),
     .beside = offsetof(struct thing, has_truth),
     .has_flag = true},
    {.name = "integer",
     .kind = RPC_TYPED_INTEGER,
     .offset = offsetof(struct thing, integer),
     .is_required = true},
    {.name = "real",
     .kind = RPC_TYPED_NUMBER,
     .offset = offsetof(struct thing, real),
     .beside = offsetof(struct thing, has_real),
     .has_flag = true,
     .is_required = true,
     .is_nullable = true},
    {.name = "text", .kind = RPC_TYPED_STRING, .offset = offsetof(struct thing, text)},
    {.name = "choice",
     .kind = RPC_TYPED_CHOICE,
     .offset = offsetof(struct thing, choice),
     .choices = choices,
     .choice_count = 2},
    {.name = "any", .kind = RPC_TYPED_JSON, .offset = offsetof(struct thing, any)},
    {.name = "part",
     .kind = RPC_TYPED_OBJECT,
     .offset = offsetof(struct thing, part),
     .is_required = true,
     .shape = &part_shape},
    {.name = "other",
     .kind = RPC_TYPED_OBJECT,
     .offset = offsetof(struct thing, other),
     .shape = &part_shape},
    {.name = "parts",
     .kind = RPC_TYPED_OBJECT,
     .offset = offsetof(struct thing, parts),
     .beside = offsetof(struct thing, part_count),
     .is_array = true,
     .shape = &part_shape},
    {.name = "names",
     .kind = RPC_TYPED_STRING,
     .offset = offsetof(struct thing, names),
     .beside = offsetof(struct thing, name_count),
     .is_array = true},
};
static const struct rpc_typed_shape shape = {members, sizeof members / sizeof *members, sizeof(struct thing)};

#define MIN "\"integer\":1,\"real\":null,\"part\":{\"number\":2}"

static const char full[] =
    "{\"truth\":true,\"integer\":-9007199254740992,\"real\":0.5,\"text\":\"a\",\"choice\":\"large\","
    "\"any\":{\"b\":[null]},\"part\":{\"number\":2},\"other\":{\"number\":3},"
    "\"parts\":[{\"number\":4},{\"number\":5}],\"names\":[\"c\",\"d\"]}";

static const struct {
    const char *text, *back; /* what is read, and what it is written as */
} good[] = {
    {full, full},
    {"{" MIN "}", "{" MIN "}"},
    {"{" MIN ",\"new\":[1]}", "{" MIN "}"},
    {"{" MIN ",\"choice\":\"huge\"}", "{" MIN "}"},
    {"{" MIN ",\"truth\":null,\"text\":null,\"other\":null,\"parts\":null,\"choice\":null}", "{" MIN "}"},
    {"{" MIN ",\"any\":null}", "{\"integer\":1,\"real\":null,\"any\":null,\"part\":{\"number\":2}}"},
    {"{" MIN ",\"parts\":[],\"names\":[]}", "{" MIN ",\"parts\":[],\"names\":[]}"},
    {"{\"integer\":-9223372036854775808,\"real\":null,\"part\":{\"number\":2}}",
     "{\"integer\":-9223372036854775808,\"real\":null,\"part\":{\"number\":2}}"},
    {"{\"integer\":9223372036854775807,\"real\":null,\"part\":{\"number\":2}}",
     "{\"integer\":9223372036854775807,\"real\":null,\"part\":{\"number\":2}}"},
};

START_TEST(values_that_fit)
{
    struct thing thing;
    struct rpc_typed_memory memory;
    cJSON *json = cJSON_Parse(good[_i].text);
    ck_assert_msg(rpc_typed_read(&shape, json, &thing, &memory), "%s", memory.fault);
    cJSON *written = rpc_typed_write(&shape, &thing);
    char *text = cJSON_PrintUnformatted(written);
    ck_assert_str_eq(text, good[_i].back);
    cJSON_free(text);
    cJSON_Delete(written);
    rpc_typed_free(&memory);
    cJSON_Delete(json);
}
END_TEST

static const struct {
    const char *text, *fault;
} bad[] = {
    {"[]", "it is not an object"},
    {"null", "it is not an object"},
    {"{}", "integer is not there"},
    {"{\"integer\":1,\"part\":{\"number\":2}}", "real is not there"},
    {"{\"integer\":null,\"real\":1,\"part\":{\"number\":2}}", "integer is not a number"},
    {"{\"integer\":1.5,\"real\":1}", "integer is not an integer"},
    {"{\"integer\":1e300,\"real\":1}", "integer is not an integer"},
    {"{\"integer\":\"1\",\"real\":1}", "integer is not a number"},
    {"{" MIN ",\"truth\":1}", "truth is not a boolean"},
    {"{" MIN ",\"text\":1}", "text is not a string"},
    {"{" MIN ",\"choice\":1}", "choice is not a string"},
    {"{" MIN ",\"other\":[]}", "other is not an object"},
    {"{" MIN ",\"other\":{}}", "number is not there"},
    {"{" MIN ",\"parts\":{}}", "parts is not an array"},
    {"{" MIN ",\"parts\":[{\"number\":1},{}]}", "number is not there"},
    {"{" MIN ",\"parts\":[null]}", "parts is not an object"},
    {"{" MIN ",\"names\":[\"a\",null]}", "names is not a string"},
};

START_TEST(values_that_do_not_fit)
{
    struct thing thing;
    const struct thing none = {.integer = 0};
    struct rpc_typed_memory memory;
    cJSON *json = cJSON_Parse(bad[_i].text);
    memset(&thing, 1, sizeof thing);
    ck_assert_msg(!rpc_typed_read(&shape, json, &thing, &memory), "%s", bad[_i].text);
    ck_assert_str_eq(memory.fault, bad[_i].fault);
    ck_assert(!thing.text && !thing.parts && !thing.any && thing.integer == none.integer);
    rpc_typed_free(&memory);
    cJSON_Delete(json);
}
END_TEST

START_TEST(what_is_not_json)
{
    struct thing thing;
    struct rpc_typed_memory memory;
    ck_assert(!rpc_typed_read(&shape, NULL, &thing, &memory));
    ck_assert_str_eq(memory.fault, "it is not JSON");
    rpc_typed_free(&memory);
}
END_TEST

/* A short message can stand for a large value: each {} of an array for a struct. */
START_TEST(a_value_that_takes_too_much)
{
    struct large {
        char place[1 << 20];
    };
    struct list {
        const struct large *items;
        size_t count;
    } list;
    static const struct rpc_typed_member optional[] = {{.name = "a", .kind = RPC_TYPED_BOOL}};
    static const struct rpc_typed_shape large = {optional, 1, sizeof(struct large)};
    const struct rpc_typed_member whole = {.kind = RPC_TYPED_OBJECT,
                                           .offset = offsetof(struct list, items),
                                           .beside = offsetof(struct list, count),
                                           .is_array = true,
                                           .is_required = true,
                                           .shape = &large};
    const struct rpc_typed_shape lists = {&whole, 1, sizeof list};
    struct rpc_typed_memory memory;
    cJSON *json = cJSON_CreateArray();
    for (int i = 0; i < 65; i++)
        cJSON_AddItemToArray(json, cJSON_CreateObject());
    ck_assert(!rpc_typed_read(&lists, json, &list, &memory));
    ck_assert_ptr_nonnull(strstr(memory.fault, "more than 67108864 bytes"));
    rpc_typed_free(&memory);
    cJSON_DeleteItemFromArray(json, 0);
    ck_assert(rpc_typed_read(&lists, json, &list, &memory) && list.count == 64);
    rpc_typed_free(&memory);
    cJSON_Delete(json);
}
END_TEST

START_TEST(memory_that_fails)
{
    cJSON *json = cJSON_Parse(full);
    bool has_failed = true;
    for (size_t n = 0; has_failed; n++) {
        struct thing thing;
        struct rpc_typed_memory memory;
        failing_arm(FAILING_ONCE, n);
        const bool is_read = rpc_typed_read(&shape, json, &thing, &memory);
        cJSON *written = is_read ? rpc_typed_write(&shape, &thing) : NULL;
        const bool is_written = written;
        cJSON_Delete(written);
        rpc_typed_free(&memory);
        has_failed = failing_disarm();
        ck_assert_uint_eq(failing_live(), 0);
        ck_assert(is_written == !has_failed);
    }
    cJSON_Delete(json);
}
END_TEST

/* ---- Calls ---- */

static char called[400];   /* what was called: its name and parameters */
static const char *answer; /* the result of calls; NULL: they fail */
static char subscribed[400];

static enum rpc_client_status play(const struct rpc_client_request *request)
{
    char *params = request->params ? cJSON_PrintUnformatted(request->params) : NULL;
    snprintf(called, sizeof called, "%s %s%.*s %d", request->method, params ? params : "", (int)request->size,
             request->payload ? request->payload : "", request->timeout_ms);
    cJSON_free(params);
    return answer ? RPC_CLIENT_OK : RPC_CLIENT_ERROR;
}

enum rpc_client_status rpc_client_call(struct rpc_client *client, const struct rpc_client_request *request,
                                       struct rpc_client_reply *reply)
{
    (void)client;
    reply->status = play(request);
    reply->data = reply->memory = answer ? cJSON_Parse(answer) : NULL;
    reply->err = answer ? NULL : "no_such_part";
    return reply->status;
}

enum rpc_client_status rpc_client_send(struct rpc_client *client, const struct rpc_client_request *request,
                                       char id[RPC_CLIENT_ID_SIZE])
{
    (void)client, (void)id;
    return play(request);
}

void rpc_client_reply_clear(struct rpc_client_reply *reply)
{
    cJSON_Delete(reply->memory);
    *reply = (struct rpc_client_reply){.status = RPC_CLIENT_OK};
}

const char *rpc_client_status_name(enum rpc_client_status status)
{
    return status == RPC_CLIENT_BAD_REPLY ? "bad_reply" : "other";
}

enum rpc_client_status rpc_client_subscribe(struct rpc_client *client, const char *filter,
                                            rpc_client_event_fn *on_event, void *user, unsigned long *id)
{
    (void)client, (void)on_event, (void)user, (void)id;
    snprintf(subscribed, sizeof subscribed, "%s", filter);
    return RPC_CLIENT_OK;
}

static const struct rpc_typed_method method = {"{room}/part/{kind}", &part_shape, &part_shape};

static const struct {
    const char *room, *kind, *answer;
    enum rpc_client_status status;
    const char *called, *msg;
} calls[] = {
    {"a", "b", "{\"number\":8}", RPC_CLIENT_OK, "a/part/b {\"number\":7} 50", NULL},
    {"a", "b", NULL, RPC_CLIENT_ERROR, "a/part/b {\"number\":7} 50", NULL},
    {"a", "b", "{\"number\":true}", RPC_CLIENT_BAD_REPLY, "a/part/b {\"number\":7} 50",
     "number is not a number"},
    {"a", "", "{}", RPC_CLIENT_INVALID, "", NULL},
    {"a", NULL, "{}", RPC_CLIENT_INVALID, "", NULL},
    {"a/b", "c", "{}", RPC_CLIENT_INVALID, "", NULL},
    {"a", "{c}", "{}", RPC_CLIENT_INVALID, "", NULL},
};

START_TEST(calls_with_structs)
{
    const char *const levels[] = {calls[_i].room, calls[_i].kind};
    const struct part params = {7};
    const struct rpc_typed_call call = {.method = &method, .levels = levels, .params = &params};
    const struct rpc_client_request options = {.timeout_ms = 50};
    struct part result;
    struct rpc_typed_reply reply;
    called[0] = '\0';
    answer = calls[_i].answer;
    ck_assert_int_eq(rpc_typed_call(NULL, &call, &options, &result, &reply), calls[_i].status);
    ck_assert_str_eq(called, calls[_i].called);
    ck_assert_int_eq(result.number, calls[_i].status == RPC_CLIENT_OK ? 8 : 0);
    ck_assert(calls[_i].status == RPC_CLIENT_OK || reply.reply.err);
    if (calls[_i].msg)
        ck_assert_str_eq(reply.reply.msg, calls[_i].msg);
    rpc_typed_clear(&reply);
}
END_TEST

/* What is a level is what the generator takes for one, whatever the name of a service looks like. The value
 * behind the last level must not be asked for. */
static const struct {
    const char *name, *called;
} names[] = {
    {"{a}", "x  0"},           {"s/{a}/t", "s/x/t  0"}, {"{}/{a}", "{}/x  0"},
    {"s{}{a}{}", "s{}x{}  0"}, {"{{a}", "x  0"},        {"{a}}{", "x}{  0"},
};

START_TEST(levels_of_names)
{
    const char *const levels[] = {"x", NULL};
    const struct rpc_typed_method named = {names[_i].name, &part_shape, &part_shape};
    const struct rpc_typed_call call = {.method = &named, .levels = levels};
    answer = "{}";
    called[0] = '\0';
    ck_assert_int_eq(rpc_typed_send(NULL, &call, NULL, NULL), RPC_CLIENT_OK);
    ck_assert_str_eq(called, names[_i].called);
}
END_TEST

START_TEST(calls_with_bytes_and_without)
{
    static const struct rpc_typed_method plain = {"plain", NULL, &part_shape};
    const struct rpc_typed_call bytes = {.method = &plain, .bytes = "abc", .size = 2},
                                none = {.method = &plain};
    answer = "{}";
    ck_assert_int_eq(rpc_typed_send(NULL, &bytes, NULL, NULL), RPC_CLIENT_OK);
    ck_assert_str_eq(called, "plain ab 0");
    ck_assert_int_eq(rpc_typed_send(NULL, &none, NULL, NULL), RPC_CLIENT_OK);
    ck_assert_str_eq(called, "plain  0");
}
END_TEST

START_TEST(subscriptions)
{
    unsigned long id;
    ck_assert_int_eq(rpc_typed_subscribe(NULL, "door", false, NULL, NULL, NULL, &id), RPC_CLIENT_OK);
    ck_assert_str_eq(subscribed, "door");
    ck_assert_int_eq(rpc_typed_subscribe(NULL, "door", true, NULL, NULL, NULL, &id), RPC_CLIENT_OK);
    ck_assert_str_eq(subscribed, "door/+");
    ck_assert_int_eq(rpc_typed_subscribe(NULL, "door", true, "front", NULL, NULL, &id), RPC_CLIENT_OK);
    ck_assert_str_eq(subscribed, "door/front");
    static const char *const none[] = {"", "a/b", "+", "#", "a#"};
    for (int i = 0; i < UNIT_ROWS(none); i++)
        ck_assert_int_eq(rpc_typed_subscribe(NULL, "door", true, none[i], NULL, NULL, &id),
                         RPC_CLIENT_INVALID);
}
END_TEST

static void set_up(void)
{
    failing_install();
}

UNIT_MAIN("typed", set_up, NULL, {values_that_fit, UNIT_ROWS(good)}, {values_that_do_not_fit, UNIT_ROWS(bad)},
          {what_is_not_json, 0}, {a_value_that_takes_too_much, 0}, {memory_that_fails, 0},
          {calls_with_structs, UNIT_ROWS(calls)}, {levels_of_names, UNIT_ROWS(names)},
          {calls_with_bytes_and_without, 0}, {subscriptions, 0})
