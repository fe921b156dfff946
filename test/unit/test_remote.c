// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls that workers carry out, from the call to the worker and back. */
#include "far.h"

#include "call/engine_parts.h"
#include "call/exchange.h"
#include "call/task.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct rig rig;

static void open_rig(void)
{
    far_open(&rig);
}

static void close_rig(void)
{
    far_let_go();
    rig_settle(&rig);
    if (rig.engine)
        ck_assert_uint_eq(rig.engine->remote->crew.queues.jobs, 0);
    rig_close(&rig);
}

static struct far_worker attach(const char *name, const char *params)
{
    struct far_worker worker = far_make(name);
    far_attach(&rig, &worker, params);
    return worker;
}

#define ADDS "\"methods\":[\"far.add\"]"
#define READS "\"methods\":[\"far.read\"]"

static const struct counters *counters(void)
{
    return &rig.engine->env.counters;
}

static size_t outstanding(void)
{
    return rig.engine->remote->crew.outstanding;
}

/* ---- There ---- */

START_TEST(a_call_goes_to_a_worker_and_comes_back)
{
    const struct far_worker worker = attach("w1", ADDS);
    far_call(&rig, "far.add", "{ \"a\":1, \"b\":2 }");
    ck_assert_uint_eq(far_count(&rig), 1);
    const struct fake_message *job = far_last(&rig);
    ck_assert_str_eq(job->topic, "rpc/work/w1");
    ck_assert_str_eq(job->client, "w1");
    ck_assert_ptr_eq(job->connection, worker.client.connection);
    ck_assert(!job->subscribed && !job->to_session && !job->retain);
    ck_assert_str_eq(job->text, "{ \"a\":1, \"b\":2 }");
    ck_assert_str_eq(job->response_topic, "rpc/work/w1/done");
    ck_assert_str_eq(job->properties,
                     "method=far.add;caller=tester;caller-user=bob;caller-version=5;deadline-ms=10000;");
    ck_assert_str_eq(job->content_type, "application/json");
    ck_assert_uint_eq(job->correlation_size, 32);
    ck_assert_int_eq(job->qos, 1);
    ck_assert_uint_eq(job->expiry, 10);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    far_answer(&rig, &worker, job, "ok", "{\"sum\" : 3}");
    far_expect(&rig, 1, "ok", "{\"sum\":3}");
    rig_expect_event(&rig, "rpc/event/far.added", "{\"sum\":3}");
    ck_assert_uint_eq(counters()->dispatched, 1);
    ck_assert_uint_eq(counters()->calls, 2);
    ck_assert_uint_eq(outstanding(), 0);
}
END_TEST

static const struct way {
    const char *topic, *payload, *response_topic, *job, *answer, *reply;
} ways[] = {
    {"call/far.add", "{\"request_id\":\"x\",\"a\":1,\"timeout_ms\":500}", NULL, "{\"a\":1}", "{\"sum\":8}",
     "{\"request_id\":\"x\",\"result\":{\"sum\":8}}"},
    {"call/far.add", "{\"a\":1,\"request_id\":\"mine\"}", "r", "{\"a\":1,\"request_id\":\"mine\"}",
     "{\"sum\":8}", "{\"sum\":8}"},
    {"call/far.add",
     "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"method\":\"far.add\",\"params\":{\"a\":1.0,\"x\":[ 1 ]}}", NULL,
     "{\"a\":1,\"x\":[1]}", "{\"sum\":1}", "{\"jsonrpc\":\"2.0\",\"id\":\"t:1\",\"result\":{\"sum\":1}}"},
    {"call/far.add", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"far.add\",\"params\":[1,2]}", "r",
     "{\"a\":1,\"b\":2}", "{\"sum\":3}", "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"sum\":3}}"},
    {"call/far.add", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"far.add\",\"params\":[1]}", "r", "{\"a\":1}",
     "{\"sum\":8}", "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"sum\":8}}"},
    {"call/far.value", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"far.value\",\"params\":[4]}", "r", "4",
     "5", "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":5}"},
    {"call/far.value", " 4 ", "r", " 4 ", "5", "5"},
    {"call/far/front/open", "", "r", "", "", "{}"},
    {"call/far/front/open", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"far/front/open\"}", "r", "{}", "{}",
     "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}"},
    {"call/far/front/open", "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"far/front/open\",\"params\":[]}", "r",
     "{}", "{}", "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}"},
    {"call/far.bytes", "\x01 no JSON", "r", "\x01 no JSON", "", "{}"},
    {"batch/far.add", "[ {\"a\":1} ]", "r", "{\"a\":1}", "{\"sum\":1}", "[{\"result\":{\"sum\":1}}]"},
};

#define ALL                                                                                               \
    "\"methods\":[\"far.add\",\"far.read\",\"far.keep\",\"far.lane\",\"far/{door}/open\",\"far.steps\", " \
    "\"far.bytes\",\"far.value\",\"far.spill\"]"

/* What a worker gets, and what becomes of its answer, for each way to call. */
START_TEST(every_way_to_call)
{
    const struct way *way = &ways[_i];
    const struct far_worker worker = attach("w1", ALL);
    char topic[64];
    snprintf(topic, sizeof topic, "rpc/%s", way->topic);
    rig_send(&rig, topic, way->payload, way->response_topic, NULL);
    ck_assert_uint_eq(far_count(&rig), 1);
    ck_assert_str_eq(far_last(&rig)->text, way->job);
    far_answer(&rig, &worker, far_last(&rig), "ok", way->answer);
    far_expect(&rig, 1, "ok", way->reply);
}
END_TEST

START_TEST(a_family_is_called_by_its_name)
{
    const struct far_worker worker = attach("w1", ALL);
    rig.client.user = NULL;
    rig.client.version = 4;
    rig_publish(&rig, "rpc/call/far/front/open", "{\"request_id\":\"x\"}");
    ck_assert_str_eq(far_last(&rig)->properties,
                     "method=far/front/open;caller=tester;caller-version=4;deadline-ms=10000;");
    far_answer(&rig, &worker, far_last(&rig), "ok", "{}");
    far_expect(&rig, 1, "ok", "{\"request_id\":\"x\",\"result\":{}}");
}
END_TEST

