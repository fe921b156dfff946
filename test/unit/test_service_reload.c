// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * service_reload(): in all engines and modules, or in none. Two modules take options of their own in two
 * prefixes; the second may refuse.
 */
#include "rig.h"
#include "unit.h"

#include "call/engine_parts.h"
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 6 };

static struct fake_host host;
static struct config *first, *current;
static struct service *service;
static char why[SERVICE_WHY];
static char history[512]; /* what the modules were asked */

/* ---- The modules ---- */

struct door_options {
    const char *label;
    int32_t height; /* which does not reload */
};

static const rpc_field door_fields[] = {
    RPC_STRING(struct door_options, label, .doc = "a text", .optional = true, .length = {1, 100},
               .reloads = true),
    RPC_INT32(struct door_options, height, .doc = "a number", .default_json = "2"),
};
static const rpc_shape door_shape = RPC_OBJECT_SHAPE(struct door_options, door_fields);

struct door {
    const struct door_options *started; /* what init got */
    char label[32], prepared[32];
};

static void note(const char *what, const rpc_instance *instance, const char *label)
{
    const size_t used = strlen(history);
    snprintf(history + used, sizeof history - used, "%s %s %s %s;", what, rpc_prefix(instance),
             instance->module->name, label ? label : "-");
}

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    (void)instance;
    ((struct door *)state)->started = options;
    return RPC_OK;
}

static rpc_status prepare(rpc_instance *instance, void *state, const void *options, rpc_refusal *refusal)
{
    const struct door_options *given = options;
    struct door *door = state;
    note("prepare", instance, given->label);
    if (given->label && strcmp(given->label, "silent") == 0)
        return RPC_INTERNAL_ERROR;
    if (given->label && strncmp(given->label, "bad", 3) == 0 && strcmp(rpc_prefix(instance), "dev") == 0) {
        refusal->option = "label";
        snprintf(refusal->why, sizeof refusal->why, "it takes a good label, and not %s", given->label);
        return RPC_INVALID_PARAMS;
    }
    snprintf(door->prepared, sizeof door->prepared, "%s", given->label ? given->label : "");
    return RPC_OK;
}

static void reload(rpc_instance *instance, void *state, const void *options)
{
    struct door *door = state;
    note("reload", instance, ((const struct door_options *)options)->label);
    memcpy(door->label, door->prepared, sizeof door->label);
    ck_assert_int_eq(((const struct door_options *)options)->height, door->started->height);
}

static rpc_status run(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call, (void)state, (void)params, (void)result;
    return RPC_OK;
}

static const rpc_method front_methods[] = {{.name = "open", .doc = "opens", .run = run}};

static const rpc_module front = {.name = "front",
                                 .doc = "a door",
                                 .state_size = sizeof(struct door),
                                 .options = &door_shape,
                                 .methods = RPC_TABLE(front_methods),
                                 .init = init,
                                 .prepare = prepare,
                                 .reload = reload};
static const rpc_module back = {.name = "back",
                                .doc = "a door",
                                .state_size = sizeof(struct door),
                                .options = &door_shape,
                                .init = init,
                                .prepare = prepare,
                                .reload = reload};
static const rpc_module *const modules[] = {&front, &back, NULL};

/* ---- Common to the tests ---- */

/* Names and values in turn, ending with a name that is NULL: lines of a file. */
static struct config *make(const char *const *pairs)
{
    struct option_line lines[LINES + 1] = {{.name = "prefix", .value = "prod dev"}};
    struct option_lines all = {.lines = lines, .count = 1, .file = "f"};
    for (; pairs[0]; pairs += 2, all.count++)
        lines[all.count] =
            (struct option_line){.name = pairs[0], .value = pairs[1], .number = (unsigned)all.count};
    struct config *config = config_create(&all, &fake_config_host, modules, why);
    ck_assert_msg(config, "%s", why);
    return config;
}

#define MAKE(...) make((const char *const[]){__VA_ARGS__, NULL})

static void start(struct config *config)
{
    first = current = config;
    service = service_create(config, &host.host);
    ck_assert_ptr_nonnull(service);
}

static void open_service(void)
{
    fake_host_open(&host);
    start(MAKE("front_label", "old", "max_batch", "5"));
    ck_assert_msg(service_start(service, why), "%s", why);
    history[0] = '\0';
}

static void close_service(void)
{
    ck_assert(service_stop(service, 1000000000));
    service_destroy(service);
    if (current != first)
        config_destroy(current);
    config_destroy(first);
    rig_close_host(&host);
}

