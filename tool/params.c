// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Parameters out of the command line: see params.h. */
#include "params.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "show.h"
#include "suggest.h"

enum {
    PARAMS_MAX = 256 << 20, /* bytes that are read: MQTT takes no larger payload */
    PARAMS_PATIENCE = 3000  /* ms until the service has described a method */
};

static enum tool_exit params_no_memory(const struct tool *tool)
{
    return tool_fail(tool, TOOL_FAILED, "there is no memory");
}

/* ---- What the service tells ---- */

/* What has come of rpc.describe. */
struct params_asked {
    struct tool *tool;
    bool is_over;
    enum tool_exit failed;
    cJSON *description;
};

static void params_take(void *user, const struct rpc_client_reply *reply)
{
    struct params_asked *asked = user;
    asked->is_over = true;
    tool_wait_anew(asked->tool);
    if (reply->status == RPC_CLIENT_OK)
        asked->description = cJSON_Duplicate(reply->data, true);
    else if (reply->status != RPC_CLIENT_ERROR && reply->status != RPC_CLIENT_REFUSED &&
             reply->status != RPC_CLIENT_BAD_REPLY)
        asked->failed = tool_fail_reply(asked->tool, "rpc.describe", reply);
}

/* Half of the time is for the call. Without MQTT 5 a broker does not say that it refuses a call: the types
 * are guessed then, and not late. */
static int params_patience(const struct tool *tool)
{
    const int half = (tool_left(tool) + 1) / 2;
    return half < PARAMS_PATIENCE ? half : PARAMS_PATIENCE;
}

enum tool_exit params_describe(struct tool *tool, const char *method, cJSON **description)
{
    char id[RPC_CLIENT_ID_SIZE];
    *description = NULL;
    enum tool_exit failed = tool_connect(tool);
    if (failed)
        return failed;
    cJSON *params = cJSON_CreateObject();
    if (!cJSON_AddStringToObject(params, "method", method)) {
        cJSON_Delete(params);
        return params_no_memory(tool);
    }
    struct params_asked asked = {.tool = tool};
    const struct until until = until_start(params_patience(tool));
    struct rpc_client_request request = {.method = "rpc.describe",
                                         .params = params,
                                         .timeout_ms = params_patience(tool),
                                         .on_reply = params_take,
                                         .user = &asked};
    bool is_sent = rpc_client_send(tool->client, &request, id) == RPC_CLIENT_OK;
    cJSON_Delete(params);
    for (int ms; is_sent && !asked.is_over && (ms = until_left(&until)) > 0;)
        rpc_client_run(tool->client, ms);
    if (is_sent && !asked.is_over)
        rpc_client_cancel(tool->client, id);
    *description = asked.description;
    return asked.failed;
}

static const cJSON *params_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *params_string(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(params_member(object, name));
}

/* The schema of a parameter whose name has size bytes; NULL: there is none. */
static const cJSON *params_find(const cJSON *method, const char *name, size_t size)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, params_member(method, "params"))
    {
        const char *own = params_string(row, "name");
        if (own && strlen(own) == size && memcmp(own, name, size) == 0)
            return params_member(row, "schema");
    }
    return NULL;
}

static bool params_fit(const cJSON *method, int count, char **words)
{
    for (int at = 0; at < count; at++) {
        size_t size = strcspn(words[at], ".:=");
        if (words[at][strcspn(words[at], "=")] && !params_find(method, words[at], size))
            return false;
    }
    return true;
}

const cJSON *params_method(const cJSON *description, int count, char **words)
{
    const cJSON *row, *commands = params_member(description, "commands");
    cJSON_ArrayForEach(row, commands)
    {
        if (params_fit(row, count, words))
            return row;
    }
    return cJSON_GetArraySize(commands) ? cJSON_GetArrayItem(commands, 0)
                                        : params_member(description, "method");
}

const char *params_payload(const cJSON *method)
{
    return params_string(params_member(method, "x-mqtt"), "payload");
}

bool params_are_required(const cJSON *method)
{
    const cJSON *row;
    const char *payload = params_payload(method);
    if (payload && strcmp(payload, "object") != 0)
        return true;
    cJSON_ArrayForEach(row, params_member(method, "params"))
    {
        if (cJSON_IsTrue(params_member(row, "required")))
            return true;
    }
    return false;
}

/* ---- Files ---- */