START_TEST(a_trace_goes_along)
{
    const struct far_worker worker = attach("w1", ADDS);
    rig.host.property = "traceparent";
    rig.host.value = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    rig.options.sys_interval = 0;
    rig.engine->env.options.sys_interval = 10000;
    far_call(&rig, "far.add", "{\"a\":1}");
    rig.host.property = NULL;
    const char *found = strstr(far_last(&rig)->properties,
                               "deadline-ms=10000;traceparent=00-0af7651916cd43dd8448eb211c80319c-");
    ck_assert_ptr_nonnull(found);
    ck_assert_ptr_null(strstr(found, "b7ad6b7169203331")); /* it is the span of the service */
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":3}");
    const struct fake_message *span = rig_last(&rig.host.events);
    ck_assert_ptr_nonnull(
        strstr(span->text, "{\"key\":\"mosquitto_rpc.worker\",\"value\":{\"stringValue\":\"w1\"}}"));
}
END_TEST

START_TEST(the_deadline_is_the_callers)
{
    const struct far_worker worker = attach("w1", ADDS);
    rig.host.property = "timeout-ms";
    rig.host.value = "1001";
    far_call(&rig, "far.add", "{\"a\":1}");
    rig.host.property = NULL;
    ck_assert_ptr_nonnull(strstr(far_last(&rig)->properties, "deadline-ms=1001;"));
    ck_assert_uint_eq(far_last(&rig)->expiry, 2);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":3}");
}
END_TEST

/* What is wrong with a call is found here, and costs no worker anything. */
START_TEST(bad_parameters_reach_no_worker)
{
    attach("w1", ALL);
    far_call(&rig, "far.add", "{\"a\":\"x\"}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "invalid_params");
    far_call(&rig, "far.add", "{");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "parse_error");
    far_call(&rig, "far.value", "10");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "invalid_params");
    ck_assert_uint_eq(far_count(&rig), 0);
    ck_assert_uint_eq(outstanding(), 0);
}
END_TEST

/* The results of a batch come in order, however the workers answer. */
START_TEST(a_batch_is_carried_out_by_several)
{
    const struct far_worker one = attach("w1", ADDS), other = attach("w2", ADDS);
    rig_send(&rig, "rpc/batch/far.add", "[{\"a\":1},{\"a\":\"x\"},{\"a\":2},{\"a\":3}]", "r", NULL);
    ck_assert_uint_eq(far_count(&rig), 3);
    ck_assert_str_eq(far_sent(&rig, 2)->text, "{\"a\":3}");
    for (int i = 2; i >= 0; i--) {
        const struct fake_message *job = far_sent(&rig, (size_t)i);
        char text[32];
        snprintf(text, sizeof text, "{\"sum\":%d}", i);
        far_answer(&rig, strcmp(job->client, "w1") == 0 ? &one : &other, job, i == 1 ? "far_plain" : "ok",
                   i == 1 ? "{\"msg\":\"no\"}" : text);
    }
    far_expect(&rig, 1, "ok",
               "[{\"result\":{\"sum\":0}},{\"error\":{\"method\":\"far.add\",\"err\":\"invalid_params\","
               "\"msg\":\"a must be a whole number of 32 bits\"}},"
               "{\"error\":{\"method\":\"far.add\",\"err\":\"far_plain\",\"msg\":\"no\"}},"
               "{\"result\":{\"sum\":2}}]");
}
END_TEST

/* ---- And back ---- */

static const struct outcome {
    const char *status, *payload, *reply_status, *reply;
    const char *logged; /* NULL: nothing */
} outcomes[] = {
    {"far_plain", "{\"err\":\"far_plain\",\"msg\":\"why\"}", "far_plain",
     "{\"method\":\"far.add\",\"err\":\"far_plain\",\"msg\":\"why\"}", NULL},
    {"far_plain", "", "far_plain", "{\"method\":\"far.add\",\"err\":\"far_plain\",\"msg\":\"it is plain\"}",
     NULL},
    {"far_plain", "no JSON", "far_plain",
     "{\"method\":\"far.add\",\"err\":\"far_plain\",\"msg\":\"it is plain\"}", NULL},
    {"far_large", "{\"msg\":\"why\",\"limit\":3,\"more\":1}", "far_large",
     "{\"method\":\"far.add\",\"err\":\"far_large\",\"msg\":\"why\",\"limit\":3}", NULL},
    {"far_large", "{\"msg\":\"why\"}", "far_large",
     "{\"method\":\"far.add\",\"err\":\"far_large\",\"msg\":\"why\"}", NULL},
    {"invalid_params", "{\"msg\":\"a is odd\"}", "invalid_params",
     "{\"method\":\"far.add\",\"err\":\"invalid_params\",\"msg\":\"a is odd\"}", "invalid_params: a is odd"},
    {"timeout", "{\"msg\":\"too late\"}", "timeout",
     "{\"method\":\"far.add\",\"err\":\"timeout\",\"msg\":\"too late\"}", "timeout: too late"},
    {"ok", "{}", "internal_error",
     "{\"method\":\"far.add\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}",
     "worker w1: the result of far.add: sum is required"},
    {"ok", "", "internal_error",
     "{\"method\":\"far.add\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}", "sum is required"},
    {"ok", "[", "internal_error",
     "{\"method\":\"far.add\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}",
     "worker w1: the result of far.add: "},
    {"ok", "{\"sum\":1,\"sum\":2}", "internal_error",
     "{\"method\":\"far.add\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}",
     "worker w1: the result of far.add: "},
    {"strange", "{\"msg\":\"x\"}", "internal_error",
     "{\"method\":\"far.add\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}",
     "worker w1: the error of far.add: the method declares no error strange"},
    {NULL, "{\"sum\":1}", "internal_error",
     "{\"method\":\"far.add\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}",
     "the method declares no error"},
    {"raised", "{\"sum\":1}", "internal_error",
     "{\"method\":\"far.add\",\"err\":\"internal_error\",\"msg\":\"the handler failed\"}",
     "the method declares no error raised"},
};

