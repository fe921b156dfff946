// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The table of dead letters: see dead.h. */
#include "call/dead.h"

#include "base/text.h"
#include "call/topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- What letters show ---- */

enum { DEAD_TEXT_MAX = 65535, DEAD_PAYLOAD_MAX = 22369622 /* of max_payload bytes at most, in base64 */ };

static const rpc_field dead_fields[] = {
    RPC_STRING(struct dead_view, id, .doc = "the id of the letter", .length = {1, DEAD_ID - 1}),
    RPC_STRING(struct dead_view, method, .doc = "the method, as it was called",
               .length = {1, TOPIC_CALLED_MAX}),
    RPC_JSON(struct dead_view, params, .doc = "its parameters", .optional = true),
    RPC_STRING(struct dead_view, payload,
               .doc = "in their place, in base64: the payload of a method that takes raw bytes, or one from "
                      "which no call could be made",
               .optional = true, .length = {0, DEAD_PAYLOAD_MAX}),
    RPC_STRING(struct dead_view, caller, .doc = "the client id of the caller, as far as it is known",
               .optional = true, .length = {0, DEAD_TEXT_MAX}),
    RPC_STRING(struct dead_view, user, .doc = "the user name of the caller", .optional = true,
               .length = {0, DEAD_TEXT_MAX}),
    RPC_DOUBLE(struct dead_view, arrived, .doc = "when the call arrived, Unix time", .unit = "s"),
    RPC_STRING(struct dead_view, err, .doc = "the code of the error", .length = {1, DEAD_ERR - 1}),
    RPC_STRING(struct dead_view, msg, .doc = "the error in words", .optional = true,
               .length = {0, DEAD_TEXT_MAX}),
    RPC_STRING(struct dead_view, trace, .doc = "the traceparent under which its events and its reply left",
               .optional = true, .length = {0, DEAD_TEXT_MAX}),
    RPC_INT32(struct dead_view, replays, .doc = "how often the call was run again, and failed again",
              .optional = true, .flag = RPC_FLAG(struct dead_view, has_replays)),
    RPC_BOOL(struct dead_view, left_out,
             .doc =
                 "its parameters or its payload are left out here, since this would be over max_reply with "
                 "them; dead.replay has them",
             .optional = true, .flag = RPC_FLAG(struct dead_view, has_left_out)),
};

const rpc_shape dead_shape = RPC_OBJECT_SHAPE(struct dead_view, dead_fields);

bool dead_show(const struct dead_letter *letter, struct arena *arena, struct dead_view *view)
{
    const struct dead_report *report = &letter->report;
    *view = (struct dead_view){
        .id = letter->id,
        .method = report->method,
        .caller = report->client.id,
        .user = report->client.user,
        .arrived = report->arrived,
        .err = letter->err,
        .msg = letter->msg,
        .trace = report->trace,
        .replays = letter->replays,
        .has_replays = letter->replays,
    };
    if (report->content == DEAD_PARAMS)
        view->params.text = report->text;
    if (report->content == DEAD_PARAMS || report->content == DEAD_NOTHING)
        return true;
    char *payload = arena_take(arena, TEXT_BASE64(report->size));
    if (payload)
        view->payload = text_base64(report->text, report->size, payload);
    return payload;
}

/* ---- The table ---- */

void dead_init(struct dead *dead, uint64_t seed)
{
    *dead = (struct dead){.run = (uint32_t)(seed ^ seed >> 32)};
}

static void dead_free(struct dead_letter *letter)
{
    free(letter->msg);
    free(letter);
}

void dead_remove(struct dead *dead, struct dead_letter *letter)
{
    DL_DELETE(dead->letters, letter);
    dead->count--;
    dead->bytes -= letter->bytes;
    letter->is_removed = true;
    if (!letter->is_replayed)
        dead_free(letter);
}

void dead_clear(struct dead *dead)
{
    while (dead->letters)
        dead_remove(dead, dead->letters);
}

static size_t dead_text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Notes why the call has failed. The letter's bytes must not be in the table's sum meanwhile. */
static void dead_set_failure(struct dead_letter *letter, const char *err, const char *msg)
{
    letter->bytes -= dead_text_size(letter->msg);
    free(letter->msg);
    letter->msg = msg ? strndup(msg, text_cut(msg, DEAD_MSG_MAX - 1)) : NULL;
    letter->bytes += dead_text_size(letter->msg);
    snprintf(letter->err, sizeof letter->err, "%s", err);
}

