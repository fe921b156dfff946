// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Dead letters: what becomes one and what does not, the bounds of their table, what the methods dead.* do,
 * and replays. */
#include "lab.h"
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "observe/letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;
static struct lab_options options;
static char others[2]; /* their addresses stand for connections */

static void open_rig(void)
{
    works_init(&rig);
}

static void close_rig(void)
{
    works_close(&rig);
}

static void open_lab(rpc_handler act)
{
    lab_start(&rig, &options, act);
    rig_open_methods(&rig);
    rig_add(&rig, &rpc_module_dead, NULL);
}

static void open_works(void)
{
    works_open(&rig);
    rig_add(&rig, &rpc_module_dead, NULL);
}

static struct dead *table(void)
{
    return &rig.engine->dead;
}

/* There are so many letters, and as many were published. */
static void expect_letters(size_t count)
{
    ck_assert_uint_eq(table()->count, count);
    ck_assert_uint_eq(rig.host.letters.count, count);
    ck_assert_uint_eq(engine_counters(rig.engine)->dead, count);
}

/* The newest letter has these members, and so has its publication. */
static void expect_letter(const char *method, const char *err, const char *content)
{
    char topic[256], head[512];
    const struct fake_message *sent = rig_last(&rig.host.letters);
    ck_assert_str_eq(rig_newest_letter(&rig)->report.method, method);
    ck_assert_str_eq(rig_newest_letter(&rig)->err, err);
    snprintf(topic, sizeof topic, "rpc/dead/%s", method);
    ck_assert_str_eq(sent->topic, topic);
    ck_assert(sent->subscribed && !sent->retain);
    ck_assert_int_eq(sent->qos, 1);
    snprintf(head, sizeof head,
             "{\"id\":\"%s\",\"method\":\"%s\",%s%s\"caller\":\"tester\",\"user\":\"bob\",\"arrived\":"
             "1700000000.25,\"err\":\"%s\",\"msg\":\"",
             rig_newest_letter(&rig)->id, method, content, *content ? "," : "", err);
    ck_assert_msg(strncmp(sent->text, head, strlen(head)) == 0, "%s", sent->text);
}

/* What the newest letter's replay comes to. */
static void expect_replay(const char *status, const char *text)
{
    const struct fake_message *reply = rig_replay_newest(&rig);
    ck_assert_str_eq(reply->status, status);
    ck_assert_msg(strstr(reply->text, text), "%s", reply->text);
}

/* ---- What becomes a letter ---- */

static const struct way {
    const char *topic, *payload, *response_topic;
    const char *method, *err, *content; /* of the letter; method NULL: there is none */
} ways[] = {
    {"rpc/call/value", "99", NULL, "value", "invalid_params", "\"params\":99"},
    {"rpc/call/value", " [ 1e400 ]", NULL, "value", "invalid_params", "\"payload\":\"IFsgMWU0MDAgXQ==\""},
    {"rpc/call/subtract", "", NULL, "subtract", "invalid_params", "\"params\":{}"},
    {"rpc/call/subtract", "{\"minuend\":12345678901234567890.50, \"x\":\"\\u00e4\"}", NULL, "subtract",
     "invalid_params", "\"params\":{\"minuend\":12345678901234567890.50, \"x\":\"\\u00e4\"}"},
    {"rpc/call/subtract", "{\"a\":1,\"a\":2}", NULL, "subtract", "invalid_params",
     "\"payload\":\"eyJhIjoxLCJhIjoyfQ==\""},
    {"rpc/call/value", "{", NULL, "value", "parse_error", "\"payload\":\"ew==\""},
    {"rpc/call/value", "\xFF\x01", NULL, "value", "parse_error", "\"payload\":\"/wE=\""},
    {"rpc/call/value", "{\"request_id\":true}", NULL, "value", "invalid_request",
     "\"payload\":\"eyJyZXF1ZXN0X2lkIjp0cnVlfQ==\""},
    {"rpc/call/value", "1", "a/#", "value", "invalid_request", "\"payload\":\"MQ==\""},
    {"rpc/call/bytes", "abc", "a/#", "bytes", "invalid_request", "\"payload\":\"YWJj\""},
    {"rpc/call/value", "{\"jsonrpc\":\"2.0\",\"method\":\"value\",\"params\":[77]}", NULL, "value",
     "invalid_params", "\"params\":[77]"},
    {"rpc/call/subtract/request", "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\"}", NULL, "subtract",
     "invalid_params", "\"params\":{}"},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"params\":{\"minuend\":1}}", "r",
     "subtract", "invalid_params", "\"params\":{\"minuend\":1}"},
    {"rpc/batch/value", "[1,77,2]", NULL, "value", "invalid_params", "\"params\":77"},
    {"rpc/batch/value", "{}", NULL, "value", "invalid_request", "\"payload\":\"e30=\""},
    {"rpc/jsonrpc",
     "[{\"jsonrpc\":\"2.0\",\"method\":\"value\",\"params\":[7]},{\"jsonrpc\":\"2.0\",\"method\":"
     "\"value\",\"params\":[78]},{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"id\":1}]",
     NULL, "value", "invalid_params", "\"params\":[78]"},
    {"rpc/call/act.common", "{\"why\":1}", NULL, "act.common", "invalid_params", "\"params\":{\"why\":1}"},
    /* Its caller is told, an event of its own tells it, nothing has failed, or there is no such method. */
    {"rpc/call/value", "99", "r", NULL, NULL, NULL},
    {"rpc/call/value", "{\"request_id\":\"1\"}", NULL, NULL, NULL, NULL},
    {"rpc/call/value", "{\"jsonrpc\":\"2.0\",\"method\":\"value\",\"params\":[77],\"id\":1}", NULL, NULL,
     NULL, NULL},
    {"rpc/batch/value", "[1,77,2]", "r", NULL, NULL, NULL},
    {"rpc/call/act", "", NULL, NULL, NULL, NULL},
    {"rpc/call/value", "7", NULL, NULL, NULL, NULL},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"get\"}", "r", NULL, NULL, NULL},
    {"rpc/call/nope", "{}", NULL, NULL, NULL, NULL},
    {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"nope\"}", NULL, NULL, NULL, NULL},
    {"rpc/call/dead.get", "{\"id\":\"x\"}", NULL, NULL, NULL, NULL},
    {"rpc/call/dead.replay", "{", NULL, NULL, NULL, NULL},
};