START_TEST(every_outcome)
{
    const struct outcome *outcome = &outcomes[_i];
    const struct far_worker worker = attach("w1", ADDS);
    far_call(&rig, "far.add", "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), outcome->status, outcome->payload);
    far_expect(&rig, 1, outcome->reply_status, outcome->reply);
    if (outcome->logged)
        ck_assert_msg(fake_host_logged(&rig.host, outcome->logged), "%s", rig.host.lines[0].text);
    else
        ck_assert_uint_eq(rig.host.line_count, 0);
    ck_assert_uint_eq(outstanding(), 0);
    ck_assert_uint_eq(rig.host.events.count, 0);
    cJSON *seen = far_look(&rig, "w1");
    ck_assert_int_eq(rig_member(seen, "errors")->valueint, 1);
    cJSON_Delete(seen);
}
END_TEST

/* A call without a reply: its error is announced where that of a call that runs here would be. */
START_TEST(errors_that_are_announced)
{
    const struct far_worker worker = attach("w1", ADDS);
    rig_tell(&rig, "far.add", "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), "far_plain", "{\"msg\":\"why\"}");
    rig_expect_event(&rig, "rpc/event/far.failed",
                     "{\"method\":\"far.add\",\"err\":\"far_plain\",\"msg\":\"why\"}");
    rig_tell(&rig, "far.add", "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), "timeout", "{\"msg\":\"too late\"}");
    ck_assert_str_eq(rig_last(&rig.host.events)->topic, "rpc/event/error");
    ck_assert_uint_eq(rig.engine->dead.count, 1);
    rig_tell(&rig, "far.add", "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":2}");
    rig_expect_event(&rig, "rpc/event/far.added", "{\"sum\":2}");
}
END_TEST

START_TEST(a_result_that_is_too_large)
{
    static char large[200000];
    const struct far_worker worker = attach("w1", ADDS);
    const int head = snprintf(large, sizeof large, "{\"sum\":1,\"text\":\"");
    memset(large + head, 'x', sizeof large - (size_t)head - 3);
    memcpy(large + sizeof large - 3, "\"}", 3);
    far_call(&rig, "far.add", "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), "ok", large);
    far_expect(&rig, 1, "reply_too_large",
               "{\"method\":\"far.add\",\"err\":\"reply_too_large\",\"msg\":\"the result is over max_reply, "
               "131072 bytes\"}");
    far_call(&rig, "far.add", "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), "far_plain", large);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "far_plain");
}
END_TEST

START_TEST(interim_replies)
{
    const struct far_worker worker = attach("w1", ALL);
    rig.host.property = "progress";
    rig.host.value = "1";
    far_call(&rig, "far.steps", "");
    ck_assert_ptr_nonnull(strstr(far_last(&rig)->properties, "progress=1;"));
    const struct fake_message job = *far_last(&rig);
    far_answer(&rig, &worker, &job, "progress", "{\"step\":1}");
    far_expect(&rig, 1, "progress", "{\"step\":1}");
    far_answer(&rig, &worker, &job, "progress", "{\"step\":\"x\"}");
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert(fake_host_logged(&rig.host, "worker w1: an interim reply of far.steps: step must be"));
    far_answer(&rig, &worker, &job, "progress", "{\"step\":2}");
    far_answer(&rig, &worker, &job, "ok", "");
    far_expect(&rig, 3, "ok", "{}");
    far_answer(&rig, &worker, &job, "progress", "{\"step\":3}");
    ck_assert_uint_eq(rig.host.replies.count, 3);
    far_call(&rig, "far.add", "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), "progress", "{\"step\":3}");
    ck_assert(fake_host_logged(&rig.host, "an interim reply of far.add: the method declares none"));
    ck_assert_uint_eq(outstanding(), 1);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":3}");
}
END_TEST

/* ---- Answers of those who should not ---- */

static const struct hostile {
    const char *id; /* NULL: that of the call */
    size_t size;
    int by; /* 0: its worker; 1: another worker at the first one's topic; 2: at its own */
    enum engine_verdict verdict;
} hostile[] = {
    {"", 0, 0, ENGINE_CONSUME},
    {"x", 1, 0, ENGINE_CONSUME},
    {"00000000000000000000000000000001", 32, 0, ENGINE_CONSUME},
    {"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 32, 0, ENGINE_CONSUME},
    {NULL, 31, 0, ENGINE_CONSUME},
    {NULL, 32, 1, ENGINE_REFUSE},
    {NULL, 32, 2, ENGINE_CONSUME},
};

START_TEST(answers_that_are_none)
{
    const struct hostile *row = &hostile[_i];
    const struct far_worker worker = attach("w1", ADDS), other = attach("w2", READS);
    static const char *const statuses[] = {"ok", "far_plain", "refused", "progress", NULL};
    far_call(&rig, "far.add", "{\"a\":1}");
    const struct fake_message job = *far_last(&rig);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        const enum engine_verdict verdict =
            far_publish(&rig, row->by ? &other : &worker, row->by == 2 ? other.done : worker.done,
                        row->id ? row->id : job.correlation, row->size, statuses[i], "{\"sum\":1}");
        ck_assert_int_eq(verdict, row->verdict);
        ck_assert_uint_eq(rig.host.replies.count, 0);
        ck_assert_uint_eq(outstanding(), 1);
        ck_assert_uint_eq(far_count(&rig), 1);
    }
    far_answer(&rig, &worker, &job, "ok", "{\"sum\":3}");
    far_expect(&rig, 1, "ok", "{\"sum\":3}");
    far_answer(&rig, &worker, &job, "ok", "{\"sum\":4}"); /* twice */
    far_expect(&rig, 1, "ok", "{\"sum\":3}");
}
END_TEST

/* Nobody but a worker publishes below work/, and that one where it may. */
START_TEST(guards)
{
    static const char *const topics[] = {"rpc/work",
                                         "rpc/work/w1",
                                         "rpc/work/w1/done",
                                         "rpc/work/w1/cancel",
                                         "rpc/work/w1/event/far.told",
                                         "rpc/work/w1/x",
                                         "rpc/work/w2/done",
                                         "rpc/work/w1/done/x",
                                         "rpc/work/w1/event"};
    const struct far_worker worker = attach("w1", ADDS);
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        ck_assert_int_eq(rig_publish(&rig, topics[i], "{}"), ENGINE_REFUSE);
        const bool is_own = i == 2 || i == 4;
        ck_assert_int_eq(far_publish(&rig, &worker, topics[i], "", 0, "ok", "{\"step\":1}"),
                         is_own ? ENGINE_CONSUME : ENGINE_REFUSE);
    }
    rig.client.bridge = true;
    ck_assert_int_eq(rig_publish(&rig, "rpc/work/w1/done", "{}"), ENGINE_PASS);
}
END_TEST

/* ---- Choice and credit ---- */

START_TEST(the_least_busy_gets_it)
{
    const struct far_worker one = attach("w1", ADDS), other = attach("w2", ADDS);
    for (int i = 0; i < 4; i++)
        far_call(&rig, "far.add", "{\"a\":1}");
    size_t first = 0;
    for (size_t i = 0; i < 4; i++)
        first += strcmp(far_sent(&rig, i)->client, "w1") == 0;
    ck_assert_uint_eq(first, 2);
    for (size_t i = 0; i < 4; i++) {
        const struct fake_message *job = far_sent(&rig, i);
        far_answer(&rig, strcmp(job->client, "w1") == 0 ? &one : &other, job, "ok", "{\"sum\":1}");
    }
    ck_assert_uint_eq(rig.host.replies.count, 4);
}
END_TEST

START_TEST(calls_wait_for_credit)
{
    const struct far_worker worker = attach("w1", ADDS ",\"window\":2");
    for (int i = 0; i < 4; i++)
        far_call(&rig, "far.add", "{\"a\":1}");
    ck_assert_uint_eq(far_count(&rig), 2);
    ck_assert_uint_eq(rig.engine->slots.count, 2);
    far_answer(&rig, &worker, far_sent(&rig, 0), "ok", "{\"sum\":1}");
    ck_assert_uint_eq(far_count(&rig), 3);
    ck_assert_uint_eq(rig.engine->slots.count, 1);
    far_pass(&rig, 9000); /* longer than workers_wait: a worker is there */
    far_answer(&rig, &worker, far_sent(&rig, 1), "ok", "{\"sum\":1}");
    far_answer(&rig, &worker, far_sent(&rig, 2), "ok", "{\"sum\":1}");
    far_answer(&rig, &worker, far_sent(&rig, 3), "ok", "{\"sum\":1}");
    ck_assert_uint_eq(rig.host.replies.count, 4);
    ck_assert_uint_eq(rig.engine->slots.count, 0);
    ck_assert_uint_eq(rig.engine->slots.bytes, 0);
}
END_TEST

START_TEST(a_lane_keeps_its_order)
{
    const struct far_worker one = attach("w1", ALL), other = attach("w2", ALL);
    far_call(&rig, "far.lane", "{\"lane\":\"a\"}");
    far_call(&rig, "far.lane", "{\"lane\":\"a\"}");
    far_call(&rig, "far.lane", "{\"lane\":\"a\"}");
    for (size_t i = 0; i < 3; i++) {
        const struct fake_message *job = far_sent(&rig, i);
        ck_assert_str_eq(job->client, far_sent(&rig, 0)->client);
        far_answer(&rig, strcmp(job->client, "w1") == 0 ? &one : &other, job, "ok", "{}");
    }
    ck_assert_uint_eq(rig.host.replies.count, 3);
}
END_TEST

/* ---- Deadlines, callers that go, eviction ---- */

START_TEST(a_deadline_passes)
{
    const struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}");
    const struct fake_message job = *far_last(&rig);
    far_pass(&rig, 10000);
    far_expect(&rig, 1, "timeout",
               "{\"method\":\"far.add\",\"err\":\"timeout\",\"msg\":\"the deadline passed before the handler "
               "finished\"}");
    const struct fake_message *cancel = far_last(&rig);
    ck_assert_str_eq(cancel->topic, "rpc/work/w1/cancel");
    ck_assert_uint_eq(cancel->size, 0);
    ck_assert_mem_eq(cancel->correlation, job.correlation, 32);
    ck_assert_int_eq(cancel->qos, 1);
    far_call(&rig, "far.add", "{\"a\":2}"); /* its credit stays taken */
    ck_assert_uint_eq(far_count(&rig), 2);
    far_answer(&rig, &worker, &job, "progress", "{}");
    far_answer(&rig, &worker, &job, "ok", "{\"sum\":1}");
    ck_assert_uint_eq(counters()->late, 1);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_uint_eq(far_count(&rig), 3);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":2}");
    far_expect(&rig, 2, "ok", "{\"sum\":2}");
}
END_TEST

START_TEST(a_worker_that_never_answers_gets_its_credit_back)
{
    attach("w1", ADDS ",\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}");
    const struct fake_message job = *far_last(&rig);
    far_pass(&rig, 10000);
    far_pass(&rig, 59999);
    ck_assert_uint_eq(counters()->lost, 0);
    ck_assert_uint_eq(outstanding(), 1);
    far_pass(&rig, 1);
    ck_assert_uint_eq(counters()->lost, 1);
    ck_assert_uint_eq(outstanding(), 0);
    ck_assert(fake_host_logged(&rig.host, "worker w1 has not answered a call a minute after its deadline"));
    cJSON *seen = far_look(&rig, "w1");
    ck_assert_int_eq(rig_member(seen, "lost")->valueint, 1);
    cJSON_Delete(seen);
    ck_assert_uint_eq(job.correlation_size, 32);
}
END_TEST

START_TEST(a_caller_goes)
{
    const struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.add", "{\"a\":2}");
    engine_client_ended(rig.engine, &(const struct host_ending){
                                        .id = "tester", .connection = &rig, .kind = HOST_END_SESSION_OVER});
    ck_assert_uint_eq(far_count(&rig), 2); /* the call and its cancel: the one that waited has gone */
    ck_assert_str_eq(far_last(&rig)->topic, "rpc/work/w1/cancel");
    ck_assert_uint_eq(counters()->cancelled, 2);
    far_answer(&rig, &worker, far_sent(&rig, 0), "ok", "{\"sum\":1}");
    ck_assert_uint_eq(outstanding(), 0);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}
END_TEST

START_TEST(a_call_that_waits_is_evicted)
{
    const struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    rig.engine->env.options.max_pending = 2;
    for (int i = 0; i < 3; i++)
        far_call(&rig, "far.add", "{\"a\":1}");
    ck_assert_uint_eq(rig.engine->slots.count, 2);
    far_call(&rig, "far.add", "{\"a\":1}"); /* its client has all slots itself */
    far_expect(
        &rig, 1, "overloaded",
        "{\"method\":\"far.add\",\"err\":\"overloaded\",\"msg\":\"2 calls wait, and max_pending allows "
        "no more\"}");
    rig.client.id = "other";
    rig.client.connection = &rig.host;
    far_call(&rig, "far.add", "{\"a\":9}");
    far_expect(&rig, 2, "overloaded",
               "{\"method\":\"far.add\",\"err\":\"overloaded\",\"msg\":\"too many calls are waiting: see "
               "max_pending\"}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->client, "tester");
    for (size_t i = 0; i < 3; i++)
        far_answer(&rig, &worker, far_sent(&rig, i), "ok", "{\"sum\":1}");
    ck_assert_uint_eq(rig.host.replies.count, 5);
    ck_assert_uint_eq(far_count(&rig), 3);
}
END_TEST

/* One that is evicted goes nowhere, even if a worker comes before it is answered: here in the same message.
 */
START_TEST(an_evicted_call_reaches_no_worker)
{
    rig_close(&rig);
    far_init(&rig);
    rig.options.jsonrpc_methods = "*";
    far_start(&rig, 5000);
    rig.engine->env.options.max_pending = 2;
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.add", "{\"a\":2}");
    const struct far_worker worker = far_make("w1");
    rig.client = worker.client;
    rig_send(&rig, "rpc/jsonrpc",
             "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"far.add\",\"params\":{\"a\":3}},"
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"rpc.attach\",\"params\":{\"worker\":\"w1\"," ADDS
             "}}]",
             "b", NULL);
    ck_assert_uint_eq(far_count(&rig), 2);
    ck_assert_str_eq(rig_last(&rig.host.replies)->client, "tester");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "overloaded");
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_ne(far_sent(&rig, i)->text, "{\"a\":2}");
        far_answer(&rig, &worker, far_sent(&rig, i), "ok", "{\"sum\":1}");
    }
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_uint_eq(outstanding(), 0);
}
END_TEST

/* A call that a worker can take at once needs no slot. */
START_TEST(a_full_table_does_not_stop_workers)
{
    const struct far_worker worker = attach("w1", ADDS);
    rig.engine->env.options.max_pending = 1;
    far_call(&rig, "far.read", "{\"a\":1}");
    ck_assert_uint_eq(rig.engine->slots.count, 1);
    far_call(&rig, "far.add", "{\"a\":1}");
    ck_assert_uint_eq(far_count(&rig), 1);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    far_expect(&rig, 1, "ok", "{\"sum\":1}");
    far_pass(&rig, 5000);
}
END_TEST

START_TEST(what_calls_hold_is_counted)
{
    static char payload[50000];
    const struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    const int used = snprintf(payload, sizeof payload, "{\"a\":1}");
    memset(payload + used, ' ', sizeof payload - (size_t)used - 1);
    far_call(&rig, "far.add", payload);
    ck_assert_uint_ge(rig.engine->slots.bytes, sizeof payload);
    far_call(&rig, "far.add", payload);
    ck_assert_uint_ge(rig.engine->slots.bytes, 2 * sizeof payload);
    rig.engine->env.options.max_pending_bytes = 120000;
    far_call(&rig, "far.add", payload);
    far_expect(&rig, 1, "overloaded",
               "{\"method\":\"far.add\",\"err\":\"overloaded\",\"msg\":\"the calls that wait hold as many "
               "bytes as max_pending_bytes allows, which is 120000\"}");
    far_answer(&rig, &worker, far_sent(&rig, 0), "ok", "{\"sum\":1}");
    far_answer(&rig, &worker, far_sent(&rig, 1), "ok", "{\"sum\":1}");
    ck_assert_uint_eq(rig.engine->slots.bytes, 0);
}
END_TEST

/* ---- No worker ---- */

START_TEST(a_call_waits_for_a_worker)
{
    far_call(&rig, "far.add", "{\"a\":1}");
    far_pass(&rig, 4999);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    const struct far_worker worker = attach("w1", ADDS);
    ck_assert_uint_eq(far_count(&rig), 1);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    far_expect(&rig, 1, "ok", "{\"sum\":1}");
}
END_TEST

#define NO_WORKER "{\"method\":\"far.add\",\"err\":\"overloaded\",\"msg\":\"no worker offers far.add\"}"

START_TEST(a_call_does_not_wait_for_ever)
{
    rig.engine->env.options.duplicate_window = 60000;
    attach("w1", READS);
    rig_send(&rig, "rpc/call/far.add", "{\"a\":1}", "r", "0123456789abcdef");
    far_pass(&rig, 4999);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(engine_due(rig.engine), rig.host.monotonic + 1000000);
    far_pass(&rig, 1);
    far_expect(&rig, 1, "overloaded", NO_WORKER);
    ck_assert_uint_eq(counters()->overloaded, 1);
    rig_send(&rig, "rpc/call/far.add", "{\"a\":1}", "r", "0123456789abcdef"); /* it was not run */
    far_pass(&rig, 5000);
    far_expect(&rig, 2, "overloaded", NO_WORKER);
    ck_assert_uint_eq(counters()->duplicates, 0);
}
END_TEST

#define LATE(why) "{\"method\":\"far.add\",\"err\":\"timeout\",\"msg\":\"the deadline passed" why "\"}"

/* The caller learns what its call has waited for. */
START_TEST(a_deadline_passes_without_a_worker)
{
    rig.host.property = "timeout-ms";
    rig.host.value = "1000";
    far_call(&rig, "far.add", "{\"a\":1}");
    far_pass(&rig, 1000);
    far_expect(&rig, 1, "timeout", LATE(", and no worker offers far.add"));
    attach("w1", ADDS ",\"window\":1");
    far_call(&rig, "far.add", "{\"a\":2}");
    far_pass(&rig, 500);
    far_call(&rig, "far.add", "{\"a\":3}");
    far_pass(&rig, 500);
    far_expect(&rig, 2, "timeout", LATE(" before the handler finished"));
    far_pass(&rig, 500);
    far_expect(&rig, 3, "timeout", LATE(" before a worker could take the call"));
}
END_TEST

/* A worker that restarts costs no call its outcome. */
START_TEST(the_wait_begins_when_the_worker_goes)
{
    const struct far_worker worker = attach("w1", ADDS ",\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.add", "{\"a\":2}");
    far_pass(&rig, 4000);
    far_end(&rig, &worker);
    far_pass(&rig, 4999);
    ck_assert_uint_eq(rig.host.replies.count, 1); /* the one that it had */
    far_pass(&rig, 1);
    far_expect(&rig, 2, "overloaded", NO_WORKER);
}
END_TEST

/* ---- Workers that go ---- */

START_TEST(a_worker_goes)
{
    const struct far_worker one = attach("w1", ALL), other = attach("w2", ALL);
    far_call(&rig, "far.add", "{\"a\":1}");
    const bool first = strcmp(far_last(&rig)->client, "w1") == 0;
    far_end(&rig, first ? &one : &other);
    char text[256];
    snprintf(
        text, sizeof text,
        "{\"method\":\"far.add\",\"err\":\"outcome_unknown\",\"msg\":\"worker %s has gone while it had the "
        "call: it may have been carried out\"}",
        first ? "w1" : "w2");
    far_expect(&rig, 1, "outcome_unknown", text);
    ck_assert_uint_eq(far_count(&rig), 1);
    ck_assert(
        fake_host_logged(&rig.host, "has gone: 0 of its calls go to another one, 1 have an unknown outcome"));
}
END_TEST

/* It gets nothing more, not even as the caller of calls that it has itself. */
START_TEST(a_worker_that_calls_itself_goes)
{
    const struct far_worker worker = attach("w1", ALL);
    rig.client = worker.client;
    far_call(&rig, "far.add", "{\"a\":1}");
    far_call(&rig, "far.read", "{\"a\":1}");
    ck_assert_uint_eq(far_count(&rig), 2);
    far_end(&rig, &worker);
    ck_assert_uint_eq(far_count(&rig), 2);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    ck_assert_uint_eq(rig.engine->slots.bytes, 0);
}
END_TEST

START_TEST(a_call_that_may_run_twice_goes_to_another_one)
{
    static const char *const methods[] = {"far.read", "far.keep"};
    const struct far_worker one = attach("w1", ALL), other = attach("w2", ALL);
    far_call(&rig, methods[_i], "{\"a\":1}");
    const bool first = strcmp(far_last(&rig)->client, "w1") == 0;
    rig.host.monotonic += RIG_SECOND;
    far_end(&rig, first ? &one : &other);
    ck_assert_uint_eq(far_count(&rig), 2);
    ck_assert_str_eq(far_last(&rig)->client, first ? "w2" : "w1");
    ck_assert_str_eq(far_last(&rig)->text, "{\"a\":1}");
    ck_assert_ptr_nonnull(strstr(far_last(&rig)->properties, "deadline-ms=9000;"));
    ck_assert_uint_eq(counters()->redispatched, 1);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    /* The first one's connection is over: what it says does not count, even if it is attached again. */
    struct far_worker again = far_make(first ? "w1" : "w2");
    far_attach(&rig, &again, ALL);
    far_publish(&rig, &again, again.done, far_last(&rig)->correlation, 32, "ok", "{\"sum\":9}");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    far_answer(&rig, first ? &other : &one, far_last(&rig), "ok", "{\"sum\":1}");
    far_expect(&rig, 1, "ok", "{\"sum\":1}");
}
END_TEST

START_TEST(three_attempts_and_no_more)
{
    for (int i = 0; i < 3; i++) {
        const struct far_worker worker = attach("w1", READS);
        if (i == 0)
            far_call(&rig, "far.read", "{\"a\":1}");
        ck_assert_uint_eq(far_count(&rig), (size_t)i + 1);
        ck_assert_mem_eq(far_last(&rig)->correlation, far_sent(&rig, 0)->correlation, 32);
        ck_assert_uint_eq(rig.host.replies.count, 0);
        far_end(&rig, &worker);
    }
    ck_assert_uint_eq(rig.host.replies.count, 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "outcome_unknown");
}
END_TEST

START_TEST(a_call_is_refused)
{
    const struct far_worker one = attach("w1", ADDS);
    far_call(&rig, "far.add", "{\"a\":1}");
    const struct fake_message job = *far_last(&rig);
    const struct far_worker other = attach("w2", ADDS);
    far_answer(&rig, &one, &job, "refused", "");
    ck_assert_uint_eq(far_count(&rig), 2);
    ck_assert_str_eq(far_last(&rig)->client, "w2");
    ck_assert_uint_eq(counters()->redispatched, 1);
    far_answer(&rig, &other, far_last(&rig), "ok", "{\"sum\":1}");
    far_expect(&rig, 1, "ok", "{\"sum\":1}");
    cJSON *seen = far_look(&rig, "w1");
    ck_assert_int_eq(rig_member(seen, "refused")->valueint, 1);
    ck_assert_int_eq(rig_member(seen, "calls")->valueint, 0);
    cJSON_Delete(seen);
}
END_TEST

/* A worker that refuses everything does not keep the service busy for ever. */
START_TEST(a_call_is_always_refused)
{
    const struct far_worker worker = attach("w1", ADDS);
    far_call(&rig, "far.add", "{\"a\":1}");
    for (size_t i = 0; !rig.host.replies.count; i++) {
        ck_assert_uint_lt(i, 100);
        ck_assert_uint_eq(far_count(&rig), i + 1);
        far_answer(&rig, &worker, far_last(&rig), "refused", "");
    }
    far_expect(
        &rig, 1, "overloaded",
        "{\"method\":\"far.add\",\"err\":\"overloaded\",\"msg\":\"workers have refused the call 16 times\"}");
}
END_TEST

START_TEST(a_worker_leaves)
{
    const struct far_worker worker = attach("w1", ADDS);
    far_call(&rig, "far.add", "{\"a\":1}");
    const struct fake_message *reply = far_ask(&rig, &worker, "rpc.detach", "{\"worker\":\"w1\"}");
    ck_assert_str_eq(reply->text, "{\"outstanding\":1}");
    far_call(&rig, "far.add", "{\"a\":2}");
    ck_assert_uint_eq(far_count(&rig), 1);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    far_expect(&rig, 2, "ok", "{\"sum\":1}");
    ck_assert_uint_eq(far_count(&rig), 1);
    far_end(&rig, &worker);
    far_pass(&rig, 5000);
    far_expect(&rig, 3, "overloaded", NO_WORKER);
}
END_TEST

/* Options know the methods of modules alone, so that a reload leaves those that workers declare where they
 * are. */
START_TEST(declared_methods_stay_at_workers)
{
    char why[ENGINE_WHY];
    const struct far_worker worker = attach("w1", "\"declares\":[{\"name\":\"new\"}]");
    ck_assert(!engine_check_placement(rig.engine, "new", "local", why));
    ck_assert_ptr_nonnull(strstr(why, "no module has a method of this name"));
    struct engine_options changed = rig.options;
    changed.placements = "new local";
    engine_reload(rig.engine, &changed);
    far_call(&rig, "new", "{}");
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"n\":1}");
    far_expect(&rig, 1, "ok", "{\"n\":1}");
}
END_TEST

