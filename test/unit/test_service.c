// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/service.c: the engines of one configuration start together, share a host, and stop together. A module
 * of the test starts in each prefix; it can refuse to, and start a timer or work there.
 */
#include "rig.h"
#include "unit.h"

#include "service.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

/* What the module is to do in its init. */
static const char *refused; /* the prefix in which it refuses to start; NULL: in none */
static struct {
    const char *prefix;
    uint32_t delay; /* ms until a timer of this prefix is due; 0: there is none */
} timers[2];
static rpc_work work; /* NULL: none */

static int inits, finis, fired;
static sem_t begun, go;
static atomic_int unwanted;

static struct fake_host host;
static struct config *config;
static struct service *service;
static char why[SERVICE_WHY];

static void fire(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state, (void)data;
    fired++;
}

static rpc_status end_work(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)outcome, (void)result;
    return RPC_OK;
}

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    const char *prefix = rpc_prefix(instance);
    (void)state, (void)options;
    inits++;
    for (int i = 0; i < 2; i++) {
        if (timers[i].delay && strcmp(prefix, timers[i].prefix) == 0)
            ck_assert_uint_ne(rpc_after(instance, timers[i].delay, fire, NULL).id, 0);
    }
    if (work)
        ck_assert_int_eq(rpc_background(instance, NULL, work, end_work, NULL), RPC_PENDING);
    return refused && strcmp(prefix, refused) == 0 ? RPC_INTERNAL_ERROR : RPC_OK;
}

static void fini(void *state)
{
    (void)state;
    finis++;
}

