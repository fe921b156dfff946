// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Batches without an envelope (docs/clients.md): what each item comes to by itself, the events, what
 * makes a batch fail as a whole, and handlers that do everything they may while a reply is being written.
 */
#include "lab.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;

static void open_rig(void)
{
    rig_init(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

#define ERROR(method, err, msg) \
    "{\"error\":{\"method\":\"" method "\",\"err\":\"" err "\",\"msg\":\"" msg "\"}}"
#define WHOLE(method, err, msg) "{\"method\":\"" method "\",\"err\":\"" err "\",\"msg\":\"" msg "\"}"
#define DIGIT "n must be a whole number from 0 to 9"
#define NO_BATCH "a batch is an array, or an object with request_id and calls"
#define NO_OBJECT "the parameters must be a JSON object"

static void expect_runs(int runs)
{
    char text[32];
    snprintf(text, sizeof text, "{\"n\":%d}", runs);
    rig_expect(&rig, "get", "", "ok", text);
}

static void expect_reply(const char *topic, const char *status, const char *text)
{
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig.host.replies.kept[0].topic, topic);
    ck_assert_str_eq(rig.host.replies.kept[0].text, text);
    ck_assert_str_eq(rig.host.replies.kept[0].status, status);
}

/* ---- Arrays ---- */

static const struct batch {
    const char *method, *payload, *status, *text;
} batches[] = {
    {"count", "[]", "ok", "[]"},
    {"count", "[{}]", "ok", "[{\"result\":{\"n\":1}}]"},
    {"count", " [ {} , {\"a\":1},{}] ", "ok",
     "[{\"result\":{\"n\":1}},{\"result\":{\"n\":2}},{\"result\":{\"n\":3}}]"},
    {"value", "[1,2,9]", "ok", "[{\"result\":1},{\"result\":2},{\"result\":9}]"},
    {"nothing", "[{}]", "ok", "[{\"result\":{}}]"},
    /* Items fail each for itself. */
    {"value", "[1,false,true,3]", "ok",
     "[{\"result\":1}," ERROR("value", "invalid_params", DIGIT) "," ERROR("value", "invalid_params",
                                                                          DIGIT) ",{\"result\":3}]"},
    {"id", "[{\"request_id\":\"a\"},{\"request_id\":5},{}]", "ok",
     "[{\"result\":{\"request_id\":\"a\"}}," ERROR(
         "id", "invalid_params", "request_id must be a string of 0 to 1000 characters") ","
                                                                                        "{\"result\":{}}]"},
    {"count", "[{},1,null,{}]", "ok",
     "[{\"result\":{\"n\":1}}," ERROR("count", "invalid_params", NO_OBJECT) "," ERROR(
         "count", "invalid_params", NO_OBJECT) ",{\"result\":{\"n\":2}}]"},
    {"bytes", "[{}]", "ok",
     "[" ERROR("bytes", "invalid_params", "the method takes raw bytes, which only a plain call has") "]"},
    /* What is no JSON-RPC elsewhere is none here. */
    {"id", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"id\"}]", "ok", "[{\"result\":{}}]"},
    /* A member that is given twice is the item's fault alone. */
    {"count", "[{},{\"a\":1,\"a\":2},{}]", "ok",
     "[{\"result\":{\"n\":1}}," ERROR("count", "invalid_params",
                                      "a is given twice") ",{\"result\":{\"n\":2}}]"},
    {"id", "[{\"request_id\":\"a\"},{\"x\":1e999}]", "ok",
     "[{\"result\":{\"request_id\":\"a\"}}," ERROR("id", "invalid_params",
                                                   "the payload has a number that is too large") "]"},
    /* Whose U+0000 it is cannot be told. */
    {"id", "[{\"request_id\":\"a\"},{\"request_id\":\"\\u0000\"}]", "ok",
     "[" ERROR("id", "invalid_params", "the payload has a string with U+0000") "," ERROR(
         "id", "invalid_params", "the payload has a string with U+0000") "]"},
    /* What fails as a whole. */
    {"count", "", "invalid_request", WHOLE("count", "invalid_request", NO_BATCH)},
    {"count", "{}", "invalid_request", WHOLE("count", "invalid_request", NO_BATCH)},
    {"count", "1", "invalid_request", WHOLE("count", "invalid_request", NO_BATCH)},
    {"count", "\"[]\"", "invalid_request", WHOLE("count", "invalid_request", NO_BATCH)},
    {"count", "{\"request_id\":\"x\",\"calls\":[{}]}", "invalid_request",
     WHOLE("count", "invalid_request", NO_BATCH)},
    {"count", "[{},{},{},{}]", "invalid_request",
     WHOLE("count", "invalid_request", "the batch has 4 calls, and max_batch is 3")},
    {"nope", "[{}]", "method_not_found", WHOLE("nope", "method_not_found", "there is no method nope")},
    {"nope", "[]", "method_not_found", WHOLE("nope", "method_not_found", "there is no method nope")},
    {"nope", "{", "method_not_found", WHOLE("nope", "method_not_found", "there is no method nope")},
    {"nope", "1", "method_not_found", WHOLE("nope", "method_not_found", "there is no method nope")},
};

START_TEST(batches_by_response_topic)
{
    char topic[64];
    const struct batch *row = &batches[_i];
    rig.options.max_batch = strchr(row->text, 'm') && strstr(row->text, "max_batch is 3") ? 3 : 4;
    lab_start(&rig, &options, NULL);
    snprintf(topic, sizeof topic, "rpc/batch/%s", row->method);
    ck_assert_int_eq(rig_send(&rig, topic, row->payload, "r", "cc"), ENGINE_CONSUME);
    expect_reply("r", row->status, row->text);
    ck_assert_uint_eq(rig.host.replies.kept[0].correlation_size, 2);
    for (size_t i = 0; i < rig.host.events.count; i++)
        ck_assert_str_eq(rig.host.events.kept[i].topic, "rpc/event/counted");
}
END_TEST

START_TEST(batches_that_are_no_json)
{
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/batch/count", "[{},", "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "parse_error");
    ck_assert_ptr_eq(
        strstr(rig_last(&rig.host.replies)->text, "{\"method\":\"count\",\"err\":\"parse_error\""),
        rig_last(&rig.host.replies)->text);
    expect_runs(0);
}
END_TEST

/* ---- The object form ---- */

static const struct batch by_id[] = {
    {"count", "{\"request_id\":\"x\",\"calls\":[{},{}]}", "ok",
     "{\"request_id\":\"x\",\"result\":[{\"result\":{\"n\":1}},{\"result\":{\"n\":2}}]}"},
    {"count", "{\"request_id\":\"x\",\"calls\":[{}],\"timeout_ms\":0}", "ok",
     "{\"request_id\":\"x\",\"result\":[{\"result\":{\"n\":1}}]}"},
    {"count", "{\"calls\":[],\"request_id\":\"x\",\"more\":1}", "ok", "{\"request_id\":\"x\",\"result\":[]}"},
    {"value", "{\"request_id\":\"x\",\"calls\":[1,true]}", "ok",
     "{\"request_id\":\"x\",\"result\":[{\"result\":1}," ERROR("value", "invalid_params", DIGIT) "]}"},
    {"count", "{\"request_id\":\"x\",\"calls\":[{},{},{}]}", "invalid_request",
     "{\"request_id\":\"x\",\"error\":" WHOLE("count", "invalid_request",
                                              "the batch has 3 calls, and max_batch is 2") "}"},
    {"count", "{\"request_id\":\"x\"}", "invalid_request",
     "{\"request_id\":\"x\",\"error\":" WHOLE("count", "invalid_request", NO_BATCH) "}"},
    {"count", "{\"request_id\":\"x\",\"calls\":{}}", "invalid_request",
     "{\"request_id\":\"x\",\"error\":" WHOLE("count", "invalid_request", NO_BATCH) "}"},
    {"nope", "{\"request_id\":\"x\",\"calls\":[{}]}", "method_not_found",
     "{\"request_id\":\"x\",\"error\":" WHOLE("nope", "method_not_found", "there is no method nope") "}"},
};

START_TEST(batches_by_request_id)
{
    char topic[64];
    char replies[64];
    const struct batch *row = &by_id[_i];
    rig.options.max_batch = 2;
    lab_start(&rig, &options, NULL);
    snprintf(topic, sizeof topic, "rpc/batch/%s", row->method);
    snprintf(replies, sizeof replies, "rpc/call/%s/response/x", row->method);
    rig_publish(&rig, topic, row->payload);
    expect_reply(replies, row->status, row->text);
}
END_TEST

/* An object that does not say where to reply is no batch; a request_id that makes no topic none, either. */
START_TEST(bad_object_forms)
{
    static const struct {
        const char *payload, *msg;
    } rows[] = {
        {"{\"calls\":[{}]}", NO_BATCH},
        {"{\"request_id\":null,\"calls\":[{}]}", "request_id must be a string or a finite number"},
        {"{\"request_id\":[7],\"calls\":[{}]}", "request_id must be a string or a finite number"},
        {"{\"request_id\":\"+\",\"calls\":[{}]}", "the call has a request_id that cannot be part of a topic "
                                                  "(at most 256 bytes, no +, #, control characters)"},
    };
    char text[256];
    lab_start(&rig, &options, NULL);
    rig_publish(&rig, "rpc/batch/count", rows[_i].payload);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 1);
    snprintf(text, sizeof text, "{\"method\":\"count\",\"err\":\"invalid_request\",\"msg\":\"%s\"}",
             rows[_i].msg);
    rig_expect_error(&rig, text);
    expect_runs(0);
}
END_TEST

