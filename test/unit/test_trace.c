// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Trace Context: which traceparents are taken, on what they leave again, and which messages leave a span. The
 * modules are those of lab.h and works.h.
 */
#include "../modules/relay.h"
#include "base/trace.h"
#include "call/engine_parts.h"
#include "lab.h"
#include "rig.h"
#include "unit.h"
#include "works.h"

#include <stdio.h>
#include <string.h>

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"
#define PARENT "00-" ID "-" SPAN "-01"
#define UNSAMPLED "00-" ID "-" SPAN "-00"
#define STATE "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
#define SPANS "$SYS/broker/rpc/rpc/span"

static struct rig rig;
static struct lab_options lab_options;
static rpc_property properties[3];

/* ---- What is read ---- */

/* NULL: it is no traceparent; else the flags that are sent on. */
static const struct {
    const char *text, *flags;
} parents[] = {
    {PARENT, "01"},
    {UNSAMPLED, "00"},
    {"00-" ID "-" SPAN "-02", "02"},
    {"00-" ID "-" SPAN "-03", "03"},
    {"00-" ID "-" SPAN "-ff", "03"}, /* version 00 sends flags on as 0 that it does not define */
    {"00-" ID "-" SPAN "-0a", "02"},
    {"00-" ID "-" SPAN "-10", "00"},
    {"00-00000000000000000000000000000001-0000000000000001-01", "01"},
    {"00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01", "01"},
    {"01-" ID "-" SPAN "-01", "01"}, /* a later version begins alike */
    {"fe-" ID "-" SPAN "-00", "00"},
    {"01-" ID "-" SPAN "-01-", "01"},
    {"cc-" ID "-" SPAN "-01-what-the-future-will-be-like", "01"},
    {"", NULL},
    {"0", NULL},
    {"00", NULL},
    {"00-", NULL},
    {"00-" ID, NULL},
    {"00-" ID "-" SPAN, NULL},
    {"00-" ID "-" SPAN "-", NULL},
    {"00-" ID "-" SPAN "-0", NULL},
    {"00-" ID "-" SPAN "-011", NULL},
    {"00-" ID "-" SPAN "-01-", NULL},
    {"00-" ID "-" SPAN "-01-what", NULL},
    {"00-" ID "-" SPAN "-01 ", NULL},
    {" " PARENT, NULL},
    {PARENT "," PARENT, NULL},
    {"01-" ID "-" SPAN "-01.", NULL},
    {"01-" ID "-" SPAN "-010", NULL},
    {"01-" ID "-" SPAN "-0", NULL},
    {"ff-" ID "-" SPAN "-01", NULL},
    {"ff-" ID "-" SPAN "-01-more", NULL},
    {"0-" ID "-" SPAN "-01", NULL},
    {"000-" ID "-" SPAN "-01", NULL},
    {"0x-" ID "-" SPAN "-01", NULL},
    {"FE-" ID "-" SPAN "-01", NULL},
    {".0-" ID "-" SPAN "-01", NULL},
    {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", NULL},
    {"00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-01", NULL},
    {"00-4bf92f3577b34da6a3ce929d0e0e47366-" SPAN "-01", NULL},
    {"00-4bf92f3577b34da6a3ce929d0e0e473g-" SPAN "-01", NULL},
    {"00-4bf92f3577b34da6 a3ce929d0e0e473-" SPAN "-01", NULL},
    {"00-00000000000000000000000000000000-" SPAN "-01", NULL},
    {"00-" ID "-0000000000000000-01", NULL},
    {"00-" ID "-00F067AA0BA902B7-01", NULL},
    {"00-" ID "-00f067aa0ba902b-01", NULL},
    {"00-" ID "-00f067aa0ba902b77-01", NULL},
    {"00-" ID "-00f067aa0ba902bz-01", NULL},
    {"00-" ID "-" SPAN "-0A", NULL},
    {"00-" ID "-" SPAN "-0h", NULL},
    {"00-" ID "-" SPAN "-h0", NULL},
    {"00_" ID "-" SPAN "-01", NULL},
    {"00-" ID "_" SPAN "-01", NULL},
    {"00-" ID "-" SPAN "_01", NULL},
    {"00" ID SPAN "01", NULL},
    {"00-" SPAN "-" ID "-01", NULL},
    {"\xc3\xa4-" ID "-" SPAN "-01", NULL},
};

START_TEST(a_traceparent_is_read)
{
    const char *flags = parents[_i].flags;
    struct trace trace;
    uint64_t random = 7;
    char text[TRACE_PARENT_READ]; /* as much as the host is asked for */
    snprintf(text, sizeof text, "%s", parents[_i].text);
    ck_assert_int_eq(trace_read(&trace, text, &random), flags != NULL);
    if (!flags) {
        ck_assert_str_eq(trace.parent, "");
        return;
    }
    ck_assert_uint_eq(strlen(trace.parent), TRACE_PARENT);
    ck_assert_int_eq(strncmp(trace.parent, "00-", 3), 0);
    ck_assert_int_eq(strncmp(trace_id(&trace), text + 3, TRACE_ID), 0);
    ck_assert_int_eq(strncmp(trace.caller, text + 36, TRACE_SPAN), 0);
    ck_assert_int_ne(strncmp(trace_span(&trace), trace.caller, TRACE_SPAN), 0);
    ck_assert_str_eq(trace.parent + 53, flags);
    ck_assert_int_eq(trace_is_sampled(&trace), flags[1] & 1);
    ck_assert_ptr_null(trace.state);
}
END_TEST

START_TEST(each_span_has_an_id_of_its_own)
{
    struct trace first, second, begun;
    uint64_t random = 1;
    ck_assert(trace_read(&first, PARENT, &random) && trace_read(&second, PARENT, &random));
    ck_assert_str_ne(first.parent, second.parent);
    trace_begin(&begun, &random);
    ck_assert(trace_read(&first, begun.parent, &random));
    ck_assert(!trace_is_sampled(&begun) && !*begun.caller);
}
END_TEST

START_TEST(a_tracestate_is_printable_and_not_too_long)
{
    char text[TRACE_STATE_MAX + 2];
    memset(text, 'x', sizeof text);
    text[TRACE_STATE_MAX] = '\0';
    ck_assert(trace_is_state(text));
    text[TRACE_STATE_MAX] = 'x';
    text[TRACE_STATE_MAX + 1] = '\0';
    ck_assert(!trace_is_state(text));
    ck_assert(trace_is_state(STATE) && trace_is_state(" ~"));
    ck_assert(!trace_is_state("") && !trace_is_state("a=\t") && !trace_is_state("a=\x7f") &&
              !trace_is_state("a=\xc3\xa4") && !trace_is_state("\n"));
}
END_TEST

/* ---- Ways out ---- */

static void set_trace(const char *parent, const char *state)
{
    memset(properties, 0, sizeof properties);
    properties[0] = (rpc_property){"traceparent", parent};
    if (state)
        properties[1] = (rpc_property){"tracestate", state};
    rig.host.more = parent ? properties : NULL;
}

static rpc_status (*acts)(rpc_call *call, void *state, const void *params, void *result);

static rpc_status act(rpc_call *call, void *state, const void *params, void *result)
{
    return acts(call, state, params, result);
}

static void open_lab(void)
{
    rig_init(&rig);
    rig.options.error_rate = 100;
    rig.options.jsonrpc_methods = "*";
    rig.options.duplicate_window = 60000;
    rig.client.connection = &rig;
    rig.options.sys_interval = 10000;
    lab_start(&rig, &lab_options, act);
    rig_open_methods(&rig);
    set_trace(PARENT, STATE);
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* The span under which a message leaves; "": it leaves without a trace. What else it has is as it should be.
 */
static const char *span_of(const struct fake_message *message)
{
    static char span[TRACE_SPAN + 1];
    const char *text = message->properties;
    span[0] = '\0';
    if (!*text)
        return span;
    const char *head = "traceparent=00-" ID "-";
    ck_assert_int_eq(strncmp(text, head, strlen(head)), 0);
    text += strlen(head);
    snprintf(span, sizeof span, "%s", text);
    ck_assert_uint_eq(strspn(span, "0123456789abcdef"), TRACE_SPAN);
    ck_assert_str_ne(span, SPAN);
    ck_assert_str_eq(text + TRACE_SPAN, "-01;tracestate=" STATE ";");
    return span;
}

static void expect_traced(const struct fake_message *message)
{
    ck_assert_str_ne(span_of(message), "");
}

static void expect_untraced(const struct fake_message *message)
{
    ck_assert_uint_eq(message->property_count, 0);
}

/* The newest event that is no span. */
static const struct fake_message *last_event(void)
{
    for (size_t i = rig.host.events.count; i-- > 0;) {
        if (strcmp(rig.host.events.kept[i].topic, SPANS) != 0)
            return &rig.host.events.kept[i];
    }
    ck_abort_msg("there is no event");
}

static rpc_status act_announcing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    const struct lab_text text = {"noted"};
    rpc_trace trace = {.state = NULL};
    ck_assert(rpc_call_trace(call, &trace));
    ck_assert_str_eq(trace.state, STATE);
    ck_assert_int_eq(strncmp(trace.parent, "00-" ID "-", 36), 0);
    return rpc_announce(rpc_call_instance(call), call, "noted", &text);
}

static rpc_status act_failing(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_raise(call, "plain", "on purpose");
}

START_TEST(a_reply_and_its_events_have_one_span)
{
    acts = act_announcing;
    const struct fake_message *reply = rig_ask(&rig, "act.told", "");
    char span[TRACE_SPAN + 1];
    snprintf(span, sizeof span, "%s", span_of(reply));
    ck_assert_str_eq(reply->status, "ok");
    ck_assert_str_ne(span, "");
    size_t events = 0;
    for (size_t i = 0; i < rig.host.events.count; i++) {
        if (strcmp(rig.host.events.kept[i].topic, SPANS) == 0)
            continue;
        ck_assert_str_eq(span_of(&rig.host.events.kept[i]), span);
        events++;
    }
    ck_assert_uint_eq(events, 2); /* noted and acted */
}
END_TEST

START_TEST(errors_are_traced_wherever_they_go)
{
    acts = act_failing;
    expect_traced(rig_ask(&rig, "act", ""));
    expect_traced(rig_ask(&rig, "count", "{"));
    expect_traced(rig_ask(&rig, "nobody", ""));
    expect_traced(rig_ask(&rig, "count", "[1]"));
    rig_tell(&rig, "act", "");
    ck_assert_str_eq(last_event()->topic, "rpc/event/actFailed");
    expect_traced(last_event());
    rig_tell(&rig, "count", "{");
    ck_assert_str_eq(last_event()->topic, "rpc/event/error");
    expect_traced(last_event());
}
END_TEST

START_TEST(batches_and_jsonrpc_are_traced)
{
    rig_publish(&rig, "rpc/call/count", "{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":\"a:1\"}");
    expect_traced(rig_last(&rig.host.replies));
    rig_publish(&rig, "rpc/jsonrpc",
                "[{\"jsonrpc\":\"2.0\",\"method\":\"count\",\"id\":\"a:2\"},"
                "{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"id\":\"a:3\"}]");
    expect_traced(rig_last(&rig.host.replies));
    rig_send(&rig, "rpc/batch/count", "[{},{}]", "r", "c");
    expect_traced(rig_last(&rig.host.replies));
    ck_assert_uint_eq(rig.host.replies.count, 3);
}
END_TEST

START_TEST(a_call_without_a_context_has_none)
{
    acts = act_failing;
    rig.host.more = NULL;
    expect_untraced(rig_ask(&rig, "count", ""));
    set_trace("00-" ID "-" SPAN, STATE); /* malformed: its tracestate goes with it */
    expect_untraced(rig_ask(&rig, "count", ""));
    rig_tell(&rig, "act", "");
    expect_untraced(last_event());
    rig.client.version = 4;
    set_trace(PARENT, STATE);
    expect_untraced(rig_ask(&rig, "count", ""));
}
END_TEST

START_TEST(a_malformed_tracestate_goes_alone)
{
    static const char *const states[] = {"", "a=\xc3\xa4", "a\x01", NULL};
    char too_long[TRACE_STATE_MAX + 2];
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    for (size_t i = 0; i < 4; i++) {
        set_trace(PARENT, states[i] ? states[i] : too_long);
        const struct fake_message *reply = rig_ask(&rig, "look", "");
        ck_assert_uint_eq(reply->property_count, 1);
        ck_assert_ptr_null(strstr(reply->properties, "tracestate"));
    }
    too_long[TRACE_STATE_MAX] = '\0';
    set_trace(PARENT, too_long);
    ck_assert_ptr_nonnull(strstr(rig_ask(&rig, "look", "")->properties, too_long));
}
END_TEST

/* ---- Beside request_id ---- */

#define BESIDE(parent) "{\"request_id\":\"r1\",\"traceparent\":\"" parent "\"}"

static const struct fake_message *tell(const char *topic, const char *payload)
{
    fake_host_forget(&rig.host);
    rig_publish(&rig, topic, payload);
    return rig_last(&rig.host.replies);
}

START_TEST(a_member_beside_request_id_will_do)
{
    rig.host.more = NULL;
    rig.client.version = 4;
    const struct fake_message *reply = tell("rpc/call/count", BESIDE(PARENT));
    ck_assert_str_eq(reply->status, "ok");
    ck_assert_uint_eq(reply->property_count, 1); /* that it reaches MQTT 5 alone is the host's business */
    ck_assert_str_eq(last_event()->topic, "rpc/event/counted");
    ck_assert_int_eq(strncmp(last_event()->properties, "traceparent=00-" ID "-", 48), 0);
    reply = tell("rpc/batch/count", "{\"request_id\":\"b\",\"traceparent\":\"" PARENT "\",\"calls\":[{}]}");
    ck_assert_uint_eq(reply->property_count, 1);
    /* Not where there is no request_id: there it is a parameter like any other. */
    fake_host_forget(&rig.host);
    rig_tell(&rig, "count", "{\"traceparent\":\"" PARENT "\"}");
    expect_untraced(last_event());
}
END_TEST

START_TEST(a_malformed_member_is_ignored)
{
    static const char *const payloads[] = {
        BESIDE("00-" ID "-" SPAN),
        BESIDE(""),
        "{\"request_id\":\"r\",\"traceparent\":7}",
        "{\"request_id\":\"r\",\"traceparent\":null}",
        "{\"request_id\":\"r\",\"traceparent\":{}}",
        "{\"request_id\":\"r\",\"traceparent\":[\"" PARENT "\"]}",
    };
    rig.host.more = NULL;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        const struct fake_message *reply = tell("rpc/call/look", payloads[i]);
        ck_assert_str_eq(reply->status, "ok");
        expect_untraced(reply);
    }
}
END_TEST