/* Copies a text to *at, which then is behind it. NULL stays NULL. */
static const char *dead_copy(char **at, const char *text, size_t size)
{
    if (!text)
        return NULL;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

/* The text, or NULL if JSON cannot have it. */
static const char *dead_utf8(const char *text)
{
    size_t characters;
    return text && text_is_utf8(text, &characters) ? text : NULL;
}

/* A letter that has copies of what the report says. NULL: no memory. */
static struct dead_letter *dead_make(const struct dead_report *report)
{
    const struct host_client *client = &report->client;
    const char *id = dead_utf8(client->id), *user = dead_utf8(client->user);
    const size_t method_size = strlen(report->method) + 1, address_size = dead_text_size(client->address);
    const size_t id_size = dead_text_size(id), user_size = dead_text_size(user);
    const size_t trace_size = dead_text_size(report->trace);
    const size_t fixed =
        sizeof(struct dead_letter) + method_size + id_size + user_size + address_size + trace_size + 1;
    if (fixed > DEAD_BYTES_MAX / 2)
        return NULL; /* names of this size are none of MQTT's */
    const bool is_kept = report->text && report->size <= (size_t)DEAD_BYTES_MAX - DEAD_MSG_MAX - fixed;
    const size_t size = is_kept ? report->size : 0;
    struct dead_letter *letter = malloc(fixed + size);
    if (!letter)
        return NULL;
    *letter = (struct dead_letter){.report = *report, .bytes = fixed + size};
    struct dead_report *own = &letter->report;
    char *at = letter->memory;
    own->method = dead_copy(&at, report->method, method_size);
    own->client.id = dead_copy(&at, id, id_size);
    own->client.user = dead_copy(&at, user, user_size);
    own->client.address = dead_copy(&at, client->address, address_size);
    own->client.connection = NULL;
    own->trace = dead_copy(&at, report->trace, trace_size);
    own->text = is_kept ? dead_copy(&at, report->text, size) : NULL;
    own->size = size;
    own->content = is_kept ? report->content : DEAD_NOTHING;
    *at = '\0';
    return letter;
}

/* One letter is never too large for the table. */
static void dead_trim(struct dead *dead)
{
    while (dead->count > DEAD_MAX || dead->bytes > DEAD_BYTES_MAX)
        dead_remove(dead, dead->letters);
}

void dead_write_id(const struct dead *dead, uint64_t number, char id[DEAD_ID])
{
    snprintf(id, DEAD_ID, "%08" PRIx32 "-%" PRIu64, dead->run, number);
}

struct dead_letter *dead_add(struct dead *dead, const struct dead_report *report, const char *err,
                             const char *msg)
{
    struct dead_letter *letter = dead_make(report);
    if (!letter)
        return NULL;
    dead_set_failure(letter, err, msg);
    letter->number = ++dead->number;
    dead_write_id(dead, letter->number, letter->id);
    DL_APPEND(dead->letters, letter);
    dead->count++;
    dead->bytes += letter->bytes;
    dead_trim(dead);
    return letter;
}

struct dead_letter *dead_find(const struct dead *dead, const char *id)
{
    struct dead_letter *letter;
    DL_FOREACH(dead->letters, letter)
    {
        if (strcmp(letter->id, id) == 0)
            return letter;
    }
    return NULL;
}

void dead_end_replay(struct dead *dead, struct dead_letter *letter, rpc_status status, const char *err,
                     const char *msg)
{
    const bool is_there = !letter->is_removed;
    if (is_there)
        dead->bytes -= letter->bytes;
    dead_set_failure(letter, err, msg);
    letter->replays += status != RPC_OK;
    if (is_there)
        dead->bytes += letter->bytes;
    dead_trim(dead);
    if (letter->replayed)
        letter->replayed(letter->context, letter);
    letter->replayed = NULL;
    letter->is_replayed = false;
    if (letter->is_removed)
        dead_free(letter);
    else if (status == RPC_OK)
        dead_remove(dead, letter);
}
