// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Structs as parameters and results: see mosquitto_rpc_typed.h. */
#include "mosquitto_rpc_typed.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPED_NAME_SIZE = RPC_CLIENT_NAME_MAX + 1 };

/* ---- Memory ---- */

union typed_piece {
    union typed_piece *next;
    max_align_t align;
};

__attribute__((format(printf, 2, 3))) static bool typed_fail(struct rpc_typed_memory *memory,
                                                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(memory->fault, sizeof memory->fault, format, arguments);
    va_end(arguments);
    return false;
}

/* Zeroed memory; NULL: there is none, or the value is too large. size is not 0. */
static void *typed_take(struct rpc_typed_memory *memory, size_t count, size_t size)
{
    if (count > (RPC_TYPED_MEMORY_MAX - memory->bytes) / size) {
        typed_fail(memory, "the value takes more than %d bytes of memory", RPC_TYPED_MEMORY_MAX);
        return NULL;
    }
    union typed_piece *piece = calloc(1, sizeof *piece + (count ? count : 1) * size);
    if (!piece) {
        typed_fail(memory, "there is no memory");
        return NULL;
    }
    memory->bytes += count * size;
    piece->next = memory->pieces;
    memory->pieces = piece;
    return piece + 1;
}

void rpc_typed_free(struct rpc_typed_memory *memory)
{
    for (union typed_piece *piece = memory->pieces, *next; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
    memory->pieces = NULL;
    memory->bytes = 0;
}

/* ---- Reading ---- */

static bool typed_read_shape(const struct rpc_typed_shape *shape, const cJSON *json, char *value,
                             struct rpc_typed_memory *memory);

static bool typed_is_pointer(const struct rpc_typed_member *member)
{
    return !member->is_array && (!member->is_required || member->is_nullable);
}

static size_t typed_size(const struct rpc_typed_member *member)
{
    static const size_t sizes[] = {
        [RPC_TYPED_JSON] = sizeof(const cJSON *),  [RPC_TYPED_BOOL] = sizeof(bool),
        [RPC_TYPED_INTEGER] = sizeof(int64_t),     [RPC_TYPED_NUMBER] = sizeof(double),
        [RPC_TYPED_STRING] = sizeof(const char *), [RPC_TYPED_CHOICE] = sizeof(int)};
    return member->kind == RPC_TYPED_OBJECT ? member->shape->size : sizes[member->kind];
}

static const char *typed_label(const struct rpc_typed_member *member)
{
    return member->name ? member->name : "the value";
}

/* Names of the table are text from discovery, so that a message shows their printable part. */
static bool typed_mismatch(const struct rpc_typed_member *member, const char *wanted,
                           struct rpc_typed_memory *memory)
{
    typed_fail(memory, "%.60s is not %s", typed_label(member), wanted);
    for (char *c = memory->fault; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    return false;
}

static bool typed_read_number(const struct rpc_typed_member *member, double number, char *place,
                              struct rpc_typed_memory *memory)
{
    if (member->kind == RPC_TYPED_NUMBER) {
        memcpy(place, &number, sizeof number);
        return true;
    }
    /* 2^63 is the first double that is too large; the largest int64_t itself is read as this one. */
    const double end = 9223372036854775808.0;
    if (!(number >= -end && number <= end))
        return typed_mismatch(member, "an integer", memory);
    const int64_t integer = number < end ? (int64_t)number : INT64_MAX;
    if (number < end && (double)integer != number)
        return typed_mismatch(member, "an integer", memory);
    memcpy(place, &integer, sizeof integer);
    return true;
}

/* A choice that a newer service has besides is 0. */
static int typed_find_choice(const struct rpc_typed_member *member, const char *text)
{
    for (int i = 0; i < member->choice_count; i++) {
        if (strcmp(member->choices[i], text) == 0)
            return i + 1;
    }
    return 0;
}

/* Reads one value, neither null nor an array of such values, to its place. */
static bool typed_read_one(const struct rpc_typed_member *member, const cJSON *json, char *place,
                           struct rpc_typed_memory *memory)
{
    if (member->kind == RPC_TYPED_JSON) {
        memcpy(place, &json, sizeof json);
        return true;
    }
    if (member->kind == RPC_TYPED_BOOL) {
        const bool truth = cJSON_IsTrue(json);
        memcpy(place, &truth, sizeof truth);
        return cJSON_IsBool(json) || typed_mismatch(member, "a boolean", memory);
    }
    if (member->kind == RPC_TYPED_OBJECT)
        return cJSON_IsObject(json) ? typed_read_shape(member->shape, json, place, memory)
                                    : typed_mismatch(member, "an object", memory);
    if (member->kind == RPC_TYPED_INTEGER || member->kind == RPC_TYPED_NUMBER)
        return cJSON_IsNumber(json) ? typed_read_number(member, json->valuedouble, place, memory)
                                    : typed_mismatch(member, "a number", memory);
    const char *text = cJSON_GetStringValue(json);
    if (!text)
        return typed_mismatch(member, "a string", memory);
    if (member->kind == RPC_TYPED_CHOICE) {
        const int choice = typed_find_choice(member, text);
        memcpy(place, &choice, sizeof choice);
    } else {
        memcpy(place, &text, sizeof text);
    }
    return true;
}

static bool typed_read_array(const struct rpc_typed_member *member, const cJSON *json, char *value,
                             struct rpc_typed_memory *memory)
{
    const size_t size = typed_size(member), count = (size_t)cJSON_GetArraySize(json);
    const cJSON *item;
    if (!cJSON_IsArray(json))
        return typed_mismatch(member, "an array", memory);
    char *items = typed_take(memory, count, size);
    if (!items)
        return false;
    memcpy(value + member->offset, &items, sizeof items);
    memcpy(value + member->beside, &count, sizeof count);
    cJSON_ArrayForEach(item, json)
    {
        if (!typed_read_one(member, item, items, memory))
            return false;
        items += size;
    }
    return true;
}

/* json NULL: the member is missing. */
static bool typed_read_member(const struct rpc_typed_member *member, const cJSON *json, char *value,
                              struct rpc_typed_memory *memory)
{
    char *place = value + member->offset;
    const bool is_null = cJSON_IsNull(json) && member->kind != RPC_TYPED_JSON;
    if (!json)
        return !member->is_required || typed_mismatch(member, "there", memory);
    if (is_null && (member->is_nullable || !member->is_required))
        return true;
    if (member->is_array)
        return typed_read_array(member, json, value, memory);
    if (member->kind == RPC_TYPED_OBJECT && typed_is_pointer(member)) {
        char *object = typed_take(memory, 1, member->shape->size);
        if (!object)
            return false;
        memcpy(place, &object, sizeof object);
        place = object;
    }
    if (member->has_flag)
        memcpy(value + member->beside, &(bool){true}, sizeof(bool));
    return typed_read_one(member, json, place, memory);
}

static bool typed_read_shape(const struct rpc_typed_shape *shape, const cJSON *json, char *value,
                             struct rpc_typed_memory *memory)
{
    for (size_t i = 0; i < shape->count; i++) {
        const struct rpc_typed_member *member = &shape->members[i];
        const cJSON *item = member->name ? cJSON_GetObjectItemCaseSensitive(json, member->name) : json;
        if (!typed_read_member(member, item, value, memory))
            return false;
    }
    return true;
}

static bool typed_is_value(const struct rpc_typed_shape *shape)
{
    return shape->count == 1 && !shape->members[0].name;
}

bool rpc_typed_read(const struct rpc_typed_shape *shape, const cJSON *json, void *value,
                    struct rpc_typed_memory *memory)
{
    *memory = (struct rpc_typed_memory){0};
    memset(value, 0, shape->size);
    if (!json)
        typed_fail(memory, "it is not JSON");
    else if (!typed_is_value(shape) && !cJSON_IsObject(json))
        typed_fail(memory, "it is not an object");
    else if (typed_read_shape(shape, json, value, memory))
        return true;
    memset(value, 0, shape->size);
    return false;
}

/* ---- Writing ---- */

/* cJSON would print a large one as a double of 15 digits. */
static cJSON *typed_write_integer(int64_t integer)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, integer);
    return cJSON_CreateRaw(text);
}

