// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A client in Python: TypedDicts, exceptions, and a class whose coroutines are the methods, on the package
 * mosquitto_rpc of clients/python. Wire names are strings of the code alone; identifiers are those of
 * names.h. An identifier never begins with an underscore, so that names of the code that do are its own.
 */
#include "generate/languages.h"

#include <string.h>

#define PYTHON_WORDS                                                                                    \
    " False None True and as assert async await break class continue def del elif else except finally"  \
    " for from global if import in is lambda nonlocal not or pass raise return try while with yield"    \
    " match case type bool bytes cast dataclass dict float int list property str super tuple"           \
    " annotations Any Callable Client Coroutine Device Dict Event EventOf Events EventsOf Generic List" \
    " Literal Mapping Optional RpcError Type TypedDict TypeVar Union Exception "
static const char python_words[] = PYTHON_WORDS;

/* And the parameters of coroutines. */
static const char python_taken[] = PYTHON_WORDS "self timeout progress traceparent offline ttl stale key ";

/* ---- Names ---- */

struct python_scopes {
    struct names module;  /* of types */
    struct names service; /* of the service's methods */
};

static void python_name_methods(struct names *scope, struct api_method *methods, size_t count,
                                bool is_command)
{
    static const size_t device = sizeof "device/{device}/" - 1;
    for (size_t i = 0; i < count; i++) {
        const bool cuts = is_command && strncmp(methods[i].name, "device/{device}/", device) == 0;
        methods[i].ident = names_give(scope, "", NAMES_SNAKE, methods[i].name + (cuts ? device : 0));
    }
}

/* A table of errors is named by the first method that has it. */
static void python_name_errors(struct api *api, struct names *scope)
{
    for (size_t i = 0; i < api->method_count; i++) {
        if (api->methods[i].error_count)
            api->methods[i].errors_ident = names_give(scope, "_", NAMES_UPPER, api->methods[i].title);
    }
    for (size_t i = 0; i < api->device_count; i++) {
        for (size_t j = 0; j < api->devices[i].command_count; j++) {
            struct api_method *command = &api->devices[i].commands[j];
            for (size_t k = 0; k < api->method_count; k++) {
                if (command->errors == api->methods[k].errors)
                    command->errors_ident = api->methods[k].errors_ident;
            }
        }
    }
}

static void python_name_all(struct api *api, const char *name, struct python_scopes *scopes,
                            const char **service)
{
    *service = names_give(&scopes->module, "", NAMES_PASCAL, name);
    for (size_t i = 0; i < api->device_count; i++)
        api->devices[i].ident = names_give(&scopes->module, "", NAMES_PASCAL, api->devices[i].name);
    for (struct api_object *object = api->objects; object; object = object->next) {
        if (object->error)
            object->error_ident = names_give(&scopes->module, "", NAMES_PASCAL, object->title);
    }
    for (struct api_object *object = api->objects; object; object = object->next) {
        const char *title = api_printf(api, "%s%s", object->title, object->error ? "Data" : "");
        object->ident = names_give(&scopes->module, "", NAMES_PASCAL, title);
    }
    names_give(&scopes->service, "", NAMES_SNAKE, "client");
    python_name_methods(&scopes->service, api->methods, api->method_count, false);
    for (size_t i = 0; i < api->device_count; i++)
        api->devices[i].opener = names_give(&scopes->service, "", NAMES_SNAKE, api->devices[i].name);
    for (size_t i = 0; i < api->event_count; i++) {
        const char *title = api_printf(api, "%s events", api->events[i].name);
        api->events[i].ident = names_give(&scopes->service, "", NAMES_SNAKE, title);
    }
    python_name_errors(api, &scopes->module);
}

/* ---- Types ---- */

static void python_write_type(const struct api_type *type, FILE *out);

static void python_write_list(const struct api_type *type, FILE *out)
{
    for (size_t i = 0; i < type->count; i++) {
        fputs(i && i % 6 == 0 ? ",\n            " : i ? ", " : "", out);
        if (type->choices)
            write_literal(out, WRITE_PYTHON, type->choices[i]);
        else
            python_write_type(&type->types[i], out);
    }
    fputs("]", out);
}