START_TEST(a_user_property_comes_before_the_member)
{
    const struct fake_message *reply =
        tell("rpc/call/look", BESIDE("00-11111111111111111111111111111111-1111111111111111-00"));
    expect_traced(reply);
    set_trace("00-bad", NULL);
    reply = tell("rpc/call/look", BESIDE("00-" ID "-1111111111111111-00"));
    ck_assert_int_eq(strncmp(reply->properties, "traceparent=00-" ID "-", 48), 0);
}
END_TEST

/* A strict method does not see it, and one that declares it has it. */
struct own {
    const char *traceparent;
};

static const rpc_field own_fields[] = {
    RPC_STRING(struct own, traceparent, .doc = "its own", .length = {1, 100}),
};
static const rpc_shape own_shape = RPC_OBJECT_SHAPE(struct own, own_fields);

static rpc_status own_run(rpc_call *call, void *state, const void *params, void *result)
{
    rpc_trace trace;
    (void)state;
    *(struct own *)result = *(const struct own *)params;
    return rpc_call_trace(call, &trace) ? RPC_INTERNAL_ERROR : RPC_OK;
}

static rpc_status strict_run(rpc_call *call, void *state, const void *params, void *result)
{
    rpc_trace trace;
    (void)state, (void)params, (void)result;
    return rpc_call_trace(call, &trace) ? RPC_OK : RPC_INTERNAL_ERROR;
}

