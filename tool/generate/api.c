// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* An OpenRPC document of the service: see api.h. */
#include "generate/api.h"

#include <stdio.h>
#include <string.h>

/* The method through which commands of devices are called: their errors are its errors. */
static const char api_family[] = "device/{device}/{command}";

const char *api_string(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

const char *api_printf(struct api *api, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vprintf(&api->arena, format, arguments);
    va_end(arguments);
    if (!text)
        api->failed = true;
    return text ? text : "";
}

static bool api_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void api_append_title(char *title, size_t size, const char *name)
{
    size_t used = strlen(title);
    bool begins = true;
    for (; *name && used < size - 1; name++) {
        const char c = *name;
        if (api_is_word(c))
            title[used++] = begins && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        begins = !api_is_word(c);
    }
    title[used] = '\0';
}

static const char *api_copy_title(struct api *api, const char *first, const char *second, const char *third)
{
    char title[API_TITLE_SIZE] = "";
    api_append_title(title, sizeof title, first);
    api_append_title(title, sizeof title, second);
    api_append_title(title, sizeof title, third);
    return api_printf(api, "%s", title);
}

/* Room for the elements of an array of the document; *count is 0 where there is none. */
static void *api_take(struct api *api, const cJSON *list, size_t size)
{
    const size_t count = cJSON_IsArray(list) || cJSON_IsObject(list) ? (size_t)cJSON_GetArraySize(list) : 0;
    void *taken = arena_alloc(&api->arena, (count ? count : 1) * size);
    if (!taken)
        api->failed = true;
    return taken;
}

static bool api_is_name(const char *name)
{
    return name && *name && strlen(name) <= API_NAME_MAX;
}

/* ---- Methods ---- */

/* Cuts a method's name at its levels in braces. */
static void api_read_pieces(struct api *api, struct api_method *method)
{
    size_t room = 1;
    for (const char *c = method->name; *c; c++)
        room += *c == '{' ? 2 : 0;
    method->pieces = arena_alloc(&api->arena, room * sizeof *method->pieces);
    if (!method->pieces) {
        api->failed = true;
        return;
    }
    for (const char *rest = method->name; *rest;) {
        const char *end = *rest == '{' ? strchr(rest, '}') : NULL;
        const bool is_level = end && end > rest + 1;
        const char *text = is_level ? rest + 1 : rest;
        const size_t size = is_level ? (size_t)(end - text) : 1 + strcspn(rest + 1, "{");
        char *copy = arena_copy(&api->arena, text, size);
        if (!copy) {
            api->failed = true;
            return;
        }
        method->pieces[method->piece_count++] = (struct api_piece){.text = copy, .is_level = is_level};
        rest = text + size + (is_level ? 1 : 0);
    }
}

static void api_read_errors(struct api *api, const cJSON *list, struct api_method *method)
{
    const cJSON *item;
    if (!cJSON_IsArray(list))
        return;
    method->errors = api_take(api, list, sizeof *method->errors);
    cJSON_ArrayForEach(item, list)
    {
        const char *code = api_string(item, "err");
        if (!method->errors || !api_is_name(code))
            continue;
        const char *title = api_copy_title(api, code, "Error", "");
        const struct api_type type =
            api_read_type(api, cJSON_GetObjectItemCaseSensitive(item, "schema"), title);
        struct api_object *object = type.kind == API_OBJECT ? type.object : NULL;
        if (object && !object->error)
            object->error = code;
        method->errors[method->error_count++] =
            (struct api_error){.code = code, .doc = api_string(item, "description"), .object = object};
    }
}

static enum api_payload api_payload_of(const cJSON *item)
{
    const char *payload = api_string(cJSON_GetObjectItemCaseSensitive(item, "x-mqtt"), "payload");
    return !payload                        ? API_PARAMS
           : strcmp(payload, "value") == 0 ? API_VALUE
           : strcmp(payload, "bytes") == 0 ? API_BYTES
                                           : API_PARAMS;
}

/* Reads a Method Object. owner: the kind of devices whose command it is, or "". Returns false: it has no
 * name. */
static bool api_read_method(struct api *api, const cJSON *item, const char *owner, struct api_method *method)
{
    static const char device[] = "device/{device}/";
    const char *name = api_string(item, "name");
    if (!api_is_name(name))
        return false;
    if (*owner && (strncmp(name, device, sizeof device - 1) != 0 || !name[sizeof device - 1]))
        return false;
    const char *what = *owner ? name + sizeof device - 1 : name;
    *method = (struct api_method){
        .name = name, .doc = api_string(item, "summary"), .payload = api_payload_of(item)};
    method->title = api_copy_title(api, owner, what, "");
    const char *params_title = api_copy_title(api, owner, what, "Params");
    const char *result_title = api_copy_title(api, owner, what, "Result");
    const char *progress_title = api_copy_title(api, owner, what, "Progress");
    api_read_pieces(api, method);
    if (api->failed)
        return false;
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(item, "params");
    if (method->payload == API_VALUE)
        method->value = api_read_type(
            api, cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(params, 0), "schema"), params_title);
    else if (method->payload == API_PARAMS)
        method->params = api_read_params(api, params, params_title);
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(item, "result");
    const cJSON *progress = cJSON_GetObjectItemCaseSensitive(item, "x-progress");
    method->result = api_read_type(api, cJSON_GetObjectItemCaseSensitive(result, "schema"), result_title);
    method->has_progress = progress || *owner;
    method->progress =
        api_read_type(api, cJSON_GetObjectItemCaseSensitive(progress, "schema"), progress_title);
    api_read_errors(api, cJSON_GetObjectItemCaseSensitive(item, "x-errors"), method);
    return true;
}