static rpc_status hello(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

static const rpc_method methods[] = {{.name = "hello", .doc = "answers", .run = hello}};
static const rpc_module twin = {.name = "twin",
                                .doc = "one in each prefix",
                                .state_size = 1,
                                .methods = RPC_TABLE(methods),
                                .init = init,
                                .fini = fini};

static void create(const char *prefixes, const char *jsonrpc_methods)
{
    struct option_line given[] = {{.name = "prefix", .value = prefixes},
                                  {.name = "sys_interval", .value = "0"},
                                  {.name = "jsonrpc_methods", .value = jsonrpc_methods}};
    struct option_lines lines = {.lines = given, .count = jsonrpc_methods ? 3 : 2};
    const rpc_module *const modules[] = {&twin, NULL};
    config = config_create(&lines, &fake_config_host, modules, why);
    ck_assert_msg(config, "%s", why);
    service = service_create(config, &host.host);
    ck_assert_ptr_nonnull(service);
}

static void start(const char *prefixes)
{
    create(prefixes, NULL);
    ck_assert_msg(service_start(service, why), "%s", why);
}

static void open_host(void)
{
    fake_host_open(&host);
    sem_init(&begun, 0, 0);
    sem_init(&go, 0, 0);
}

static void close_service(void)
{
    service_destroy(service);
    config_destroy(config);
    rig_close_host(&host);
    ck_assert_int_eq(inits, finis);
}

static void stop(void)
{
    ck_assert(service_stop(service, 20 * SECOND));
}

static enum engine_verdict call(const char *topic)
{
    const struct host_client client = {.id = "tester", .version = 5, .connection = &host};
    const struct host_message message = {
        .client = &client, .topic = topic, .payload = "", .qos = 1, .response_topic = "r"};
    struct engine_place place;
    struct engine *engine = service_find(service, topic, &place);
    return engine ? engine_receive(engine, &message, &place) : ENGINE_PASS;
}

static struct engine *found(const char *topic)
{
    struct engine_place place;
    return service_find(service, topic, &place);
}

/* ---- Running ---- */

START_TEST(each_prefix_has_an_engine)
{
    start("prod dev/rpc");
    ck_assert_int_eq(inits, 2);
    ck_assert_int_eq(call("prod/call/hello"), ENGINE_CONSUME);
    ck_assert_int_eq(call("dev/rpc/call/hello"), ENGINE_CONSUME);
    ck_assert_uint_eq(host.replies.count, 2);
    ck_assert_ptr_ne(found("prod/call/hello"), found("dev/rpc/call/hello"));
    ck_assert_ptr_null(found("dev/call/hello"));
    ck_assert_ptr_null(found("other"));
    stop();
}
END_TEST

START_TEST(without_engines_there_is_nothing)
{
    create("prod", NULL);
    ck_assert_ptr_null(found("prod/call/hello"));
    ck_assert_uint_eq(service_due(service), UINT64_MAX);
    service_tick(service);
    stop();
    service_destroy(NULL);
}
END_TEST

static uint64_t milliseconds_to_due(void)
{
    return (service_due(service) - host.monotonic) / 1000000;
}

/* Whichever prefix it belongs to. */
START_TEST(the_earliest_is_due)
{
    timers[_i].prefix = "prod";
    timers[_i].delay = 50;
    timers[!_i].prefix = "dev";
    timers[!_i].delay = 20;
    start(_i ? "prod dev" : "dev prod");
    ck_assert_uint_eq(milliseconds_to_due(), 20);
    host.monotonic = service_due(service);
    service_tick(service);
    ck_assert_int_eq(fired, 1);
    ck_assert_uint_eq(milliseconds_to_due(), 30);
    host.monotonic += SECOND;
    service_tick(service);
    ck_assert_int_eq(fired, 2);
    stop();
}
END_TEST

/* ---- Starting ---- */

START_TEST(a_prefix_that_does_not_start_undoes_the_others)
{
    refused = "dev";
    create("prod dev test", NULL);
    ck_assert(!service_start(service, why));
    ck_assert_msg(strstr(why, "twin"), "%s", why);
    ck_assert_int_eq(inits, 2);
    stop();
    ck_assert_int_eq(finis, 2);
    ck_assert_ptr_null(found("prod/call/hello"));
}
END_TEST

START_TEST(a_method_that_cannot_be_opened)
{
    create("prod dev", "hello nope");
    ck_assert(!service_start(service, why));
    ck_assert_ptr_eq(strstr(why, "opt_jsonrpc_methods: 'nope': "), why);
    stop();
}
END_TEST

/* ---- Stopping ---- */

/* Each waits until the work of both prefixes is unwanted. */
static void wait_for_both(rpc_job *job, void *data)
{
    (void)data;
    sem_post(&begun);
    while (rpc_is_wanted(job))
        sem_trywait(&go);
    atomic_fetch_add(&unwanted, 1);
    while (atomic_load(&unwanted) < 2)
        sem_trywait(&go);
}

START_TEST(all_are_stopped_before_the_first_is_awaited)
{
    work = wait_for_both;
    start("prod dev");
    sem_wait(&begun);
    sem_wait(&begun);
    stop();
    ck_assert_int_eq(atomic_load(&unwanted), 2);
    ck_assert_int_eq(finis, 2);
}
END_TEST

static void wait_to_go(rpc_job *job, void *data)
{
    (void)job, (void)data;
    sem_post(&begun);
    sem_wait(&go);
}

/* Its threads go on with the configuration, which is a leak by design. */
START_TEST(work_that_does_not_return_is_left_behind)
{
    unit_ignore_leaks();
    work = wait_to_go;
    start("prod dev");
    sem_wait(&begun);
    sem_wait(&begun);
    ck_assert(!service_stop(service, SECOND / 20));
    ck_assert_ptr_null(found("prod/call/hello"));
    ck_assert_int_eq(finis, 0);
    config = NULL;
    finis = inits;
}
END_TEST

UNIT_MAIN("service", open_host, close_service, {each_prefix_has_an_engine, 0},
          {without_engines_there_is_nothing, 0}, {the_earliest_is_due, 2},
          {a_prefix_that_does_not_start_undoes_the_others, 0}, {a_method_that_cannot_be_opened, 0},
          {all_are_stopped_before_the_first_is_awaited, 0}, {work_that_does_not_return_is_left_behind, 0})
