// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * core/shape/codec.h: a second codec, which is defined here, in place of JSON. Its format has brackets,
 * upper-case letters and values that end with a semicolon: <N=1;WHAT='TEXT';LIST=(1;2;NIL;)>. Handlers, field
 * tables and JSON-RPC are the same; nothing of JSON is in a reply, and events stay JSON.
 */
#include "call/engine_parts.h"
#include "lab.h"
#include "shape/json.h"
#include "shape/writer.h"
#include "unit.h"
#include "works.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Writing ---- */

static void put(struct writer *writer, const char *text)
{
    for (; *text; text++) {
        const char upper = (char)toupper((unsigned char)*text);
        writer_bytes(writer, &upper, 1);
    }
}

static void begin(struct writer *writer, bool is_object)
{
    put(writer, is_object ? "<" : "(");
}

static void end(struct writer *writer, bool is_object)
{
    put(writer, is_object ? ">" : ")");
}

static void put_name(struct writer *writer, const char *name)
{
    put(writer, name);
    put(writer, "=");
}

static void put_string(struct writer *writer, const char *text)
{
    put(writer, "'");
    put(writer, text);
    put(writer, "';");
}

static void put_integer(struct writer *writer, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%lld;", (long long)number);
    put(writer, text);
}

static void put_double(struct writer *writer, double number)
{
    char text[32];
    snprintf(text, sizeof text, "%.15g;", number);
    put(writer, text);
}

static void put_bool(struct writer *writer, bool value)
{
    put(writer, value ? "yes;" : "no;");
}

static void put_null(struct writer *writer)
{
    put(writer, "nil;");
}

/* JSON text is converted. */
static void put_json(struct writer *writer, const char *text)
{
    struct json_error error;
    struct arena arena;
    arena_init(&arena);
    writer_tree(writer, json_parse(text, strlen(text), &arena, &error));
    arena_fini(&arena);
}

/* ---- Reading ---- */

struct reader {
    const char *at;
    struct arena *arena;
};

/* The text before a mark, in lower case. */
static char *take_text(struct reader *reader, char mark)
{
    const char *end = strchr(reader->at, mark);
    ck_assert_ptr_nonnull(end);
    char *text = arena_copy(reader->arena, reader->at, (size_t)(end - reader->at));
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    reader->at = end + 1;
    return text;
}

static cJSON *take_value(struct reader *reader)
{
    cJSON *node = arena_alloc(reader->arena, sizeof *node);
    const char mark = *reader->at;
    const char closing = mark == '<' ? '>' : ')';
    if (mark != '<' && mark != '(') {
        char *text = take_text(reader, ';');
        node->type = mark == '\'' ? cJSON_String : isdigit((unsigned char)mark) ? cJSON_Number : cJSON_NULL;
        node->valuedouble = strtod(text, NULL);
        if (mark == '\'') {
            node->valuestring = text + 1;
            text[strlen(text) - 1] = '\0';
        }
        return node;
    }
    node->type = mark == '<' ? cJSON_Object : cJSON_Array;
    for (reader->at++; *reader->at != closing;) {
        char *name = mark == '<' ? take_text(reader, '=') : NULL;
        cJSON *child = take_value(reader);
        child->string = name;
        cJSON_AddItemToArray(node, child);
    }
    reader->at++;
    return node;
}

static cJSON *parse(const char *bytes, size_t size, struct arena *arena, struct json_error *error)
{
    struct reader reader = {bytes, arena};
    *error = (struct json_error){.fault = JSON_FINE};
    if (strchr("<(", *bytes)) {
        cJSON *tree = take_value(&reader);
        ck_assert_ptr_eq(reader.at, bytes + size);
        return tree;
    }
    *error = (struct json_error){.fault = JSON_BROKEN, .why = "the payload has no bracket"};
    return NULL;
}

static const struct codec brackets = {
    .content_type = "text/brackets",
    .parse = parse,
    .begin = begin,
    .end = end,
    .name = put_name,
    .string = put_string,
    .integer = put_integer,
    .floating = put_double,
    .boolean = put_bool,
    .null = put_null,
    .json = put_json,
    .splice = writer_bytes,
};

/* ---- The engine with it ---- */

static struct rig rig;
static struct lab_options options;

static rpc_status fail_with_data(rpc_call *call, void *state, const void *params, void *result)
{
    const struct lab_trouble trouble = {"heat", 3};
    (void)state, (void)params, (void)result;
    return rpc_raise_with(call, "trouble", &trouble, "too hot");
}

static void open_lab(void)
{
    rig_init(&rig);
    lab_start(&rig, &options, fail_with_data);
    rig.engine->codec = &brackets;
}

#define ERROR(method, err, msg) "<METHOD='" method "';ERR='" err "';MSG='" msg "';"
#define TROUBLE ERROR("ACT", "TROUBLE", "TOO HOT") "WHAT='HEAT';SIZE=3;>"
#define DIGIT ERROR("VALUE", "INVALID_PARAMS", "N MUST BE A WHOLE NUMBER FROM 0 TO 9") ">"
#define RPC2(id) "<JSONRPC='2.0';ID=" id ";"
#define REQUEST(id, params) RPC2(id) "METHOD='SUBTRACT';PARAMS=" params ">"

