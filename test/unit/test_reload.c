// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Options that change while an engine runs: each of those that reload, while one call waits and the work of
 * another runs, which go on and are answered. Which options these are the table in core/config.c says: one
 * without a test here fails.
 */
#include "unit.h"
#include "works.h"

#include "call/engine_parts.h"
#include "modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKING = 1, WAITING = 2, NEXT = 3, LAST = 4, LONG = 600000 /* ms */ };

static struct rig rig;
static char contexts[4]; /* their addresses stand for connections */

/* ---- A module whose calls end at once ---- */

struct counted {
    int32_t n;
};

static const rpc_field counted_fields[] = {RPC_INT32(struct counted, n, .doc = "runs")};
static const rpc_shape counted_shape = RPC_OBJECT_SHAPE(struct counted, counted_fields);

static rpc_status count(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)params;
    ((struct counted *)result)->n = ++((struct counted *)state)->n;
    return RPC_OK;
}

static rpc_status dawdle(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    rig.host.monotonic += RIG_SECOND / 10;
    return RPC_OK;
}

static rpc_status break_down(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_INTERNAL_ERROR;
}

static const rpc_method methods[] = {
    {.name = "count", .doc = "counts its runs", .result = &counted_shape, .run = count},
    {.name = "dawdle", .doc = "takes 100 ms", .run = dawdle},
    {.name = "fail", .doc = "fails", .run = break_down},
    {.name = "see/{what}", .doc = "a family", .result = &counted_shape, .run = count},
};

static const rpc_module gauge = {.name = "gauge",
                                 .doc = "methods whose calls end at once",
                                 .state_size = sizeof(struct counted),
                                 .methods = RPC_TABLE(methods)};

/* ---- Common to the tests ---- */

static void open_rig(void)
{
    works_init(&rig);
    rig.client.connection = &contexts[0];
    rig.options.duplicate_window = rig.options.redelivery_guard = LONG;
    rig.options.timeout = LONG;
    rig_start(&rig);
    rig_add(&rig, &works, NULL);
    rig_add(&rig, &gauge, NULL);
    rig_add(&rig, rpc_modules[0], NULL); /* rpc.discover */
    rig_open_methods(&rig);
    works_begin(&rig, "work", WORKING);
    works_call(&rig, "wait", WAITING);
    ck_assert_uint_eq(rig.host.replies.count, 0);
}

static void be(const char *id, const void *connection)
{
    rig.client.id = id;
    rig.client.connection = connection;
}

/* Texts of options exist until the next change only. */
static void reload(const struct engine_options *options)
{
    enum { FIELDS_MAX = 100 };
    static char *texts[FIELDS_MAX];
    struct engine_options changed = *options;
    char *former[FIELDS_MAX];
    memcpy(former, texts, sizeof former);
    memset(texts, 0, sizeof texts);
    ck_assert_uint_le(config_engine_shape.count, FIELDS_MAX);
    for (size_t i = 0; i < config_engine_shape.count; i++) {
        const rpc_field *field = &config_engine_shape.fields[i];
        const char **text = (const char **)(void *)((char *)&changed + field->offset);
        if (field->kind == RPC_KIND_STRING && field->reloads && *text)
            *text = texts[i] = strdup(*text);
    }
    engine_reload(rig.engine, &changed);
    for (size_t i = 0; i < FIELDS_MAX; i++)
        free(former[i]);
}

#define RELOAD(member, value)                         \
    do {                                              \
        struct engine_options changed_ = rig.options; \
        changed_.member = (value);                    \
        reload(&changed_);                            \
    } while (0)

/* The options are again as they were, and the calls that were pending are answered. */
static void close_rig(void)
{
    be("tester", &contexts[0]);
    reload(&rig.options);
    fake_host_forget(&rig.host);
    works_let_go(&rig, WORKING);
    works_expect(&rig, 1, "ok", "{\"n\":1,\"by\":\"work\"}");
    works_call(&rig, "tell", WAITING);
    ck_assert_uint_eq(rig.host.replies.count, 3);
    ck_assert_str_eq(rig.host.replies.kept[1].text, "{\"n\":2,\"by\":\"done\"}");
    works_close(&rig);
}

