// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The engine as a whole, on the fake host of test/unit: clients that come, call and go in any order, work
 * that begins and ends when the input says so, time, and lacks of memory. Each line of the input is a step:
 *
 *     o NAME VALUE                     an option; only before all other steps
 *     s CLIENT TOPIC REPLY ID PAYLOAD  a message with this Response Topic and this Correlation Data; -: none
 *     e CLIENT KIND                    the client's connection ends: KIND is a number of bits
 *     n CLIENT                         the client has another connection, which nobody has told the engine of
 *     p CLIENT SIGN FILTER             a sign of the client's presence
 *     u NAME VALUE                     the user property of the messages from now on
 *     a PLAN                           what the handler `act` does from now on: a letter for each action
 *     t MS                             time passes
 *     T MS                             likewise, and the engine's tick
 *     w SECONDS                        the wall clock is set forward; with a minus, back
 *     b N, r N                         the N-th job begins; the N-th one that runs ends
 *     g N                              the N-th call that waits is resumed
 *     m N, M N                         in the next step the N-th allocation fails; it and all behind it
 *     h BITS                           the host has no memory for payloads (1), sends nothing (2)
 *     x                                the engine begins to stop
 *
 * A CLIENT is the letter of its id, the version of its protocol, its QoS, and letters of what else it is: c
 * for a clean start, b for a bridge, u for another user, n for none, a for no address. The ID = is a new one
 * of sixteen bytes, =N the N-th of these.
 *
 * After each step the tables are sound, and the fake host's rules hold. A call with an ID of its own has one
 * reply at most; one that nothing stands in the way of has one.
 */
#include "fuzz.h"
#include "fuzz_pool.h"

#include "call/engine_parts.h"
#include "call/task.h"
#include "failing_malloc.h"
#include "loans.h"
#include "modules.h"
#include "sound.h"
#include "works.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

extern const rpc_module rpc_module_rpc, rpc_module_ping, rpc_module_echo, rpc_module_gate, rpc_module_post,
    rpc_module_relay, rpc_module_shapes, rpc_module_watch;

static const rpc_module *const modules[] = {
    &rpc_module_rpc,   &rpc_module_ping,   &rpc_module_echo,  &rpc_module_gate, &rpc_module_post,
    &rpc_module_relay, &rpc_module_shapes, &rpc_module_watch, &works,           NULL};

enum {
    OPTIONS = 16,
    CLIENTS = 256,
    CONNECTIONS = 16,
    CALLS = 256,
    STORIES = 64,
    DEPTH = 4,
    STEPS = 400,
    ID_BYTES = 16
};

/* What is known of a call with an ID of its own. */
struct asked {
    unsigned replies;
    bool owed;
    bool is_sent_again; /* it may have run again, when the first reply was forgotten */
};

/* A pending call of act. */
struct story {
    rpc_call *call;
    const char *plan;
    struct story *prev, *next;
};

static struct rig rig;
static struct config *config;
static struct {
    char *rest;       /* the lines that are left of the input */
    char *at;         /* what is left of the step's line */
    const char *plan; /* of act */
    struct story *stories;
    struct asked asked[CALLS];
    size_t asked_count;
    unsigned connections[CLIENTS];
    unsigned depth, steps;
    unsigned failing; /* 1 + the number of the allocation that fails in the next step; 0: none */
    enum failing_mode mode;
    bool armed;        /* memory is short in this step */
    unsigned forgiven; /* how often */
    bool is_limited;   /* an option makes calls go without a reply */
    bool is_stopping;
} fuzz;

static void take_step(void);

/* ---- What must hold ---- */

/* From now on nothing is owed of what was asked before: something happened that may cost replies. */
static void forgive(void)
{
    fuzz.forgiven++;
    for (size_t i = 0; i < fuzz.asked_count; i++)
        fuzz.asked[i].owed = false;
}