/* ---- Duplicates, letters, stopping ---- */

START_TEST(a_call_that_is_sent_twice_runs_once)
{
    rig_close(&rig);
    far_init(&rig);
    rig.options.duplicate_window = 60000;
    far_start(&rig, 5000);
    const struct far_worker worker = attach("w1", ADDS);
    rig_send(&rig, "rpc/call/far.add", "{\"a\":1}", "r", "0123456789abcdef");
    rig_send(&rig, "rpc/call/far.add", "{\"a\":1}", "r", "0123456789abcdef");
    ck_assert_uint_eq(far_count(&rig), 1);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    ck_assert_uint_eq(rig.host.replies.count, 2);
    rig_send(&rig, "rpc/call/far.add", "{\"a\":1}", "r", "0123456789abcdef");
    far_expect(&rig, 3, "ok", "{\"sum\":1}");
    ck_assert(rig_last(&rig.host.replies)->repeated);
    ck_assert_uint_eq(far_count(&rig), 1);
    ck_assert_uint_eq(counters()->duplicates, 2);
}
END_TEST

extern const rpc_module rpc_module_dead;

START_TEST(a_letter_is_replayed_at_a_worker)
{
    static const char *const payloads[] = {"{\"a\":1}",
                                           "{\"jsonrpc\":\"2.0\",\"method\":\"far.read\",\"params\":[1]}"};
    rig_add(&rig, &rpc_module_dead, NULL);
    rig_tell(&rig, "far.read", payloads[_i]);
    far_pass(&rig, 5000);
    ck_assert_uint_eq(rig.engine->dead.count, 1);
    const struct far_worker worker = attach("w1", READS);
    char params[64];
    snprintf(params, sizeof params, "{\"id\":\"%s\"}", rig_newest_letter(&rig)->id);
    far_call(&rig, "dead.replay", params);
    ck_assert_uint_eq(far_count(&rig), 1);
    ck_assert_str_eq(far_last(&rig)->text, "{\"a\":1}");
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    ck_assert_uint_eq(rig.engine->dead.count, 0);
}
END_TEST