static const char *status_of(const char *method, const char *payload)
{
    return rig_ask(&rig, method, payload)->status;
}

/* Calls count with an identity of its own. Returns how often it has run then; 0: it failed. */
static int count_as(const char *identity)
{
    int n = 0;
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/call/count", "", RIG_REPLY, identity);
    sscanf(rig_last(&rig.host.replies)->text, "{\"n\":%d}", &n);
    return n;
}

/* Calls count so often at one moment. Returns how many calls were carried out. */
static int count_times(int times)
{
    int carried_out = 0;
    for (int i = 0; i < times; i++) {
        fake_host_forget(&rig.host);
        rig_send(&rig, "rpc/call/count", "", RIG_REPLY, NULL);
        carried_out += strcmp(rig_last(&rig.host.replies)->status, "ok") == 0;
    }
    return carried_out;
}

/* ---- Who may publish, and what may be called ---- */

static void try_guard_events(void)
{
    ck_assert_int_eq(rig_publish(&rig, "rpc/event/x", "{}"), ENGINE_REFUSE);
    RELOAD(guard_events, false);
    ck_assert_int_eq(rig_publish(&rig, "rpc/event/x", "{}"), ENGINE_PASS);
    RELOAD(guard_events, true);
    ck_assert_int_eq(rig_publish(&rig, "rpc/event/x", "{}"), ENGINE_REFUSE);
}

static void try_event_publishers(void)
{
    static const char *const lists[] = {"mary bob", "mary", "bob", NULL};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        RELOAD(event_publishers, lists[i]);
        ck_assert_int_eq(rig_publish(&rig, "rpc/event/x", "{}"),
                         lists[i] && strstr(lists[i], "bob") ? ENGINE_PASS : ENGINE_REFUSE);
    }
}

#define OFF(called, name) \
    WORKS_ERROR(called, "method_not_found", "method " name " is switched off: see methods_off")

static void expect_at_endpoint(const char *method, const char *part)
{
    char request[128];
    snprintf(request, sizeof request, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}", method);
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/jsonrpc", request, RIG_REPLY, NULL);
    ck_assert_msg(strstr(rig_last(&rig.host.replies)->text, part), "%s", rig_last(&rig.host.replies)->text);
}

static void try_methods_off(void)
{
    ck_assert_int_eq(count_as("an identity of sixteen"), 1);
    RELOAD(methods_off, "count see/{what} work wait");
    rig_expect(&rig, "count", "", "method_not_found", OFF("count", "count"));
    rig_expect(&rig, "count", "{", "method_not_found", OFF("count", "count"));
    rig_expect(&rig, "see/it", "", "method_not_found", OFF("see/it", "see/{what}"));
    rig_expect(&rig, "work", "", "method_not_found", OFF("work", "work"));
    ck_assert_str_eq(status_of("dawdle", ""), "ok");
    expect_at_endpoint("count", "-32601");
    expect_at_endpoint("dawdle", "\"result\"");
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/batch/count", "[{},{}]", RIG_REPLY, NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->text,
                     "[{\"error\":" OFF("count", "count") "},{\"error\":" OFF("count", "count") "}]");
    rig_tell(&rig, "count", "");
    ck_assert(fake_host_logged(&rig.host, "called count: method_not_found: method count is switched off"));
    /* What was carried out before is not carried out again; what was not is a new attempt. */
    ck_assert_int_eq(count_as("an identity of sixteen"), 1);
    ck_assert_int_eq(count_as("another one of sixteen"), 0);
    RELOAD(methods_off, NULL);
    ck_assert_int_eq(count_as("another one of sixteen"), 2);
    ck_assert_int_eq(count_as("another one of sixteen"), 2);
}

static int placement_of(const char *name)
{
    return registry_find_exactly(&rig.engine->registry, name, strlen(name))->placement;
}