/* A value that is there, at its place. A pointer of JSON or of a string in an array may be NULL: null. */
static cJSON *typed_write_one(const struct rpc_typed_member *member, const char *place)
{
    const void *pointer;
    switch (member->kind) {
    case RPC_TYPED_JSON:
        memcpy(&pointer, place, sizeof pointer);
        return pointer ? cJSON_Duplicate(pointer, true) : cJSON_CreateNull();
    case RPC_TYPED_STRING:
        memcpy(&pointer, place, sizeof pointer);
        return pointer ? cJSON_CreateString(pointer) : cJSON_CreateNull();
    case RPC_TYPED_BOOL:
        return cJSON_CreateBool(*place != 0);
    case RPC_TYPED_INTEGER: {
        int64_t integer;
        memcpy(&integer, place, sizeof integer);
        return typed_write_integer(integer);
    }
    case RPC_TYPED_NUMBER: {
        double number;
        memcpy(&number, place, sizeof number);
        return cJSON_CreateNumber(number);
    }
    case RPC_TYPED_CHOICE: {
        int choice;
        memcpy(&choice, place, sizeof choice);
        return choice > 0 && choice <= member->choice_count ? cJSON_CreateString(member->choices[choice - 1])
                                                            : cJSON_CreateNull();
    }
    case RPC_TYPED_OBJECT:
        return rpc_typed_write(member->shape, place);
    }
    return NULL;
}

