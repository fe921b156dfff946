// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* generate: writes a typed client, of what the service, or a file, says of its methods. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "generate/generate.h"
#include "output.h"

enum { GENERATE_DOCUMENT_MAX = 64 << 20, GENERATE_BLOCK = 1 << 16, GENERATE_PATH = 4096 };

/* ---- The document ---- */

/* Reads a file to its end. NULL: it has been said why not. */
static char *generate_read_file(const struct tool *tool, const char *path)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "r");
    char *text = NULL;
    size_t used = 0, room = 0;
    const char *why = file ? NULL : strerror(errno);
    while (!why) {
        if (room - used < 2) {
            room += GENERATE_BLOCK + room;
            char *larger = room <= GENERATE_DOCUMENT_MAX ? realloc(text, room) : NULL;
            if (!larger) {
                why = "it is too large";
                break;
            }
            text = larger;
        }
        const size_t got = fread(text + used, 1, room - used - 1, file);
        used += got;
        text[used] = '\0';
        if (got == 0) {
            why = ferror(file) ? strerror(errno) : NULL;
            break;
        }
    }
    if (file && !is_stdin)
        fclose(file);
    if (!why)
        return text;
    free(text);
    tool_fail(tool, TOOL_USAGE, "%s cannot be read: %s", path, why);
    return NULL;
}

static enum tool_exit generate_load(const struct tool *tool, const char *path, cJSON **document)
{
    char *text = generate_read_file(tool, path);
    if (!text)
        return TOOL_USAGE;
    *document = cJSON_ParseWithOpts(text, NULL, true);
    free(text);
    return *document ? TOOL_OK : tool_fail(tool, TOOL_USAGE, "%s is not JSON", path);
}

/* Calls a method. *result is the caller's; NULL: the call failed, or its result is no JSON. It has been said.
 */
static enum tool_exit generate_ask(struct tool *tool, const char *method, const char *name, cJSON **result)
{
    enum tool_exit outcome;
    cJSON *params = cJSON_CreateObject();
    if (name)
        cJSON_AddStringToObject(params, "method", name);
    *result = tool_fetch(tool, method, params, &outcome);
    return outcome;
}

static bool generate_has(const cJSON *list, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *known = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        if (known && strcmp(known, name) == 0)
            return true;
    }
    return false;
}

/* Moves a member of an object to the end of an array. */
static void generate_move(cJSON *from, const char *name, cJSON *to)
{
    cJSON *moved = cJSON_DetachItemFromObjectCaseSensitive(from, name);
    if (moved && !cJSON_AddItemToArray(to, moved))
        cJSON_Delete(moved);
}

/* Moves those of a list of described events to the document's that it does not have yet. */
static void generate_move_events(cJSON *described, cJSON *events)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(described, "events");
    for (cJSON *item = list ? list->child : NULL, *next; item; item = next) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        next = item->next;
        if (name && !generate_has(events, name))
            cJSON_AddItemToArray(events, cJSON_DetachItemViaPointer(list, item));
    }
}

static enum tool_exit generate_add_methods(struct tool *tool, const cJSON *list, cJSON *methods,
                                           cJSON *events)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        cJSON *described;
        const enum tool_exit failed = name ? generate_ask(tool, "rpc.describe", name, &described) : TOOL_OK;
        if (failed)
            return failed;
        if (!name)
            continue;
        generate_move_events(described, events);
        generate_move(described, "method", methods);
        cJSON_Delete(described);
    }
    return TOOL_OK;
}

/* Moves the command that belongs to a kind of devices, which is its tag, out of those that rpc.describe
 * tells. */
static void generate_move_command(cJSON *described, const char *kind, cJSON *all)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(described, "commands"), *item;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *tag = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(item, "tags"), 0);
        const char *owner = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tag, "name"));
        if (!owner || strcmp(owner, kind) != 0)
            continue;
        cJSON_AddItemToArray(all, cJSON_DetachItemViaPointer(list, item));
        return;
    }
}

static enum tool_exit generate_add_kind(struct tool *tool, const cJSON *kind, const char *name,
                                        cJSON *devices)
{
    const cJSON *item, *doc = cJSON_GetObjectItemCaseSensitive(kind, "doc");
    cJSON *object = cJSON_AddObjectToObject(devices, name);
    if (cJSON_IsString(doc))
        cJSON_AddStringToObject(object, "description", doc->valuestring);
    cJSON *all = cJSON_AddArrayToObject(object, "commands");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(kind, "commands"))
    {
        const char *command = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        char method[2 * RPC_CLIENT_NAME_MAX];
        cJSON *described;
        if (!command || snprintf(method, sizeof method, "device/{device}/%s", command) >= (int)sizeof method)
            continue;
        const enum tool_exit failed = generate_ask(tool, "rpc.describe", method, &described);
        if (failed)
            return failed;
        generate_move_command(described, name, all);
        cJSON_Delete(described);
    }
    return TOOL_OK;
}