static rpc_status refuse(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "invalid_params", "not these");
}

START_TEST(what_becomes_a_letter)
{
    const struct way *way = &ways[_i];
    open_lab(refuse);
    rig_send(&rig, way->topic, way->payload, way->response_topic, NULL);
    expect_letters(way->method ? 1 : 0);
    if (way->method)
        expect_letter(way->method, way->err, way->content);
}
END_TEST

/* Without the option there is neither table nor publication; what is there can be dropped. */
START_TEST(no_letters)
{
    rig.options.dead_letters = false;
    open_lab(NULL);
    rig_tell(&rig, "value", "99");
    expect_letters(0);
    rig_expect(&rig, "dead.list", "", "ok", "{\"letters\":[],\"total\":0}");
    rig_expect(&rig, "dead.drop", "", "ok", "{\"dropped\":0}");
}
END_TEST

/* An option that changes holds for calls that are pending, too: of a batch's items that have failed as well.
 */
START_TEST(options_that_change)
{
    open_works();
    works_send(&rig, "rpc/call/wait", "{\"n\":1}", NULL, NULL);
    works_send(&rig, "rpc/batch/wait", "[{\"n\":99},{\"n\":3}]", "r", NULL);
    struct engine_options changed = rig.options;
    changed.dead_payload = false;
    changed.dead_letters = !_i;
    engine_reload(rig.engine, &changed);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    works_send(&rig, "rpc/call/wait", "{\"n\":2}", NULL, NULL);
    works_pass(&rig, 60000);
    ck_assert_uint_eq(table()->count, _i ? 0 : 2);
    for (const struct dead_letter *letter = table()->letters; letter; letter = letter->next)
        ck_assert_ptr_null(letter->report.text);
    engine_reload(rig.engine, &rig.options);
}
END_TEST

START_TEST(no_payload)
{
    rig.options.dead_payload = false;
    open_lab(NULL);
    rig_tell(&rig, "value", "99");
    expect_letters(1);
    expect_letter("value", "invalid_params", "");
    expect_replay("not_replayable", "no parameters");
    rig_tell(&rig, "bytes", "");
    rig_send(&rig, "rpc/call/bytes", "abc", "a/#", NULL);
    expect_letter("bytes", "invalid_request", "");
    expect_replay("not_replayable", "no parameters");
}
END_TEST

/* What is over max_payload is not kept. */
START_TEST(a_payload_that_is_too_large)
{
    rig.options.max_payload = 4;
    open_lab(NULL);
    rig_tell(&rig, "value", "99999");
    expect_letter("value", "payload_too_large", "");
    rig_tell(&rig, "bytes", "12345");
    expect_letter("bytes", "payload_too_large", "");
    expect_letters(2);
}
END_TEST

/* A flood of a client that is over its rate leaves no letters. */
START_TEST(calls_beyond_a_rate)
{
    rig.options.rate_limit = rig.options.rate_burst = 2;
    open_lab(NULL);
    for (int i = 0; i < 10; i++)
        rig_tell(&rig, "value", "99");
    ck_assert_uint_eq(engine_counters(rig.engine)->limited, 8);
    expect_letters(2);
}
END_TEST

/* An error that one event of the method's own would have told, had error_rate let it through. */
START_TEST(errors_that_are_kept_back)
{
    rig.options.error_rate = 2;
    open_lab(refuse);
    for (int i = 0; i < 3; i++)
        rig_tell(&rig, "act", "");
    ck_assert_uint_eq(rig.host.events.count, 1);
    ck_assert_uint_eq(engine_counters(rig.engine)->suppressed, 2);
    ck_assert_uint_eq(table()->count, 2);
    ck_assert_uint_eq(rig.host.letters.count, 0);
}
END_TEST

/* Letters are published as error_rate allows, and the table has all. */
START_TEST(the_rate_of_publications)
{
    rig.options.error_rate = 20;
    open_lab(NULL);
    for (int i = 0; i < 100; i++)
        rig_tell(&rig, "value", "99");
    ck_assert_uint_eq(table()->count, 100);
    ck_assert_uint_eq(rig.host.letters.count, rig.host.events.count);
    ck_assert_uint_ge(rig.host.letters.count, 10);
    ck_assert_uint_le(rig.host.letters.count, 20);
}
END_TEST

/* ---- Replies that reach nobody ---- */

/* The host has no room for the reply, nor for the letter. */
START_TEST(a_reply_that_is_dropped)
{
    static const struct {
        const char *topic, *payload, *response_topic, *params;
    } rows[] = {
        {"rpc/call/value", "99", "r", "99"},
        {"rpc/call/value", "{\"request_id\":\"1\",\"x\":1}", NULL, "{\"x\":1}"},
        {"rpc/call/value", "{\"jsonrpc\":\"2.0\",\"method\":\"value\",\"params\":[77],\"id\":1}", NULL,
         "[77]"},
        {"rpc/batch/value", "[1,77,2]", "r", "77"},
        {"rpc/jsonrpc",
         "[{\"jsonrpc\":\"2.0\",\"method\":\"value\",\"params\":[7],\"id\":1},{\"jsonrpc\":\"2.0\","
         "\"method\":\"value\",\"params\":[78],\"id\":2}]",
         NULL, "[78]"},
    };
    open_lab(NULL);
    rig.host.drop = true;
    rig_send(&rig, rows[_i].topic, rows[_i].payload, rows[_i].response_topic, NULL);
    ck_assert_uint_eq(table()->count, 1);
    ck_assert_str_eq(rig_newest_letter(&rig)->report.method, "value");
    ck_assert_str_eq(rig_newest_letter(&rig)->report.text, rows[_i].params);
    ck_assert_str_eq(rig_newest_letter(&rig)->err, "invalid_params");
    rig_send(&rig, "rpc/call/value", "7", "r", NULL);
    rig_send(&rig, "rpc/call/nope", "7", "r", NULL);
    ck_assert_uint_eq(table()->count, 1);
    rig.host.drop = false;
}
END_TEST