START_TEST(the_engine_stops)
{
    attach("w1", ADDS ",\"window\":1");
    for (int i = 0; i < 3; i++)
        far_call(&rig, "far.add", "{\"a\":1}");
    engine_stop(rig.engine);
    ck_assert_uint_eq(far_count(&rig), 1);
    ck_assert_uint_eq(rig.host.replies.count, 0);
    far_pass(&rig, 100000);
    ck_assert_uint_eq(far_count(&rig), 1);
}
END_TEST

START_TEST(a_message_that_cannot_be_sent_is_sent_later)
{
    const struct far_worker worker = attach("w1", ADDS);
    rig.host.drop = true;
    far_call(&rig, "far.add", "{\"a\":1}");
    ck_assert_uint_eq(far_count(&rig), 0);
    far_pass(&rig, 99);
    ck_assert_uint_eq(far_count(&rig), 0);
    rig.host.drop = false;
    far_pass(&rig, 1);
    ck_assert_uint_eq(far_count(&rig), 1);
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    far_expect(&rig, 1, "ok", "{\"sum\":1}");
    /* The worker goes before it can be sent: nothing of it can have run. */
    rig.host.drop = true;
    far_call(&rig, "far.add", "{\"a\":1}");
    rig.host.drop = false;
    const struct far_worker other = attach("w2", ADDS);
    far_end(&rig, &worker);
    ck_assert_str_eq(far_last(&rig)->client, "w2");
    far_answer(&rig, &other, far_last(&rig), "ok", "{\"sum\":2}");
    far_expect(&rig, 2, "ok", "{\"sum\":2}");
}
END_TEST