static void python_write_type(const struct api_type *type, FILE *out)
{
    static const char *const words[] = {
        [API_ANY] = "Any",         [API_MAP] = "Dict[str, Any]", [API_BOOL] = "bool",
        [API_INTEGER] = "int",     [API_NUMBER] = "float",       [API_STRING] = "str",
        [API_CHOICE] = "Literal[", [API_ARRAY] = "List[",        [API_UNION] = "Union["};
    const bool is_optional = type->nullable && type->kind != API_ANY;
    fputs(is_optional ? "Optional[" : "", out);
    fputs(type->kind == API_OBJECT ? type->object->ident : words[type->kind], out);
    if (type->kind == API_CHOICE || type->kind == API_ARRAY || type->kind == API_UNION)
        python_write_list(type, out);
    fputs(is_optional ? "]" : "", out);
}

static bool python_is_class(const struct api_object *object, bool required, const struct names *module)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct api_member *member = &object->members[i];
        if (member->required == required &&
            (!names_is_plain(module, member->name) || strncmp(member->name, "__", 2) == 0))
            return false;
    }
    return true;
}

static void python_write_members(const struct api_object *object, bool required, bool is_class, FILE *out)
{
    for (size_t i = 0; i < object->count; i++) {
        const struct api_member *member = &object->members[i];
        if (member->required != required)
            continue;
        write_comment(out, WRITE_PYTHON, 4, NULL, member);
        fputs("    ", out);
        if (is_class)
            fputs(member->name, out);
        else
            write_literal(out, WRITE_PYTHON, member->name);
        fputs(": ", out);
        python_write_type(&member->type, out);
        fputs(is_class ? "\n" : ",\n", out);
    }
}

static size_t python_count(const struct api_object *object, bool required)
{
    size_t count = 0;
    for (size_t i = 0; i < object->count; i++)
        count += object->members[i].required == required;
    return count;
}

/* One half of an object: its required members, or the others. Python 3.9 can mix them by inheritance alone.
 */
static void python_write_half(const struct api_object *object, const char *prefix, const char *suffix,
                              bool required, const struct names *module, FILE *out)
{
    const bool is_class = python_is_class(object, required, module);
    const char *total = required ? "" : ", total=False";
    if (is_class)
        fprintf(out, "\n\nclass %s%s%s(TypedDict%s):\n", prefix, object->ident, suffix, total);
    else
        fprintf(out, "\n\n%s%s%s = TypedDict(\"%s%s%s\", {\n", prefix, object->ident, suffix, prefix,
                object->ident, suffix);
    python_write_members(object, required, is_class, out);
    if (!is_class)
        fprintf(out, "}%s)\n", total);
}

static void python_write_object(const struct api_object *object, const struct names *module, FILE *out)
{
    const size_t required = python_count(object, true);
    if (required == 0 || required == object->count) {
        python_write_half(object, "", "", required != 0, module, out);
        return;
    }
    python_write_half(object, "_", "Required", true, module, out);
    python_write_half(object, "_", "Optional", false, module, out);
    fprintf(out, "\n\nclass %s(_%sRequired, _%sOptional):\n    pass\n", object->ident, object->ident,
            object->ident);
}

/* ---- Errors ---- */

static const char *python_find_doc(const struct api *api, const struct api_object *object)
{
    for (size_t i = 0; i < api->method_count; i++) {
        for (size_t j = 0; j < api->methods[i].error_count; j++) {
            if (api->methods[i].errors[j].object == object)
                return api->methods[i].errors[j].doc;
        }
    }
    return NULL;
}

static void python_write_docstring(FILE *out, const char *margin, const char *doc)
{
    if (!doc || !*doc)
        return;
    fprintf(out, "%s\"\"\"", margin);
    write_text(out, WRITE_DOCSTRING, margin, (int)strlen(margin), doc);
    fputs("\"\"\"\n", out);
}

static void python_write_error(const struct api *api, const struct api_object *object, FILE *out)
{
    const char *doc = python_find_doc(api, object);
    fprintf(out, "\n\nclass %s(RpcError):\n", object->error_ident);
    python_write_docstring(out, "    ", doc);
    fprintf(out, "%s    @property\n    def details(self) -> %s:\n        return cast(%s, self.data)\n",
            doc && *doc ? "\n" : "", object->ident, object->ident);
}

/* Whether an error of a method has an exception of its own. */
static bool python_is_raised(const struct api_error *error)
{
    return error->object && error->object->error_ident && strcmp(error->object->error, error->code) == 0;
}