/* All items have failed: each is a letter, in their order. */
START_TEST(a_batch_that_is_dropped)
{
    open_lab(NULL);
    rig.host.drop = true;
    rig_send(&rig, "rpc/batch/value", "[71,72,3,74]", "r", NULL);
    rig.host.drop = false;
    ck_assert_uint_eq(table()->count, 3);
    ck_assert_str_eq(table()->letters->report.text, "71");
    ck_assert_str_eq(rig_newest_letter(&rig)->report.text, "74");
}
END_TEST

/* The results as a whole are over max_reply, and the error that says so reaches nobody: only what has failed
 * is a letter. */
START_TEST(a_batch_over_max_reply)
{
    rig.options.max_reply = 100;
    open_lab(NULL);
    rig.host.drop = true;
    rig_send(&rig, "rpc/batch/value", "[77,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9]", "r", NULL);
    rig.host.drop = false;
    ck_assert_uint_eq(table()->count, 1);
    ck_assert_str_eq(rig_newest_letter(&rig)->report.text, "77");
}
END_TEST

/* Calls whose caller is gone when they fail. Only a session that waits can be told. */
START_TEST(a_caller_that_is_gone)
{
    static const struct {
        enum host_end kind;
        int qos;
        size_t letters;
    } rows[] = {
        {HOST_END_SESSION_OVER, 1, 1},
        {HOST_END_SESSION_WAITS, 0, 1},
        {HOST_END_SESSION_WAITS, 1, 0},
        {HOST_END_TAKEN_OVER, 2, 1},
    };
    open_works();
    rig.qos = rows[_i].qos;
    works_send(&rig, "rpc/call/wait.firm", "{\"n\":1,\"lane\":\"a\"}", "r", NULL);
    works_end_client(&rig, rows[_i].kind);
    works_pass(&rig, 60000);
    expect_letters(rows[_i].letters);
    if (rows[_i].letters)
        expect_letter("wait.firm", "timeout", "\"params\":{\"n\":1,\"lane\":\"a\"}");
}
END_TEST

/* Items of a batch fail one after the other, and then the caller leaves: the last one need not finish. */
START_TEST(a_batch_whose_caller_leaves)
{
    open_works();
    works_send(&rig, "rpc/batch/wait", "[{\"n\":1,\"fail\":true},{\"n\":2},{\"n\":99},{\"n\":3}]", "r", NULL);
    works_call(&rig, "tell", 1);
    works_call(&rig, "tell", 2);
    ck_assert_uint_eq(table()->count, 0);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    expect_letters(2);
    ck_assert_str_eq(table()->letters->report.text, "{\"n\":99}");
    ck_assert_str_eq(rig_newest_letter(&rig)->report.text, "{\"n\":1,\"fail\":true}");
    ck_assert_str_eq(rig_newest_letter(&rig)->err, "plain");
}
END_TEST

/* A call that nobody waits for any more is a letter only if its work has begun. */
START_TEST(a_call_that_is_cancelled)
{
    static const char *const topics[] = {"r", NULL};
    rig.options.workers = 1;
    open_works();
    works_slots[1].shut = true;
    works_send(&rig, "rpc/call/work", "{\"n\":1}", topics[_i], NULL);
    works_wait_begun(1);
    works_send(&rig, "rpc/call/work", "{\"n\":2}", topics[_i], NULL);
    works_send(&rig, "rpc/call/wait", "{\"n\":3}", topics[_i], NULL);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    expect_letters(1);
    expect_letter("work", "cancelled", "\"params\":{\"n\":1}");
    works_let_go(&rig, 1);
    expect_letters(1);
}
END_TEST

/* Pending calls without a reply: the engine's own errors are letters, the method's own event tells the
 * others. */
START_TEST(pending_calls_that_nobody_asked_for)
{
    static const struct {
        const char *topic, *payload, *params;
    } rows[] = {
        {"rpc/call/wait", "{\"n\":1, \"lane\":\"a\"}", "{\"n\":1, \"lane\":\"a\"}"},
        {"rpc/batch/wait", "[{\"n\":1}]", "{\"n\":1}"},
        {"rpc/jsonrpc", "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":[1]}", "[1]"},
        {"rpc/call/wait", "{\"jsonrpc\":\"2.0\",\"method\":\"wait\",\"params\":{\"n\":1}}", "{\"n\":1}"},
    };
    char content[128];
    open_works();
    works_send(&rig, rows[_i].topic, rows[_i].payload, NULL, NULL);
    works_pass(&rig, 60000);
    expect_letters(1);
    snprintf(content, sizeof content, "\"params\":%s", rows[_i].params);
    expect_letter("wait", "timeout", content);
    works_send(&rig, "rpc/call/work", "{\"n\":2,\"fail\":true}", NULL, NULL);
    works_wait_done(&rig, 2, 1);
    rig_expect_event(&rig, "rpc/event/workFailed", WORKS_ERROR("work", "plain", "slot 2"));
    expect_letters(1);
    works_send(&rig, "rpc/call/bytes", "\x01\x02", NULL, NULL);
    works_wait_done(&rig, WORKS_BYTES, 1);
    expect_letters(1);
}
END_TEST