static const rpc_method own_methods[] = {
    {.name = "own", .doc = "declares it", .params = &own_shape, .result = &own_shape, .run = own_run},
    {.name = "strict", .doc = "takes nothing else", .strict = true, .run = strict_run},
};
static const rpc_module own = {.name = "own", .doc = "one", .methods = RPC_TABLE(own_methods)};

START_TEST(the_member_is_no_parameter_unless_it_is_declared)
{
    rig_add(&rig, &own, NULL);
    rig.host.more = NULL;
    ck_assert_str_eq(tell("rpc/call/strict", BESIDE(PARENT))->status, "ok");
    const struct fake_message *reply = tell("rpc/call/own", BESIDE(PARENT));
    ck_assert_str_eq(reply->text, "{\"request_id\":\"r1\",\"result\":{\"traceparent\":\"" PARENT "\"}}");
    expect_untraced(reply);
}
END_TEST

/* ---- Repetitions ---- */

static const struct fake_message *ask_again(void)
{
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/call/count", "", "r", "0123456789abcdef");
    ck_assert_uint_eq(rig.host.replies.count, 1);
    return rig_last(&rig.host.replies);
}

START_TEST(a_repeated_reply_has_the_context_of_the_repetition)
{
    expect_traced(ask_again());
    set_trace("00-11111111111111111111111111111111-" SPAN "-00", NULL);
    const struct fake_message *reply = ask_again();
    ck_assert(reply->repeated);
    ck_assert_int_eq(strncmp(reply->properties, "traceparent=00-11111111111111111111111111111111-", 48), 0);
    ck_assert_uint_eq(reply->property_count, 1);
    rig.host.more = NULL;
    reply = ask_again();
    ck_assert(reply->repeated);
    expect_untraced(reply);
}
END_TEST