static bool take(struct config *config)
{
    history[0] = why[0] = '\0';
    const bool worked = service_reload(service, config, why);
    if (!worked) {
        config_destroy(config);
        return false;
    }
    if (current != first)
        config_destroy(current);
    current = config;
    return true;
}

static const struct engine *engine_of(const char *topic)
{
    struct engine_place place;
    return service_find(service, topic, &place);
}

static int max_batch_of(const char *topic)
{
    return engine_of(topic)->env.options.max_batch;
}

static const char *status_of(const char *topic)
{
    const struct host_client client = {.id = "tester", .version = 5, .connection = &host};
    const struct host_message message = {
        .client = &client, .topic = topic, .payload = "", .qos = 1, .response_topic = "r"};
    struct engine_place place;
    fake_host_forget(&host);
    engine_receive(service_find(service, topic, &place), &message, &place);
    return host.replies.kept[0].status;
}

/* ---- The tests ---- */

START_TEST(in_all_engines)
{
    ck_assert(take(MAKE("max_batch", "9", "methods_off", "open", "front_label", "old")));
    ck_assert_int_eq(max_batch_of("prod/call/x"), 9);
    ck_assert_int_eq(max_batch_of("dev/call/x"), 9);
    ck_assert_str_eq(status_of("prod/call/open"), "method_not_found");
    ck_assert_str_eq(status_of("dev/call/open"), "method_not_found");
    ck_assert_str_eq(engine_of("dev/call/x")->env.options.prefix, "dev");
    ck_assert_str_eq(history, ""); /* no module has other options */
    ck_assert(take(MAKE("front_label", "old")));
    ck_assert_int_eq(max_batch_of("dev/call/x"), 100);
    ck_assert_str_eq(status_of("dev/call/open"), "ok");
}
END_TEST

/* Only the modules whose options have changed are asked, all before the first one takes its options. */
START_TEST(modules_are_asked_first)
{
    ck_assert(take(MAKE("front_label", "new", "back_label", "b")));
    ck_assert_str_eq(history, "prepare prod front new;prepare dev front new;prepare prod back b;"
                              "prepare dev back b;reload prod front new;reload prod back b;"
                              "reload dev front new;reload dev back b;");
    ck_assert(take(MAKE("front_label", "new")));
    ck_assert_str_eq(history, "prepare prod back -;prepare dev back -;reload prod back -;reload dev back -;");
    ck_assert(take(MAKE("front_label", "new")));
    ck_assert_str_eq(history, "");
}
END_TEST

/* One instance of the second module refuses: neither an engine nor a module has changed. */
START_TEST(or_in_none)
{
    ck_assert(!take(MAKE("max_batch", "9", "front_label", "new", "back_label", "bad\033one")));
    ck_assert_str_eq(why, "config_file f, line 3: back_label: 'bad\\x1Bone' is not accepted, it takes a good "
                          "label, and not bad\\x1Bone");
    ck_assert_int_eq(max_batch_of("prod/call/x"), 5);
    ck_assert_int_eq(max_batch_of("dev/call/x"), 5);
    ck_assert_ptr_null(strstr(history, "reload"));
    ck_assert(take(MAKE("front_label", "newer", "max_batch", "5")));
    ck_assert_str_eq(history, "prepare prod front newer;prepare dev front newer;"
                              "reload prod front newer;reload dev front newer;");
}
END_TEST

START_TEST(a_module_that_does_not_say_why)
{
    ck_assert(!take(MAKE("back_label", "silent")));
    ck_assert_msg(strstr(why, "the module does not take it, and does not say why"), "%s", why);
}
END_TEST

static const struct unknown {
    const char *list, *word;
} unknowns[] = {{"open nope", "nope"}, {"*", "*"}, {"open/x", "open/x"}};

START_TEST(methods_that_do_not_exist)
{
    char expected[SERVICE_WHY];
    ck_assert(!take(MAKE("max_batch", "9", "methods_off", unknowns[_i].list)));
    snprintf(
        expected, sizeof expected,
        "config_file f, line 2: methods_off: '%s' is not accepted, it takes names of methods, separated by "
        "spaces; no module has this one",
        unknowns[_i].word);
    ck_assert_str_eq(why, expected);
    ck_assert_int_eq(max_batch_of("prod/call/x"), 5);
}
END_TEST