static void try_placements(void)
{
    RELOAD(placements, "count remote see/{what} remote work spill");
    ck_assert_int_eq(placement_of("count"), RPC_PLACEMENT_REMOTE);
    ck_assert_int_eq(placement_of("see/{what}"), RPC_PLACEMENT_REMOTE);
    ck_assert_int_eq(placement_of("work"), RPC_PLACEMENT_SPILL);
    ck_assert_int_eq(placement_of("wait"), RPC_PLACEMENT_LOCAL);
    ck_assert_int_eq(placement_of("dawdle"), RPC_PLACEMENT_LOCAL);
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/call/count", "", RIG_REPLY, NULL);
    ck_assert_uint_eq(rig.host.replies.count, 0); /* it waits for a worker */
    rig_ask(&rig, "rpc.discover", "{}");
    ck_assert_ptr_nonnull(strstr(rig_last(&rig.host.replies)->text, "\"placement\":\"spill\""));
    RELOAD(placements, "work local wait remote");
    ck_assert_int_eq(placement_of("count"), RPC_PLACEMENT_LOCAL);
    ck_assert_int_eq(placement_of("work"), RPC_PLACEMENT_LOCAL);
    ck_assert_int_eq(placement_of("wait"), RPC_PLACEMENT_REMOTE);
    rig_ask(&rig, "rpc.discover", "{}");
    ck_assert_ptr_null(strstr(rig_last(&rig.host.replies)->text, "\"placement\":\"spill\""));
    ck_assert_str_eq(status_of("count", ""), "ok");
    RELOAD(placements, NULL);
    ck_assert_int_eq(placement_of("wait"), RPC_PLACEMENT_LOCAL);
    const size_t replies = rig.host.replies.count;
    rig.host.monotonic += 6 * RIG_SECOND; /* the first one has waited long enough, and runs here now */
    engine_tick(rig.engine);
    ck_assert_uint_eq(rig.host.replies.count, replies + 1);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
}

/* ---- Bridges, and where replies go ---- */

static enum engine_verdict call_for(const char *response_topic)
{
    fake_host_forget(&rig.host);
    return rig_send(&rig, "rpc/call/now", "{}", response_topic, NULL);
}

static void try_bridge_calls(void)
{
    rig.client.bridge = true;
    for (int i = 0; i < 4; i++) {
        RELOAD(bridge_calls, i % 2);
        ck_assert_int_eq(call_for("rpc/call/now/response/1"), i % 2 ? ENGINE_CONSUME : ENGINE_PASS);
    }
    rig.client.bridge = false;
}

static void try_bridge_clients(void)
{
    static const char *const lists[] = {"some tester", "some", NULL};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        RELOAD(bridge_clients, lists[i]);
        call_for(RIG_REPLY);
        ck_assert_uint_eq(rig.host.replies.count, i > 0);
    }
}

static void try_bridge_response_topics(void)
{
    static const char *const lists[] = {"a/# reply/#", "a/#", NULL};
    rig.client.far_bridge = true;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        RELOAD(bridge_response_topics, lists[i]);
        call_for(RIG_REPLY);
        ck_assert_uint_eq(rig.host.replies.count, i == 0);
    }
    rig.client.far_bridge = false;
}

static void try_response_topic_filter(void)
{
    static const char *const filters[] = {"a/#", "reply/+", "#"};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        RELOAD(response_topic_filter, filters[i]);
        call_for(RIG_REPLY);
        ck_assert_uint_eq(rig.host.replies.count, i > 0);
    }
}

static void try_reply_expiry(void)
{
    RELOAD(reply_expiry, 7);
    ck_assert_uint_eq(rig_ask(&rig, "now", "{}")->expiry, 7);
    RELOAD(reply_expiry, 0);
    ck_assert_uint_eq(rig_ask(&rig, "now", "{}")->expiry, 0);
}

/* ---- Sizes ---- */

static void try_max_payload(void)
{
    RELOAD(max_payload, 30);
    ck_assert_str_eq(status_of("now", "{\"n\":5,\"more\":\"0123456789012345\"}"), "payload_too_large");
    RELOAD(max_payload, 40);
    ck_assert_str_eq(status_of("now", "{\"n\":5,\"more\":\"0123456789012345\"}"), "ok");
}

