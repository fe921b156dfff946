// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * relay.c: a module that only tests load. Its method family makes calls pending until relay.end ends them,
 * and relay.step sends interim replies meanwhile. Its inboxes adopt messages as calls of that family. They
 * are off unless the option relay_root says where they are.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "relay.h"

#include "mosquitto_rpc.h"

#include <stdio.h>
#include <string.h>

enum { LEVEL_MAX = 128, TEXT_MAX = 256, TOPIC_BYTES = 1024 };

/* A pending call of the family. */
struct held {
    rpc_call *call;
    const char *box;
    bool is_unknown; /* it is to end with outcome_unknown */
    struct held *next;
};

struct relay {
    struct held *held;
    bool is_adopting; /* the handler runs for an adoption */
    int32_t runs, adopted, refused, progress;
};

/* ---- The family ---------------------------------------------------------------------------- */

struct relay_params {
    const char *text;
};

static const rpc_field params_fields[] = {
    RPC_STRING(struct relay_params, text, .doc = "A text to give back", .optional = true,
               .length = {1, TEXT_MAX}),
};
static const rpc_shape params_shape = RPC_OBJECT_SHAPE(struct relay_params, params_fields);

struct relayed {
    const char *box, *action, *text, *note;
    bool adopted, is_gone;
    int64_t left;
};

static const rpc_field relayed_fields[] = {
    RPC_STRING(struct relayed, box, .doc = "The level {box}", .length = {1, LEVEL_MAX}),
    RPC_STRING(struct relayed, action, .doc = "The level {action}", .length = {1, LEVEL_MAX}),
    RPC_STRING(struct relayed, text, .doc = "The parameter", .optional = true, .length = {1, TEXT_MAX}),
    RPC_STRING(struct relayed, note, .doc = "The caller's user property note", .optional = true,
               .length = {0, TEXT_MAX}),
    RPC_BOOL(struct relayed, adopted, .doc = "Whether the call was adopted"),
    RPC_BOOL(struct relayed, is_gone, .doc = "Whether the user property was gone when the call ended"),
    RPC_INT64(struct relayed, left, .doc = "Until its deadline, when it ended", .unit = "ms"),
};
static const rpc_shape relayed_shape = RPC_OBJECT_SHAPE(struct relayed, relayed_fields);

struct relay_step {
    const char *box;
    int32_t done;
};

static const rpc_field step_fields[] = {
    RPC_STRING(struct relay_step, box, .doc = "Whose calls it is about", .length = {1, LEVEL_MAX}),
    RPC_INT32(struct relay_step, done, .doc = "How many steps are done", .range = {0, 100}),
};
static const rpc_shape step_shape = RPC_OBJECT_SHAPE(struct relay_step, step_fields);

/* What relay.step takes need not fit the interim replies. */
static const rpc_field any_step_fields[] = {
    RPC_STRING(struct relay_step, box, .doc = "Whose calls it is about", .length = {1, LEVEL_MAX}),
    RPC_INT32(struct relay_step, done, .doc = "How many steps are done; interim replies have up to 100"),
};
static const rpc_shape any_step_shape = RPC_OBJECT_SHAPE(struct relay_step, any_step_fields);

struct relay_unknown {
    const char *box;
};

static const rpc_field unknown_fields[] = {
    RPC_STRING(struct relay_unknown, box, .doc = "The level {box}", .length = {1, LEVEL_MAX}),
};
static const rpc_shape unknown_shape = RPC_OBJECT_SHAPE(struct relay_unknown, unknown_fields);

static const rpc_error relay_errors[] = {
    {.code = "outcome_unknown", .doc = "The call was lost", .data = &unknown_shape},
    {.code = "timeout", .doc = "Nobody ended the call", .data = &unknown_shape},
    {.code = "cancelled", .doc = "Nobody waits for the call", .data = &unknown_shape},
    {.code = "overloaded", .doc = "Others wait", .data = &unknown_shape},
    {.code = "refused", .doc = "The action was refuse"},
};

static void fill(const rpc_call *call, struct relayed *relayed)
{
    char note[TEXT_MAX];
    relayed->left = rpc_call_left(call);
    relayed->is_gone = !rpc_caller_property(call, "note", note, sizeof note);
}

static rpc_status raise_unknown(rpc_call *call)
{
    const struct relay_unknown data = {rpc_call_level(call, "box")};
    return rpc_raise_with(call, "outcome_unknown", &data, "the box %s was lost", data.box);
}