/* ---- Pending calls ---- */

static rpc_trace seen_by_work, seen_by_done;
static bool was_traced;

static rpc_status start(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    return rpc_start(call, NULL, NULL);
}

static void work(rpc_job *job, void *data)
{
    (void)data;
    was_traced = rpc_job_trace(job, &seen_by_work);
}

static rpc_status done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data;
    if (call)
        was_traced = rpc_call_trace(call, &seen_by_done) && was_traced;
    if (call)
        *(struct works_result *)result = (struct works_result){1, NULL};
    return outcome;
}

static void open_works(void)
{
    close_rig();
    works_hooks = (struct works_hooks){start, work, done};
    works_init(&rig);
    rig.options.sys_interval = 10000;
    rig.options.duplicate_window = 60000;
    rig.client.connection = &rig;
    works_open(&rig);
    set_trace(PARENT, STATE);
}

START_TEST(work_and_done_know_the_trace)
{
    open_works();
    const struct fake_message *reply = rig_ask(&rig, "act", "");
    expect_traced(reply);
    ck_assert(was_traced);
    ck_assert_str_eq(seen_by_work.parent, seen_by_done.parent);
    ck_assert_ptr_nonnull(strstr(reply->properties, seen_by_work.parent));
    ck_assert_str_eq(seen_by_work.state, STATE);
    rig.host.more = NULL;
    expect_untraced(rig_ask(&rig, "act", "{}"));
    ck_assert(!was_traced);
    works_finish(&rig);
}
END_TEST