/* Its caller is gone, but the same client has sent the call again, and gets the reply. */
START_TEST(a_copy_gets_the_reply)
{
    rig.options.duplicate_window = 60000;
    open_works();
    works_send(&rig, "rpc/call/wait.firm", "{\"n\":1}", "r", "a correlation that is long enough");
    works_end_client(&rig, HOST_END_SESSION_OVER);
    rig.client.connection = &others[0];
    works_send(&rig, "rpc/call/wait.firm", "{\"n\":1}", "r", "a correlation that is long enough");
    works_pass(&rig, 60000);
    works_expect(&rig, 1, "timeout", WORKS_TIMEOUT("wait.firm"));
    expect_letters(0);
}
END_TEST

/* ---- The table ---- */

START_TEST(the_last_thousand)
{
    char first[DEAD_ID], params[64];
    open_lab(NULL);
    rig_tell(&rig, "value", "10");
    memcpy(first, rig_newest_letter(&rig)->id, sizeof first);
    for (int i = 0; i < DEAD_MAX; i++)
        rig_tell(&rig, "value", "11");
    ck_assert_uint_eq(table()->count, DEAD_MAX);
    ck_assert_str_eq(table()->letters->report.text, "11");
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", first);
    ck_assert_str_eq(rig_ask(&rig, "dead.get", params)->status, "letter_unknown");
}
END_TEST

/* A module that takes large payloads, and one of so many bytes with the NUL, which it does not accept. */
static char *open_for_large(size_t size)
{
    char *payload = malloc(size);
    ck_assert_ptr_nonnull(payload);
    memset(payload, ' ', size);
    memcpy(payload + size - 3, "10", 3);
    rig.options.max_payload = 16000000;
    open_lab(NULL);
    return payload;
}

START_TEST(four_megabytes)
{
    enum { LARGE = 200000 };
    char *payload = open_for_large(LARGE);
    for (int i = 0; i < 50; i++) {
        rig_tell(&rig, "value", payload);
        ck_assert_uint_le(table()->bytes, DEAD_BYTES_MAX);
    }
    ck_assert_uint_eq(table()->count, DEAD_BYTES_MAX / LARGE);
    free(payload);
}
END_TEST

/* The table never holds what would take its whole room: such a letter has no parameters. */
START_TEST(a_letter_over_four_megabytes)
{
    enum { LARGE = DEAD_BYTES_MAX };
    char *payload = open_for_large(LARGE);
    rig_tell(&rig, "value", "11");
    rig_tell(&rig, "value", payload);
    expect_letters(2);
    expect_letter("value", "invalid_params", "");
    expect_replay("not_replayable", "no parameters");
    rig_expect(&rig, "dead.drop", "{}", "ok", "{\"dropped\":2}");
    ck_assert_uint_eq(table()->bytes, 0);
    free(payload);
}
END_TEST

/* What would be over max_reply is published without the parameters; the letter has them. */
START_TEST(a_publication_over_max_reply)
{
    char payload[1024];
    snprintf(payload, sizeof payload, "{\"x\":\"%0500d\"}", 1);
    rig.options.max_reply = 512;
    open_lab(NULL);
    rig_tell(&rig, "value", payload);
    expect_letters(1);
    expect_letter("value", "invalid_params", "");
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.letters)->text, ",\"left_out\":true}"));
    ck_assert_str_eq(rig_newest_letter(&rig)->report.text, payload);
    ck_assert_uint_eq(engine_counters(rig.engine)->dropped, 0);
}
END_TEST

/* ---- dead.list, dead.get, dead.drop ---- */

static void fill(void)
{
    open_lab(refuse);
    rig_tell(&rig, "value", "11");
    rig_tell(&rig, "act.common", "");
    rig_tell(&rig, "value", "{");
    rig_tell(&rig, "value", "13");
}

static const struct listing {
    const char *params;  /* with %s for the id's first half */
    const char *letters; /* the ends of their ids, the newest first */
    const char *next;    /* NULL: none */
} listings[] = {
    {"{}", "4321", NULL},
    {"{\"limit\":3}", "432", "2"},
    {"{\"limit\":4}", "4321", NULL},
    {"{\"after\":\"%s-2\"}", "1", NULL},
    {"{\"after\":\"%s-1\"}", "", NULL},
    {"{\"limit\":1,\"after\":\"%s-4\"}", "3", "3"},
    {"{\"method\":\"value\"}", "431", NULL},
    {"{\"err\":\"parse_error\"}", "3", NULL},
    {"{\"method\":\"act.common\",\"err\":\"parse_error\"}", "", NULL},
    {"{\"method\":\"value\",\"limit\":2}", "43", "3"},
};

START_TEST(lists)
{
    const struct listing *row = &listings[_i];
    char run[16], params[128];
    fill();
    snprintf(run, sizeof run, "%08" PRIx32, table()->run);
    snprintf(params, sizeof params, row->params, run);
    cJSON *page = cJSON_Parse(rig_ask(&rig, "dead.list", params)->text);
    const cJSON *letters = cJSON_GetObjectItem(page, "letters"), *letter,
                *next = cJSON_GetObjectItem(page, "next");
    char ids[16] = "";
    size_t count = 0;
    cJSON_ArrayForEach(letter, letters)
    {
        const char *id = cJSON_GetObjectItem(letter, "id")->valuestring;
        ck_assert_int_eq(strncmp(id, run, 8), 0);
        ids[count++] = id[9];
    }
    ck_assert_str_eq(ids, row->letters);
    ck_assert_int_eq(cJSON_GetObjectItem(page, "total")->valueint, 4);
    ck_assert_int_eq(next != NULL, row->next != NULL);
    if (row->next)
        ck_assert_str_eq(next->valuestring + 9, row->next);
    cJSON_Delete(page);
}
END_TEST

START_TEST(a_row)
{
    char expected[1024];
    fill();
    snprintf(expected, sizeof expected,
             "{\"letters\":[{\"id\":\"%08" PRIx32 "-2\",\"method\":\"act.common\",\"caller\":\"tester\","
             "\"user\":\"bob\",\"arrived\":1700000000.25,\"err\":\"invalid_params\",\"msg\":\"not these\","
             "\"replays\":0}],\"total\":4}",
             table()->run);
    rig_expect(&rig, "dead.list", "{\"method\":\"act.common\"}", "ok", expected);
}
END_TEST

