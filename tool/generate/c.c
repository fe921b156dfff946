// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A client in C: structs and functions, in a header and a source file, on mosquitto_rpc_typed.h of clients/c.
 * Everything that it declares begins with the prefix; the source file's own names have two underscores in a
 * row, which no identifier of names.h has.
 */
#include "generate/languages.h"

#include <ctype.h>
#include <string.h>

/* Words of C and C++, and what headers of the C library define. */
#define C_WORDS                                                                                         \
    " auto break case char const continue default do double else enum extern float for goto if inline"  \
    " int long register restrict return short signed sizeof static struct switch typedef union"         \
    " unsigned void volatile while alignas alignof bool constexpr false nullptr static_assert"          \
    " thread_local true typeof typeof_unqual noreturn complex imaginary atomic and and_eq asm bitand"   \
    " bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl concept const_cast" \
    " consteval constinit decltype delete dynamic_cast explicit export friend module mutable namespace" \
    " new noexcept not not_eq operator or or_eq private protected public reinterpret_cast requires"     \
    " template this throw try typeid typename using virtual wchar_t xor xor_eq errno stdin stdout"      \
    " stderr assert offsetof major minor makedev unix linux i386 near far interface isnan isinf"        \
    " isfinite signbit environ "
static const char c_words[] = C_WORDS;

/* And the parameters of functions. */
static const char c_taken[] =
    C_WORDS "client params options result reply id bytes size on_event user key call levels ";

struct c_scopes {
    struct names tags; /* structs and enumerations */
    struct names functions;
    struct names constants;
    const char *prefix; /* service_ */
    const char *upper;  /* SERVICE_ */
};

/* ---- What is declared ---- */

/* How a value is in C: API_ANY is a tree of cJSON, and a choice of one is a string like others. */
static enum api_kind c_kind(const struct api_type *type)
{
    const bool is_odd_array =
        type->kind == API_ARRAY && (type->types->kind == API_ARRAY || type->types->nullable);
    if (type->kind == API_MAP || type->kind == API_UNION || is_odd_array)
        return API_ANY;
    return type->kind == API_CHOICE && type->count == 1 ? API_STRING : type->kind;
}

static bool c_is_array(const struct api_type *type)
{
    return c_kind(type) == API_ARRAY;
}

/* What an array has in it, or the value itself. */
static const struct api_type *c_core(const struct api_type *type)
{
    return c_is_array(type) ? type->types : type;
}

static bool c_may_miss(const struct api_member *member)
{
    return !member->required || member->type.nullable;
}

static bool c_has_flag(const struct api_member *member)
{
    const enum api_kind kind = member->type.kind;
    return c_may_miss(member) && (kind == API_BOOL || kind == API_INTEGER || kind == API_NUMBER);
}

/* The struct for a value: that of its object, or one whose only member is the value. NULL: no memory. */
static struct api_object *c_struct_of(struct api *api, const struct api_type *type, const char *title,
                                      const char *role)
{
    if (type->kind == API_OBJECT && !type->nullable)
        return type->object;
    struct {
        struct api_object object;
        struct api_member member;
    } *made = arena_alloc(&api->arena, sizeof *made);
    if (!made) {
        api->failed = true;
        return NULL;
    }
    made->member = (struct api_member){.required = true, .type = *type};
    made->object = (struct api_object){.title = api_printf(api, "%s%s", title, role),
                                       .members = &made->member,
                                       .count = 1,
                                       .is_params = strcmp(role, "Params") == 0};
    *api->objects_end = &made->object;
    api->objects_end = &made->object.next;
    return &made->object;
}

static void c_add_structs(struct api *api, struct api_method *methods, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct api_method *method = &methods[i];
        method->structs[0] = method->payload == API_VALUE
                                 ? c_struct_of(api, &method->value, method->title, "Params")
                                 : method->params;
        method->structs[1] = c_struct_of(api, &method->result, method->title, "Result");
        if (method->has_progress)
            method->structs[2] = c_struct_of(api, &method->progress, method->title, "Progress");
    }
}

/* ---- Names ---- */