static enum tool_exit params_read_stream(const struct tool *tool, const char *name, FILE *file,
                                         struct params_text *read)
{
    size_t room = 0, size = 0;
    char *bytes = NULL;
    do {
        if (size + 1 >= room) {
            char *more = room < PARAMS_MAX ? realloc(bytes, room = room ? 2 * room : 4096) : NULL;
            if (!more) {
                free(bytes);
                return tool_fail(tool, TOOL_FAILED, "%s: there is no memory for it", name);
            }
            bytes = more;
        }
        size += fread(bytes + size, 1, room - size - 1, file);
    } while (!feof(file) && !ferror(file));
    if (ferror(file)) {
        free(bytes);
        return tool_fail(tool, TOOL_USAGE, "%s: %s", name, strerror(errno));
    }
    bytes[size] = 0;
    *read = (struct params_text){bytes, size};
    return TOOL_OK;
}

enum tool_exit params_read(const struct tool *tool, const char *path, struct params_text *read)
{
    if (strcmp(path, "-") == 0)
        return params_read_stream(tool, "standard input", stdin, read);
    FILE *file = fopen(path, "re");
    if (!file)
        return tool_fail(tool, TOOL_USAGE, "%s: %s", path, strerror(errno));
    enum tool_exit failed = params_read_stream(tool, path, file, read);
    fclose(file);
    return failed;
}

static enum tool_exit params_copy(const struct tool *tool, const char *bytes, size_t size,
                                  struct params_text *made)
{
    made->bytes = malloc(size + 1);
    if (!made->bytes)
        return params_no_memory(tool);
    if (size)
        memcpy(made->bytes, bytes, size);
    made->bytes[size] = 0;
    made->size = size;
    return TOOL_OK;
}

enum tool_exit params_read_given(const struct tool *tool, const char *given, struct params_text *read)
{
    *read = (struct params_text){NULL, 0};
    if (!given)
        return TOOL_OK;
    return strcmp(given, "-") == 0 ? params_read(tool, given, read)
                                   : params_copy(tool, given, strlen(given), read);
}

/* ---- One value ---- */

static bool params_allows(const cJSON *schema, const char *type)
{
    const cJSON *row, *types = params_member(schema, "type");
    const char *only = cJSON_GetStringValue(types);
    if (!types || (only && strcmp(only, type) == 0))
        return true;
    cJSON_ArrayForEach(row, types)
    {
        const char *name = cJSON_IsArray(types) ? cJSON_GetStringValue(row) : NULL;
        if (name && strcmp(name, type) == 0)
            return true;
    }
    return false;
}

/* The kind of JSON that a text is, as schemas name it; NULL: it is none. */
static const char *params_kind(const char *text)
{
    cJSON *value = cJSON_ParseWithOpts(text, NULL, true);
    const char *kind = cJSON_IsObject(value)   ? "object"
                       : cJSON_IsArray(value)  ? "array"
                       : cJSON_IsString(value) ? "string"
                       : cJSON_IsBool(value)   ? "boolean"
                       : cJSON_IsNull(value)   ? "null"
                       : cJSON_IsNumber(value) ? "number"
                                               : NULL;
    cJSON_Delete(value);
    return kind;
}

/* Whether a text is a JSON value that the schema may take, but for strings, which a schema with a type takes
 * as they are. */
static bool params_is_json(const cJSON *schema, const char *text)
{
    const char *kind = params_kind(text);
    if (!kind)
        return false;
    if (strcmp(kind, "string") == 0)
        return !params_member(schema, "type");
    if (strcmp(kind, "number") == 0 && params_allows(schema, "integer"))
        return true;
    return params_allows(schema, kind);
}

/* Says what the schema takes, for a text that it does not take. */
static enum tool_exit params_refuse(const struct tool *tool, const cJSON *schema, const char *name,
                                    const char *text)
{
    static const char *const types[] = {"number", "integer", "boolean", "object", "array", "null"};
    static const char *const words[] = {"a number",      "a whole number", "true or false",
                                        "a JSON object", "a JSON array",   "null"};
    char list[128] = "";
    for (size_t at = 0; at < sizeof types / sizeof *types; at++)
        if (params_allows(schema, types[at]) && !(at == 1 && params_allows(schema, "number"))) {
            strcat(list, *list ? " or " : "");
            strcat(list, words[at]);
        }
    return tool_fail(tool, TOOL_USAGE, "%s must be %s, not %.200s", name, list, text);
}

/* Makes a value of its text; is_raw: it must be JSON. */
static enum tool_exit params_value(const struct tool *tool, const cJSON *schema, const char *name,
                                   const char *text, bool is_raw, cJSON **made)
{
    struct params_text file = {NULL, 0};
    *made = NULL;
    if (text[0] == '@' && text[1] == '@')
        text++;
    else if (text[0] == '@') {
        enum tool_exit failed = params_read(tool, text + 1, &file);
        if (failed)
            return failed;
        text = file.bytes;
    }
    enum tool_exit failed = TOOL_OK;
    if (is_raw ? params_kind(text) != NULL : params_is_json(schema, text))
        *made = cJSON_CreateRaw(text);
    else if (is_raw)
        failed = tool_fail(tool, TOOL_USAGE, "%s must be JSON, not %.200s", name, text);
    else if (params_allows(schema, "string"))
        *made = cJSON_CreateString(text);
    else
        failed = params_refuse(tool, schema, name, text);
    free(file.bytes);
    return failed || *made ? failed : params_no_memory(tool);
}