static void note_reply(const struct fake_message *reply)
{
    unsigned number;
    char id[ID_BYTES + 1];
    if (reply->repeated || reply->correlation_size != ID_BYTES || strcmp(reply->status, "progress") == 0)
        return;
    snprintf(id, sizeof id, "%.16s", reply->correlation);
    if (sscanf(id, "fuzz-call-%6u", &number) == 1 && number < fuzz.asked_count)
        fuzz.asked[number].replies++;
}

static void check(void)
{
    struct fake_box *replies = &rig.host.replies;
    if (replies->count > FAKE_KEPT)
        forgive();
    for (size_t i = 0; i < replies->count && i < FAKE_KEPT; i++)
        note_reply(&replies->kept[i]);
    for (size_t i = 0; i < fuzz.asked_count; i++)
        FUZZ_EXPECT(fuzz.asked[i].replies <= 1 || fuzz.asked[i].is_sent_again);
    fake_host_forget(&rig.host);
    if (rig.host.fault)
        fuzz_fail("the fake host", 0, rig.host.fault);
    sound_tables(rig.engine);
    sound_tasks(rig.engine);
}

/* ---- What act does ---- */

static void tell_story(rpc_instance *instance, void *state, void *data)
{
    (void)instance, (void)state, (void)data;
    if (fuzz.stories)
        rpc_resume(fuzz.stories->call);
}

static void idle(rpc_job *job, void *data)
{
    (void)data;
    if (rpc_is_wanted(job))
        (void)rpc_job_take_next(job);
}

static rpc_status end_background(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    (void)call, (void)state, (void)data, (void)outcome, (void)result;
    return RPC_OK;
}

static rpc_status add_story(struct story *story, rpc_status status)
{
    if (status == RPC_PENDING)
        DL_APPEND(fuzz.stories, story);
    return status;
}

static void nest(void)
{
    if (fuzz.depth >= DEPTH || fuzz.armed)
        return;
    fuzz.depth++;
    take_step();
    fuzz.depth--;
}

/* Goes on with the plan until the call has an outcome or is pending. */
static rpc_status go_on(struct story *story, struct works_result *result)
{
    rpc_call *call = story->call;
    rpc_instance *instance = rpc_call_instance(call);
    const struct works_result event = {1, "act"};
    char value[40];
    while (*story->plan) {
        switch (*story->plan++) {
        case 'd':
            return add_story(story, rpc_defer(call, story));
        case 'w':
            return add_story(story, rpc_start(call, NULL, story));
        case 'l':
            return add_story(story, rpc_start(call, "a", story));
        case 'f':
            return rpc_raise(call, "plain", "as planned: %s", rpc_call_method(call));
        case 'i':
            return RPC_INTERNAL_ERROR;
        case 'r':
            return RPC_RATE_LIMITED;
        case 'v':
            result->n = -1;
            break; /* fits the shape all the same */
        case 'e':
            rpc_announce(instance, call, "worked", &event);
            break;
        case 's':
            rpc_send(instance,
                     &(const rpc_publication){.topic = "aside", .payload = "{}", .size = 2, .client = "a"});
            break;
        case 'p':
            rpc_progress(call, NULL);
            break;
        case 't':
            rpc_after(instance, 100, tell_story, NULL);
            break;
        case 'b':
            rpc_background(instance, "b", idle, end_background, story);
            break;
        case 'B':
            result->by = rpc_printf(call, "%0*d", 70000, 1);
            break;
        case 'u':
            rpc_call_set_unchanged(call);
            break;
        case 'T':
            rpc_call_set_timeout(call, 50);
            break;
        case 'q':
            rpc_caller_property(call, "note", value, sizeof value);
            break;
        case 'x':
            rpc_resume(call);
            break;
        case 'n':
            nest();
            break;
        default:
            break;
        }
    }
    return RPC_OK;
}