/* What an enumeration's constants begin with. */
static const char *c_raise(struct api *api, const char *kind)
{
    char upper[4 * API_TITLE_SIZE];
    size_t used = 0;
    for (; used < sizeof upper - 1 && kind[used]; used++)
        upper[used] = (char)toupper((unsigned char)kind[used]);
    upper[used] = '\0';
    return api_printf(api, "%s_", upper);
}

static void c_name_kinds(struct api *api, struct c_scopes *scopes, const struct api_object *object,
                         struct api_member *member)
{
    const struct api_type *type = c_core(&member->type);
    if (c_kind(type) != API_CHOICE)
        return;
    const char *tag = api_printf(api, "%s_", object->ident);
    member->kinds = arena_alloc(&api->arena, (type->count + 1) * sizeof *member->kinds);
    if (!member->kinds) {
        api->failed = true;
        return;
    }
    member->kind = names_give(&scopes->tags, tag, NAMES_SNAKE, member->name ? member->name : "value");
    const char *upper = c_raise(api, member->kind);
    for (size_t i = 0; i <= type->count; i++)
        member->kinds[i] =
            names_give(&scopes->constants, upper, NAMES_UPPER, i ? type->choices[i - 1] : "none");
}

static void c_name_members(struct api *api, struct c_scopes *scopes, struct api_object *object)
{
    struct names scope;
    names_init(&scope, &api->arena, c_words);
    for (size_t i = 0; i < object->count; i++) {
        struct api_member *member = &object->members[i];
        member->ident = member->name ? names_give(&scope, "", NAMES_SNAKE, member->name) : "value";
        c_name_kinds(api, scopes, object, member);
    }
    for (size_t i = 0; i < object->count; i++) {
        struct api_member *member = &object->members[i];
        if (!c_has_flag(member) && !c_is_array(&member->type))
            continue;
        const char *name = api_printf(api, c_has_flag(member) ? "has_%s" : "%s_count", member->ident);
        member->beside = names_give(&scope, "", NAMES_SNAKE, name);
    }
    api->failed = api->failed || scope.failed;
    names_fini(&scope);
}

/* The identifier of a function for what has one already: ident_word. */
static const char *c_give_with(struct api *api, struct names *functions, const char *ident, const char *word)
{
    const char *prefix = api_printf(api, "%s_", ident);
    return names_give(functions, prefix, NAMES_SNAKE, word);
}

static void c_name_methods(struct api *api, struct c_scopes *scopes, struct api_method *methods, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct api_method *method = &methods[i];
        struct names scope;
        method->ident = names_give(&scopes->functions, scopes->prefix, NAMES_SNAKE, method->title);
        method->sender = c_give_with(api, &scopes->functions, method->ident, "send");
        names_init(&scope, &api->arena, c_taken);
        for (size_t j = 0; j < method->piece_count; j++) {
            if (method->pieces[j].is_level)
                method->pieces[j].ident = names_give(&scope, "", NAMES_SNAKE, method->pieces[j].text);
        }
        api->failed = api->failed || scope.failed;
        names_fini(&scope);
    }
}

static void c_name_all(struct api *api, struct c_scopes *scopes)
{
    for (struct api_object *object = api->objects; object; object = object->next)
        object->ident = names_give(&scopes->tags, scopes->prefix, NAMES_SNAKE, object->title);
    for (struct api_object *object = api->objects; object; object = object->next) {
        object->reader = c_give_with(api, &scopes->functions, object->ident, "read");
        c_name_members(api, scopes, object);
    }
    c_name_methods(api, scopes, api->methods, api->method_count);
    for (size_t i = 0; i < api->device_count; i++)
        c_name_methods(api, scopes, api->devices[i].commands, api->devices[i].command_count);
    for (size_t i = 0; i < api->event_count; i++) {
        const char *title = api_printf(api, "subscribe %s", api->events[i].name);
        api->events[i].ident = names_give(&scopes->functions, scopes->prefix, NAMES_SNAKE, title);
    }
}

/* ---- The header ---- */

static void c_write_kind(const struct api_member *member, FILE *out)
{
    const struct api_type *type = c_core(&member->type);
    if (!member->kind)
        return;
    fprintf(out, "\nenum %s {\n    %s, /* none, or one that the service did not have when this was made */\n",
            member->kind, member->kinds[0]);
    for (size_t i = 1; i <= type->count; i++)
        fprintf(out, "    %s%s\n", member->kinds[i], i < type->count ? "," : "");
    fputs("};\n", out);
}