static void python_write_errors(const struct api *api, FILE *out)
{
    for (size_t i = 0; i < api->method_count; i++) {
        const struct api_method *method = &api->methods[i];
        if (!method->errors_ident)
            continue;
        fprintf(out, "\n%s: Dict[str, Type[RpcError]] = {\n", method->errors_ident);
        for (size_t j = 0; j < method->error_count; j++) {
            if (!python_is_raised(&method->errors[j]))
                continue;
            fputs("    ", out);
            write_literal(out, WRITE_PYTHON, method->errors[j].code);
            fprintf(out, ": %s,\n", method->errors[j].object->error_ident);
        }
        fputs("}\n", out);
    }
}

/* ---- Methods ---- */

/* The identifiers of what a method takes. */
static void python_name_params(struct api *api, struct api_method *method, bool is_command)
{
    struct names scope;
    names_init(&scope, &api->arena, python_taken);
    if (method->payload != API_PARAMS)
        names_give(&scope, "", NAMES_SNAKE, method->payload == API_VALUE ? "value" : "payload");
    for (size_t i = is_command ? 2 : 0; i < method->piece_count; i++) {
        struct api_piece *piece = &method->pieces[i];
        if (piece->is_level)
            piece->ident = names_give(&scope, "", NAMES_SNAKE, piece->text);
    }
    for (size_t i = 0; method->params && i < method->params->count; i++) {
        struct api_member *member = &method->params->members[i];
        member->ident = names_give(&scope, "", NAMES_SNAKE, member->name);
    }
    api->failed = api->failed || scope.failed;
    names_fini(&scope);
}

static void python_write_param(const struct api_member *member, FILE *out)
{
    fprintf(out, "        %s: ", member->ident);
    if (!member->required && !member->type.nullable && member->type.kind != API_ANY)
        fputs("Optional[", out);
    python_write_type(&member->type, out);
    if (!member->required && !member->type.nullable && member->type.kind != API_ANY)
        fputs("]", out);
    fputs(member->required ? ",\n" : " = None,\n", out);
}

static void python_write_signature(const struct api_method *method, bool is_command, FILE *out)
{
    fprintf(out, "\n    async def %s(\n        self,\n", method->ident);
    for (size_t i = is_command ? 2 : 0; i < method->piece_count; i++) {
        if (method->pieces[i].is_level)
            fprintf(out, "        %s: str,\n", method->pieces[i].ident);
    }
    if (method->payload == API_BYTES) {
        fputs("        payload: bytes,\n", out);
    } else if (method->payload == API_VALUE) {
        fputs("        value: ", out);
        python_write_type(&method->value, out);
        fputs(",\n", out);
    }
    for (size_t i = 0; method->params && i < method->params->count; i++) {
        if (method->params->members[i].required)
            python_write_param(&method->params->members[i], out);
    }
    fputs("        *,\n", out);
    for (size_t i = 0; method->params && i < method->params->count; i++) {
        if (!method->params->members[i].required)
            python_write_param(&method->params->members[i], out);
    }
    fputs("        timeout: Optional[float] = None,\n        traceparent: Optional[str] = None,\n", out);
    if (is_command)
        fputs("        offline: Optional[Literal[\"fail\", \"wait\", \"queue\"]] = None,\n"
              "        ttl: Optional[float] = None,\n        stale: Optional[float] = None,\n",
              out);
    if (method->has_progress) {
        fputs("        progress: Optional[Callable[[", out);
        python_write_type(&method->progress, out);
        fputs("], None]] = None,\n", out);
    }
    fputs("    ) -> ", out);
    python_write_type(&method->result, out);
    fputs(":\n", out);
}

static void python_write_doc(const struct api_method *method, FILE *out)
{
    const struct api_object *params = method->params;
    fputs("        \"\"\"", out);
    write_text(out, WRITE_DOCSTRING, "        ", 11, method->doc ? method->doc : method->name);
    for (size_t i = 0; params && i < params->count; i++) {
        const struct api_member *member = &params->members[i];
        fprintf(out, "%s\n        %s: ", i ? "" : "\n", member->ident);
        write_member(out, WRITE_DOCSTRING, "            ", 10 + (int)strlen(member->ident), member);
    }
    fputs(params ? "\n        \"\"\"\n" : "\"\"\"\n", out);
}