static void try_max_batch(void)
{
    RELOAD(max_batch, 2);
    fake_host_forget(&rig.host);
    rig_send(&rig, "rpc/batch/now", "[{},{},{}]", RIG_REPLY, NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "invalid_request");
    RELOAD(max_batch, 3);
    rig_send(&rig, "rpc/batch/now", "[{},{},{}]", RIG_REPLY, NULL);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "ok");
}

/* ---- Duplicates ---- */

static void try_duplicate_window(void)
{
    ck_assert_int_eq(count_as("a"), 1);
    RELOAD(duplicate_window, 0);
    ck_assert_int_eq(count_as("a"), 2);
    RELOAD(duplicate_window, 1000);
    ck_assert_int_eq(count_as("b"), 3);
    ck_assert_int_eq(count_as("b"), 3);
    rig.host.monotonic += 2 * RIG_SECOND;
    ck_assert_int_eq(count_as("b"), 4);
}

/* The table shrinks, and meanwhile calls are carried out and recognised. */
static void try_duplicate_entries(void)
{
    const struct reply_cache *cache = &rig.engine->dedup.duplicates, *order = &rig.engine->dedup.ordered;
    char identity[24];
    int n = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(identity, sizeof identity, "before %d", i);
        ck_assert_int_eq(count_as(identity), ++n);
    }
    ck_assert_uint_eq(cache->count, 50);
    RELOAD(duplicate_entries, 5);
    for (int i = 0; i < 10; i++) {
        snprintf(identity, sizeof identity, "after %d", i);
        const size_t before = cache->count;
        ck_assert_int_eq(count_as(identity), ++n);
        ck_assert_int_eq(count_as(identity), n);
        ck_assert_uint_lt(cache->count, before);
    }
    ck_assert_uint_gt(order->count, 5);
    works_pass(&rig, 1000);
    ck_assert_uint_eq(cache->count, 5);
    ck_assert_uint_eq(order->count, 5);
    ck_assert_int_eq(count_as("after 9"), n);
    RELOAD(duplicate_entries, 6);
    ck_assert_int_eq(count_as("more"), ++n);
    ck_assert_uint_eq(cache->count, 6);
}

static void try_duplicate_bytes(void)
{
    const struct reply_cache *cache = &rig.engine->dedup.duplicates;
    ck_assert_int_eq(count_as("a"), 1);
    ck_assert_int_eq(count_as("b"), 2);
    RELOAD(duplicate_bytes, 7);
    works_pass(&rig, 1000);
    ck_assert_uint_eq(cache->bytes, 7);
    ck_assert_int_eq(count_as("b"), 2);
    ck_assert_int_eq(count_as("a"), 3);
    RELOAD(duplicate_bytes, 6);
    ck_assert_int_eq(count_as("c"), 4);
    ck_assert_int_eq(count_as("c"), 5);
    RELOAD(duplicate_bytes, 1000);
    ck_assert_int_eq(count_as("c"), 6);
    ck_assert_int_eq(count_as("c"), 6);
}

/* The client comes back on another connection, and sends the same call again. */
static int count_again(const void *connection)
{
    works_end_client(&rig, HOST_END_TAKEN_OVER);
    be("other", connection);
    return count_as(NULL);
}

static void try_redelivery_guard(void)
{
    rig.qos = 2;
    be("other", &contexts[1]);
    ck_assert_int_eq(count_as(NULL), 1);
    ck_assert_int_eq(count_again(&contexts[2]), 1);
    RELOAD(redelivery_guard, 0);
    ck_assert_uint_eq(rig.engine->dedup.ordered.count, 2); /* those of the calls that wait */
    ck_assert_int_eq(count_again(&contexts[3]), 2);
    RELOAD(redelivery_guard, LONG);
    ck_assert_int_eq(count_as(NULL), 3); /* it is no redelivery of the first */
    ck_assert_int_eq(count_again(&contexts[2]), 3);
    rig.qos = 1;
}

/* ---- Rates ---- */

