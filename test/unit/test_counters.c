// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The counters calls and errors: every call counts once, and as an error if its caller did not get its
 * result. A result that does not fit max_reply or its own shape is such an error.
 */
#include "lab.h"
#include "unit.h"

#include <string.h>

enum { TEXT_MAX = 100001 }; /* a character more than the shape of act's result allows */

static struct rig rig;
static struct lab_options options;
static char text[TEXT_MAX + 1];
static int runs, failing_run;

static void open_rig(void)
{
    runs = failing_run = 0;
    rig_init(&rig);
}

static void close_rig(void)
{
    rig_close(&rig);
}

/* Returns the text; the failing run returns an error instead. */
static rpc_status act(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    if (++runs == failing_run)
        return rpc_raise(call, "plain", "no");
    ((struct lab_text *)result)->text = text;
    return RPC_OK;
}

static void start(size_t characters)
{
    memset(text, 'x', characters);
    text[characters] = '\0';
    rig.options.max_reply = 200;
    rig.options.jsonrpc_methods = "*";
    lab_start(&rig, &options, act);
    rig_open_methods(&rig);
}

static void check_counted(uint64_t calls, uint64_t errors)
{
    ck_assert_uint_eq(engine_counters(rig.engine)->calls, calls);
    ck_assert_uint_eq(engine_counters(rig.engine)->errors, errors);
}

#define REQUEST "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"act\"}"
#define NOTE "{\"jsonrpc\":\"2.0\",\"method\":\"act\"}"

static const struct sample {
    const char *topic, *payload;
    size_t characters; /* of the text that each call returns */
    int messages, failing_run;
    uint64_t calls, errors;
    const char *status; /* of each reply */
} samples[] = {
    /* Each result fits. */
    {"rpc/call/act", "{}", 20, 5, 0, 5, 0, "ok"},
    {"rpc/batch/act", "[{},{},{},{},{}]", 5, 1, 0, 5, 0, "ok"},
    {"rpc/batch/act", "[{},{},{},{},{}]", 5, 1, 3, 5, 1, "ok"},
    /* No result fits max_reply. */
    {"rpc/call/act", "{}", 300, 5, 0, 5, 5, "reply_too_large"},
    {"rpc/batch/act", "[{},{},{},{},{}]", 300, 1, 0, 5, 5, "reply_too_large"},
    {"rpc/jsonrpc", REQUEST, 300, 5, 0, 5, 5, "reply_too_large"},
    /* Some results fit, but the batch as a whole does not: its caller gets none of them. */
    {"rpc/batch/act", "[{},{},{},{},{}]", 100, 1, 0, 5, 5, "reply_too_large"},
    {"rpc/batch/act", "[{},{},{},{},{}]", 60, 1, 0, 5, 5, "reply_too_large"},
    {"rpc/batch/act", "[{},{},{},{},{}]", 100, 1, 1, 5, 5, "reply_too_large"},
    {"rpc/batch/act", "[{},{},{},{},{}]", 100, 1, 5, 5, 5, "reply_too_large"},
    {"rpc/jsonrpc", "[" REQUEST "," REQUEST "," REQUEST "]", 50, 1, 0, 3, 3, "reply_too_large"},
    /* A notification has no result that its caller could miss. */
    {"rpc/jsonrpc", "[" REQUEST "," REQUEST "," REQUEST "," NOTE "]", 50, 1, 0, 4, 3, "reply_too_large"},
    /* No result fits its shape. */
    {"rpc/call/act", "{}", TEXT_MAX, 5, 0, 5, 5, "internal_error"},
    {"rpc/batch/act", "[{}]", TEXT_MAX, 5, 0, 5, 5, "ok"},
    {"rpc/jsonrpc", REQUEST, TEXT_MAX, 5, 0, 5, 5, "internal_error"},
};

START_TEST(each_call_counts_once)
{
    const struct sample *row = &samples[_i];
    failing_run = row->failing_run;
    start(row->characters);
    for (int i = 0; i < row->messages; i++)
        rig_send(&rig, row->topic, row->payload, "r", NULL);
    ck_assert_uint_eq(rig.host.replies.count, (size_t)row->messages);
    for (int i = 0; i < row->messages; i++)
        ck_assert_str_eq(rig.host.replies.kept[i].status, row->status);
    check_counted(row->calls, row->errors);
}
END_TEST

UNIT_MAIN("counters", open_rig, close_rig, {each_call_counts_once, UNIT_ROWS(samples)})