/* A page behind a letter that has been dropped goes on with older ones; an id of another run is none. */
START_TEST(pages_behind_letters_that_are_gone)
{
    char params[64], text[64];
    fill();
    snprintf(params, sizeof params, "{\"id\":\"%08" PRIx32 "-3\"}", table()->run);
    rig_expect(&rig, "dead.drop", params, "ok", "{\"dropped\":1}");
    rig_expect(&rig, "dead.drop", params, "ok", "{\"dropped\":0}");
    snprintf(params, sizeof params, "{\"after\":\"%08" PRIx32 "-3\",\"limit\":1}", table()->run);
    snprintf(text, sizeof text, "\"next\":\"%08" PRIx32 "-2\"", table()->run);
    ck_assert_ptr_nonnull(strstr(rig_ask(&rig, "dead.list", params)->text, text));
    static const char *const wrong[] = {"x", "-", "%08" PRIx32 "-99", "%08" PRIx32 "-", "%08" PRIx32 "-1x"};
    for (int i = 0; i < UNIT_ROWS(wrong); i++) {
        snprintf(text, sizeof text, wrong[i], table()->run);
        snprintf(params, sizeof params, "{\"after\":\"%.30s\"}", text);
        ck_assert_str_eq(rig_ask(&rig, "dead.list", params)->status, "letter_unknown");
    }
    snprintf(params, sizeof params, "{\"after\":\"%08" PRIx32 "-1\"}", table()->run ^ 1);
    ck_assert_str_eq(rig_ask(&rig, "dead.list", params)->status, "letter_unknown");
}
END_TEST

/* Hostile texts make no page too large: texts are cut, and a page that does not fit is shorter. */
START_TEST(large_lists)
{
    char id[2000];
    memset(id, '"', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    rig.options.max_reply = 4096;
    open_lab(NULL);
    rig.client.id = rig.client.user = id;
    for (int i = 0; i < 20; i++)
        rig_tell(&rig, "value", "99");
    rig.client.id = "tester";
    const struct fake_message *reply = rig_ask(&rig, "dead.list", "{}");
    ck_assert_str_eq(reply->status, "ok");
    ck_assert_uint_gt(reply->size, 1000);
    cJSON *page = cJSON_ParseWithLength(reply->payload, reply->size);
    const int count = cJSON_GetArraySize(cJSON_GetObjectItem(page, "letters"));
    ck_assert_int_ge(count, 1);
    ck_assert_int_lt(count, 20);
    ck_assert_str_eq(
        cJSON_GetObjectItem(page, "next")->valuestring,
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(page, "letters"), count - 1), "id")
            ->valuestring);
    cJSON_Delete(page);
}
END_TEST

/* Each letter is on some page, also where one fills a reply by its texts alone. */
START_TEST(lists_of_small_replies)
{
    static const int32_t sizes[] = {400, 600, 1100, 2100, 4096};
    char id[2000], params[128] = "{}";
    int count = 0;
    memset(id, '"', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    rig.options.max_reply = sizes[_i];
    open_lab(NULL);
    for (int i = 0; i < 20; i++) {
        rig.client.id = rig.client.user = i % 3 ? id : "tester";
        rig_tell(&rig, "value", "99");
    }
    rig.client.id = "tester";
    for (cJSON *page; *params; cJSON_Delete(page)) {
        const struct fake_message *reply = rig_ask(&rig, "dead.list", params);
        ck_assert_msg(strcmp(reply->status, "ok") == 0, "%s", reply->text);
        page = cJSON_ParseWithLength(reply->payload, reply->size);
        const char *next = cJSON_GetStringValue(cJSON_GetObjectItem(page, "next"));
        count += cJSON_GetArraySize(cJSON_GetObjectItem(page, "letters"));
        params[0] = '\0';
        if (next)
            snprintf(params, sizeof params, "{\"after\":\"%s\"}", next);
    }
    ck_assert_int_eq(count, 20);
}
END_TEST

/* What would make a reply over max_reply is left out, and said to be; the letter can be replayed all the
 * same.
 */
START_TEST(gets_of_what_is_too_large)
{
    static const struct {
        const char *method, *payload;
        bool has_long_names;
    } rows[] = {{"value", "{\"x\":\"%0500d\"}", false}, {"bytes", "%0500d", false}, {"value", "99", true}};
    char payload[600], id[600], params[64];
    snprintf(payload, sizeof payload, rows[_i].payload, 1);
    memset(id, '"', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    rig.options.max_reply = 512;
    open_lab(refuse);
    if (rows[_i].has_long_names)
        rig.client.id = rig.client.user = id;
    rig.host.drop = true;
    snprintf(params, sizeof params, "rpc/call/%s", rows[_i].method);
    rig_send(&rig, params, payload, _i == 1 ? "a/#" : "r", NULL);
    rig.host.drop = false;
    rig.client.id = "tester";
    rig.client.user = "bob";
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", rig_newest_letter(&rig)->id);
    const struct fake_message *reply = rig_ask(&rig, "dead.get", params);
    ck_assert_msg(strcmp(reply->status, "ok") == 0, "%s", reply->text);
    cJSON *letter = cJSON_Parse(reply->text);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(letter, "method")), rows[_i].method);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(letter, "left_out")));
    ck_assert(!cJSON_HasObjectItem(letter, "params") && !cJSON_HasObjectItem(letter, "payload"));
    ck_assert_int_eq(cJSON_HasObjectItem(letter, "caller"), !rows[_i].has_long_names);
    cJSON_Delete(letter);
    ck_assert(dead_can_be_replayed(rig_newest_letter(&rig)));
}
END_TEST