/* ---- NAME=VALUE ---- */

/* A word that is taken apart: name, and text behind = or := */
struct params_word {
    char *name;
    const char *text;
    bool is_raw;
};

static void params_suggest(const struct tool *tool, const cJSON *method, const char *name)
{
    struct text_near near = suggest_for(name);
    const cJSON *row;
    cJSON_ArrayForEach(row, params_member(method, "params"))
    {
        text_near_try(&near, show_string(row, "name"));
    }
    const char *method_name = params_string(method, "name");
    tool_fail(tool, TOOL_USAGE, "%s has no parameter %s%s%s%s", method_name ? method_name : "it", name,
              near.best ? ", did you mean " : "", near.best ? near.best : "", near.best ? "?" : "");
}

/* Adds a value to the object that the path names, which is made level by level. Takes the value over. */
static enum tool_exit params_place(const struct tool *tool, cJSON *object, const char *name, char *path,
                                   cJSON *value)
{
    for (char *dot; (dot = strchr(path, '.')); path = dot + 1) {
        *dot = 0;
        cJSON *next = cJSON_GetObjectItemCaseSensitive(object, path);
        if (!next)
            next = cJSON_AddObjectToObject(object, path);
        *dot = '.';
        if (!cJSON_IsObject(next)) {
            cJSON_Delete(value);
            return next ? tool_fail(tool, TOOL_USAGE, "%s is given twice", name) : params_no_memory(tool);
        }
        object = next;
    }
    if (!*path || cJSON_HasObjectItem(object, path)) {
        cJSON_Delete(value);
        return tool_fail(tool, TOOL_USAGE, *path ? "%s is given twice" : "%s has an empty name", name);
    }
    if (cJSON_AddItemToObject(object, path, value))
        return TOOL_OK;
    cJSON_Delete(value);
    return params_no_memory(tool);
}

/* The schema at the end of a path of names with dots; NULL: none is known. */
static const cJSON *params_schema(const cJSON *method, const char *path)
{
    size_t size = strcspn(path, ".");
    const cJSON *schema = params_find(method, path, size);
    while (schema && path[size]) {
        path += size + 1;
        size = strcspn(path, ".");
        const cJSON *row, *properties = params_member(schema, "properties");
        schema = NULL;
        cJSON_ArrayForEach(row, properties)
        {
            if (row->string && strlen(row->string) == size && memcmp(row->string, path, size) == 0)
                schema = row;
        }
    }
    return schema;
}

static enum tool_exit params_add(const struct tool *tool, const cJSON *method, bool is_typed, cJSON *object,
                                 const struct params_word *word)
{
    cJSON *value;
    if (is_typed && !params_find(method, word->name, strcspn(word->name, "."))) {
        params_suggest(tool, method, word->name);
        return TOOL_USAGE;
    }
    const cJSON *schema = is_typed ? params_schema(method, word->name) : NULL;
    enum tool_exit failed = params_value(tool, schema, word->name, word->text, word->is_raw, &value);
    return failed ? failed : params_place(tool, object, word->name, word->name, value);
}

static enum tool_exit params_add_word(const struct tool *tool, const cJSON *method, bool is_typed,
                                      cJSON *object, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return tool_fail(tool, TOOL_USAGE, "%s is no parameter: NAME=VALUE or NAME:=JSON", text);
    bool is_raw = equals[-1] == ':';
    struct params_word word = {strndup(text, (size_t)(equals - text) - is_raw), equals + 1, is_raw};
    if (!word.name)
        return params_no_memory(tool);
    enum tool_exit failed = params_add(tool, method, is_typed, object, &word);
    free(word.name);
    return failed;
}