START_TEST(background_work_has_no_trace)
{
    open_works();
    was_traced = true;
    ck_assert_int_eq(rpc_background(rig_instance(&rig), NULL, work, done, NULL), RPC_PENDING);
    rig_settle(&rig);
    ck_assert(!was_traced);
    works_finish(&rig);
}
END_TEST

START_TEST(interim_replies_are_traced)
{
    static const struct relay_options usual = {"cmd"};
    rig_add(&rig, &rpc_module_relay, &usual);
    rig.host.property = "progress";
    rig.host.value = "1";
    rig_send(&rig, "rpc/call/relay/a/wait", "", "r", "c1");
    rig_tell(&rig, "relay.step", "{\"box\":\"a\",\"done\":1}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "progress");
    char span[TRACE_SPAN + 1];
    snprintf(span, sizeof span, "%s", span_of(rig_last(&rig.host.replies)));
    ck_assert_str_ne(span, "");
    rig_tell(&rig, "relay.end", "{\"box\":\"a\"}");
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
    ck_assert_str_eq(span_of(rig_last(&rig.host.replies)), span);
}
END_TEST

START_TEST(copies_that_wait_keep_their_own_context)
{
    open_works();
    works_slots[1].shut = true;
    works_send(&rig, "rpc/call/wait", "{\"n\":1}", "r", "0123456789abcdef");
    set_trace("00-11111111111111111111111111111111-" SPAN "-00", "a=b");
    works_send(&rig, "rpc/call/wait", "{\"n\":1}", "r", "0123456789abcdef");
    rig.host.more = NULL;
    works_send(&rig, "rpc/call/wait", "{\"n\":1}", "r", "0123456789abcdef");
    ck_assert_uint_eq(rig.host.replies.count, 0);
    rig_tell(&rig, "tell", "{\"n\":1}");
    ck_assert_uint_eq(rig.host.replies.count, 3);
    size_t untraced = 0, second = 0, first = 0;
    for (size_t i = 0; i < 3; i++) {
        const char *text = rig.host.replies.kept[i].properties;
        untraced += !*text;
        first += strncmp(text, "traceparent=00-" ID "-", 48) == 0;
        second += strncmp(text, "traceparent=00-11111111111111111111111111111111-", 48) == 0 &&
                  strstr(text, "-00;tracestate=a=b;") != NULL;
    }
    ck_assert(untraced == 1 && first == 1 && second == 1);
    works_finish(&rig);
}
END_TEST

/* ---- Spans ---- */

static size_t count_spans(void)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.host.events.count && i < FAKE_KEPT; i++)
        count += strcmp(rig.host.events.kept[i].topic, SPANS) == 0;
    return count;
}