static rpc_status begin_story(rpc_call *call, void *state, const void *params, void *result)
{
    struct story *story = rpc_alloc(call, sizeof *story);
    (void)state, (void)params;
    ((struct works_result *)result)->n = 1;
    if (!story)
        return RPC_INTERNAL_ERROR;
    *story = (struct story){.call = call, .plan = fuzz.plan};
    return go_on(story, result);
}

static rpc_status end_story(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct story *story = data;
    (void)state, (void)outcome;
    FUZZ_EXPECT(story->call == call);
    DL_DELETE(fuzz.stories, story);
    ((struct works_result *)result)->n = 2;
    return go_on(story, result);
}

/* ---- Clients ---- */

static const void *connection_of(unsigned char id)
{
    static const char connections[CONNECTIONS];
    return &connections[(id + fuzz.connections[id]) % CONNECTIONS];
}

/* Reads a CLIENT, and its QoS. */
static struct host_client read_client(int *qos)
{
    static char id[2];
    const char *word = fuzz_word(&fuzz.at);
    id[0] = *word;
    const char version = *word ? word[1] : '\0', digit = version ? word[2] : '\0';
    const char *traits = digit ? word + 3 : "";
    *qos = digit >= '0' && digit <= '2' ? digit - '0' : 1;
    return (struct host_client){
        .id = id,
        .user = strchr(traits, 'n')   ? NULL
                : strchr(traits, 'u') ? "mary"
                                      : "bob",
        .address = strchr(traits, 'a') ? NULL : "192.0.2.7",
        .version = version >= '3' && version <= '5' ? version - '0' : 5,
        .bridge = strchr(traits, 'b') != NULL,
        .clean_start = strchr(traits, 'c') != NULL,
        .connection = connection_of((unsigned char)*word),
    };
}

/* ---- Short memory ---- */

static void arm(void)
{
    fuzz.armed = fuzz.failing != 0 && !fuzz.depth;
    if (fuzz.armed)
        failing_arm(fuzz.mode, fuzz.failing - 1);
}

static void disarm(void)
{
    if (!fuzz.armed)
        return;
    if (failing_disarm())
        forgive();
    fuzz.armed = false;
    fuzz.failing = 0;
}

/* ---- Steps ---- */

/* The Correlation Data that an ID stands for; asked gets what is known of its call, if it is a new one. */
static const char *read_identity(char own[ID_BYTES + 1], struct asked **asked)
{
    const char *word = fuzz_optional(&fuzz.at);
    *asked = NULL;
    if (!word || *word != '=')
        return word;
    size_t number = strtoul(word + 1, NULL, 10);
    if (!word[1] && fuzz.asked_count < CALLS) {
        number = fuzz.asked_count++;
        *asked = &fuzz.asked[number];
        **asked = (struct asked){.replies = 0};
    } else if (number < fuzz.asked_count) {
        fuzz.asked[number].owed = false;
        fuzz.asked[number].is_sent_again = true;
    } else {
        return "fuzz-call-no-one";
    }
    snprintf(own, ID_BYTES + 1, "fuzz-call-%06u", (unsigned)number % CALLS);
    return own;
}

/* Whether a call with an ID of its own must be answered, if nothing happens to its client. */
static bool is_owed(const struct host_message *message, enum engine_verdict verdict)
{
    const struct host_client *client = message->client;
    return verdict == ENGINE_CONSUME && !fuzz.is_limited && !fuzz.is_stopping && client->version == 5 &&
           !client->bridge && message->response_topic && strcmp(message->response_topic, "r") == 0 &&
           strncmp(message->topic, "rpc/call/", strlen("rpc/call/")) == 0 &&
           !strstr(message->payload, "jsonrpc");
}

