// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The built-in module `dead`: see letters.h. */
#include "observe/letters.h"

#include "base/text.h"
#include "call/answer.h"
#include "call/engine_parts.h"
#include "call/receive.h"
#include "shape/codec_json.h"

#include <stdlib.h>
#include <string.h>

enum { LETTERS_SHOWN = 256 /* bytes of a text in a list */ };

/* ---- One letter ---- */

struct letters_which {
    const char *id;
};

#define ID_FIELD(type) RPC_STRING(type, id, .doc = "the id of the letter", .length = {1, DEAD_ID - 1})

static const rpc_field which_fields[] = {ID_FIELD(struct letters_which)};

static const rpc_shape which_shape = RPC_OBJECT_SHAPE(struct letters_which, which_fields);

#define UNKNOWN                                                                                           \
    {                                                                                                     \
        .code = "letter_unknown", .doc = "there is no letter of this id: it never was, was dropped, was " \
                                         "replayed with success, or made room for newer ones"             \
    }

static const rpc_error which_errors[] = {UNKNOWN};

static rpc_status letters_raise_unknown(rpc_call *call)
{
    return rpc_raise(call, "letter_unknown", "there is no dead letter of this id");
}

/* Whether a result fits into a reply, of which a part is left for what stands around the result. */
static bool letters_fit(rpc_call *call, const rpc_shape *shape, const void *result)
{
    enum { AROUND = 1024, PART = 8 }; /* bytes at most, and of max_reply */
    struct writer writer = answer_writer(call->engine, &codec_json);
    const size_t around = writer.capacity / PART;
    char why[FIELDS_WHY];
    writer.capacity -= around < AROUND ? around : AROUND;
    return fields_encode(shape, result, &writer, why) == RPC_OK && !writer.full;
}

/* A letter that does not fit goes without the parameters, and, if it must, without the other texts that
 * clients have written. */
static rpc_status letters_get(rpc_call *call, void *state, const void *params, void *result)
{
    const struct dead_letter *letter =
        dead_find(&call->engine->dead, ((const struct letters_which *)params)->id);
    struct dead_view *view = result;
    (void)state;
    if (!letter)
        return letters_raise_unknown(call);
    if (!dead_show(letter, &call->arena, view))
        return RPC_INTERNAL_ERROR;
    if ((view->params.text || view->payload) && !letters_fit(call, &dead_shape, view))
        dead_leave_out(view);
    if (!letters_fit(call, &dead_shape, view))
        view->caller = view->user = view->msg = NULL;
    return RPC_OK;
}

/* ---- dead.list ---- */

struct letters_wanted {
    const char *method, *err, *after;
    int32_t limit;
};

static const rpc_field wanted_fields[] = {
    RPC_STRING(struct letters_wanted, method, .doc = "only letters of this method, as it was called",
               .optional = true, .length = {1, TOPIC_CALLED_MAX}),
    RPC_STRING(struct letters_wanted, err, .doc = "only letters with this error", .optional = true,
               .length = {1, DEAD_ERR - 1}),
    RPC_INT32(struct letters_wanted, limit,
              .doc =
                  "largest number of letters in the result; there are fewer if they do not fit into a reply",
              .default_json = "100", .range = {1, DEAD_MAX}),
    RPC_STRING(struct letters_wanted, after,
               .doc =
                   "only letters that are older than this one: `next` of the former page; without it, from "
                   "the newest on",
               .optional = true, .length = {1, DEAD_ID - 1}),
};

static const rpc_shape wanted_shape = RPC_OBJECT_SHAPE(struct letters_wanted, wanted_fields);

/* Its texts are cut, so that no client can make lists too large. */
struct letters_row {
    const char *id, *method, *caller, *user, *err, *msg;
    double arrived;
    int32_t replays;
};