static enum tool_exit generate_add_kinds(struct tool *tool, const cJSON *kinds, cJSON *devices)
{
    const cJSON *kind;
    cJSON_ArrayForEach(kind, kinds)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(kind, "name"));
        const enum tool_exit failed = name ? generate_add_kind(tool, kind, name, devices) : TOOL_OK;
        if (failed)
            return failed;
    }
    return TOOL_OK;
}

/* The engine's own event, which rpc.list leaves out. */
static const char generate_error[] =
    "{\"name\":\"error\","
    "\"description\":\"an error that has no event of its own, of a call that asked for no reply\","
    "\"schema\":{\"title\":\"Error\",\"type\":\"object\",\"properties\":{"
    "\"method\":{\"type\":\"string\"},\"err\":{\"type\":\"string\"},\"msg\":{\"type\":\"string\"}},"
    "\"required\":[\"method\",\"err\"]}}";

/* An event that no method announces is known by its name and key alone. */
static void generate_add_events(const cJSON *list, cJSON *events)
{
    const cJSON *item;
    cJSON *error = cJSON_Parse(generate_error);
    if (error && !cJSON_AddItemToArray(events, error))
        cJSON_Delete(error);
    cJSON_ArrayForEach(item, list)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        const char *doc = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "doc"));
        cJSON *event = name && !generate_has(events, name) ? cJSON_Duplicate(item, true) : NULL;
        if (!event)
            continue;
        if (doc)
            cJSON_AddStringToObject(event, "description", doc);
        cJSON_AddItemToArray(events, event);
    }
}

/* Puts the document together of what rpc.list and rpc.describe tell. */
static enum tool_exit generate_gather(struct tool *tool, cJSON **document)
{
    cJSON *list;
    enum tool_exit failed = generate_ask(tool, "rpc.list", NULL, &list);
    if (failed)
        return failed;
    *document = cJSON_CreateObject();
    cJSON_AddStringToObject(*document, "openrpc", "1.3.2");
    cJSON *methods = cJSON_AddArrayToObject(*document, "methods");
    cJSON *events = cJSON_AddArrayToObject(*document, "x-events");
    cJSON *devices = cJSON_AddObjectToObject(*document, "x-devices");
    if (!devices)
        failed = tool_fail(tool, TOOL_FAILED, "there is no memory");
    if (!failed)
        failed =
            generate_add_methods(tool, cJSON_GetObjectItemCaseSensitive(list, "methods"), methods, events);
    if (!failed)
        failed = generate_add_kinds(tool, cJSON_GetObjectItemCaseSensitive(list, "devices"), devices);
    if (!failed)
        generate_add_events(cJSON_GetObjectItemCaseSensitive(list, "events"), events);
    cJSON_Delete(list);
    return failed;
}

/* Asks the service: for the whole document, or in parts where that is larger than a reply may be. */
static enum tool_exit generate_fetch(struct tool *tool, cJSON **document)
{
    const struct rpc_client_request request = {.method = "rpc.discover"};
    struct rpc_client_reply reply;
    enum tool_exit failed = tool_connect(tool);
    if (failed)
        return failed;
    const enum rpc_client_status status = tool_ask(tool, &request, &reply);
    const bool is_large = status == RPC_CLIENT_BAD_REPLY ||
                          (status == RPC_CLIENT_ERROR && strcmp(reply.err, "reply_too_large") == 0);
    if (status == RPC_CLIENT_OK)
        *document = cJSON_Duplicate(reply.data, true);
    else if (!is_large)
        failed = tool_fail_reply(tool, request.method, &reply);
    rpc_client_reply_clear(&reply);
    if (is_large)
        return generate_gather(tool, document);
    return failed || *document ? failed : tool_fail(tool, TOOL_FAILED, "there is no memory");
}

/* ---- The files ---- */

/* A file of the client: its path, and what it will hold. */
struct generate_file {
    char path[GENERATE_PATH]; /* "": standard output */
    FILE *stream;
    char *text;
    size_t size;
};

static bool generate_is_name(const char *name)
{
    for (const char *c = name; *c; c++) {
        if (!isascii(*c) || (!isalnum(*c) && !strchr("_-.", *c)))
            return false;
    }
    return isascii(*name) && isalpha(*name);
}

static bool generate_ends(const char *path, const char *suffix)
{
    const size_t size = strlen(path), other = strlen(suffix);
    return size >= other && strcmp(path + size - other, suffix) == 0;
}