static void python_write_params(const struct api_method *method, FILE *out)
{
    const struct api_object *params = method->params;
    if (!params)
        return;
    fputs("        _params: Dict[str, Any] = {", out);
    for (size_t i = 0, written = 0; i < params->count; i++) {
        if (!params->members[i].required)
            continue;
        fputs(written++ ? ", " : "", out);
        write_literal(out, WRITE_PYTHON, params->members[i].name);
        fprintf(out, ": %s", params->members[i].ident);
    }
    fputs("}\n", out);
    for (size_t i = 0; i < params->count; i++) {
        const struct api_member *member = &params->members[i];
        if (member->required)
            continue;
        fprintf(out, "        if %s is not None:\n            _params[", member->ident);
        write_literal(out, WRITE_PYTHON, member->name);
        fprintf(out, "] = %s\n", member->ident);
    }
}

/* The name of a method; of a device's command, what follows the device. */
static void python_write_name(const struct api_method *method, bool is_command, FILE *out)
{
    bool is_first = true;
    for (size_t i = is_command ? 2 : 0; i < method->piece_count; i++) {
        const struct api_piece *piece = &method->pieces[i];
        fputs(is_first ? "" : " + ", out);
        if (piece->is_level)
            fprintf(out, "_level(%s)", piece->ident);
        else
            write_literal(out, WRITE_PYTHON, piece->text + (is_first && is_command && *piece->text == '/'));
        is_first = false;
    }
    if (is_first)
        fputs("\"\"", out);
}

static void python_write_method(struct api *api, struct api_method *method, bool is_command, FILE *out)
{
    python_name_params(api, method, is_command);
    python_write_signature(method, is_command, out);
    python_write_doc(method, out);
    python_write_params(method, out);
    const bool is_any = method->result.kind == API_ANY;
    fputs(is_any ? "        return " : "        return cast(", out);
    if (!is_any) {
        python_write_type(&method->result, out);
        fputs(", ", out);
    }
    fprintf(out, "await _call(%s,\n            ", method->errors_ident ? method->errors_ident : "{}");
    fputs(is_command ? "self.device.call(" : "self.client.call(", out);
    python_write_name(method, is_command, out);
    fprintf(out, ", %s, timeout=timeout, traceparent=traceparent%s%s))%s\n",
            method->payload == API_BYTES   ? "payload"
            : method->payload == API_VALUE ? "value"
            : method->params               ? "_params"
                                           : "{}",
            is_command ? ",\n            offline=offline, ttl=ttl, stale=stale" : "",
            method->has_progress ? ", progress=progress" : "", is_any ? "" : ")");
}

/* ---- The whole ---- */

static void python_write_event(const struct api_event *event, FILE *out)
{
    fprintf(out, "\n    def %s(self%s) -> EventsOf[", event->ident,
            event->key ? ", key: Optional[str] = None" : "");
    fputs(event->key && event->type.kind != API_ANY ? "Optional[" : "", out);
    python_write_type(&event->type, out);
    fputs(event->key && event->type.kind != API_ANY ? "]" : "", out);
    fputs("]:\n", out);
    python_write_docstring(out, "        ", event->doc);
    fputs("        return EventsOf(self.client.events(", out);
    write_literal(out, WRITE_PYTHON, event->name);
    fputs(event->key ? " + (\"\" if key is None else \"/\" + _level(key))))\n" : "))\n", out);
}

static void python_write_device(struct api *api, struct api_device *device, FILE *out)
{
    struct names scope;
    names_init(&scope, &api->arena, python_words);
    names_give(&scope, "", NAMES_SNAKE, "device");
    python_name_methods(&scope, device->commands, device->command_count, true);
    api->failed = api->failed || scope.failed;
    names_fini(&scope);
    fprintf(out, "\n\nclass %s:\n", device->ident);
    python_write_docstring(out, "    ", device->doc);
    fputs("\n    def __init__(self, client: Client, device: str) -> None:\n"
          "        self.device = client.device(_level(device))\n",
          out);
    for (size_t i = 0; i < device->command_count; i++)
        python_write_method(api, &device->commands[i], true, out);
}