/* dead.get returns what was published. */
START_TEST(gets)
{
    static const char *const payloads[] = {"{\"a\": 1.50}", "{", "\x01"};
    char params[64];
    open_lab(NULL);
    rig_tell(&rig, "value", payloads[_i]);
    char *published = strdup(rig_last(&rig.host.letters)->text);
    ck_assert_ptr_nonnull(published);
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", rig_newest_letter(&rig)->id);
    rig_expect(&rig, "dead.get", params, "ok", published);
    ck_assert_str_eq(rig_ask(&rig, "dead.get", "{\"id\":\"nope\"}")->status, "letter_unknown");
    free(published);
}
END_TEST

START_TEST(drops)
{
    fill();
    rig_expect(&rig, "dead.drop", "{\"method\":\"nope\"}", "ok", "{\"dropped\":0}");
    rig_expect(&rig, "dead.drop", "{\"method\":\"value\"}", "ok", "{\"dropped\":3}");
    rig_expect(&rig, "dead.drop", "{\"id\":\"nope\",\"method\":\"act.common\"}", "ok", "{\"dropped\":0}");
    rig_expect(&rig, "dead.drop", "{}", "ok", "{\"dropped\":1}");
    ck_assert_uint_eq(table()->bytes, 0);
}
END_TEST

/* ---- Replays ---- */

static bool is_refusing;
static char seen[128];

/* Says who calls, and fails as long as the test wants it. */
static rpc_status maybe(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    snprintf(seen, sizeof seen, "%s %s %s %d", rpc_caller_id(call),
             rpc_caller_user(call) ? rpc_caller_user(call) : "-", rpc_caller_address(call),
             rpc_call_is_replay(call));
    ((struct lab_text *)result)->text = "done";
    return is_refusing ? rpc_raise(call, "overloaded", "not yet") : RPC_OK;
}

START_TEST(a_replay_in_the_name_of_its_caller)
{
    is_refusing = true;
    open_lab(maybe);
    rig_tell(&rig, "act.told", "");
    ck_assert_str_eq(seen, "tester bob 192.0.2.7 0");
    expect_letters(1);
    rig.client = (struct host_client){.id = "operator", .version = 4, .connection = &others[0]};
    is_refusing = false;
    expect_replay("ok", "\"status\":\"ok\",\"replays\":0}");
    ck_assert_str_eq(seen, "tester bob 192.0.2.7 1");
    rig_expect_event(&rig, "rpc/event/acted", "{\"text\":\"done\"}");
    ck_assert_uint_eq(table()->count, 0);
    ck_assert_uint_eq(rig.host.letters.count, 0);
}
END_TEST

/* A failure is what the letter says from now on. It makes no other letter, and is not published as one. */
START_TEST(a_replay_that_fails)
{
    is_refusing = true;
    open_lab(maybe);
    rig_tell(&rig, "act.common", "");
    for (int i = 1; i <= 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "\"status\":\"overloaded\",\"msg\":\"not yet\",\"replays\":%d}", i);
        expect_replay("ok", text);
        ck_assert_uint_eq(table()->count, 1);
        ck_assert_uint_eq(rig.host.letters.count, 0);
        rig_expect_error(&rig, "{\"method\":\"act.common\",\"err\":\"overloaded\",\"msg\":\"not yet\"}");
    }
    ck_assert_int_eq(rig_newest_letter(&rig)->replays, 3);
    ck_assert_uint_eq(engine_counters(rig.engine)->dead, 1);
    is_refusing = false;
    expect_replay("ok", "\"status\":\"ok\"");
    ck_assert_uint_eq(table()->bytes, 0);
}
END_TEST

/* What is run again is what was called, in whatever form it came. */
START_TEST(replays_of_all_forms)
{
    static const struct {
        const char *topic, *payload, *response_topic, *status;
    } rows[] = {
        {"rpc/call/value", "99", NULL, "\"status\":\"invalid_params\""},
        {"rpc/call/bytes", "abc", "a/#", "\"status\":\"ok\""},
        {"rpc/call/subtract", "{\"minuend\":5,\"subtrahend\":3}", "r", "\"status\":\"ok\""},
        {"rpc/call/subtract", "{\"request_id\":\"1\",\"minuend\":5,\"subtrahend\":3}", NULL,
         "\"status\":\"ok\""},
        {"rpc/call/subtract", "{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"params\":[5,3],\"id\":1}", NULL,
         "\"status\":\"ok\""},
        {"rpc/jsonrpc",
         "[{\"jsonrpc\":\"2.0\",\"method\":\"subtract\",\"params\":{\"minuend\":5,\"subtrahend\":3}"
         ",\"id\":1}]",
         NULL, "\"status\":\"ok\""},
        {"rpc/batch/subtract", "[{\"minuend\":5,\"subtrahend\":3}]", "r", "\"status\":\"ok\""},
        {"rpc/call/id", "{\"request_id\":\"a\"}", "r", "\"status\":\"ok\""},
    };
    rig.options.max_reply = 512;
    open_lab(NULL);
    rig_send(&rig, rows[_i].topic, rows[_i].payload, rows[_i].response_topic, NULL);
    if (!table()->count) { /* a call that succeeds becomes a letter with these parameters here */
        const char *text = strstr(rows[_i].payload, "[5,3]") ? "[5,3]" : "{\"minuend\":5,\"subtrahend\":3}";
        const bool is_id = strstr(rows[_i].topic, "/id");
        const struct dead_report report = {.method = is_id ? "id" : "subtract",
                                           .client = rig.client,
                                           .content = DEAD_PARAMS,
                                           .positional = *text == '[',
                                           .text = is_id ? rows[_i].payload : text,
                                           .size = strlen(is_id ? rows[_i].payload : text)};
        ck_assert_ptr_nonnull(dead_add(table(), &report, "timeout", NULL));
    }
    expect_replay("ok", rows[_i].status);
}
END_TEST

