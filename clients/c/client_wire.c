// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Calls and replies as bytes: see client_wire.h. */
#include "client_wire.h"

#include <mosquitto.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

bool wire_new_id(char id[WIRE_ID_SIZE])
{
    unsigned char bytes[(WIRE_ID_SIZE - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return false;
    for (size_t at = 0; at < sizeof bytes; at++)
        snprintf(id + 2 * at, 3, "%02x", bytes[at]);
    return true;
}

unsigned wire_random(unsigned below)
{
    unsigned number = 0;
    return getrandom(&number, sizeof number, 0) == (ssize_t)sizeof number ? number % below : 0;
}

bool wire_is_id(const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++)
        if (!strchr("0123456789abcdef", text[at]) || !text[at])
            return false;
    return size == WIRE_ID_SIZE - 1;
}

static bool wire_is_level(const char *level, size_t size)
{
    static const char *const taken[] = {"response", "request"};
    for (size_t at = 0; at < sizeof taken / sizeof *taken; at++)
        if (strlen(taken[at]) == size && memcmp(level, taken[at], size) == 0)
            return false;
    for (size_t at = 0; at < size; at++)
        if ((unsigned char)level[at] < ' ' || level[at] == 127 || level[at] == '+' || level[at] == '#')
            return false;
    return size > 0;
}

bool wire_is_method(const char *name)
{
    if (!name || strnlen(name, WIRE_METHOD_MAX + 1) > WIRE_METHOD_MAX ||
        mosquitto_validate_utf8(name, (int)strlen(name)) != MOSQ_ERR_SUCCESS)
        return false;
    for (const char *level = name;;) {
        size_t size = strcspn(level, "/");
        if (!wire_is_level(level, size))
            return false;
        if (!level[size])
            return true;
        level += size + 1;
    }
}

bool wire_is_traceparent(const char *text)
{
    size_t size = strnlen(text, WIRE_TRACE_SIZE);
    for (size_t at = 0; at < size; at++)
        if (text[at] <= ' ' || text[at] > '~' || text[at] == '"' || text[at] == '\\')
            return false;
    return size > 0 && size < WIRE_TRACE_SIZE;
}

size_t wire_beside(char *out, const struct wire_members *members, const char *payload, size_t size)
{
    static const char space[] = " \t\r\n";
    const char *end = payload + size;
    while (payload < end && strchr(space, *payload) && *payload)
        payload++;
    if (payload < end ? *payload != (members->is_batch ? '[' : '{') : members->is_batch)
        return 0;
    int head = snprintf(out, WIRE_MEMBERS_MAX, "{\"request_id\":\"%s\"", members->id);
    if (members->timeout_ms)
        head +=
            snprintf(out + head, WIRE_MEMBERS_MAX - (size_t)head, ",\"timeout_ms\":%d", members->timeout_ms);
    if (members->traceparent)
        head += snprintf(out + head, WIRE_MEMBERS_MAX - (size_t)head, ",\"traceparent\":\"%s\"",
                         members->traceparent);
    char *to = out + head;
    if (payload == end) {
        *to++ = '}';
        return (size_t)(to - out);
    }
    if (members->is_batch) {
        to += snprintf(to, WIRE_MEMBERS_MAX - (size_t)head, ",\"calls\":");
        memcpy(to, payload, (size_t)(end - payload));
        to += end - payload;
        *to++ = '}';
        return (size_t)(to - out);
    }
    payload++;
    while (payload < end && strchr(space, *payload) && *payload)
        payload++;
    if (payload == end || *payload != '}')
        *to++ = ',';
    memcpy(to, payload, (size_t)(end - payload));
    return (size_t)(to + (end - payload) - out);
}

cJSON *wire_parse(const char *payload, size_t size)
{
    const char *end = NULL;
    if (memchr(payload, 0, size)) /* which is white space to cJSON */
        return NULL;
    cJSON *data = cJSON_ParseWithLengthOpts(payload, size + 1, &end, 1);
    if (data && end != payload + size) {
        cJSON_Delete(data);
        return NULL;
    }
    return data;
}

void wire_read(struct wire_reply *reply, const char *payload, size_t size, const char *status, bool is_json)
{
    *reply = (struct wire_reply){.kind = WIRE_RESULT, .text = payload, .size = size};
    bool is_error = status && strcmp(status, "ok") != 0 && strcmp(status, "progress") != 0;
    if (status && strcmp(status, "progress") == 0)
        reply->kind = WIRE_PROGRESS;
    if (is_json || is_error)
        reply->data = wire_parse(payload, size);
    if (is_error && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(reply->data, "err")))
        reply->kind = WIRE_ERROR;
    else if (is_error || (is_json && !reply->data))
        reply->kind = WIRE_BAD;
}

/* The text of the one member beside request_id: as it came, where the plugin's spelling is known, else
 * printed. */
static void wire_set_text(struct wire_reply *reply, char *payload, size_t size, const char *id,
                          const char *name)
{
    char head[WIRE_ID_SIZE + 64];
    size_t length = (size_t)snprintf(head, sizeof head, "{\"request_id\":\"%s\",\"%s\":", id, name);
    if (size > length && memcmp(payload, head, length) == 0 && payload[size - 1] == '}') {
        reply->text = payload + length;
        reply->size = size - length - 1;
        payload[size - 1] = 0;
        return;
    }
    reply->printed = cJSON_PrintUnformatted(reply->data);
    reply->text = reply->printed ? reply->printed : "";
    reply->size = strlen(reply->text);
}

void wire_read_beside(struct wire_reply *reply, char *payload, size_t size, const char *id)
{
    static const struct {
        const char *name;
        enum wire_kind kind;
    } members[] = {{"result", WIRE_RESULT}, {"error", WIRE_ERROR}};
    *reply = (struct wire_reply){.kind = WIRE_BAD, .text = payload, .size = size};
    cJSON *whole = wire_parse(payload, size);
    for (size_t at = 0; at < sizeof members / sizeof *members && !reply->data; at++) {
        reply->data =
            cJSON_IsObject(whole) ? cJSON_DetachItemFromObjectCaseSensitive(whole, members[at].name) : NULL;
        if (!reply->data)
            continue;
        reply->kind = members[at].kind;
        wire_set_text(reply, payload, size, id, members[at].name);
    }
    if (reply->kind == WIRE_ERROR && !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(reply->data, "err")))
        reply->kind = WIRE_BAD;
    cJSON_Delete(whole);
}

const char *wire_string(const cJSON *object, const char *name, const char *fallback)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : fallback;
}

void wire_print(char *out, size_t size, const char *text)
{
    size_t at = 0;
    for (; text[at] && at + 1 < size; at++)
        out[at] = text[at] < ' ' || text[at] > '~' ? '?' : text[at];
    out[at] = 0;
}