static const struct fake_message *only_span(void)
{
    const struct fake_message *found = NULL;
    ck_assert_uint_eq(count_spans(), 1);
    for (size_t i = 0; i < rig.host.events.count; i++) {
        if (strcmp(rig.host.events.kept[i].topic, SPANS) == 0)
            found = &rig.host.events.kept[i];
    }
    return found;
}

#define ATTRIBUTE(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"

#define LOOKED                                                                                           \
    ATTRIBUTE("rpc.system.name", "mosquitto_rpc")                                                        \
    "," ATTRIBUTE("rpc.method", "look") "," ATTRIBUTE("rpc.response.status_code", "ok") "," ATTRIBUTE(   \
        "messaging.client.id", "tester") "," ATTRIBUTE("network.protocol.name",                          \
                                                       "mqtt") "," ATTRIBUTE("network.protocol.version", \
                                                                             "5.0")

START_TEST(a_sampled_call_leaves_a_span)
{
    char text[1024];
    rig.host.wall = 1700000000;
    const struct fake_message *reply = rig_ask(&rig, "look", "");
    snprintf(text, sizeof text,
             "{\"traceId\":\"" ID "\",\"spanId\":\"%s\",\"parentSpanId\":\"" SPAN "\",\"traceState\":\"" STATE
             "\",\"name\":\"look\",\"kind\":2,"
             "\"startTimeUnixNano\":\"1700000000000000000\",\"endTimeUnixNano\":\"1700000000000000000\","
             "\"attributes\":[" LOOKED "],\"status\":{}}",
             span_of(reply));
    const struct fake_message *span = only_span();
    ck_assert_str_eq(span->text, text);
    ck_assert(span->subscribed && !span->retain && span->qos == 0 && !span->has_client);
    ck_assert_uint_eq(span->property_count, 0);
}
END_TEST