static void send_message(void)
{
    char own[ID_BYTES + 1];
    struct asked *asked;
    struct loans loans = {.count = 0};
    struct host_message message = {.client = NULL};
    struct host_client client = read_client(&message.qos);
    client.id = loans_lend_text(&loans, client.id);
    client.user = loans_lend_text(&loans, client.user);
    client.address = loans_lend_text(&loans, client.address);
    message.client = &client;
    const char *topic = fuzz_word(&fuzz.at), *response_topic = fuzz_optional(&fuzz.at);
    if (!fuzz_is_mqtt(topic, response_topic, client.id)) {
        loans_take_back(&loans);
        return;
    }
    message.topic = loans_lend_text(&loans, topic);
    message.response_topic = loans_lend_text(&loans, response_topic);
    const char *identity = read_identity(own, &asked);
    message.correlation = loans_lend_text(&loans, identity);
    message.correlation_size = identity ? strlen(identity) : 0;
    message.size = strlen(fuzz.at);
    message.payload = loans_lend_text(&loans, fuzz.at);
    const unsigned forgiven = fuzz.forgiven;
    arm();
    const enum engine_verdict verdict = rig_receive(rig.engine, &message);
    disarm();
    if (asked)
        asked->owed = !asked->is_sent_again && is_owed(&message, verdict) && !rig.host.drop &&
                      !rig.host.no_memory && fuzz.forgiven == forgiven;
    loans_take_back(&loans);
}

static void end_client(void)
{
    int qos;
    const struct host_client client = read_client(&qos);
    const unsigned bits = fuzz_number(&fuzz.at, 64);
    const struct host_ending ending = {.id = client.id,
                                       .connection = client.connection,
                                       .kind = (enum host_end)(bits % 4),
                                       .in_order = bits & 4,
                                       .clean_start = bits & 8};
    forgive();
    arm();
    engine_client_ended(rig.engine, &ending);
    disarm();
}

static void renew_client(void)
{
    forgive();
    fuzz.connections[(unsigned char)*fuzz.at]++;
}

static void notice_client(void)
{
    int qos;
    const struct host_client client = read_client(&qos);
    const rpc_sign sign = (rpc_sign)fuzz_number(&fuzz.at, RPC_SIGN_GONE);
    arm();
    engine_client_seen(rig.engine, &client);
    engine_presence(rig.engine, &(const struct host_presence){sign, &client,
                                                              sign == RPC_SIGN_SUBSCRIBED ? fuzz.at : NULL});
    disarm();
}

static void set_property(void)
{
    const char *name = fuzz_word(&fuzz.at);
    rig.host.property = *name ? name : NULL;
    rig.host.value = fuzz.at;
}

static void tick(void)
{
    arm();
    engine_tick(rig.engine);
    disarm();
}

static void pass(void)
{
    rig.host.monotonic += fuzz_number(&fuzz.at, 1000000) * (RIG_SECOND / 1000);
}

static void resume(void)
{
    struct story *story = fuzz.stories;
    for (unsigned number = fuzz_number(&fuzz.at, STORIES); story && number; number--)
        story = story->next;
    if (!story)
        return;
    arm();
    rpc_resume(story->call);
    disarm();
}

static void lack_memory(enum failing_mode mode)
{
    fuzz.failing = 1 + fuzz_number(&fuzz.at, 1000);
    fuzz.mode = mode;
}

static void trouble_host(void)
{
    const unsigned bits = fuzz_number(&fuzz.at, 4);
    rig.host.no_memory = bits & 1;
    rig.host.drop = bits & 2;
    if (bits)
        forgive();
}

static void stop(void)
{
    forgive();
    fuzz.is_stopping = true;
    engine_stop(rig.engine);
}