/* Broken messages and unknown letters cannot be replayed. */
START_TEST(replays_that_cannot_be)
{
    open_lab(NULL);
    rig_tell(&rig, "value", "{");
    expect_replay("not_replayable", "no parameters");
    rig_send(&rig, "rpc/batch/value", "{}", NULL, NULL);
    expect_replay("not_replayable", "no parameters");
    ck_assert_str_eq(rig_ask(&rig, "dead.replay", "{\"id\":\"nope\"}")->status, "letter_unknown");
    ck_assert_uint_eq(table()->count, 2);
}
END_TEST

/* Calls one of the methods dead.* for the newest letter. */
static void send_for_newest(const char *method, const char *response_topic)
{
    char topic[64], params[64];
    snprintf(topic, sizeof topic, "rpc/call/%s", method);
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", rig_newest_letter(&rig)->id);
    works_send(&rig, topic, params, response_topic, NULL);
}

/* A letter of a call that waits, which has timed out without anybody to tell. */
static void open_waiting(void)
{
    open_works();
    works_send(&rig, "rpc/call/wait", "{\"n\":1,\"lane\":\"a\"}", NULL, NULL);
    works_pass(&rig, 60000);
    expect_letters(1);
    works_slots[1].dones = works_slots[1].pending = 0;
    fake_host_forget(&rig.host);
    rig.client.id = "operator";
    rig.client.connection = &others[0];
}

/* The replay becomes pending, and so does the call of dead.replay. */
START_TEST(a_replay_that_takes_time)
{
    open_waiting();
    send_for_newest("dead.replay", "r");
    ck_assert_int_eq(works_slots[1].pending, 1);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(rig.host.replies.count, 2);
    ck_assert_ptr_nonnull(strstr(rig.host.replies.kept[0].text, "\"status\":\"ok\",\"replays\":0}"));
    ck_assert_uint_eq(table()->count, 0);
}
END_TEST

/* Its deadline passes again. */
START_TEST(a_replay_that_times_out)
{
    open_waiting();
    send_for_newest("dead.replay", "r");
    works_pass(&rig, 60000);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "\"status\":\"timeout\""));
    ck_assert_uint_eq(table()->count, 1);
    ck_assert_uint_eq(rig.host.letters.count, 0);
    ck_assert_int_eq(rig_newest_letter(&rig)->replays, 1);
}
END_TEST

/* One replay of a letter at a time. */
START_TEST(a_replay_of_what_is_replayed)
{
    open_waiting();
    send_for_newest("dead.replay", "r");
    send_for_newest("dead.replay", "r");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "replay_running");
    ck_assert_int_eq(works_slots[1].pending, 1);
    works_call(&rig, "tell", 1);
}
END_TEST

/* The replay runs, and succeeds once it is told to. */
static void expect_replay_goes_on(void)
{
    ck_assert_uint_eq(table()->count, 1);
    ck_assert(rig_newest_letter(&rig)->is_replayed);
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(table()->count, 0);
}

/* Who asked for the replay leaves, or asked for no reply: the replay goes on, and so does its letter. */
START_TEST(a_replay_whose_caller_leaves)
{
    open_waiting();
    send_for_newest("dead.replay", _i ? "r" : NULL);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    expect_replay_goes_on();
}
END_TEST

/* The end of the connection of the letter's caller, whoever has its id now, is not the replay's. */
START_TEST(the_caller_comes_and_goes)
{
    open_waiting();
    send_for_newest("dead.replay", "r");
    rig.client.id = "tester";
    rig.client.connection = &others[1];
    works_call(&rig, "now", 5);
    works_end_client(&rig, HOST_END_SESSION_OVER);
    expect_replay_goes_on();
}
END_TEST

/* The letter is dropped, or makes room, while its replay runs. */
START_TEST(a_letter_that_goes_while_it_is_replayed)
{
    open_waiting();
    send_for_newest("dead.replay", "r");
    if (_i % 2) {
        send_for_newest("dead.drop", "r");
    } else {
        for (int i = 0; i < DEAD_MAX; i++)
            rig_tell(&rig, "wait", "{\"n\":99}");
    }
    fake_host_forget(&rig.host);
    ck_assert(!table()->count || !table()->letters->is_replayed);
    const size_t bytes = table()->bytes, count = table()->count;
    if (_i / 2)
        works_call(&rig, "tell", 1);
    else
        works_pass(&rig, 60000);
    ck_assert_ptr_nonnull(
        strstr(rig.host.replies.kept[0].text, _i / 2 ? "\"status\":\"ok\"" : "\"status\":\"timeout\""));
    ck_assert_uint_eq(table()->bytes, bytes);
    ck_assert_uint_eq(table()->count, count);
}
END_TEST

/* There is a slot for the replay, and none for who waits for it. */
START_TEST(no_slot_for_who_waits)
{
    rig.options.max_pending = 1;
    open_waiting();
    send_for_newest("dead.replay", "r");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "overloaded");
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "the replay goes on"));
    works_call(&rig, "tell", 1);
    ck_assert_uint_eq(table()->count, 0);
}
END_TEST

/* The engine stops while a replay runs. */
START_TEST(a_stop_during_a_replay)
{
    open_waiting();
    send_for_newest("dead.replay", "r");
    if (_i)
        send_for_newest("dead.drop", NULL);
    engine_stop(rig.engine);
    ck_assert_uint_eq(table()->count, _i ? 0 : 1);
}
END_TEST

/* Its errors are announced at its caller's rate: a bridge has no address, and others without one are not that
 * bridge. It does not depend on bridge_calls, since the call was let in. */