START_TEST(a_span_has_times_whatever_the_clock_says)
{
    static const struct {
        double wall;
        const char *time;
    } clocks[] = {{-300000000.5, "0"}, {-1e300, "0"}, {44444611111111, "9223372036854775808"}};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        char times[128];
        fake_host_forget(&rig.host);
        rig.host.wall = clocks[i].wall;
        rig_ask(&rig, "look", "");
        snprintf(times, sizeof times, "\"startTimeUnixNano\":\"%s\",\"endTimeUnixNano\":\"%s\"",
                 clocks[i].time, clocks[i].time);
        ck_assert_ptr_nonnull(strstr(only_span()->text, times));
    }
}
END_TEST

START_TEST(a_failed_call_leaves_a_span_with_its_error)
{
    acts = act_failing;
    rig_ask(&rig, "act", "");
    const char *text = only_span()->text;
    ck_assert_ptr_nonnull(strstr(text, "\"status\":{\"code\":2,\"message\":\"plain\"}}"));
    ck_assert_ptr_nonnull(strstr(text, ATTRIBUTE("error.type", "plain")));
    fake_host_forget(&rig.host);
    rig_tell(&rig, "act", ""); /* nobody asked for a reply */
    ck_assert_ptr_nonnull(strstr(only_span()->text, "\"message\":\"plain\""));
    fake_host_forget(&rig.host);
    rig_tell(&rig, "look", "{");
    ck_assert_ptr_nonnull(strstr(only_span()->text, "\"message\":\"parse_error\""));
}
END_TEST

START_TEST(a_span_names_methods_of_the_table)
{
    rig_ask(&rig, "a\x01/\xc3\xa4", "");
    const char *text = only_span()->text;
    ck_assert_ptr_nonnull(strstr(text, ATTRIBUTE("rpc.method", "_OTHER")));
    ck_assert_ptr_nonnull(strstr(text, ATTRIBUTE("rpc.method_original", "a\\\\x01/\\\\xC3\\\\xA4")));
    ck_assert_ptr_nonnull(strstr(text, "\"message\":\"method_not_found\""));
    ck_assert_ptr_nonnull(strstr(text, "\"name\":\"mosquitto_rpc\""));
}
END_TEST