static void limit(int32_t rate, int32_t burst)
{
    struct engine_options changed = rig.options;
    changed.rate_limit = rate;
    changed.rate_burst = burst;
    reload(&changed);
}

static void try_rate_limit(void)
{
    ck_assert_int_eq(count_times(10), 10);
    limit(1, 1000000);
    ck_assert_int_eq(count_times(200), 200);
    limit(1, 2);
    ck_assert_int_eq(count_times(10), 2);
    /* What they owe at one rate is forgiven at the other. */
    limit(100, 20);
    ck_assert_int_eq(count_times(30), 20);
    limit(0, 0);
    ck_assert_int_eq(count_times(30), 30);
}

static void try_rate_burst(void)
{
    limit(1, 1);
    ck_assert_int_eq(count_times(5), 1);
    limit(1, 4);
    ck_assert_int_eq(count_times(5), 4);
    reload(&rig.engine->env.options); /* nothing has changed, and nothing is forgiven */
    ck_assert_int_eq(count_times(5), 0);
}

static void try_rate_bytes(void)
{
    RELOAD(rate_bytes, 1);
    ck_assert_str_eq(status_of("now", "{\"n\":10}"), "ok");
    ck_assert_str_eq(status_of("now", "{\"n\":10}"), "rate_limited");
    RELOAD(rate_bytes, 1000);
    ck_assert_str_eq(status_of("now", "{\"n\":10}"), "ok");
    RELOAD(rate_bytes, 0);
    ck_assert_str_eq(status_of("now", "{\"n\":10}"), "ok");
}

/* From then on all clients of one user share its rates. */
static void try_rate_limit_by(void)
{
    struct engine_options changed = rig.options;
    changed.rate_limit = 1;
    changed.rate_burst = 2;
    reload(&changed);
    ck_assert_int_eq(count_times(3), 2);
    be("other", &contexts[1]);
    ck_assert_int_eq(count_times(3), 2);
    changed.rate_limit_by = ACCOUNTS_BY_USER;
    reload(&changed);
    ck_assert_int_eq(count_times(1), 1);
    be("tester", &contexts[0]);
    ck_assert_int_eq(count_times(3), 1);
}

/* Fails so often without a reply. Returns how many errors are announced. */
static size_t fail_times(int times)
{
    fake_host_forget(&rig.host);
    for (int i = 0; i < times; i++)
        rig_tell(&rig, "fail", "");
    return rig.host.events.count;
}

static void try_error_rate(void)
{
    ck_assert_uint_eq(fail_times(10), 10);
    RELOAD(error_rate, 1);
    ck_assert_uint_eq(fail_times(10), 1);
    RELOAD(error_rate, 100);
    ck_assert_uint_eq(fail_times(10), 10);
    RELOAD(error_rate, 0);
    ck_assert_uint_eq(fail_times(200), 200);
}

/* ---- Pending calls ---- */

/* Nobody loses a slot for a call that finds none all the same. */
static void try_max_pending(void)
{
    for (int n = NEXT; n < NEXT + 4; n++)
        works_call(&rig, "wait", n);
    RELOAD(max_pending, 2);
    be("other", &contexts[1]);
    works_call(&rig, "wait", 20);
    works_expect(&rig, 1, "overloaded",
                 WORKS_ERROR("wait", "overloaded", "2 calls wait, and max_pending allows no more"));
    be("tester", &contexts[0]);
    for (int n = NEXT; n < NEXT + 4; n++)
        ck_assert_int_eq(works_slots[n].dones, 0);
    for (int n = NEXT; n < NEXT + 4; n++)
        works_call(&rig, "tell", n);
    works_call(&rig, "wait", 21);
    ck_assert_int_eq(works_slots[21].pending, 1);
    /* At the limit, and not over it, the other client's call finds a slot again. */
    works_call(&rig, "wait", 22);
    ck_assert_int_eq(works_slots[22].pending, 0);
    be("other", &contexts[1]);
    works_call(&rig, "wait", 23);
    ck_assert_int_eq(works_slots[23].pending, 1);
    ck_assert_int_eq(works_slots[21].outcome, RPC_OVERLOADED);
    RELOAD(max_pending, 3);
    works_call(&rig, "wait", 24);
    ck_assert_int_eq(works_slots[24].pending, 1);
}