static rpc_status hold(rpc_call *call, struct relay *relay, const char *action)
{
    struct held *held = rpc_alloc(call, sizeof *held);
    const rpc_status status = held ? rpc_defer(call, held) : RPC_INTERNAL_ERROR;
    if (status != RPC_PENDING)
        return status;
    *held = (struct held){.call = call, .box = rpc_call_level(call, "box"), .next = relay->held};
    relay->held = held;
    if (strcmp(action, "eager") == 0)
        relay->progress = (int32_t)rpc_progress(call, &(struct relay_step){held->box, 0});
    return status;
}

static rpc_status relay_run(rpc_call *call, void *state, const void *params, void *result)
{
    struct relay *relay = state;
    struct relayed *relayed = result;
    const char *action = rpc_call_level(call, "action");
    char note[TEXT_MAX] = "";
    relay->runs++;
    *relayed = (struct relayed){.box = rpc_call_level(call, "box"),
                                .action = action,
                                .text = ((const struct relay_params *)params)->text,
                                .adopted = relay->is_adopting};
    if (rpc_caller_property(call, "note", note, sizeof note))
        relayed->note = rpc_printf(call, "%s", note);
    fill(call, relayed);
    if (strcmp(action, "refuse") == 0)
        return rpc_raise(call, "refused", "the box %s refuses", relayed->box);
    if (strcmp(action, "lose") == 0)
        return raise_unknown(call);
    if (strcmp(action, "hasty") == 0)
        relay->progress = (int32_t)rpc_progress(call, &(struct relay_step){relayed->box, 0});
    return strcmp(action, "now") == 0 ? RPC_OK : hold(call, relay, action);
}

static rpc_status relay_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct relay *relay = state;
    const struct held *held = data;
    struct held **link = &relay->held;
    while (*link != held)
        link = &(*link)->next;
    *link = held->next;
    if (outcome != RPC_OK) {
        static const char *const codes[] = {
            [RPC_TIMEOUT] = "timeout", [RPC_CANCELLED] = "cancelled", [RPC_OVERLOADED] = "overloaded"};
        relay->progress = (int32_t)rpc_progress(call, &(struct relay_step){held->box, 100});
        return rpc_raise_with(call, codes[outcome], &(struct relay_unknown){held->box}, "box %s", held->box);
    }
    if (held->is_unknown)
        return raise_unknown(call);
    fill(call, result);
    return RPC_OK;
}

/* ---- What happens to its calls -------------------------------------------------------------- */

struct relay_count {
    int32_t calls, status;
};

static const rpc_field count_fields[] = {
    RPC_INT32(struct relay_count, calls, .doc = "How many calls it was about"),
    RPC_INT32(struct relay_count, status, .doc = "What the last rpc_progress() returned"),
};
static const rpc_shape count_shape = RPC_OBJECT_SHAPE(struct relay_count, count_fields);

static rpc_status relay_step(rpc_call *call, void *state, const void *params, void *result)
{
    struct relay *relay = state;
    const struct relay_step *given = params;
    struct relay_count *count = result;
    (void)call;
    for (const struct held *held = relay->held; held; held = held->next) {
        if (strcmp(held->box, given->box) != 0)
            continue;
        count->calls++;
        relay->progress = count->status = (int32_t)rpc_progress(held->call, given);
    }
    return RPC_OK;
}

struct relay_end {
    const char *box;
    bool unknown;
};

static const rpc_field end_fields[] = {
    RPC_STRING(struct relay_end, box, .doc = "Whose calls it ends", .length = {1, LEVEL_MAX}),
    RPC_BOOL(struct relay_end, unknown, .doc = "Whether they end with outcome_unknown",
             .default_json = "false"),
};
static const rpc_shape end_shape = RPC_OBJECT_SHAPE(struct relay_end, end_fields);

static struct held *find(const struct relay *relay, const char *box)
{
    struct held *held = relay->held;
    while (held && strcmp(held->box, box) != 0)
        held = held->next;
    return held;
}

static rpc_status relay_end(rpc_call *call, void *state, const void *params, void *result)
{
    const struct relay_end *given = params;
    struct relay_count *count = result;
    struct held *held;
    (void)call;
    while ((held = find(state, given->box))) {
        held->is_unknown = given->unknown;
        rpc_resume(held->call);
        count->calls++;
    }
    return RPC_OK;
}

struct relay_stats {
    int32_t runs, adopted, refused, progress;
};

static const rpc_field stats_fields[] = {
    RPC_INT32(struct relay_stats, runs, .doc = "How often the family's handler ran"),
    RPC_INT32(struct relay_stats, adopted, .doc = "How many messages were adopted"),
    RPC_INT32(struct relay_stats, refused, .doc = "How many could not be"),
    RPC_INT32(struct relay_stats, progress, .doc = "What the last rpc_progress() returned"),
};
static const rpc_shape stats_shape = RPC_OBJECT_SHAPE(struct relay_stats, stats_fields);