static void c_write_type(const struct api_member *member, FILE *out)
{
    static const char *const words[] = {[API_ANY] = "const cJSON *",
                                        [API_BOOL] = "bool ",
                                        [API_INTEGER] = "int64_t ",
                                        [API_NUMBER] = "double ",
                                        [API_STRING] = "const char *"};
    const struct api_type *type = c_core(&member->type);
    const enum api_kind kind = c_kind(type);
    const bool is_array = c_is_array(&member->type), is_pointer = kind == API_ANY || kind == API_STRING;
    const bool is_reference = !is_array && kind == API_OBJECT && c_may_miss(member);
    fputs((is_array && !is_pointer) || is_reference ? "const " : "", out);
    if (kind == API_OBJECT)
        fprintf(out, "struct %s ", type->object->ident);
    else if (kind == API_CHOICE)
        fprintf(out, "enum %s ", member->kind);
    else
        fputs(words[kind], out);
    fputs(is_array && is_pointer ? "const *" : is_array || is_reference ? "*" : "", out);
}

static void c_write_reader_head(const struct api_object *object, FILE *out)
{
    fprintf(out, "bool %s(const cJSON *json, struct %s *value,\n    struct rpc_typed_memory *memory)",
            object->reader, object->ident);
}

static void c_write_struct(const struct api_object *object, FILE *out)
{
    for (size_t i = 0; i < object->count; i++)
        c_write_kind(&object->members[i], out);
    fprintf(out, "\nstruct %s {\n", object->ident);
    for (size_t i = 0; i < object->count; i++) {
        const struct api_member *member = &object->members[i];
        write_comment(out, WRITE_C, 4, NULL, member);
        if (c_has_flag(member))
            fprintf(out, "    bool %s;\n", member->beside);
        fputs("    ", out);
        c_write_type(member, out);
        fprintf(out, "%s;\n", member->ident);
        if (c_is_array(&member->type))
            fprintf(out, "    size_t %s;\n", member->beside);
    }
    fputs("};\n", out);
    if (!object->is_params) {
        c_write_reader_head(object, out);
        fputs(";\n", out);
    }
}

static void c_write_takes(const struct api_method *method, FILE *out)
{
    for (size_t i = 0; i < method->piece_count; i++) {
        if (method->pieces[i].is_level)
            fprintf(out, ", const char *%s", method->pieces[i].ident);
    }
    if (method->payload == API_BYTES)
        fputs(", const void *bytes, size_t size", out);
    else if (method->structs[0])
        fprintf(out, ", const struct %s *params", method->structs[0]->ident);
    fputs(",\n    const struct rpc_client_request *options", out);
}

static void c_write_call_head(const struct api_method *method, FILE *out)
{
    fprintf(out, "enum rpc_client_status %s(\n    struct rpc_client *client", method->ident);
    c_write_takes(method, out);
    fprintf(out, ", struct %s *result, struct rpc_typed_reply *reply)", method->structs[1]->ident);
}

static void c_write_send_head(const struct api_method *method, FILE *out)
{
    fprintf(out, "enum rpc_client_status %s(\n    struct rpc_client *client", method->sender);
    c_write_takes(method, out);
    fputs(", char id[RPC_CLIENT_ID_SIZE])", out);
}

static void c_write_event_head(const struct api_event *event, FILE *out)
{
    fprintf(out,
            "enum rpc_client_status %s(\n    struct rpc_client *client%s, rpc_client_event_fn *on_event,"
            " void *user, unsigned long *id)",
            event->ident, event->key ? ", const char *key" : "");
}

static void c_write_method_heads(const struct api_method *methods, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        fputs("\n", out);
        write_comment(out, WRITE_C, 0, methods[i].doc, NULL);
        c_write_call_head(&methods[i], out);
        fputs(";\n", out);
        c_write_send_head(&methods[i], out);
        fputs(";\n", out);
    }
}