static void try_max_pending_bytes(void)
{
    works_call(&rig, "wait", NEXT);
    RELOAD(max_pending_bytes, 10);
    be("other", &contexts[1]);
    works_call(&rig, "wait", LAST);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "overloaded");
    ck_assert_int_eq(works_slots[NEXT].dones + works_slots[WAITING].dones, 0);
    RELOAD(max_pending_bytes, 1000000);
    works_call(&rig, "wait", LAST);
    ck_assert_int_eq(works_slots[LAST].pending, 1);
}

static rpc_call *asked;

static rpc_status defer(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    asked = call;
    return rpc_defer(call, &asked);
}

static rpc_status end(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)state, (void)data, (void)result;
    return outcome == RPC_OK ? rpc_defer(call, &asked) : outcome;
}

static rpc_status finish(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)result;
    return outcome;
}

/* A call keeps the deadline that it got, also when it becomes pending again. */
static void try_timeout(void)
{
    works_hooks = (struct works_hooks){.run = defer, .done = end};
    works_call(&rig, "half", 0);
    ck_assert_uint_eq(rpc_call_left(asked), LONG);
    RELOAD(timeout, 1000);
    ck_assert_uint_eq(rpc_call_left(asked), LONG);
    works_call(&rig, "wait", NEXT);
    works_pass(&rig, 1001);
    ck_assert_int_eq(works_slots[NEXT].outcome, RPC_TIMEOUT);
    rpc_resume(asked);
    ck_assert_uint_eq(rpc_call_left(asked), LONG - 1001);
    RELOAD(timeout, LONG);
    works_call(&rig, "wait", LAST);
    works_pass(&rig, 2000);
    ck_assert_int_eq(works_slots[LAST].dones, 0);
    works_hooks.done = finish;
    rpc_resume(asked);
}

static void try_timeout_max(void)
{
    rig.host.property = "timeout-ms";
    rig.host.value = "60000";
    works_call(&rig, "wait", NEXT);
    ck_assert_int_eq(works_slots[NEXT].pending, 1);
    RELOAD(timeout_max, 1000);
    works_call(&rig, "wait", LAST);
    ck_assert_str_eq(rig_last(&rig.host.replies)->status, "invalid_request");
    ck_assert_uint_eq(rpc_timeout_max(rig_instance(&rig)), 1000);
    works_pass(&rig, 2000);
    ck_assert_int_eq(works_slots[NEXT].dones, 0);
    rig.host.property = NULL;
}

/* ---- What is told ---- */

static void try_sys_interval(void)
{
    rig_tell(&rig, "now", "{}");
    works_pass(&rig, 100000);
    fake_host_forget(&rig.host);
    ck_assert_uint_gt(engine_due(rig.engine), rig.host.monotonic + RIG_SECOND);
    RELOAD(sys_interval, 86400000);
    ck_assert_uint_le(engine_due(rig.engine), rig.host.monotonic);
    works_pass(&rig, 0);
    ck_assert_uint_gt(rig.host.events.count, 5);
    fake_host_forget(&rig.host);
    rig_tell(&rig, "now", "{}");
    works_pass(&rig, 2000);
    const size_t announced = rig.host.events.count;
    RELOAD(sys_interval, 1000); /* nobody waits a day for the next ones */
    works_pass(&rig, 0);
    ck_assert_uint_gt(rig.host.events.count, announced);
    fake_host_forget(&rig.host);
    RELOAD(sys_interval, 0);
    dawdle(NULL, NULL, NULL, NULL);
    works_pass(&rig, 5000);
    ck_assert_uint_eq(rig.host.events.count, 0);
}