static const rpc_field row_fields[] = {
    ID_FIELD(struct letters_row),
    RPC_STRING(struct letters_row, method, .doc = "the method, as it was called",
               .length = {1, TOPIC_CALLED_MAX}),
    RPC_STRING(struct letters_row, caller,
               .doc = "the client id of the caller, as far as it is known; cut at 256 bytes",
               .optional = true, .length = {0, LETTERS_SHOWN}),
    RPC_STRING(struct letters_row, user, .doc = "the user name of the caller; likewise", .optional = true,
               .length = {0, LETTERS_SHOWN}),
    RPC_DOUBLE(struct letters_row, arrived, .doc = "when the call arrived, Unix time", .unit = "s"),
    RPC_STRING(struct letters_row, err, .doc = "the code of the error", .length = {1, DEAD_ERR - 1}),
    RPC_STRING(struct letters_row, msg, .doc = "the error in words; cut at 256 bytes", .optional = true,
               .length = {0, LETTERS_SHOWN}),
    RPC_INT32(struct letters_row, replays, .doc = "how often the call was run again, and failed again"),
};

static const rpc_shape row_shape = RPC_OBJECT_SHAPE(struct letters_row, row_fields);

struct letters_page {
    const struct letters_row *letters;
    size_t count;
    const char *next;
    int32_t total;
};

static const rpc_field page_fields[] = {
    RPC_OBJECT_ARRAY(struct letters_page, letters, count, struct letters_row,
                     .doc = "the letters, the newest first", .items = {0, DEAD_MAX}, .shape = &row_shape),
    RPC_STRING(struct letters_page, next, .doc = "there may be older letters: those `after` this one",
               .optional = true, .length = {1, DEAD_ID - 1}),
    RPC_INT32(struct letters_page, total, .doc = "the number of all letters"),
};

static const rpc_shape page_shape = RPC_OBJECT_SHAPE(struct letters_page, page_fields);

static bool letters_match(const struct dead_letter *letter, const char *method, const char *err)
{
    return (!method || strcmp(letter->report.method, method) == 0) && (!err || strcmp(letter->err, err) == 0);
}

/* The number in the id of a letter, which need not be there any more. Returns false: it is no id of this run.
 */
static bool letters_read_number(const struct dead *dead, const char *id, uint64_t *number)
{
    const char *dash = strchr(id, '-');
    char same[DEAD_ID];
    *number = dash ? strtoull(dash + 1, NULL, 10) : 0;
    dead_write_id(dead, *number, same);
    return *number <= dead->number && strcmp(id, same) == 0;
}

/* A text as a row shows it. NULL: there is none, or no memory. */
static const char *letters_cut(rpc_call *call, const char *text)
{
    const size_t length = text ? text_cut(text, LETTERS_SHOWN) : 0;
    return !text || !text[length] ? text : arena_copy(&call->arena, text, length);
}

static struct letters_row letters_make_row(rpc_call *call, const struct dead_letter *letter)
{
    const struct dead_report *report = &letter->report;
    return (struct letters_row){
        .id = letter->id,
        .method = report->method,
        .caller = letters_cut(call, report->client.id),
        .user = letters_cut(call, report->client.user),
        .err = letter->err,
        .msg = letters_cut(call, letter->msg),
        .arrived = report->arrived,
        .replays = letter->replays,
    };
}

/* A page that does not fit into a reply is shorter; a single letter goes without the texts that clients have
 * written, since no page behind it could be asked for otherwise. */
static void letters_shorten(rpc_call *call, struct letters_page *page, struct letters_row *rows)
{
    for (; page->count > 1 && !letters_fit(call, &page_shape, page); page->next = rows[page->count - 1].id)
        page->count /= 2;
    if (page->count == 1 && !letters_fit(call, &page_shape, page))
        rows->caller = rows->user = rows->msg = NULL;
}