/* A member that is given twice is no better in the envelope than in a call. */
START_TEST(envelopes_with_a_member_twice)
{
    static const char *const payloads[] = {"{\"request_id\":\"x\",\"calls\":[{}],\"calls\":[{},{}]}",
                                           "{\"request_id\":\"x\",\"request_id\":\"y\",\"calls\":[{}]}"};
    static const char *const twice[] = {"calls is given twice", "request_id is given twice"};
    char text[256];
    lab_start(&rig, &options, NULL);
    rig_publish(&rig, "rpc/batch/count", payloads[_i]);
    snprintf(
        text, sizeof text,
        "{\"request_id\":\"x\",\"error\":{\"method\":\"count\",\"err\":\"invalid_params\",\"msg\":\"%s\"}}",
        twice[_i]);
    expect_reply("rpc/call/count/response/x", "invalid_params", text);
    expect_runs(0);
}
END_TEST

/* ---- When nobody asked ---- */

START_TEST(events_and_errors_of_items)
{
    lab_start(&rig, &options, NULL);
    rig_publish(&rig, "rpc/batch/count", "[{},5,{}]");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.host.events.count, 3);
    ck_assert_str_eq(rig.host.events.kept[0].text, "{\"n\":1}");
    ck_assert_str_eq(rig.host.events.kept[1].topic, "rpc/event/error");
    ck_assert_str_eq(rig.host.events.kept[1].text,
                     "{\"method\":\"count\",\"err\":\"invalid_params\",\"msg\":\"" NO_OBJECT
                     "\",\"client\":\"tester\"}");
    ck_assert_str_eq(rig.host.events.kept[2].text, "{\"n\":2}");
    rig_publish(&rig, "rpc/batch/get", "[{},{}]");
    ck_assert_uint_eq(rig.host.events.count, 5);
    ck_assert_str_eq(rig.host.events.kept[4].topic, "rpc/event/got");
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, 5);
    ck_assert_uint_eq(engine_counters(rig.engine)->errors, 1);
    ck_assert_uint_eq(engine_counters(rig.engine)->replies, 0);
}
END_TEST