static cJSON *typed_write_array(const struct rpc_typed_member *member, const char *items, size_t count)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; array && i < count; i++) {
        cJSON *item = typed_write_one(member, items + i * typed_size(member));
        if (!item || !cJSON_AddItemToArray(array, item)) {
            cJSON_Delete(item);
            cJSON_Delete(array);
            return NULL;
        }
    }
    return array;
}

/* Whether a struct has no value for a member. A required number or boolean always has one. */
static bool typed_is_missing(const struct rpc_typed_member *member, const char *value)
{
    const char *place = value + member->offset;
    const void *pointer = value;
    int choice = 1;
    if (member->has_flag)
        return !value[member->beside];
    if (member->is_array || member->kind == RPC_TYPED_JSON || member->kind == RPC_TYPED_STRING ||
        (member->kind == RPC_TYPED_OBJECT && typed_is_pointer(member)))
        memcpy(&pointer, place, sizeof pointer);
    else if (member->kind == RPC_TYPED_CHOICE)
        memcpy(&choice, place, sizeof choice);
    return !pointer || !choice;
}

static cJSON *typed_write_member(const struct rpc_typed_member *member, const char *value)
{
    const char *place = value + member->offset, *pointer;
    size_t count;
    if (typed_is_missing(member, value))
        return cJSON_CreateNull();
    if (!member->is_array && !(member->kind == RPC_TYPED_OBJECT && typed_is_pointer(member)))
        return typed_write_one(member, place);
    memcpy(&pointer, place, sizeof pointer);
    if (!member->is_array)
        return typed_write_one(member, pointer);
    memcpy(&count, value + member->beside, sizeof count);
    return typed_write_array(member, pointer, count);
}

cJSON *rpc_typed_write(const struct rpc_typed_shape *shape, const void *value)
{
    if (typed_is_value(shape))
        return typed_write_member(&shape->members[0], value);
    cJSON *object = cJSON_CreateObject();
    for (size_t i = 0; object && i < shape->count; i++) {
        const struct rpc_typed_member *member = &shape->members[i];
        /* What is required and missing is left out as well, so that the service says so by its name. */
        if (typed_is_missing(member, value) && !(member->is_required && member->is_nullable))
            continue;
        cJSON *item = typed_write_member(member, value);
        if (!item || !cJSON_AddItemToObject(object, member->name, item)) {
            cJSON_Delete(item);
            cJSON_Delete(object);
            return NULL;
        }
    }
    return object;
}

/* ---- Calls ---- */

/* The end of the level in braces with which a text begins; NULL: it begins with none. `{}` is none, as for
 * the program that has made the levels of this name. */
static const char *typed_find_level(const char *text)
{
    const char *end = *text == '{' ? strchr(text, '}') : NULL;
    return end && end > text + 1 ? end : NULL;
}

/* Writes the name to call, with the values of the levels in it. Returns false: one is none, or it does not
 * fit. */