static const char c_manual[] =
    " *\n"
    " * Each function X calls a method and waits for its result; rpc_typed_clear(reply) frees what the "
    "result points to,\n"
    " * in every case. X_send sends the call; on_reply of the options, which may be NULL elsewhere, is told, "
    "and reads the\n"
    " * result with the function of its struct that ends in _read, as on_progress and on_event read theirs: "
    "it returns false where the\n"
    " * JSON does not fit, and rpc_typed_free(memory) frees what the struct points to. Errors of methods are "
    "structs whose\n"
    " * names end in _error, and are read from reply->data. See mosquitto_rpc_typed.h.\n"
    " *\n"
    " * A pointer that is NULL, a choice that is 0 and a value whose flag has_… is false are missing.\n";

static void c_write_header(const struct api *api, const char *upper, FILE *out)
{
    fputs("/*\n", out);
    write_head(out, WRITE_C, " * ", api);
    fprintf(out,
            "%s */\n#ifndef %sCLIENT_H\n#define %sCLIENT_H\n\n#include <mosquitto_rpc_typed.h>\n\n"
            "#ifdef __cplusplus\nextern \"C\" {\n#endif\n",
            c_manual, upper, upper);
    for (const struct api_object *object = api->objects; object; object = object->next)
        c_write_struct(object, out);
    c_write_method_heads(api->methods, api->method_count, out);
    for (size_t i = 0; i < api->device_count; i++)
        c_write_method_heads(api->devices[i].commands, api->devices[i].command_count, out);
    for (size_t i = 0; i < api->event_count; i++) {
        fputs("\n", out);
        write_comment(out, WRITE_C, 0, api->events[i].doc, NULL);
        c_write_event_head(&api->events[i], out);
        fputs(";\n", out);
    }
    fputs("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n", out);
}

/* ---- The source ---- */

static void c_write_choices(const struct api_object *object, const struct api_member *member, FILE *out)
{
    const struct api_type *type = c_core(&member->type);
    if (!member->kind)
        return;
    fprintf(out,
            "\n_Static_assert(sizeof(enum %s) == sizeof(int), \"a choice is an int\");\n"
            "static const char *const %s__%s[] = {",
            member->kind, object->ident, member->ident);
    for (size_t i = 0; i < type->count; i++) {
        fputs(i ? ", " : "", out);
        write_literal(out, WRITE_C, type->choices[i]);
    }
    fputs("};\n", out);
}

static void c_write_row(const struct api_object *object, const struct api_member *member, FILE *out)
{
    static const char *const kinds[] = {
        [API_ANY] = "JSON",      [API_BOOL] = "BOOL",     [API_INTEGER] = "INTEGER", [API_NUMBER] = "NUMBER",
        [API_STRING] = "STRING", [API_CHOICE] = "CHOICE", [API_OBJECT] = "OBJECT"};
    const struct api_type *type = c_core(&member->type);
    fputs("    {.name = ", out);
    if (member->name)
        write_literal(out, WRITE_C, member->name);
    else
        fputs("NULL", out);
    fprintf(out, ", .kind = RPC_TYPED_%s, .offset = offsetof(struct %s, %s)", kinds[c_kind(type)],
            object->ident, member->ident);
    if (member->beside)
        fprintf(out, ", .beside = offsetof(struct %s, %s)", object->ident, member->beside);
    fputs(c_is_array(&member->type) ? ", .is_array = true" : "", out);
    fputs(c_has_flag(member) ? ", .has_flag = true" : "", out);
    fputs(member->required ? ", .is_required = true" : "", out);
    fputs(member->type.nullable || member->type.kind == API_ANY ? ", .is_nullable = true" : "", out);
    if (c_kind(type) == API_OBJECT)
        fprintf(out, ", .shape = &%s__shape", type->object->ident);
    if (member->kind)
        fprintf(out, ", .choices = %s__%s, .choice_count = %zu", object->ident, member->ident, type->count);
    fputs("},\n", out);
}

static void c_write_shape(const struct api_object *object, FILE *out)
{
    const char *ident = object->ident;
    for (size_t i = 0; i < object->count; i++)
        c_write_choices(object, &object->members[i], out);
    fprintf(out, "\nstatic const struct rpc_typed_member %s__members[] = {\n", ident);
    for (size_t i = 0; i < object->count; i++)
        c_write_row(object, &object->members[i], out);
    fprintf(out,
            "};\nstatic const struct rpc_typed_shape %s__shape = {%s__members, %zu, sizeof(struct %s)};\n",
            ident, ident, object->count, ident);
    if (object->is_params)
        return;
    fputs("\n", out);
    c_write_reader_head(object, out);
    fprintf(out, "\n{\n    return rpc_typed_read(&%s__shape, json, value, memory);\n}\n", ident);
}