static const struct row {
    const char *topic, *payload, *response_topic, *reply_topic, *reply;
} rows[] = {
    {"rpc/call/count", "", "r", "r", "<N=1;>"},
    {"rpc/call/nothing", "<>", "r", "r", "<>"},
    {"rpc/call/subtract", "<MINUEND=5;SUBTRAHEND=3;>", "r", "r", "2;"},
    {"rpc/call/subtract", "{}", "r", "r", ERROR("SUBTRACT", "PARSE_ERROR", "THE PAYLOAD HAS NO BRACKET") ">"},
    {"rpc/call/act", "", "r", "r", TROUBLE},
    {"rpc/call/id", "<REQUEST_ID='A';>", NULL, "rpc/call/id/response/a", "<REQUEST_ID='A';RESULT=<>>"},
    {"rpc/call/act", "<REQUEST_ID='A';>", NULL, "rpc/call/act/response/a",
     "<REQUEST_ID='A';ERROR=" TROUBLE ">"},
    {"rpc/batch/value", "(1;'X';2;)", "r", "r", "(<RESULT=1;><ERROR=" DIGIT "><RESULT=2;>)"},
    {"rpc/batch/value", "()", "r", "r", "()"},
    {"rpc/batch/value", "<REQUEST_ID='A';CALLS=(1;2;)>", NULL, "rpc/call/value/response/a",
     "<REQUEST_ID='A';RESULT=(<RESULT=1;><RESULT=2;>)>"},
    {"rpc/call/subtract", REQUEST("7", "(5;3;)"), "r", "r", RPC2("7") "RESULT=2;>"},
    {"rpc/call/subtract", REQUEST("'T:1'", "(5;3;)"), NULL, "rpc/call/subtract/response/t",
     RPC2("'T:1'") "RESULT=2;>"},
    {"rpc/call/subtract/request", "(7;)", "r", "r",
     "(" RPC2("NIL") "ERROR=<CODE=-32600;MESSAGE='THE REQUEST IS NO OBJECT';DATA=" ERROR(
         "SUBTRACT", "INVALID_REQUEST", "THE REQUEST IS NO OBJECT") ">>>)"},
    {"rpc/call/subtract", "(" REQUEST("1", "(5;3;)") REQUEST("2", "(3;5;)") ")", "r", "r",
     "(" RPC2("1") "RESULT=2;>" RPC2("2") "RESULT=-2;>)"},
};

static void expect_reply(const struct row *row)
{
    rig_send(&rig, row->topic, row->payload, row->response_topic, NULL);
    rig_settle(&rig);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    const struct fake_message *reply = &rig.host.replies.kept[0];
    ck_assert_str_eq(reply->topic, row->reply_topic);
    ck_assert_str_eq(reply->text, row->reply);
    ck_assert_str_eq(reply->content_type, "text/brackets");
}

START_TEST(replies_have_the_codec_of_their_message)
{
    open_lab();
    expect_reply(&rows[_i]);
    rig_close(&rig);
}
END_TEST

/* The result and its event are written each by its own codec. */
START_TEST(events_have_a_codec_of_their_own)
{
    open_lab();
    expect_reply(&rows[0]);
    rig_expect_event(&rig, "rpc/event/counted", "{\"n\":1}");
    rig_tell(&rig, "act", "");
    rig_expect_event(
        &rig, "rpc/event/actFailed",
        "{\"method\":\"act\",\"err\":\"trouble\",\"msg\":\"too hot\",\"what\":\"heat\",\"size\":3}");
    rig_close(&rig);
}
END_TEST

/* Outcomes that are set aside while others are pending come together as values. */
START_TEST(pending_items_are_gathered)
{
    static const struct row batch = {"rpc/batch/work", "<REQUEST_ID='A';CALLS=(<N=1;><N=2;>)>", NULL,
                                     "rpc/call/work/response/a",
                                     "<REQUEST_ID='A';RESULT=(<RESULT=<N=1;BY='WORK';>>"
                                     "<RESULT=<N=2;BY='WORK';>>)>"};
    works_init(&rig);
    works_open(&rig);
    rig.engine->codec = &brackets;
    expect_reply(&batch);
    works_close(&rig);
}
END_TEST

/* A result that is JSON text is a value like any other. */
START_TEST(json_text_is_converted)
{
    char out[128] = "";
    struct writer writer = writer_make(&brackets, out, sizeof out - 1);
    writer_begin_array(&writer);
    writer_json(&writer, "{\"a\":[1.5,true,false,null],\"b\":\"x\"}");
    writer_end_array(&writer);
    ck_assert_str_eq(out, "(<A=(1.5;YES;NO;NIL;)B='X';>)");
}
END_TEST

UNIT_MAIN("codec", NULL, NULL, {replies_have_the_codec_of_their_message, UNIT_ROWS(rows)},
          {events_have_a_codec_of_their_own, 0}, {pending_items_are_gathered, 0}, {json_text_is_converted, 0})
