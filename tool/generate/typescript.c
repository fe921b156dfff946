// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A client in TypeScript: interfaces, functions that tell errors apart, and a class whose methods are the
 * service's, on the package mosquitto-rpc of clients/javascript.
 */
#include "generate/languages.h"

#include <string.h>

#define TYPESCRIPT_WORDS                                                                               \
    " break case catch class const continue debugger default delete do else enum export extends false" \
    " finally for function if import in instanceof new null return super switch this throw true try"   \
    " typeof var void while with as implements interface let package private protected public static"  \
    " yield any boolean constructor declare get module require number set string symbol type from of"  \
    " async await arguments eval undefined never unknown object bigint then toString valueOf toJSON"   \
    " hasOwnProperty isPrototypeOf propertyIsEnumerable toLocaleString level Client RpcError"          \
    " CallOptions CommandOptions Device EventOptions EventStream Promise Record Uint8Array TypeError"  \
    " JSON "
static const char typescript_words[] = TYPESCRIPT_WORDS;

/* And the parameters of methods. */
static const char typescript_taken[] = TYPESCRIPT_WORDS "params options value payload name key ";

/* ---- Names ---- */

static void typescript_name_methods(struct names *scope, struct api_method *methods, size_t count,
                                    bool is_command)
{
    static const size_t device = sizeof "device/{device}/" - 1;
    for (size_t i = 0; i < count; i++) {
        const bool cuts = is_command && strncmp(methods[i].name, "device/{device}/", device) == 0;
        methods[i].ident = names_give(scope, "", NAMES_CAMEL, methods[i].name + (cuts ? device : 0));
    }
}

static const char *typescript_name_all(struct api *api, const char *name, struct names *module,
                                       struct names *service)
{
    const char *ident = names_give(module, "", NAMES_PASCAL, name);
    for (size_t i = 0; i < api->device_count; i++)
        api->devices[i].ident = names_give(module, "", NAMES_PASCAL, api->devices[i].name);
    for (struct api_object *object = api->objects; object; object = object->next) {
        object->ident = names_give(module, "", NAMES_PASCAL, object->title);
        if (object->error)
            object->error_ident = names_give(module, "is", NAMES_PASCAL, object->title);
    }
    typescript_name_methods(service, api->methods, api->method_count, false);
    for (size_t i = 0; i < api->device_count; i++)
        api->devices[i].opener = names_give(service, "", NAMES_CAMEL, api->devices[i].name);
    for (size_t i = 0; i < api->event_count; i++) {
        const char *title = api_printf(api, "%s events", api->events[i].name);
        api->events[i].ident = names_give(service, "", NAMES_CAMEL, title);
    }
    return ident;
}

/* ---- Types ---- */

static void typescript_write_type(const struct api_type *type, FILE *out)
{
    static const char *const words[] = {[API_ANY] = "unknown",   [API_MAP] = "Record<string, unknown>",
                                        [API_BOOL] = "boolean",  [API_INTEGER] = "number",
                                        [API_NUMBER] = "number", [API_STRING] = "string"};
    const bool is_many = type->kind == API_CHOICE || type->kind == API_UNION;
    fputs(is_many ? "(" : "", out);
    for (size_t i = 0; is_many && i < type->count; i++) {
        fputs(i ? " | " : "", out);
        if (type->choices)
            write_literal(out, WRITE_TYPESCRIPT, type->choices[i]);
        else
            typescript_write_type(&type->types[i], out);
    }
    fputs(is_many ? ")" : "", out);
    if (type->kind == API_ARRAY) {
        const bool is_plain = !type->types->nullable;
        fputs(is_plain ? "" : "(", out);
        typescript_write_type(type->types, out);
        fputs(is_plain ? "[]" : ")[]", out);
    } else if (!is_many) {
        fputs(type->kind == API_OBJECT ? type->object->ident : words[type->kind], out);
    }
    fputs(type->nullable && type->kind != API_ANY ? " | null" : "", out);
}