static void python_write_service(struct api *api, const char *service, FILE *out)
{
    fprintf(out,
            "\n\nclass %s:\n"
            "    \"\"\"The methods and events of the service. client is connected by its owner.\"\"\"\n\n"
            "    def __init__(self, client: Client) -> None:\n"
            "        self.client = client\n",
            service);
    for (size_t i = 0; i < api->method_count; i++)
        python_write_method(api, &api->methods[i], false, out);
    for (size_t i = 0; i < api->device_count; i++) {
        const struct api_device *device = &api->devices[i];
        fprintf(out, "\n    def %s(self, device: str) -> %s:\n", device->opener, device->ident);
        python_write_docstring(out, "        ", device->doc);
        fprintf(out, "        return %s(self.client, device)\n", device->ident);
    }
    for (size_t i = 0; i < api->event_count; i++)
        python_write_event(&api->events[i], out);
}

static const char python_prelude[] =
    "from __future__ import annotations\n"
    "\n"
    "from dataclasses import dataclass\n"
    "from typing import (Any, Callable, Coroutine, Dict, Generic, List, Literal, Mapping, Optional, Type, "
    "TypedDict,\n"
    "                    TypeVar, Union, cast)\n"
    "\n"
    "from mosquitto_rpc import Client, Event, Events, RpcError\n"
    "\n"
    "_Data = TypeVar(\"_Data\")\n"
    "\n"
    "\n"
    "def _level(text: str) -> str:\n"
    "    if not text or any(c in \"/+#{}\" for c in text):\n"
    "        raise ValueError(f\"{text!r} can be no level of a topic\")\n"
    "    return text\n"
    "\n"
    "\n"
    "async def _call(errors: Mapping[str, Type[RpcError]], call: Coroutine[Any, Any, Any]) -> Any:\n"
    "    try:\n"
    "        return await call\n"
    "    except RpcError as error:\n"
    "        kind = errors.get(error.err)\n"
    "        if kind is None or type(error) is not RpcError:\n"
    "            raise\n"
    "        raise kind(error.err, error.msg, error.method, error.data) from error\n"
    "\n"
    "\n"
    "@dataclass(frozen=True)\n"
    "class EventOf(Generic[_Data]):\n"
    "    \"\"\"An announcement. Of a keyed event data is None when the thing of the key is no more.\"\"\"\n"
    "\n"
    "    data: _Data\n"
    "    event: Event\n"
    "\n"
    "\n"
    "class EventsOf(Generic[_Data]):\n"
    "    \"\"\"Announcements, as an async iterator. close(), or the end of `async with`, ends the "
    "subscription.\"\"\"\n"
    "\n"
    "    def __init__(self, events: Events) -> None:\n"
    "        self.events = events\n"
    "\n"
    "    def close(self) -> None:\n"
    "        self.events.close()\n"
    "\n"
    "    def __aiter__(self) -> EventsOf[_Data]:\n"
    "        return self\n"
    "\n"
    "    async def __anext__(self) -> EventOf[_Data]:\n"
    "        event = await self.events.__anext__()\n"
    "        return EventOf(cast(_Data, event.data), event)\n"
    "\n"
    "    async def __aenter__(self) -> EventsOf[_Data]:\n"
    "        await self.events.__aenter__()\n"
    "        return self\n"
    "\n"
    "    async def __aexit__(self, *_: object) -> None:\n"
    "        self.close()\n";

static void python_write_file(struct api *api, const char *service, const struct names *module, FILE *out)
{
    /* Python takes an encoding from a comment in the first two lines, and from the first one only if it has
     * one: so none comes from a title. */
    fputs("# -*- coding: utf-8 -*-\n", out);
    write_head(out, WRITE_PYTHON, "# ", api);
    fputs(python_prelude, out);
    for (const struct api_object *object = api->objects; object; object = object->next) {
        if (!object->is_params)
            python_write_object(object, module, out);
        if (object->error)
            python_write_error(api, object, out);
    }
    fputs("\n", out);
    python_write_errors(api, out);
    for (size_t i = 0; i < api->device_count; i++)
        python_write_device(api, &api->devices[i], out);
    python_write_service(api, service, out);
}

bool python_write(struct api *api, const char *name, const struct generate_files *files)
{
    struct python_scopes scopes;
    const char *service;
    names_init(&scopes.module, &api->arena, python_words);
    names_init(&scopes.service, &api->arena, python_words);
    python_name_all(api, name, &scopes, &service);
    python_write_file(api, service, &scopes.module, files->code);
    const bool failed = api->failed || scopes.module.failed || scopes.service.failed;
    names_fini(&scopes.module);
    names_fini(&scopes.service);
    return !failed;
}