START_TEST(a_replay_of_a_call_over_a_bridge)
{
    enum { REPLAYS = 6 };
    rig.options.rate_limit_by = ACCOUNTS_BY_ADDRESS;
    rig.options.error_rate = 8; /* at most 6 at once of one client */
    rig.options.bridge_calls = true;
    open_lab(NULL);
    const struct host_client asker = rig.client;
    rig.client = (struct host_client){.id = "bridge", .version = 4, .bridge = true};
    rig_tell(&rig, "value", "99");
    rig.client = asker;
    struct engine_options changed = rig.options;
    changed.bridge_calls = false;
    engine_reload(rig.engine, &changed);
    for (int i = 0; i < REPLAYS; i++)
        expect_replay("ok", "\"status\":\"invalid_params\"");
    ck_assert_uint_eq(engine_counters(rig.engine)->suppressed, 1);
    rig.client = (struct host_client){.id = "local", .version = 4};
    rig_tell(&rig, "value", "99");
    ck_assert_uint_eq(engine_counters(rig.engine)->suppressed, 1);
    rig.client = asker;
}
END_TEST

/* ---- Letters of modules ---- */

static const struct own {
    rpc_letter letter;
    const char *log; /* NULL: it becomes a letter */
    const char *content;
} owns[] = {
    {{.method = "value", .params = "7", .err = "expired", .msg = "m"}, NULL, "\"params\":7,"},
    {{.method = "value", .err = "expired", .msg = "m"}, NULL, "\"params\":{},"},
    {{.method = "value", .payload = "ab", .size = 2, .err = "expired", .msg = "m"},
     NULL,
     "\"payload\":\"YWI=\","},
    {{.method = "value", .payload = "", .size = 0, .err = "expired", .msg = "m"}, NULL, "\"payload\":\"\","},
    {{.method = "nope", .err = "expired"}, "of a method that cannot be run again", NULL},
    {{.method = "dead.drop", .err = "expired"}, "of a method that cannot be run again", NULL},
    {{.err = "expired"}, "of a method that cannot be run again", NULL},
    {{.method = "value"}, "without the code of an error", NULL},
    {{.method = "value", .err = ""}, "without the code of an error", NULL},
    {{.method = "value", .err = "A"}, "without the code of an error", NULL},
    {{.method = "value", .params = "{", .err = "expired"}, "whose parameters are no JSON", NULL},
    {{.method = "value", .size = 1, .err = "expired"}, "whose payload is NULL", NULL},
    {{.method = "value", .err = "expired", .msg = "\xFF"}, "whose message is no UTF-8", NULL},
};

START_TEST(letters_of_modules)
{
    char text[256];
    open_lab(NULL);
    rpc_instance *instance = rig_instance(&rig);
    rpc_dead_letter(instance, &owns[_i].letter);
    expect_letters(owns[_i].log ? 0 : 1);
    ck_assert_uint_eq(rig.host.line_count, owns[_i].log ? 1 : 0);
    if (owns[_i].log) {
        ck_assert(fake_host_logged(&rig.host, owns[_i].log));
        return;
    }
    snprintf(text, sizeof text,
             "{\"id\":\"%s\",\"method\":\"value\",%s\"arrived\":0,\"err\":\"expired\",\"msg\":\"m\"}",
             rig_newest_letter(&rig)->id, owns[_i].content);
    ck_assert_str_eq(rig_last(&rig.host.letters)->text, text);
}
END_TEST

/* A module's letter for a call takes the place of the engine's own. */
static rpc_status bury(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const rpc_letter letter = {.method = "value",
                               .params = "7",
                               .caller = rpc_call_caller(call),
                               .arrived = rpc_call_time(call),
                               .err = "expired",
                               .msg = "m",
                               .call = call};
    rpc_dead_letter(rpc_call_instance(call), &letter);
    return rpc_raise(call, "timeout", "too late");
}

START_TEST(a_module_buries_a_call)
{
    open_lab(bury);
    rig_tell(&rig, "act.common", "");
    expect_letters(1);
    expect_letter("value", "expired", "\"params\":7");
    rig_ask(&rig, "act.common", "");
    ck_assert_uint_eq(table()->count, 2);
}
END_TEST

/* ---- Guards ---- */

START_TEST(nothing_without_a_reader)
{
    lab_start(&rig, &options, NULL);
    rig_tell(&rig, "value", "99");
    expect_letters(1);
}
END_TEST

UNIT_MAIN("dead", open_rig, close_rig, {what_becomes_a_letter, UNIT_ROWS(ways)}, {no_letters, 0},
          {options_that_change, 2}, {no_payload, 0}, {a_payload_that_is_too_large, 0},
          {calls_beyond_a_rate, 0}, {errors_that_are_kept_back, 0}, {the_rate_of_publications, 0},
          {a_reply_that_is_dropped, 5}, {a_batch_that_is_dropped, 0}, {a_batch_over_max_reply, 0},
          {a_caller_that_is_gone, 4}, {a_batch_whose_caller_leaves, 0}, {a_call_that_is_cancelled, 2},
          {pending_calls_that_nobody_asked_for, 4}, {a_copy_gets_the_reply, 0}, {the_last_thousand, 0},
          {four_megabytes, 0}, {a_letter_over_four_megabytes, 0}, {a_publication_over_max_reply, 0},
          {lists, UNIT_ROWS(listings)}, {a_row, 0}, {pages_behind_letters_that_are_gone, 0}, {large_lists, 0},
          {lists_of_small_replies, 5}, {gets, 3}, {gets_of_what_is_too_large, 3}, {drops, 0},
          {a_replay_in_the_name_of_its_caller, 0}, {a_replay_that_fails, 0}, {replays_of_all_forms, 8},
          {replays_that_cannot_be, 0}, {a_replay_that_takes_time, 0}, {a_replay_that_times_out, 0},
          {a_replay_of_what_is_replayed, 0}, {a_replay_whose_caller_leaves, 2},
          {the_caller_comes_and_goes, 0}, {a_letter_that_goes_while_it_is_replayed, 4},
          {no_slot_for_who_waits, 0}, {a_stop_during_a_replay, 2}, {letters_of_modules, UNIT_ROWS(owns)},
          {a_module_buries_a_call, 0}, {nothing_without_a_reader, 0}, {a_replay_of_a_call_over_a_bridge, 0})