static void typescript_write_object(const struct api_object *object, const struct names *free, FILE *out)
{
    fprintf(out, "\nexport interface %s {\n", object->ident);
    for (size_t i = 0; i < object->count; i++) {
        const struct api_member *member = &object->members[i];
        write_comment(out, WRITE_TYPESCRIPT, 4, NULL, member);
        fputs("    ", out);
        if (names_is_plain(free, member->name))
            fputs(member->name, out);
        else
            write_literal(out, WRITE_TYPESCRIPT, member->name);
        fputs(member->required ? ": " : "?: ", out);
        typescript_write_type(&member->type, out);
        fputs("\n", out);
    }
    fputs("}\n", out);
}

static void typescript_write_error(const struct api_object *object, FILE *out)
{
    fprintf(out, "\nexport function %s(error: unknown): error is RpcError & { readonly data: %s } {\n",
            object->error_ident, object->ident);
    fputs("    return error instanceof RpcError && error.err === ", out);
    write_literal(out, WRITE_TYPESCRIPT, object->error);
    fputs("\n}\n", out);
}

/* ---- Methods ---- */

static void typescript_name_levels(struct api *api, struct api_method *method)
{
    struct names scope;
    names_init(&scope, &api->arena, typescript_taken);
    for (size_t i = 0; i < method->piece_count; i++) {
        if (method->pieces[i].is_level)
            method->pieces[i].ident = names_give(&scope, "", NAMES_CAMEL, method->pieces[i].text);
    }
    api->failed = api->failed || scope.failed;
    names_fini(&scope);
}

static bool typescript_needs_params(const struct api_object *params)
{
    for (size_t i = 0; i < params->count; i++) {
        if (params->members[i].required)
            return true;
    }
    return false;
}

static void typescript_write_generics(const struct api_method *method, FILE *out)
{
    fputs("<", out);
    typescript_write_type(&method->result, out);
    if (method->has_progress) {
        fputs(", ", out);
        typescript_write_type(&method->progress, out);
    }
    fputs(">", out);
}

static void typescript_write_signature(const struct api_method *method, bool is_command, FILE *out)
{
    fprintf(out, "    %s(", method->ident);
    for (size_t i = is_command ? 2 : 0; i < method->piece_count; i++) {
        if (method->pieces[i].is_level)
            fprintf(out, "%s: string, ", method->pieces[i].ident);
    }
    if (method->payload == API_BYTES) {
        fputs("payload: Uint8Array, ", out);
    } else if (method->payload == API_VALUE) {
        fputs("value: ", out);
        typescript_write_type(&method->value, out);
        fputs(", ", out);
    } else if (method->params) {
        fprintf(out, "params: %s%s, ", method->params->ident,
                typescript_needs_params(method->params) ? "" : " = {}");
    }
    fputs(is_command ? "options?: CommandOptions" : "options?: CallOptions", out);
    if (method->has_progress) {
        fputs("<", out);
        typescript_write_type(&method->progress, out);
        fputs(">", out);
    }
    fputs("): Promise<", out);
    typescript_write_type(&method->result, out);
    fputs("> {\n", out);
}

/* The name of a method; of a device's command, what follows the device. */
static void typescript_write_name(const struct api_method *method, bool is_command, FILE *out)
{
    bool is_first = true;
    for (size_t i = is_command ? 2 : 0; i < method->piece_count; i++) {
        const struct api_piece *piece = &method->pieces[i];
        fputs(is_first ? "" : " + ", out);
        if (piece->is_level)
            fprintf(out, "level(%s)", piece->ident);
        else
            write_literal(out, WRITE_TYPESCRIPT,
                          piece->text + (is_first && is_command && *piece->text == '/'));
        is_first = false;
    }
    if (is_first)
        fputs("\"\"", out);
}

static void typescript_write_method(struct api *api, struct api_method *method, bool is_command, FILE *out)
{
    typescript_name_levels(api, method);
    fputs("\n", out);
    write_comment(out, WRITE_TYPESCRIPT, 4, method->doc, NULL);
    typescript_write_signature(method, is_command, out);
    fputs(is_command ? "        return this.device.call" : "        return this.client.call", out);
    typescript_write_generics(method, out);
    fputs("(", out);
    typescript_write_name(method, is_command, out);
    fprintf(out, ", %s, options)\n    }\n",
            method->payload == API_BYTES   ? "payload"
            : method->payload == API_VALUE ? "value"
            : method->params               ? "params"
                                           : "{}");
}