/* ---- Local first ---- */

static void spill(const char *lane)
{
    char payload[32];
    snprintf(payload, sizeof payload, "{\"lane\":\"%s\"}", lane);
    far_call(&rig, "far.spill", payload);
}

START_TEST(calls_spill)
{
    const struct far_worker worker = attach("w1", "\"methods\":[\"far.spill\"]");
    spill("a");
    rig_settle(&rig);
    far_expect(&rig, 1, "ok", "{\"sum\":0,\"text\":\"here\"}");
    far_shut = true;
    spill("a");
    while (rig.engine->slots.count) /* its work begins */
        tasks_note_begun(rig.engine);
    far_call(&rig, "far.add", "{\"a\":1}"); /* which no worker offers: all slots are taken */
    rig.engine->env.options.max_pending = 1;
    spill("b");
    ck_assert_uint_eq(far_count(&rig), 1);
    ck_assert_str_eq(far_last(&rig)->text, "{\"lane\":\"b\"}");
    spill("a"); /* its lane is in use here */
    far_expect(
        &rig, 2, "overloaded",
        "{\"method\":\"far.spill\",\"err\":\"overloaded\",\"msg\":\"1 calls wait, and max_pending allows "
        "no more\"}");
    rig.engine->env.options.max_pending = 100;
    spill("b"); /* its lane is in use there */
    ck_assert_uint_eq(far_count(&rig), 2);
    spill("c"); /* there is room here again */
    ck_assert_uint_eq(far_count(&rig), 2);
    far_answer(&rig, &worker, far_sent(&rig, 0), "ok", "{\"sum\":1}");
    far_answer(&rig, &worker, far_sent(&rig, 1), "ok", "{\"sum\":1}");
    far_let_go();
    far_pass(&rig, 5000);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.host.replies.count, 7);
}
END_TEST