/* The path of a file: in a folder the client's name, else the one that was given, with its suffix changed. */
static bool generate_make_path(const struct generate_language *language, const char *output, const char *name,
                               const char *suffix, char path[GENERATE_PATH])
{
    struct stat status;
    int size = (int)strlen(output);
    if (stat(output, &status) == 0 && S_ISDIR(status.st_mode))
        return snprintf(path, GENERATE_PATH, "%s/%s%s", output, name, suffix) < GENERATE_PATH;
    if (!language->header_suffix)
        return snprintf(path, GENERATE_PATH, "%s", output) < GENERATE_PATH;
    if (generate_ends(output, language->suffix))
        size -= (int)strlen(language->suffix);
    else if (generate_ends(output, language->header_suffix))
        size -= (int)strlen(language->header_suffix);
    return snprintf(path, GENERATE_PATH, "%.*s%s", size, output, suffix) < GENERATE_PATH;
}

static const char *generate_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum tool_exit generate_save(const struct tool *tool, const struct generate_file *file)
{
    FILE *out = *file->path ? fopen(file->path, "w") : stdout;
    const bool is_written = out && fwrite(file->text, 1, file->size, out) == file->size;
    if (out == stdout)
        return TOOL_OK; /* output_flush() sees whether it is written */
    if (!out || (fclose(out) != 0) | !is_written)
        return tool_fail(tool, TOOL_FAILED, "%s cannot be written: %s", file->path, strerror(errno));
    return TOOL_OK;
}

/* Files are written when all of the client has been made. */
static enum tool_exit generate_make(const struct tool *tool, const cJSON *document,
                                    const struct generate_language *language, const char *name,
                                    struct generate_file *code, struct generate_file *header)
{
    code->stream = open_memstream(&code->text, &code->size);
    header->stream = open_memstream(&header->text, &header->size);
    const char *fault = "there is no memory";
    const struct generate_files files = {code->stream, header->stream, generate_base(header->path)};
    if (code->stream && header->stream)
        fault = generate_write(document, language, name, &files);
    bool failed = !code->stream || !header->stream;
    if (code->stream)
        failed |= fclose(code->stream) != 0;
    if (header->stream)
        failed |= fclose(header->stream) != 0;
    if (fault || failed)
        return tool_fail(tool, TOOL_FAILED, "%s", fault ? fault : "there is no memory");
    const enum tool_exit saved = language->header_suffix ? generate_save(tool, header) : TOOL_OK;
    return saved ? saved : generate_save(tool, code);
}

/* Checks the options, and fills in the paths. */
static enum tool_exit generate_prepare(const struct tool *tool, const struct generate_language **language,
                                       const char *name, struct generate_file *code,
                                       struct generate_file *header)
{
    const struct tool_options *options = &tool->options;
    const char *output = options->output;
    *language = options->language ? generate_find(options->language) : NULL;
    if (!*language)
        return tool_fail(tool, TOOL_USAGE, "--language must be python, typescript or c");
    if (!generate_is_name(name))
        return tool_fail(tool, TOOL_USAGE,
                         "--name must begin with a letter, and have letters, digits, _ - . alone");
    if (!output)
        return (*language)->header_suffix
                   ? tool_fail(tool, TOOL_USAGE,
                               "a client in C is two files: --output FILE.h, or a folder, is needed")
                   : TOOL_OK;
    if (!generate_make_path(*language, output, name, (*language)->suffix, code->path) ||
        ((*language)->header_suffix &&
         !generate_make_path(*language, output, name, (*language)->header_suffix, header->path)))
        return tool_fail(tool, TOOL_USAGE, "--output is too long");
    if ((*language)->header_suffix && !generate_is_name(generate_base(header->path)))
        return tool_fail(
            tool, TOOL_USAGE,
            "the name of the header must begin with a letter, and have letters, digits, _ - . alone");
    return TOOL_OK;
}

enum tool_exit command_generate_run(struct tool *tool, int count, char **words)
{
    struct generate_file code = {.path = ""}, header = {.path = ""};
    const struct generate_language *language;
    const char *name = tool->options.name ? tool->options.name : "service";
    cJSON *document = NULL;
    (void)count, (void)words;
    enum tool_exit failed = generate_prepare(tool, &language, name, &code, &header);
    if (!failed)
        failed = tool->options.from ? generate_load(tool, tool->options.from, &document)
                                    : generate_fetch(tool, &document);
    if (!failed)
        failed = generate_make(tool, document, language, name, &code, &header);
    free(code.text);
    free(header.text);
    cJSON_Delete(document);
    return failed;
}