/* ---- The whole ---- */

static void typescript_write_event(const struct api_event *event, FILE *out)
{
    fputs("\n", out);
    write_comment(out, WRITE_TYPESCRIPT, 4, event->doc, NULL);
    fprintf(out, "    %s(%soptions?: EventOptions): EventStream<", event->ident,
            event->key ? "key?: string, " : "");
    typescript_write_type(&event->type, out);
    fputs(event->key ? " | undefined> {\n" : "> {\n", out);
    fputs("        return this.client.events(", out);
    write_literal(out, WRITE_TYPESCRIPT, event->name);
    fputs(event->key ? " + (key === undefined ? \"/+\" : \"/\" + level(key)), options)\n    }\n"
                     : ", options)\n    }\n",
          out);
}

static void typescript_write_device(struct api *api, struct api_device *device, FILE *out)
{
    struct names scope;
    names_init(&scope, &api->arena, typescript_words);
    names_give(&scope, "", NAMES_CAMEL, "device");
    typescript_name_methods(&scope, device->commands, device->command_count, true);
    api->failed = api->failed || scope.failed;
    names_fini(&scope);
    fputs("\n", out);
    write_comment(out, WRITE_TYPESCRIPT, 0, device->doc, NULL);
    fprintf(out,
            "export class %s {\n    readonly device: Device\n\n"
            "    constructor(client: Client, name: string) {\n"
            "        this.device = client.device(level(name))\n    }\n",
            device->ident);
    for (size_t i = 0; i < device->command_count; i++)
        typescript_write_method(api, &device->commands[i], true, out);
    fputs("}\n", out);
}

static void typescript_write_service(struct api *api, const char *service, FILE *out)
{
    fprintf(out,
            "\n/** The methods and events of the service. */\n"
            "export class %s {\n    readonly client: Client\n\n"
            "    constructor(client: Client) {\n        this.client = client\n    }\n",
            service);
    for (size_t i = 0; i < api->method_count; i++)
        typescript_write_method(api, &api->methods[i], false, out);
    for (size_t i = 0; i < api->device_count; i++) {
        const struct api_device *device = &api->devices[i];
        fputs("\n", out);
        write_comment(out, WRITE_TYPESCRIPT, 4, device->doc, NULL);
        fprintf(out, "    %s(name: string): %s {\n        return new %s(this.client, name)\n    }\n",
                device->opener, device->ident, device->ident);
    }
    for (size_t i = 0; i < api->event_count; i++)
        typescript_write_event(&api->events[i], out);
    fputs("}\n", out);
}

static const char typescript_prelude[] =
    "import { RpcError } from \"mosquitto-rpc\"\n"
    "import type { CallOptions, Client, CommandOptions, Device, EventOptions, EventStream } from "
    "\"mosquitto-rpc\"\n"
    "\n"
    "function level(text: string): string {\n"
    "    if (text === \"\" || /[/+#{}]/.test(text))\n"
    "        throw new TypeError(JSON.stringify(text) + \" can be no level of a topic\")\n"
    "    return text\n"
    "}\n";

bool typescript_write(struct api *api, const char *name, const struct generate_files *files)
{
    struct names module, service, free; /* free: of members, which may have any name */
    FILE *out = files->code;
    names_init(&free, &api->arena, " ");
    names_init(&module, &api->arena, typescript_words);
    names_init(&service, &api->arena, typescript_words);
    names_give(&service, "", NAMES_CAMEL, "client");
    const char *ident = typescript_name_all(api, name, &module, &service);
    fputs("/*\n", out);
    write_head(out, WRITE_TYPESCRIPT, " * ", api);
    fputs(" */\n", out);
    fputs(typescript_prelude, out);
    for (const struct api_object *object = api->objects; object; object = object->next) {
        typescript_write_object(object, &free, out);
        if (object->error)
            typescript_write_error(object, out);
    }
    for (size_t i = 0; i < api->device_count; i++)
        typescript_write_device(api, &api->devices[i], out);
    typescript_write_service(api, ident, out);
    const bool failed = api->failed || module.failed || service.failed;
    names_fini(&free);
    names_fini(&module);
    names_fini(&service);
    return !failed;
}