START_TEST(a_batch_leaves_one_span)
{
    rig_send(&rig, "rpc/batch/count", "[{},{},7]", "r", "c");
    ck_assert_ptr_nonnull(strstr(only_span()->text, ATTRIBUTE("rpc.method", "count")));
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/jsonrpc", "[{\"jsonrpc\":\"2.0\",\"method\":\"get\",\"id\":1}]", "r", "c");
    ck_assert_ptr_nonnull(strstr(only_span()->text, ATTRIBUTE("rpc.system.name", "jsonrpc")));
}
END_TEST

START_TEST(the_span_of_a_pending_call_has_its_time)
{
    open_works();
    rig.host.wall = 1700000000;
    works_send(&rig, "rpc/call/wait", "{\"n\":1}", "r", "c");
    ck_assert_uint_eq(count_spans(), 0);
    rig.host.monotonic += 1500000000;
    rig.host.wall += 1.5;
    rig.host.more = NULL;
    rig_tell(&rig, "tell", "{\"n\":1}");
    const char *text = only_span()->text;
    ck_assert_ptr_nonnull(strstr(text, "\"startTimeUnixNano\":\"1700000000000000000\","
                                       "\"endTimeUnixNano\":\"1700000001500000000\""));
    ck_assert_ptr_nonnull(strstr(text, "\"traceId\":\"" ID "\""));
    works_finish(&rig);
}
END_TEST

static rpc_status act_slowly(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    rig.host.monotonic += 51 * UINT64_C(1000000);
    return RPC_OK;
}

START_TEST(a_slow_call_leaves_a_span_without_being_asked)
{
    acts = act_slowly;
    rig.host.more = NULL;
    rig.engine->env.options.slow_call = 50;
    expect_untraced(rig_ask(&rig, "act", ""));
    const char *text = only_span()->text;
    ck_assert_ptr_null(strstr(text, "parentSpanId"));
    ck_assert_ptr_nonnull(strstr(text, "\"name\":\"act\""));
    ck_assert_uint_eq(strspn(text + strlen("{\"traceId\":\""), "0123456789abcdef"), TRACE_ID);
    rig_ask(&rig, "look", "");
    ck_assert_uint_eq(count_spans(), 0);
    rig.engine->env.options.slow_call = 0;
    rig_ask(&rig, "act", "");
    ck_assert_uint_eq(count_spans(), 0);
    set_trace(UNSAMPLED, NULL);
    rig.engine->env.options.slow_call = 50;
    rig_ask(&rig, "act", "");
    ck_assert_ptr_nonnull(strstr(only_span()->text, "\"parentSpanId\":\"" SPAN "\""));
}
END_TEST

START_TEST(calls_that_are_neither_leave_none)
{
    set_trace(UNSAMPLED, STATE);
    rig_ask(&rig, "look", "");
    ck_assert_uint_eq(count_spans(), 0);
    rig.engine->env.options.sys_interval = 0;
    set_trace(PARENT, STATE);
    expect_traced(rig_ask(&rig, "look", ""));
    ck_assert_uint_eq(count_spans(), 0);
}
END_TEST

START_TEST(a_host_without_counters_gets_no_spans)
{
    close_rig();
    rig_init(&rig);
    rig.host.host.counters_topic = NULL;
    rig.options.sys_interval = 10000;
    lab_start(&rig, &lab_options, act);
    set_trace(PARENT, STATE);
    expect_traced(rig_ask(&rig, "look", ""));
    ck_assert_uint_eq(rig.host.events.count, 0);
}
END_TEST

START_TEST(there_are_a_hundred_spans_a_second)
{
    const uint64_t *untraced = &rig.engine->env.counters.untraced;
    size_t spans = 0;
    for (int i = 0; i < 150; i++) {
        rig_ask(&rig, "look", "");
        spans += count_spans();
    }
    ck_assert_uint_eq(spans, 100);
    ck_assert_uint_eq(*untraced, 50);
    rig.host.monotonic += RIG_SECOND / 2;
    for (int i = 0; i < 100; i++) {
        rig_ask(&rig, "look", "");
        spans += count_spans();
    }
    ck_assert_uint_eq(spans, 150);
    ck_assert_uint_eq(*untraced, 100);
}
END_TEST

START_TEST(a_span_that_cannot_leave_is_counted)
{
    rig.host.drop = true;
    rig_tell(&rig, "look", "");
    ck_assert_uint_eq(rig.engine->env.counters.untraced, 1);
    rig.host.drop = false;
}
END_TEST

UNIT_MAIN("trace", open_lab, close_rig, {a_traceparent_is_read, UNIT_ROWS(parents)},
          {each_span_has_an_id_of_its_own, 0}, {a_tracestate_is_printable_and_not_too_long, 0},
          {a_reply_and_its_events_have_one_span, 0}, {errors_are_traced_wherever_they_go, 0},
          {batches_and_jsonrpc_are_traced, 0}, {a_call_without_a_context_has_none, 0},
          {a_malformed_tracestate_goes_alone, 0}, {a_member_beside_request_id_will_do, 0},
          {a_malformed_member_is_ignored, 0}, {a_user_property_comes_before_the_member, 0},
          {the_member_is_no_parameter_unless_it_is_declared, 0},
          {a_repeated_reply_has_the_context_of_the_repetition, 0}, {work_and_done_know_the_trace, 0},
          {background_work_has_no_trace, 0}, {copies_that_wait_keep_their_own_context, 0},
          {interim_replies_are_traced, 0}, {a_sampled_call_leaves_a_span, 0},
          {a_span_has_times_whatever_the_clock_says, 0}, {a_failed_call_leaves_a_span_with_its_error, 0},
          {a_span_names_methods_of_the_table, 0}, {a_batch_leaves_one_span, 0},
          {the_span_of_a_pending_call_has_its_time, 0}, {a_slow_call_leaves_a_span_without_being_asked, 0},
          {calls_that_are_neither_leave_none, 0}, {a_host_without_counters_gets_no_spans, 0},
          {there_are_a_hundred_spans_a_second, 0}, {a_span_that_cannot_leave_is_counted, 0})