/* Joins the members of words with those of base, as text, so that numbers stay as they were written. */
static enum tool_exit params_join(const struct tool *tool, const cJSON *object,
                                  const struct params_text *base, struct params_text *made)
{
    cJSON *other = base->bytes ? cJSON_Parse(base->bytes) : NULL;
    const cJSON *row;
    enum tool_exit failed = TOOL_OK;
    if (base->bytes && !cJSON_IsObject(other))
        failed = tool_fail(tool, TOOL_USAGE,
                           "with NAME=VALUE the parameters that are given as JSON must be an object");
    cJSON_ArrayForEach(row, object)
    {
        if (!failed && cJSON_GetObjectItemCaseSensitive(other, row->string))
            failed = tool_fail(tool, TOOL_USAGE, "%s is given twice", row->string);
    }
    bool has_more = cJSON_GetArraySize(other) > 0;
    cJSON_Delete(other);
    if (failed)
        return failed;
    char *text = cJSON_PrintUnformatted(object);
    size_t size = text ? strlen(text) : 0;
    made->bytes = text ? malloc(size + base->size + 2) : NULL;
    if (!made->bytes) {
        cJSON_free(text);
        return params_no_memory(tool);
    }
    made->size =
        has_more ? (size_t)sprintf(made->bytes, "%.*s,%s", (int)size - 1, text, strchr(base->bytes, '{') + 1)
                 : (size_t)sprintf(made->bytes, "%s", text);
    cJSON_free(text);
    return TOOL_OK;
}

/* The payload is one value, or bytes. */
static enum tool_exit params_make_whole(const struct tool *tool, const cJSON *schema, bool is_bytes,
                                        const char *word, struct params_text *made)
{
    if (is_bytes && word[0] == '@' && word[1] != '@')
        return params_read(tool, word + 1, made);
    if (is_bytes)
        return params_copy(tool, word + (word[0] == '@'), strlen(word) - (word[0] == '@'), made);
    cJSON *value;
    enum tool_exit failed = params_value(tool, schema, "the parameter", word, false, &value);
    char *text = failed ? NULL : cJSON_PrintUnformatted(value);
    cJSON_Delete(value);
    if (text)
        failed = params_copy(tool, text, strlen(text), made);
    else if (!failed)
        failed = params_no_memory(tool);
    cJSON_free(text);
    return failed;
}

enum tool_exit params_make(const struct tool *tool, const cJSON *method, int count, char **words,
                           const struct params_text *base, struct params_text *made)
{
    const char *payload = params_payload(method);
    bool is_bytes = payload && strcmp(payload, "bytes") == 0,
         is_value = payload && strcmp(payload, "value") == 0;
    const cJSON *schema =
        is_value ? params_member(cJSON_GetArrayItem(params_member(method, "params"), 0), "schema") : NULL;
    *made = (struct params_text){NULL, 0};
    if (count == 0)
        return base->bytes ? params_copy(tool, base->bytes, base->size, made) : TOOL_OK;
    bool may_be_whole = is_value || !method;
    bool is_whole = is_bytes || (may_be_whole && !strchr(words[0], '=')) ||
                    (is_value && !params_allows(schema, "object"));
    if (is_whole && (count > 1 || base->bytes))
        return tool_fail(tool, TOOL_USAGE, "this method takes one value");
    if (is_whole)
        return params_make_whole(tool, schema, is_bytes, words[0], made);
    cJSON *object = cJSON_CreateObject();
    enum tool_exit failed = object ? TOOL_OK : params_no_memory(tool);
    for (int at = 0; at < count && !failed; at++)
        failed = params_add_word(tool, method, method && !is_value, object, words[at]);
    if (!failed)
        failed = params_join(tool, object, base, made);
    cJSON_Delete(object);
    return failed;
}

/* ---- Batches ---- */

/* Where the JSON value at text ends; NULL: there is none. */
static const char *params_end(const char *text, const char *end, bool *is_array)
{
    const char *behind = NULL;
    cJSON *value = cJSON_ParseWithLengthOpts(text, (size_t)(end - text), &behind, false);
    *is_array = cJSON_IsArray(value);
    cJSON_Delete(value);
    return value ? behind : NULL;
}

static const char *params_skip(const char *text, const char *end)
{
    while (text < end && isspace((unsigned char)*text))
        text++;
    return text;
}

enum tool_exit params_make_batch(const struct tool *tool, const struct params_text *base,
                                 struct params_text *made)
{
    const char *end = base->bytes + base->size, *at = params_skip(base->bytes, end);
    size_t size = 0, values = 0;
    bool is_array = false;
    /* Each value takes a comma more, where a white space may have been none. */
    char *out = malloc(2 * base->size + 3);
    if (!out)
        return params_no_memory(tool);
    out[size++] = '[';
    for (; at < end; at = params_skip(at, end)) {
        bool is_this_array;
        const char *behind = params_end(at, end, &is_this_array);
        if (!behind) {
            free(out);
            return tool_fail(tool, TOOL_USAGE, "value %zu of the batch is not JSON: %.40s", values + 1, at);
        }
        is_array = values++ == 0 && is_this_array;
        size += (size_t)sprintf(out + size, "%s%.*s", values > 1 ? "," : "", (int)(behind - at), at);
        at = behind;
    }
    if (is_array) {
        size--;
        memmove(out, out + 1, size);
    } else
        out[size++] = ']';
    out[size] = 0;
    *made = (struct params_text){out, size};
    return TOOL_OK;
}