static void try_slow_call(void)
{
    rig_tell(&rig, "dawdle", "");
    ck_assert(!fake_host_logged(&rig.host, "dawdle took 100 ms"));
    RELOAD(slow_call, 50);
    rig_tell(&rig, "dawdle", "");
    ck_assert(fake_host_logged(&rig.host, "dawdle took 100 ms"));
    RELOAD(slow_call, 200);
    fake_host_forget(&rig.host);
    rig_tell(&rig, "dawdle", "");
    ck_assert_uint_eq(rig.host.line_count, 0);
}

static void try_log_calls(void)
{
    rig_tell(&rig, "dawdle", "");
    ck_assert(!fake_host_logged(&rig.host, "called dawdle: ok, waited"));
    RELOAD(log_calls, true);
    rig_tell(&rig, "dawdle", "");
    ck_assert(fake_host_logged(&rig.host, "called dawdle: ok, waited"));
    RELOAD(log_calls, false);
    fake_host_forget(&rig.host);
    rig_tell(&rig, "dawdle", "");
    ck_assert(!fake_host_logged(&rig.host, "called dawdle: ok, waited"));
}

static const struct dead *letters(void)
{
    return &rig.engine->dead;
}

/* Without it there is no table; the topics are nobody's still. */
static void try_dead_letters(void)
{
    rig_tell(&rig, "fail", "");
    ck_assert_uint_eq(letters()->count, 1);
    ck_assert_int_eq(rig_publish(&rig, "rpc/dead/fail", "{}"), ENGINE_REFUSE);
    RELOAD(dead_letters, false);
    ck_assert_uint_eq(letters()->count, 0);
    rig_tell(&rig, "fail", "");
    ck_assert_uint_eq(letters()->count, 0);
    ck_assert_int_eq(rig_publish(&rig, "rpc/dead/fail", "{}"), ENGINE_REFUSE);
    RELOAD(dead_letters, true);
    rig_tell(&rig, "fail", "");
    ck_assert_uint_eq(letters()->count, 1);
    ck_assert_int_eq(rig_publish(&rig, "rpc/dead/fail", "{}"), ENGINE_REFUSE);
}

/* Letters that there are stay as they are. */
static void try_dead_payload(void)
{
    for (int i = 0; i < 3; i++) {
        RELOAD(dead_payload, i != 1);
        rig_tell(&rig, "fail", "{}");
        ck_assert_uint_eq(letters()->count, (size_t)i + 1);
        ck_assert_int_eq(letters()->letters->prev->report.text != NULL, i != 1);
    }
    ck_assert_ptr_nonnull(letters()->letters->report.text);
}

static const struct attempt {
    const char *option;
    void (*try)(void);
} attempts[] = {
#define ATTEMPT(option)       \
    {                         \
#option, try_##option \
    }
    ATTEMPT(guard_events),
    ATTEMPT(event_publishers),
    ATTEMPT(methods_off),
    ATTEMPT(placements),
    ATTEMPT(bridge_calls),
    ATTEMPT(bridge_clients),
    ATTEMPT(bridge_response_topics),
    ATTEMPT(response_topic_filter),
    ATTEMPT(reply_expiry),
    ATTEMPT(max_payload),
    ATTEMPT(max_batch),
    ATTEMPT(duplicate_window),
    ATTEMPT(duplicate_entries),
    ATTEMPT(duplicate_bytes),
    ATTEMPT(redelivery_guard),
    ATTEMPT(rate_limit),
    ATTEMPT(rate_burst),
    ATTEMPT(rate_bytes),
    ATTEMPT(rate_limit_by),
    ATTEMPT(error_rate),
    ATTEMPT(dead_letters),
    ATTEMPT(dead_payload),
    ATTEMPT(max_pending),
    ATTEMPT(max_pending_bytes),
    ATTEMPT(timeout),
    ATTEMPT(timeout_max),
    ATTEMPT(sys_interval),
    ATTEMPT(slow_call),
    ATTEMPT(log_calls),
};

START_TEST(each_option)
{
    attempts[_i].try();
}
END_TEST