/* A worker is no use without credit, and the worker's absence costs nothing. */
START_TEST(calls_that_could_spill_run_here)
{
    const struct far_worker worker = attach("w1", "\"methods\":[\"far.spill\"],\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}");
    rig.engine->env.options.max_pending = 1;
    spill("a");
    ck_assert_uint_eq(far_count(&rig), 1);
    rig.engine->env.options.max_pending = 2;
    spill("b");
    rig_wait(&rig, 1);
    far_expect(&rig, 1, "ok", "{\"sum\":0,\"text\":\"here\"}");
    far_answer(&rig, &worker, far_last(&rig), "ok", "{\"sum\":1}");
    far_end(&rig, &worker);
    spill("c");
    rig_wait(&rig, 3);
    far_expect(&rig, 3, "ok", "{\"sum\":0,\"text\":\"here\"}");
    far_pass(&rig, 5000);
}
END_TEST

/* A call that has spilt, and not begun, runs here when the worker goes, or when its method comes home. */
START_TEST(calls_come_home)
{
    const struct far_worker worker = attach("w1", "\"methods\":[\"far.spill\",\"far.value\"],\"window\":1");
    far_call(&rig, "far.add", "{\"a\":1}"); /* which no worker offers: all slots are taken */
    rig.engine->env.options.max_pending = 1;
    spill("b");
    ck_assert_uint_eq(far_count(&rig), 1);
    rig.engine->env.options.max_pending = 100;
    spill("b"); /* it waits behind the first one */
    far_pass(&rig, 4000);
    far_end(&rig, &worker);
    far_expect(&rig, 1, "outcome_unknown",
               "{\"method\":\"far.spill\",\"err\":\"outcome_unknown\",\"msg\":\"worker w1 has gone while it "
               "had the call: it may have been carried out\"}");
    far_pass(&rig, 1000);
    rig_wait(&rig, 3);
    const struct fake_message *reply = rig_last(&rig.host.replies);
    ck_assert_str_eq(reply->text, "{\"sum\":0,\"text\":\"here\"}");
    ck_assert_uint_eq(counters()->overloaded, 1); /* far.add */
    ck_assert_uint_eq(outstanding(), 0);
}
END_TEST