static void run_step(char step)
{
    switch (step) {
    case 's':
        send_message();
        break;
    case 'e':
        end_client();
        break;
    case 'n':
        renew_client();
        break;
    case 'p':
        notice_client();
        break;
    case 'u':
        set_property();
        break;
    case 'a':
        fuzz.plan = fuzz.at;
        break;
    case 't':
        pass();
        break;
    case 'T':
        pass();
        tick();
        break;
    case 'w':
        rig.host.wall += (double)strtol(fuzz.at, NULL, 10);
        break;
    case 'b':
        fuzz_pool_begin(fuzz_number(&fuzz.at, STORIES));
        break;
    case 'r':
        fuzz_pool_end(fuzz_number(&fuzz.at, STORIES));
        break;
    case 'g':
        resume();
        break;
    case 'm':
        lack_memory(FAILING_ONCE);
        break;
    case 'M':
        lack_memory(FAILING_FROM);
        break;
    case 'h':
        trouble_host();
        break;
    case 'x':
        stop();
        break;
    default:
        break;
    }
}

/* The next line of the input. Handlers take some, too. */
static void take_step(void)
{
    fuzz.at = fuzz_line(&fuzz.rest);
    if (!fuzz.at || ++fuzz.steps > STEPS)
        return;
    const char *word = fuzz_word(&fuzz.at);
    run_step(*word);
}

/* ---- The engine ---- */

/* The options at the beginning of the input; all defaults, if one of them is not accepted. */
static void read_options(void)
{
    static const char *const limiting[] = {
        "prefix",         "rate_limit",      "rate_bytes", "response_topic_filter",
        "reply_delivery", "unknown_methods", "max_payload"};
    char why[OPTIONS_WHY];
    struct option_line given[OPTIONS + 2] = {{.name = "post_root", .value = "post"},
                                             {.name = "relay_root", .value = "relay"}};
    struct option_lines lines = {.lines = given, .count = 2};
    while (lines.count < OPTIONS + 2 && strncmp(fuzz.rest, "o ", 2) == 0) {
        char *line = fuzz_line(&fuzz.rest) + 2;
        const char *name = fuzz_word(&line);
        given[lines.count++] = (struct option_line){.name = name, .value = line};
        for (size_t i = 0; i < sizeof limiting / sizeof *limiting; i++)
            fuzz.is_limited = fuzz.is_limited || strcmp(name, limiting[i]) == 0;
    }
    config = config_create(&lines, &fake_config_host, modules, why);
    if (config)
        return;
    lines.count = 2;
    config = config_create(&lines, &fake_config_host, modules, why);
    FUZZ_EXPECT(config);
}

static bool start(void)
{
    char why[ENGINE_WHY];
    read_options();
    works_init(&rig);
    works_hooks = (struct works_hooks){begin_story, idle, end_story};
    rig.options = config->engine;
    rig.options.prefix = config->prefixes[0];
    rig_start(&rig);
    rig_add_modules(&rig, config);
    return engine_open_methods(rig.engine, why);
}

/* All that waits comes to its end, by itself or by its deadline; then each call that is owed a reply has had
 * it. */
static void finish(void)
{
    rig.host.no_memory = rig.host.drop = false;
    fuzz.plan = "";
    for (int i = 0; rig.engine->tasks->pending && i < CALLS; i++) {
        fuzz_pool_run();
        rig.host.monotonic += 70 * RIG_SECOND;
        engine_tick(rig.engine);
        check();
    }
    for (size_t i = 0; i < fuzz.asked_count; i++)
        FUZZ_EXPECT(!fuzz.asked[i].owed || fuzz.asked[i].replies == 1);
}

static void end(void)
{
    rig_close(&rig);
    config_destroy(config);
    FUZZ_EXPECT(!fuzz.stories);
    for (int n = 0; n < WORKS_SLOTS; n++)
        FUZZ_EXPECT(works_slots[n].pending == works_slots[n].dones);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_installed;
    char *text = fuzz_text(data, size);
    if (!is_installed)
        failing_install();
    is_installed = true;
    memset(&fuzz, 0, sizeof fuzz);
    fuzz.rest = text;
    fuzz.plan = "";
    if (start()) {
        while (*fuzz.rest && fuzz.steps < STEPS) {
            take_step();
            check();
        }
        finish();
    }
    end();
    free(text);
    return 0;
}