START_TEST(each_option_that_reloads_is_tried)
{
    for (size_t i = 0; i < config_engine_shape.count; i++) {
        const rpc_field *field = &config_engine_shape.fields[i];
        bool is_tried = false;
        for (size_t j = 0; j < sizeof attempts / sizeof *attempts; j++)
            is_tried = is_tried || strcmp(attempts[j].option, field->member) == 0;
        ck_assert_msg(is_tried == field->reloads, "%s", field->member);
    }
}
END_TEST

/* ---- All at once ---- */

/* Options that do not reload stay, whatever is given. */
START_TEST(other_options_stay)
{
    struct engine_options changed = {.prefix = "elsewhere", .max_reply = 1, .max_payload = 77};
    reload(&changed);
    const struct engine_options *own = &rig.engine->env.options;
    ck_assert_str_eq(own->prefix, "rpc");
    ck_assert_int_eq(own->max_reply, rig.options.max_reply);
    ck_assert_int_eq(own->max_payload, 77);
}
END_TEST

/* A host without a topic for counters gets none. */
START_TEST(no_counters_where_there_are_none)
{
    rig.engine->env.host.counters_topic = NULL;
    RELOAD(sys_interval, 1000);
    rig_tell(&rig, "now", "{}");
    works_pass(&rig, 5000);
    ck_assert_uint_eq(rig.host.events.count, 1); /* worked */
    ck_assert_uint_eq(rig.host.others.count, 0);
    ck_assert_int_eq(rig.engine->env.options.sys_interval, 0);
    rig.engine->env.host.counters_topic = rig.host.host.counters_topic;
}
END_TEST

/* How often a text is in the reply to a call. */
static int count_in_reply(const char *method, const char *payload, const char *part)
{
    const struct fake_message *reply = rig_ask(&rig, method, payload);
    const char *at = reply->payload, *const end_of_reply = at + reply->size;
    int found = 0;
    while ((at = memmem(at, (size_t)(end_of_reply - at), part, strlen(part)))) {
        at++;
        found++;
    }
    return found;
}

/* The document is kept from one call to the next, but not its limits. */
START_TEST(documents_say_what_holds)
{
    static const char off[] = "\"off\":true";
    ck_assert_int_eq(count_in_reply("rpc.discover", "", "\"maxBatch\":100,"), 1);
    ck_assert_int_eq(count_in_reply("rpc.discover", "", off), 0);
    RELOAD(max_batch, 7);
    ck_assert_int_eq(count_in_reply("rpc.discover", "", "\"maxBatch\":7,"), 1);
    RELOAD(methods_off, "count");
    ck_assert_int_eq(count_in_reply("rpc.discover", "", off), 1);
    ck_assert_int_eq(count_in_reply("rpc.describe", "{\"method\":\"count\"}", off), 1);
    ck_assert_int_eq(count_in_reply("rpc.describe", "{\"method\":\"fail\"}", off), 0);
}
END_TEST

/* A method that is switched off is none that a misspelt name could mean. */
START_TEST(no_hint_at_a_method_that_is_off)
{
    ck_assert(strstr(rig_ask(&rig, "dawdl", "")->text, "did you mean dawdle?"));
    RELOAD(methods_off, "dawdle");
    ck_assert(!strstr(rig_ask(&rig, "dawdl", "")->text, "dawdle?"));
}
END_TEST

START_TEST(names_of_methods)
{
    static const struct {
        const char *list, *unknown;
    } rows[] = {{NULL, ""},           {"", ""},   {"count  fail ", ""},   {"count nope fail", "nope"},
                {"see/it", "see/it"}, {"*", "*"}, {"coun\t", "coun\\x09"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char unknown[ENGINE_WORD] = "";
        ck_assert_int_eq(engine_has_methods(rig.engine, rows[i].list, unknown), !*rows[i].unknown);
        ck_assert_str_eq(unknown, rows[i].unknown);
    }
}
END_TEST

UNIT_MAIN("reload", open_rig, close_rig, {each_option, UNIT_ROWS(attempts)},
          {each_option_that_reloads_is_tried, 0}, {other_options_stay, 0},
          {no_counters_where_there_are_none, 0}, {documents_say_what_holds, 0},
          {no_hint_at_a_method_that_is_off, 0}, {names_of_methods, 0})