/* At start as well, and what is right is in force from the beginning. */
START_TEST(methods_that_are_off_at_start)
{
    close_service();
    fake_host_open(&host);
    start(MAKE("methods_off", "open"));
    ck_assert_msg(service_start(service, why), "%s", why);
    ck_assert_str_eq(status_of("dev/call/open"), "method_not_found");
    close_service();
    fake_host_open(&host);
    start(MAKE("methods_off", "close"));
    ck_assert(!service_start(service, why));
    ck_assert_msg(strstr(why, "config_file f, line 1: methods_off: 'close'"), "%s", why);
}
END_TEST

static const struct misplaced {
    const char *method, *placement, *because;
} misplaced[] = {
    {"opn", "remote", "no module has a method of this name, did you mean open?"},
    {"entirely.different", "local", "no module has a method of this name"},
    {"open", "spill", "only a method with .work can wait for a thread of the plugin, and spill"},
};

/* After a reload, which changes nothing, and at start. */
START_TEST(methods_that_cannot_be_placed)
{
    const struct misplaced *row = &misplaced[_i];
    char option[64], expected[SERVICE_WHY];
    snprintf(option, sizeof option, "placement_%s", row->method);
    ck_assert(!take(MAKE("max_batch", "9", option, row->placement)));
    snprintf(expected, sizeof expected, "config_file f, line 2: %s: '%s' is not accepted, %s", option,
             row->placement, row->because);
    ck_assert_str_eq(why, expected);
    ck_assert_int_eq(max_batch_of("prod/call/x"), 5);
    close_service();
    fake_host_open(&host);
    start(MAKE(option, row->placement));
    ck_assert(!service_start(service, why));
    ck_assert_msg(strstr(why, row->because), "%s", why);
}
END_TEST

static int placement_of_open(const char *topic)
{
    return registry_find_exactly(&engine_of(topic)->registry, "open", 4)->placement;
}

START_TEST(methods_are_placed)
{
    close_service();
    fake_host_open(&host);
    start(MAKE("placement_open", "remote"));
    ck_assert_msg(service_start(service, why), "%s", why);
    ck_assert_int_eq(placement_of_open("prod/call/x"), RPC_PLACEMENT_REMOTE);
    ck_assert_int_eq(placement_of_open("dev/call/x"), RPC_PLACEMENT_REMOTE);
    ck_assert(take(MAKE("placement_open", "local")));
    ck_assert_int_eq(placement_of_open("dev/call/x"), RPC_PLACEMENT_LOCAL);
    ck_assert(take(MAKE("placement_open", "remote")));
    ck_assert(take(MAKE("max_batch", "9")));
    ck_assert_int_eq(placement_of_open("prod/call/x"), RPC_PLACEMENT_LOCAL);
}
END_TEST

/* Each change may free the texts of the one before, but not those of the start. */
START_TEST(many_changes)
{
    for (int i = 0; i < 20; i++) {
        char label[16];
        snprintf(label, sizeof label, "l%d", i);
        ck_assert(take(
            MAKE("front_label", label, "event_publishers", label, i % 2 ? "methods_off" : NULL, "open")));
        ck_assert_str_eq(engine_of("prod/call/x")->env.options.event_publishers, label);
        ck_assert_str_eq(status_of("prod/call/open"), i % 2 ? "method_not_found" : "ok");
    }
}
END_TEST

/* What modules may show of the file. */
START_TEST(modules_see_the_state)
{
    static const struct env_reload state = {.file = "f"};
    ck_assert_ptr_null(engine_of("dev/call/x")->env.reload);
    close_service();
    fake_host_open(&host);
    start(MAKE("max_batch", "5"));
    service_show_reload(service, &state);
    ck_assert_msg(service_start(service, why), "%s", why);
    ck_assert_ptr_eq(engine_of("prod/call/x")->env.reload, &state);
    ck_assert_ptr_eq(engine_of("dev/call/x")->env.reload, &state);
}
END_TEST

UNIT_MAIN("service_reload", open_service, close_service, {in_all_engines, 0}, {modules_are_asked_first, 0},
          {or_in_none, 0}, {a_module_that_does_not_say_why, 0},
          {methods_that_do_not_exist, UNIT_ROWS(unknowns)}, {methods_that_are_off_at_start, 0},
          {methods_that_cannot_be_placed, UNIT_ROWS(misplaced)}, {methods_are_placed, 0}, {many_changes, 0},
          {modules_see_the_state, 0})