static rpc_status letters_list(rpc_call *call, void *state, const void *params, void *result)
{
    const struct dead *dead = &call->engine->dead;
    const struct letters_wanted *wanted = params;
    struct letters_page *page = result;
    uint64_t after = UINT64_MAX;
    struct letters_row *rows = rpc_alloc(call, (size_t)wanted->limit * sizeof *rows);
    (void)state;
    if (wanted->after && !letters_read_number(dead, wanted->after, &after))
        return letters_raise_unknown(call);
    if (!rows)
        return RPC_INTERNAL_ERROR;
    page->letters = rows;
    page->total = (int32_t)dead->count;
    const struct dead_letter *letter = dead->letters ? dead->letters->prev : NULL, *last = NULL;
    while (letter && page->count < (size_t)wanted->limit) {
        if (letter->number < after && letters_match(letter, wanted->method, wanted->err))
            rows[page->count++] = letters_make_row(call, letter);
        last = letter;
        letter = letter == dead->letters ? NULL : letter->prev;
    }
    page->next = letter && last ? last->id : NULL;
    letters_shorten(call, page, rows);
    return RPC_OK;
}

/* ---- dead.replay ---- */

struct letters_replayed {
    const char *id, *status, *msg;
    int32_t replays;
};

static const rpc_field replayed_fields[] = {
    ID_FIELD(struct letters_replayed),
    RPC_STRING(struct letters_replayed, status,
               .doc = "`ok`: the call has succeeded, and the letter is gone; else the code of its error",
               .length = {1, DEAD_ERR - 1}),
    RPC_STRING(struct letters_replayed, msg, .doc = "that error in words", .optional = true,
               .length = {0, DEAD_MSG_MAX}),
    RPC_INT32(struct letters_replayed, replays, .doc = "how often the call was run again, and failed again"),
};

static const rpc_shape replayed_shape = RPC_OBJECT_SHAPE(struct letters_replayed, replayed_fields);

static const rpc_error replay_errors[] = {
    UNKNOWN,
    {.code = "not_replayable",
     .doc =
         "the letter has no parameters: they were too large, dead_payload is false, or no call could be made "
         "of the message"},
    {.code = "replay_running", .doc = "a replay of the letter has not ended yet"},
};

/* A call of dead.replay, in its memory. */
struct letters_waiter {
    rpc_call *call;
    struct dead_letter *letter; /* NULL: its replay is over */
    struct letters_replayed *result;
    bool is_pending;
    char id[DEAD_ID], status[DEAD_ERR];
};

static void letters_on_replayed(void *context, const struct dead_letter *letter)
{
    struct letters_waiter *waiter = context;
    waiter->letter = NULL;
    memcpy(waiter->id, letter->id, sizeof waiter->id);
    memcpy(waiter->status, letter->err, sizeof waiter->status);
    *waiter->result = (struct letters_replayed){
        .id = waiter->id,
        .status = waiter->status,
        .msg = letter->msg ? rpc_printf(waiter->call, "%s", letter->msg) : NULL,
        .replays = letter->replays,
    };
    if (waiter->is_pending)
        rpc_resume(waiter->call);
}

/* What runs at once is over when receive_replay() returns. */
static rpc_status letters_wait(rpc_call *call, struct letters_waiter *waiter)
{
    if (!waiter->letter)
        return RPC_OK;
    const rpc_status status = rpc_defer(call, waiter);
    waiter->is_pending = status == RPC_PENDING;
    if (!waiter->is_pending)
        waiter->letter->replayed = NULL;
    return status == RPC_OVERLOADED
               ? rpc_raise(call, "overloaded",
                           "the replay goes on, but too many calls wait already: dead.get "
                           "shows whether it has failed")
               : status;
}