static struct api_method *api_read_methods(struct api *api, const cJSON *list, const char *owner,
                                           size_t *count)
{
    const cJSON *item;
    struct api_method *methods = api_take(api, list, sizeof *methods);
    *count = 0;
    if (!methods || !cJSON_IsArray(list))
        return methods;
    cJSON_ArrayForEach(item, list)
    {
        if (api_read_method(api, item, owner, &methods[*count]))
            ++*count;
    }
    return methods;
}

/* ---- Events and devices ---- */

static void api_read_events(struct api *api, const cJSON *list)
{
    const cJSON *item;
    api->events = api_take(api, list, sizeof *api->events);
    if (!api->events || !cJSON_IsArray(list))
        return;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = api_string(item, "name");
        const char *title = api_is_name(name) ? api_copy_title(api, name, "Event", "") : NULL;
        if (!title)
            continue;
        api->events[api->event_count++] = (struct api_event){
            .name = name,
            .doc = api_string(item, "description"),
            .key = api_string(item, "key"),
            .type = api_read_type(api, cJSON_GetObjectItemCaseSensitive(item, "schema"), title)};
    }
}

/* Commands have the errors of the method through which they are called. */
static void api_give_errors(struct api *api, struct api_device *device)
{
    for (size_t i = 0; i < api->method_count; i++) {
        const struct api_method *method = &api->methods[i];
        if (strcmp(method->name, api_family) != 0)
            continue;
        for (size_t j = 0; j < device->command_count; j++) {
            if (device->commands[j].error_count)
                continue;
            device->commands[j].errors = method->errors;
            device->commands[j].error_count = method->error_count;
        }
    }
}

static void api_read_devices(struct api *api, const cJSON *kinds)
{
    const cJSON *item;
    api->devices = api_take(api, kinds, sizeof *api->devices);
    if (!api->devices || !cJSON_IsObject(kinds))
        return;
    cJSON_ArrayForEach(item, kinds)
    {
        if (!api_is_name(item->string))
            continue;
        struct api_device *device = &api->devices[api->device_count++];
        *device = (struct api_device){.name = item->string, .doc = api_string(item, "description")};
        device->commands = api_read_methods(api, cJSON_GetObjectItemCaseSensitive(item, "commands"),
                                            item->string, &device->command_count);
        api_give_errors(api, device);
    }
}

bool api_read(struct api *api, const cJSON *document)
{
    memset(api, 0, sizeof *api);
    arena_init(&api->arena);
    api->objects_end = &api->objects;
    api->document = document;
    const cJSON *methods = cJSON_GetObjectItemCaseSensitive(document, "methods");
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(document, "info");
    if (!api_string(document, "openrpc") || !cJSON_IsArray(methods)) {
        api->fault = "it is no OpenRPC document: it lacks `openrpc`, or an array `methods`";
        return false;
    }
    api->title = api_string(info, "title");
    api->version = api_string(info, "version");
    api->methods = api_read_methods(api, methods, "", &api->method_count);
    api_read_events(api, cJSON_GetObjectItemCaseSensitive(document, "x-events"));
    api_read_devices(api, cJSON_GetObjectItemCaseSensitive(document, "x-devices"));
    api_forget_schemas(api);
    if (api->failed)
        api->fault = "there is no memory";
    return !api->failed;
}

void api_fini(struct api *api)
{
    api_forget_schemas(api);
    arena_fini(&api->arena);
}