START_TEST(unanswered_events_stay_away_from_who_asked)
{
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/batch/get", "[{},{}]", "r", NULL);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

START_TEST(whole_failures_are_announced)
{
    lab_start(&rig, &options, NULL);
    rig_publish(&rig, "rpc/batch/count", "{}");
    rig_expect_error(&rig, WHOLE("count", "invalid_request", NO_BATCH));
    rig_publish(&rig, "rpc/batch/nope", "[{}]");
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert(
        fake_host_logged(&rig.host, "client tester called nope: method_not_found: there is no method nope"));
    ck_assert_uint_eq(engine_counters(rig.engine)->unknown, 1);
}
END_TEST

/* ---- Replies that are too large ---- */

static rpc_status write_much(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    ((struct lab_text *)result)->text = rpc_printf(call, "%0100d", 7);
    return RPC_OK;
}

START_TEST(replies_may_be_too_large)
{
    rig.options.max_reply = 200;
    lab_start(&rig, &options, write_much);
    rig_send(&rig, "rpc/batch/act", "[{}]", "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    rig_send(&rig, "rpc/batch/act", "[{},{}]", "r", NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
    ck_assert_str_eq(rig_last(&rig.host.replies)->text,
                     WHOLE("act", "reply_too_large", "the results are over max_reply, 200 bytes"));
    rig_publish(&rig, "rpc/batch/act", "{\"request_id\":\"x\",\"calls\":[{},{}]}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->text,
                     "{\"request_id\":\"x\",\"error\":" WHOLE(
                         "act", "reply_too_large", "the results are over max_reply, 200 bytes") "}");
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

/* What has changed is told to others all the same, and all of it has changed. */
START_TEST(all_items_run_all_the_same)
{
    rig.options.max_reply = 64;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/batch/count", "[{},{},{},{},1,{}]", "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
    ck_assert_uint_eq(rig.host.events.count, 5);
    ck_assert_str_eq(rig.host.events.kept[4].text, "{\"n\":5}");
}
END_TEST

/* Every size around the one that just fits, with both forms. */
START_TEST(the_last_byte)
{
    static const char *const payloads[] = {"[{},{},{}]", "{\"request_id\":\"x\",\"calls\":[{},{},{}]}"};
    static const char *const texts[] = {
        "[{\"result\":{\"n\":1}},{\"result\":{\"n\":2}},{\"result\":{\"n\":3}}]",
        "{\"request_id\":\"x\",\"result\":[{\"result\":{\"n\":1}},{\"result\":{\"n\":2}},{\"result\":{\"n\":"
        "3}}]}"};
    const int form = _i % 2;
    const size_t size = strlen(texts[form]);
    rig.options.max_reply = (int32_t)size + 3 - _i / 2;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/batch/count", payloads[form], form ? NULL : "r", NULL);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_uint_le(reply->size, (size_t)rig.options.max_reply);
    ck_assert_uint_eq(rig.host.events.count, 3);
    if ((size_t)rig.options.max_reply >= size)
        ck_assert_str_eq(reply->text, texts[form]);
    else
        ck_assert_str_eq(reply->status, "reply_too_large");
}
END_TEST

/* An error that does not fit shrinks in a single call; in a batch the whole reply is replaced. */
START_TEST(errors_count_as_well)
{
    rig.options.max_reply = 128;
    lab_start(&rig, &options, NULL);
    rig_send(&rig, "rpc/batch/value", "[true,true,true,true,true]", "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "reply_too_large");
}
END_TEST

/* ---- Handlers that do what they may ---- */

static int step;

/* Each of these writes into the engine's scratch buffer, while the batch's reply is half written. */
static rpc_status be_busy(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    const struct lab_text data = {"noted"};
    const struct lab_trouble trouble = {"bad", step};
    ck_assert_int_eq(rpc_announce(rpc_call_instance(call), call, "noted", &data), RPC_OK);
    step++;
    if (step % 3 == 0)
        return rpc_raise_with(call, "trouble", &trouble, "step %d", step);
    ((struct lab_text *)result)->text = rpc_printf(call, "step %d", step);
    return RPC_OK;
}

START_TEST(handlers_do_not_disturb_the_reply)
{
    lab_start(&rig, &options, be_busy);
    rig_send(&rig, "rpc/batch/act", "[{},{},{},{}]", "r", NULL);
    expect_reply("r", "ok",
                 "[{\"result\":{\"text\":\"step 1\"}},{\"result\":{\"text\":\"step 2\"}},{\"error\":{"
                 "\"method\":\"act\",\"err\":\"trouble\",\"msg\":\"step 3\",\"what\":\"bad\",\"size\":2}},{"
                 "\"result\":{\"text\":\"step 4\"}}]");
    ck_assert_uint_eq(rig.host.events.count, 4);
    rig_expect_event(&rig, "rpc/event/noted", "{\"text\":\"noted\"}");
}
END_TEST

static const rpc_field text_fields[] = {
    RPC_STRING(struct lab_text, text, .doc = "a text", .length = {0, 100})};
static const rpc_shape text_shape = RPC_OBJECT_SHAPE(struct lab_text, text_fields);

static rpc_status encode_itself(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    const struct lab_text data = {"inner"};
    ((struct lab_text *)result)->text = rpc_encode(call, &text_shape, &data);
    return RPC_OK;
}

START_TEST(handlers_may_encode)
{
    lab_start(&rig, &options, encode_itself);
    rig_send(&rig, "rpc/batch/act", "[{},{}]", "r", NULL);
    expect_reply("r", "ok",
                 "[{\"result\":{\"text\":\"{\\\"text\\\":\\\"inner\\\"}\"}},{\"result\":{\"text\":\"{"
                 "\\\"text\\\":\\\"inner\\\"}\"}}]");
}
END_TEST

/* One item's raised error is not the next one's. */
static rpc_status raise_once(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return ++step == 1 ? rpc_raise(call, "plain", "%s", "only me") : RPC_RAISED;
}

START_TEST(failures_are_not_inherited)
{
    lab_start(&rig, &options, raise_once);
    rig_send(&rig, "rpc/batch/act", "[{},{}]", "r", NULL);
    expect_reply(
        "r", "ok",
        "[" ERROR("act", "plain", "only me") "," ERROR("act", "internal_error", "the handler failed") "]");
}
END_TEST

/* A batch within a batch, and its reply first. */
static rpc_status nest(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    if (step++ < 2)
        rig_send(&rig, "rpc/batch/count", "[{},{}]", "inner", NULL);
    ((struct lab_text *)result)->text = rpc_printf(call, "%d", step);
    return RPC_OK;
}

START_TEST(batches_within_batches)
{
    lab_start(&rig, &options, nest);
    rig_send(&rig, "rpc/batch/act", "[{},{},{}]", "outer", NULL);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_str_eq(rig.host.replies.kept[0].text, "[{\"result\":{\"n\":1}},{\"result\":{\"n\":2}}]");
    ck_assert_str_eq(rig.host.replies.kept[1].text, "[{\"result\":{\"n\":3}},{\"result\":{\"n\":4}}]");
    ck_assert_str_eq(rig.host.replies.kept[2].topic, "outer");
    ck_assert_str_eq(
        rig.host.replies.kept[2].text,
        "[{\"result\":{\"text\":\"1\"}},{\"result\":{\"text\":\"2\"}},{\"result\":{\"text\":\"3\"}}]");
}
END_TEST

UNIT_MAIN("batch", open_rig, close_rig, {batches_by_response_topic, UNIT_ROWS(batches)},
          {batches_that_are_no_json, 0}, {batches_by_request_id, UNIT_ROWS(by_id)}, {bad_object_forms, 4},
          {envelopes_with_a_member_twice, 2}, {events_and_errors_of_items, 0},
          {unanswered_events_stay_away_from_who_asked, 0}, {whole_failures_are_announced, 0},
          {replies_may_be_too_large, 0}, {all_items_run_all_the_same, 0}, {the_last_byte, 12},
          {errors_count_as_well, 0}, {handlers_do_not_disturb_the_reply, 0}, {handlers_may_encode, 0},
          {failures_are_not_inherited, 0}, {batches_within_batches, 0})