static rpc_status relay_stats(rpc_call *call, void *state, const void *params, void *result)
{
    const struct relay *relay = state;
    (void)call, (void)params;
    *(struct relay_stats *)result =
        (struct relay_stats){relay->runs, relay->adopted, relay->refused, relay->progress};
    return RPC_OK;
}

static const rpc_method methods[] = {
    {
        .name = "relay/{box}/{action}",
        .doc = "Waits for relay.end; the actions now, refuse and lose do not.",
        .params = &params_shape,
        .result = &relayed_shape,
        .progress = &step_shape,
        .errors = RPC_TABLE(relay_errors),
        .run = relay_run,
        .defers = true,
        .done = relay_done,
    },
    {
        .name = "firm/{box}/{action}",
        .doc = "Likewise, also when its caller goes away.",
        .params = &params_shape,
        .result = &relayed_shape,
        .progress = &step_shape,
        .errors = RPC_TABLE(relay_errors),
        .run = relay_run,
        .defers = true,
        .done = relay_done,
        .must_finish = true,
    },
    {
        .name = "relay.step",
        .doc = "Sends interim replies to the calls of a box.",
        .params = &any_step_shape,
        .result = &count_shape,
        .run = relay_step,
    },
    {
        .name = "relay.end",
        .doc = "Ends the calls of a box.",
        .params = &end_shape,
        .result = &count_shape,
        .run = relay_end,
    },
    {
        .name = "relay.stats",
        .doc = "Tells what has happened.",
        .read_only = true,
        .result = &stats_shape,
        .run = relay_stats,
    },
};

/* ---- Inboxes ------------------------------------------------------------------------------- */

/*
 * Adopts a message at {box}/…/{action}/{id}. Without a Response Topic the reply goes to
 * {root}/{box}/resp/{id}, and the level {id} is the identity.
 */
static rpc_inbox_verdict adopt(rpc_instance *instance, void *state, const rpc_message *message,
                               bool errors_only)
{
    struct relay *relay = state;
    char method[TOPIC_BYTES], reply_topic[TOPIC_BYTES];
    const char *box = rpc_message_level(message, 1), *id = rpc_message_level(message, 3);
    const bool has_topic = message->response_topic;
    snprintf(method, sizeof method, "relay/%s/%s", box, rpc_message_level(message, 2));
    snprintf(reply_topic, sizeof reply_topic, "%s/%s/resp/%s", rpc_inbox_root(instance), box, id);
    relay->is_adopting = true;
    const bool is_taken =
        rpc_adopt(instance, message,
                  &(const rpc_adoption){
                      .method = method,
                      .params = message->payload,
                      .params_size = message->size,
                      .reply_topic = has_topic ? message->response_topic : reply_topic,
                      .correlation = has_topic ? message->correlation : id,
                      .correlation_size = has_topic ? message->correlation_size : strlen(id),
                      .errors_only = errors_only,
                  });
    relay->is_adopting = false;
    relay->adopted += is_taken;
    relay->refused += !is_taken;
    return is_taken ? RPC_INBOX_CONSUME : RPC_INBOX_PASS;
}

static rpc_inbox_verdict receive_ask(rpc_instance *instance, void *state, const rpc_message *message)
{
    return adopt(instance, state, message, false);
}

static rpc_inbox_verdict receive_quiet(rpc_instance *instance, void *state, const rpc_message *message)
{
    return adopt(instance, state, message, true);
}

static const rpc_inbox inboxes[] = {
    {.topic = "+/ask/+/+", .doc = "Adopts a message: {box}/ask/{action}/{id}", .receive = receive_ask},
    {.topic = "+/quiet/+/+", .doc = "Likewise, with replies to errors only", .receive = receive_quiet},
};

static const rpc_field options_fields[] = {
    RPC_STRING(struct relay_options, root, .doc = "The root of the inboxes, or none",
               .default_json = "\"none\"", .length = {1, LEVEL_MAX}),
};
static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct relay_options, options_fields);

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    const char *root = ((const struct relay_options *)options)->root;
    (void)state;
    return rpc_inbox_set_root(instance, strcmp(root, "none") == 0 ? NULL : root);
}

RPC_MODULE(relay, .doc = "Adopted calls and interim replies, for tests.", .state_size = sizeof(struct relay),
           .options = &options_shape, .methods = RPC_TABLE(methods), .inboxes = RPC_TABLE(inboxes),
           .inbox_root = "relay", .init = init);