/* Likewise a refused one. */
START_TEST(a_refused_call_comes_home)
{
    struct far_worker worker = attach("w1", "\"methods\":[\"far.spill\"]");
    far_call(&rig, "far.add", "{\"a\":1}");
    rig.engine->env.options.max_pending = 1;
    spill("b");
    const struct fake_message job = *far_last(&rig);
    far_attach(&rig, &worker, "\"methods\":[]");
    rig.engine->env.options.max_pending = 100;
    far_answer(&rig, &worker, &job, "refused", "");
    far_pass(&rig, 0);
    rig_wait(&rig, 1);
    far_expect(&rig, 1, "ok", "{\"sum\":0,\"text\":\"here\"}");
    far_pass(&rig, 5000);
}
END_TEST

/* ---- Events ---- */

static const struct told {
    const char *event, *payload, *topic, *text;
    enum engine_verdict verdict;
} tolds[] = {
    {"far.told", "{\"step\":1, \"more\":2}", "rpc/event/far.told", "{\"step\":1}", ENGINE_CONSUME},
    {"far.kept", "{\"lane\":\"a\"}", "rpc/event/far.kept/a", "{\"lane\":\"a\"}", ENGINE_CONSUME},
    {"far.kept/x", "{\"lane\":\"a\"}", "rpc/event/far.kept/a", "{\"lane\":\"a\"}", ENGINE_CONSUME},
    {"far.kept/a", "", "rpc/event/far.kept/a", "", ENGINE_CONSUME},
    {"far.told", "{\"step\":\"x\"}", NULL, "worker w1: the data of event far.told: step must be",
     ENGINE_CONSUME},
    {"far.told", "no JSON", NULL, "worker w1: the data of event far.told", ENGINE_CONSUME},
    {"far.told", "", NULL, "worker w1: the data of event far.told", ENGINE_CONSUME},
    {"far.added", "{\"sum\":1}", NULL, NULL, ENGINE_REFUSE}, /* results are the plugin's business */
    {"error", "{}", NULL, NULL, ENGINE_REFUSE},
    {"far.none", "{}", NULL, NULL, ENGINE_REFUSE},
    {"far.told/x", "{\"step\":1}", NULL, NULL, ENGINE_REFUSE},
};

START_TEST(events_of_workers)
{
    const struct told *told = &tolds[_i];
    const struct far_worker worker = attach("w1", ADDS), other = attach("w2", "\"methods\":[]");
    char topic[96];
    snprintf(topic, sizeof topic, "rpc/work/w1/event/%s", told->event);
    ck_assert_int_eq(far_publish(&rig, &worker, topic, NULL, 0, NULL, told->payload), told->verdict);
    ck_assert_uint_eq(rig.host.events.count, told->topic ? 1 : 0);
    if (told->topic)
        rig_expect_event(&rig, told->topic, told->text);
    else if (told->text)
        ck_assert(fake_host_logged(&rig.host, told->text));
    snprintf(topic, sizeof topic, "rpc/work/w2/event/%s", told->event);
    ck_assert_int_eq(far_publish(&rig, &other, topic, NULL, 0, NULL, told->payload), ENGINE_REFUSE);
}
END_TEST

UNIT_MAIN("remote", open_rig, close_rig, {a_call_goes_to_a_worker_and_comes_back, 0},
          {every_way_to_call, UNIT_ROWS(ways)}, {a_family_is_called_by_its_name, 0}, {a_trace_goes_along, 0},
          {the_deadline_is_the_callers, 0}, {bad_parameters_reach_no_worker, 0},
          {a_batch_is_carried_out_by_several, 0}, {every_outcome, UNIT_ROWS(outcomes)},
          {errors_that_are_announced, 0}, {a_result_that_is_too_large, 0}, {interim_replies, 0},
          {answers_that_are_none, UNIT_ROWS(hostile)}, {guards, 0}, {the_least_busy_gets_it, 0},
          {calls_wait_for_credit, 0}, {a_lane_keeps_its_order, 0}, {a_deadline_passes, 0},
          {a_worker_that_never_answers_gets_its_credit_back, 0}, {a_caller_goes, 0},
          {a_call_that_waits_is_evicted, 0}, {an_evicted_call_reaches_no_worker, 0},
          {a_full_table_does_not_stop_workers, 0}, {what_calls_hold_is_counted, 0},
          {a_call_waits_for_a_worker, 0}, {a_call_does_not_wait_for_ever, 0},
          {a_deadline_passes_without_a_worker, 0}, {the_wait_begins_when_the_worker_goes, 0},
          {a_worker_goes, 0}, {a_worker_that_calls_itself_goes, 0},
          {a_call_that_may_run_twice_goes_to_another_one, 2}, {three_attempts_and_no_more, 0},
          {a_call_is_refused, 0}, {a_call_is_always_refused, 0}, {a_worker_leaves, 0},
          {declared_methods_stay_at_workers, 0}, {a_call_that_is_sent_twice_runs_once, 0},
          {a_letter_is_replayed_at_a_worker, 2}, {the_engine_stops, 0},
          {a_message_that_cannot_be_sent_is_sent_later, 0}, {calls_spill, 0},
          {calls_that_could_spill_run_here, 0}, {calls_come_home, 0}, {a_refused_call_comes_home, 0},
          {events_of_workers, UNIT_ROWS(tolds)})