static bool typed_write_name(const struct rpc_typed_call *call, char name[TYPED_NAME_SIZE])
{
    const char *rest = call->method->name;
    const char *const *level = call->levels;
    size_t used = 0;
    while (*rest) {
        const char *end = level ? typed_find_level(rest) : NULL;
        const char *text = end ? *level++ : rest;
        const size_t size = !text ? 0 : end ? strlen(text) : 1 + strcspn(rest + 1, "{");
        if (!size || (end && strpbrk(text, "/{}")) || size >= TYPED_NAME_SIZE - used)
            return false;
        memcpy(name + used, text, size);
        used += size;
        rest = end ? end + 1 : rest + size;
    }
    name[used] = '\0';
    return true;
}

/* The request of a call. *params gets JSON that the caller frees. */
static enum rpc_client_status typed_make_request(const struct rpc_typed_call *call,
                                                 const struct rpc_client_request *options,
                                                 char name[TYPED_NAME_SIZE], cJSON **params,
                                                 struct rpc_client_request *request)
{
    *params = NULL;
    *request = (struct rpc_client_request){0};
    if (!typed_write_name(call, name))
        return RPC_CLIENT_INVALID;
    if (call->params && call->method->params) {
        *params = rpc_typed_write(call->method->params, call->params);
        if (!*params)
            return RPC_CLIENT_NO_MEMORY;
    }
    if (options)
        *request = *options;
    request->method = name;
    request->is_batch = false;
    request->params = *params;
    request->payload = call->size ? call->bytes : NULL;
    request->size = call->size;
    return RPC_CLIENT_OK;
}

static enum rpc_client_status typed_end(struct rpc_typed_reply *reply, enum rpc_client_status status,
                                        const char *msg)
{
    reply->reply.status = status;
    reply->reply.err = rpc_client_status_name(status);
    reply->reply.msg = msg;
    return status;
}

enum rpc_client_status rpc_typed_call(struct rpc_client *client, const struct rpc_typed_call *call,
                                      const struct rpc_client_request *options, void *result,
                                      struct rpc_typed_reply *reply)
{
    struct rpc_client_request request;
    char name[TYPED_NAME_SIZE];
    cJSON *params;
    *reply = (struct rpc_typed_reply){0};
    memset(result, 0, call->method->result->size);
    const enum rpc_client_status made = typed_make_request(call, options, name, &params, &request);
    if (made != RPC_CLIENT_OK)
        return typed_end(reply, made,
                         made == RPC_CLIENT_NO_MEMORY
                             ? "there is no memory"
                             : "a level of the method's name is empty, too long, or has / { or }");
    const enum rpc_client_status status = rpc_client_call(client, &request, &reply->reply);
    cJSON_Delete(params);
    if (status != RPC_CLIENT_OK ||
        rpc_typed_read(call->method->result, reply->reply.data, result, &reply->memory))
        return status;
    return typed_end(reply, RPC_CLIENT_BAD_REPLY, reply->memory.fault);
}

void rpc_typed_clear(struct rpc_typed_reply *reply)
{
    rpc_typed_free(&reply->memory);
    rpc_client_reply_clear(&reply->reply);
}

enum rpc_client_status rpc_typed_send(struct rpc_client *client, const struct rpc_typed_call *call,
                                      const struct rpc_client_request *options, char id[RPC_CLIENT_ID_SIZE])
{
    struct rpc_client_request request;
    char name[TYPED_NAME_SIZE];
    cJSON *params;
    enum rpc_client_status status = typed_make_request(call, options, name, &params, &request);
    if (status == RPC_CLIENT_OK)
        status = rpc_client_send(client, &request, id);
    cJSON_Delete(params);
    return status;
}

enum rpc_client_status rpc_typed_subscribe(struct rpc_client *client, const char *event, bool is_keyed,
                                           const char *key, rpc_client_event_fn *on_event, void *user,
                                           unsigned long *id)
{
    char filter[2 * TYPED_NAME_SIZE + 2];
    if (key && (!*key || strpbrk(key, "/+#")))
        return RPC_CLIENT_INVALID;
    const int size = is_keyed ? snprintf(filter, sizeof filter, "%s/%s", event, key ? key : "+")
                              : snprintf(filter, sizeof filter, "%s", event);
    if (size < 0 || (size_t)size >= sizeof filter)
        return RPC_CLIENT_INVALID;
    return rpc_client_subscribe(client, filter, on_event, user, id);
}