static rpc_status letters_replay(rpc_call *call, void *state, const void *params, void *result)
{
    struct dead_letter *letter = dead_find(&call->engine->dead, ((const struct letters_which *)params)->id);
    (void)state;
    if (!letter)
        return letters_raise_unknown(call);
    if (!dead_can_be_replayed(letter))
        return rpc_raise(call, "not_replayable", "the letter has no parameters to run its call again with");
    if (letter->is_replayed)
        return rpc_raise(call, "replay_running", "a replay of the letter has not ended yet");
    struct letters_waiter *waiter = rpc_alloc(call, sizeof *waiter);
    if (!waiter)
        return RPC_INTERNAL_ERROR;
    *waiter = (struct letters_waiter){.call = call, .letter = letter, .result = result};
    letter->replayed = letters_on_replayed;
    letter->context = waiter;
    receive_replay(call->engine, letter);
    return letters_wait(call, waiter);
}

/* The replay goes on when its caller has left. */
static rpc_status letters_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct letters_waiter *waiter = data;
    (void)call, (void)state, (void)result;
    if (waiter->letter)
        waiter->letter->replayed = NULL;
    return outcome;
}

/* ---- dead.drop ---- */

struct letters_unwanted {
    const char *id, *method;
};

static const rpc_field unwanted_fields[] = {
    RPC_STRING(struct letters_unwanted, id, .doc = "only the letter of this id", .optional = true,
               .length = {1, DEAD_ID - 1}),
    RPC_STRING(struct letters_unwanted, method, .doc = "only letters of this method, as it was called",
               .optional = true, .length = {1, TOPIC_CALLED_MAX}),
};

static const rpc_shape unwanted_shape = RPC_OBJECT_SHAPE(struct letters_unwanted, unwanted_fields);

struct letters_dropped {
    int32_t dropped;
};

static const rpc_field dropped_fields[] = {
    RPC_INT32(struct letters_dropped, dropped, .doc = "how many letters were dropped"),
};

static const rpc_shape dropped_shape = RPC_OBJECT_SHAPE(struct letters_dropped, dropped_fields);

static rpc_status letters_drop(rpc_call *call, void *state, const void *params, void *result)
{
    struct dead *dead = &call->engine->dead;
    const struct letters_unwanted *unwanted = params;
    struct dead_letter *letter, *next;
    (void)state;
    for (letter = dead->letters; letter; letter = next) {
        next = letter->next;
        if ((unwanted->id && strcmp(letter->id, unwanted->id) != 0) ||
            !letters_match(letter, unwanted->method, NULL))
            continue;
        dead_remove(dead, letter);
        ((struct letters_dropped *)result)->dropped++;
    }
    return RPC_OK;
}

/* ---- The module ---- */

static rpc_status letters_init(rpc_instance *instance, void *state, const void *options)
{
    (void)state, (void)options;
    instance->engine->dead.reader = instance;
    return RPC_OK;
}

static const rpc_method methods[] = {
    {
        .name = "dead.list",
        .doc = "Lists the dead letters: calls that failed with nobody to tell, and commands that devices did "
               "not carry out.",
        .read_only = true,
        .params = &wanted_shape,
        .result = &page_shape,
        .errors = RPC_TABLE(which_errors),
        .run = letters_list,
    },
    {
        .name = "dead.get",
        .doc = "Returns a dead letter in full.",
        .read_only = true,
        .params = &which_shape,
        .result = &dead_shape,
        .errors = RPC_TABLE(which_errors),
        .run = letters_get,
    },
    {
        .name = "dead.replay",
        .doc =
            "Runs the call of a dead letter again, in the name of its caller, and returns what it came to. A "
            "success removes the letter.",
        .params = &which_shape,
        .result = &replayed_shape,
        .errors = RPC_TABLE(replay_errors),
        .run = letters_replay,
        .defers = true,
        .done = letters_done,
        .timeout = ENV_TIMEOUT_MAX, /* the deadline of the call that runs again comes first */
    },
    {
        .name = "dead.drop",
        .doc = "Drops dead letters: all that fit what is given.",
        .idempotent = true,
        .params = &unwanted_shape,
        .result = &dropped_shape,
        .run = letters_drop,
    },
};

RPC_MODULE(dead, .doc = "What failed with nobody to tell: dead letters.", .methods = RPC_TABLE(methods),
           .init = letters_init);