/* The body of a function that makes a struct rpc_typed_call and passes it on. */
static void c_write_body(const struct api_method *method, const char *passed, FILE *out)
{
    bool has_levels = false;
    fputs("\n{\n", out);
    for (size_t i = 0; i < method->piece_count; i++) {
        if (!method->pieces[i].is_level)
            continue;
        fprintf(out, "%s%s", has_levels ? ", " : "    const char *const levels[] = {",
                method->pieces[i].ident);
        has_levels = true;
    }
    fputs(has_levels ? "};\n" : "", out);
    fprintf(out, "    const struct rpc_typed_call call = {.method = &%s__method%s%s%s};\n    return %s;\n}\n",
            method->ident, has_levels ? ", .levels = levels" : "",
            method->payload != API_BYTES && method->structs[0] ? ", .params = params" : "",
            method->payload == API_BYTES ? ", .bytes = bytes, .size = size" : "", passed);
}

static void c_write_methods(const struct api_method *methods, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct api_method *method = &methods[i];
        fprintf(out, "\nstatic const struct rpc_typed_method %s__method = {", method->ident);
        write_literal(out, WRITE_C, method->name);
        if (method->structs[0])
            fprintf(out, ", &%s__shape", method->structs[0]->ident);
        else
            fputs(", NULL", out);
        fprintf(out, ", &%s__shape};\n\n", method->structs[1]->ident);
        c_write_call_head(method, out);
        c_write_body(method, "rpc_typed_call(client, &call, options, result, reply)", out);
        fputs("\n", out);
        c_write_send_head(method, out);
        c_write_body(method, "rpc_typed_send(client, &call, options, id)", out);
    }
}

static void c_write_source(const struct api *api, const char *header, FILE *out)
{
    fputs("/*\n", out);
    write_head(out, WRITE_C, " * ", api);
    fprintf(out, " */\n#include \"%s\"\n\n#include <stddef.h>\n", header);
    for (const struct api_object *object = api->objects; object; object = object->next)
        c_write_shape(object, out);
    c_write_methods(api->methods, api->method_count, out);
    for (size_t i = 0; i < api->device_count; i++)
        c_write_methods(api->devices[i].commands, api->devices[i].command_count, out);
    for (size_t i = 0; i < api->event_count; i++) {
        const struct api_event *event = &api->events[i];
        fputs("\n", out);
        c_write_event_head(event, out);
        fputs("\n{\n    return rpc_typed_subscribe(client, ", out);
        write_literal(out, WRITE_C, event->name);
        fputs(event->key ? ", true, key, on_event, user, id);\n}\n"
                         : ", false, NULL, on_event, user, id);\n}\n",
              out);
    }
}

bool c_write(struct api *api, const char *name, const struct generate_files *files)
{
    struct c_scopes scopes;
    names_init(&scopes.tags, &api->arena, c_words);
    names_init(&scopes.functions, &api->arena, c_words);
    names_init(&scopes.constants, &api->arena, c_words);
    scopes.prefix = api_printf(api, "%s_", names_give(&scopes.tags, "", NAMES_SNAKE, name));
    scopes.upper = api_printf(api, "%s_", names_give(&scopes.constants, "", NAMES_UPPER, name));
    c_add_structs(api, api->methods, api->method_count);
    for (size_t i = 0; i < api->device_count; i++)
        c_add_structs(api, api->devices[i].commands, api->devices[i].command_count);
    for (size_t i = 0; i < api->event_count; i++) {
        char title[API_TITLE_SIZE] = "";
        api_append_title(title, sizeof title, api->events[i].name);
        c_struct_of(api, &api->events[i].type, title, "Event");
    }
    if (!api->failed) {
        c_name_all(api, &scopes);
        c_write_header(api, scopes.upper, files->header);
        c_write_source(api, files->header_name, files->code);
    }
    const bool failed =
        api->failed || scopes.tags.failed || scopes.functions.failed || scopes.constants.failed;
    names_fini(&scopes.tags);
    names_fini(&scopes.functions);
    names_fini(&scopes.constants);
    return !failed;
}
