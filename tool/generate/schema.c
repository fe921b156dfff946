// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Types out of JSON Schema: see api.h. */
#define HASH_NONFATAL_OOM 1

#include "generate/api.h"

#include <stdio.h>
#include <string.h>
#include <uthash.h>

/* A schema of an object that has been read, or is being read: then object is NULL. */
struct api_node {
    const cJSON *schema;
    struct api_object *object;
    UT_hash_handle hh;
};

/* A title, and the objects that want it. */
struct api_title {
    const char *title;
    struct api_object *objects;
    size_t count;
    UT_hash_handle hh;
};

/* The name of a member that has been read: no other one of the object may have it. */
struct schema_name {
    const char *name;
    UT_hash_handle hh;
};

enum { SCHEMA_VARIANTS = 16 }; /* objects of one title that a new one is compared with */

static const struct api_type schema_any = {.kind = API_ANY};

static struct api_type schema_read(struct api *api, const cJSON *schema, const char *hint, int depth);

static void *schema_take(struct api *api, size_t count, size_t size)
{
    void *taken = count > SIZE_MAX / 2 / size ? NULL : arena_alloc(&api->arena, count * size);
    if (!taken)
        api->failed = true;
    return taken;
}

/* ---- Strings ---- */

static bool schema_is_name(const char *text)
{
    return text && *text && strlen(text) <= API_NAME_MAX;
}

static bool schema_has_string(const char *const *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], text) == 0)
            return true;
    }
    return false;
}

/* The choices of `enum` or `const`. Anything but a few short strings, and null, is no choice but a string. */
static struct api_type schema_read_string(struct api *api, const cJSON *schema, bool nullable)
{
    enum { CHOICES_MAX = 256 };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(schema, "enum");
    const char *only = api_string(schema, "const"), *found[CHOICES_MAX];
    struct api_type type = {.kind = API_STRING, .nullable = nullable};
    size_t count = 0;
    if (only && schema_is_name(only))
        found[count++] = only;
    const cJSON *item;
    if (!only && cJSON_IsArray(list)) {
        cJSON_ArrayForEach(item, list)
        {
            const char *text = cJSON_GetStringValue(item);
            if (cJSON_IsNull(item) || (text && schema_has_string(found, count, text)))
                continue;
            if (!schema_is_name(text) || count == CHOICES_MAX)
                return type;
            found[count++] = text;
        }
    }
    const char **choices = count ? schema_take(api, count, sizeof *choices) : NULL;
    if (!choices)
        return type;
    memcpy(choices, found, count * sizeof *choices);
    return (struct api_type){.kind = API_CHOICE, .nullable = nullable, .choices = choices, .count = count};
}

/* ---- Objects ---- */

static bool schema_is_type(const struct api_type *type, const struct api_type *other)
{
    if (type->kind != other->kind || type->nullable != other->nullable || type->count != other->count ||
        type->object != other->object)
        return false;
    for (size_t i = 0; i < type->count; i++) {
        if (type->choices && strcmp(type->choices[i], other->choices[i]) != 0)
            return false;
        if (type->types && !schema_is_type(&type->types[i], &other->types[i]))
            return false;
    }
    return true;
}

static bool schema_is_object(const struct api_object *object, const struct api_object *other)
{
    if (object->count != other->count || object->is_params != other->is_params)
        return false;
    for (size_t i = 0; i < object->count; i++) {
        const struct api_member *member = &object->members[i], *counterpart = &other->members[i];
        if (strcmp(member->name, counterpart->name) != 0 || member->required != counterpart->required ||
            !schema_is_type(&member->type, &counterpart->type))
            return false;
    }
    return true;
}

/* The object to use for one that has been read: an equal one of the same title, or the new one. */
static struct api_object *schema_share(struct api *api, struct api_object *object)
{
    struct api_title *title;
    HASH_FIND_STR(api->titles, object->title, title);
    if (!title) {
        title = schema_take(api, 1, sizeof *title);
        if (!title)
            return NULL;
        title->title = object->title;
        HASH_ADD_KEYPTR(hh, api->titles, title->title, strlen(title->title), title);
        if (!title->hh.tbl) {
            api->failed = true;
            return NULL;
        }
    }
    for (struct api_object *other = title->objects; other; other = other->same) {
        if (schema_is_object(object, other))
            return other;
    }
    if (title->count++ < SCHEMA_VARIANTS) {
        object->same = title->objects;
        title->objects = object;
    }
    *api->objects_end = object;
    api->objects_end = &object->next;
    return object;
}

static size_t schema_weight(const struct api_type *type)
{
    return type->kind == API_OBJECT                 ? type->object->weight
           : type->kind == API_ARRAY && type->count ? schema_weight(type->types)
                                                    : 1;
}

/* Adds a member that an object does not have yet, if it fits. room: how many the object has room for. */
static void schema_add_member(struct api *api, struct api_object *object, size_t room,
                              struct schema_name **names, const cJSON *schema, const char *name,
                              bool required, int depth)
{
    struct schema_name *known;
    char hint[API_TITLE_SIZE];
    if (!schema_is_name(name) || object->count == room || object->weight >= API_WEIGHT_MAX)
        return;
    HASH_FIND_STR(*names, name, known);
    if (known || !(known = schema_take(api, 1, sizeof *known)))
        return;
    known->name = name;
    HASH_ADD_KEYPTR(hh, *names, known->name, strlen(known->name), known);
    if (!known->hh.tbl) {
        api->failed = true;
        return;
    }
    snprintf(hint, sizeof hint, "%s", object->title);
    api_append_title(hint, sizeof hint, name);
    struct api_member *member = &object->members[object->count++];
    const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(schema, "default");
    char *printed = fallback ? cJSON_PrintUnformatted(fallback) : NULL;
    *member =
        (struct api_member){.name = name,
                            .doc = api_string(schema, "description"),
                            .unit = api_string(schema, "x-unit"),
                            .fallback = printed ? arena_copy(&api->arena, printed, strlen(printed)) : NULL,
                            .required = required,
                            .type = schema_read(api, schema, hint, depth + 1)};
    if (fallback && !member->fallback)
        api->failed = true;
    cJSON_free(printed);
    if (object->weight + schema_weight(&member->type) > API_WEIGHT_MAX)
        member->type = schema_any;
    object->weight += schema_weight(&member->type);
}

static bool schema_requires(const cJSON *schema, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(schema, "required"))
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
            return true;
    }
    return false;
}

/* What a $ref of the document's own schemas stands for; NULL: it is none, or refers to another one. */
static const cJSON *schema_follow(const struct api *api, const cJSON *schema)
{
    static const char place[] = "#/components/schemas/";
    const char *reference = api_string(schema, "$ref");
    const cJSON *found = NULL;
    if (reference && strncmp(reference, place, sizeof place - 1) == 0) {
        const cJSON *components = cJSON_GetObjectItemCaseSensitive(api->document, "components");
        const cJSON *schemas = cJSON_GetObjectItemCaseSensitive(components, "schemas");
        found = cJSON_GetObjectItemCaseSensitive(schemas, reference + sizeof place - 1);
    }
    return api_string(found, "$ref") ? NULL : found;
}

static size_t schema_count(const cJSON *schema)
{
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    return cJSON_IsObject(properties) ? (size_t)cJSON_GetArraySize(properties) : 0;
}

/* More members than fit by their weight are left out. */
static size_t schema_room(size_t wanted)
{
    return wanted < API_WEIGHT_MAX ? wanted : API_WEIGHT_MAX;
}

/* The schemas whose members an object has besides its own: those of its allOf. */
static const cJSON *schema_added(const struct api *api, const cJSON *part)
{
    const cJSON *target = schema_follow(api, part);
    return target ? target : part;
}

static void schema_add_members(struct api *api, struct api_object *object, size_t room,
                               struct schema_name **names, const cJSON *schema, const cJSON *requiring,
                               int depth)
{
    const cJSON *property;
    if (!schema_count(schema))
        return;
    cJSON_ArrayForEach(property, cJSON_GetObjectItemCaseSensitive(schema, "properties"))
    {
        schema_add_member(api, object, room, names, property, property->string,
                          schema_requires(requiring, property->string), depth);
    }
}

/* The title of a schema, as an identifier of ASCII letters and digits, or the hint. */
static const char *schema_title(struct api *api, const cJSON *schema, const char *hint, bool nullable)
{
    static const char suffix[] = "OrNull";
    char title[API_TITLE_SIZE] = "";
    const char *given = api_string(schema, "title");
    api_append_title(title, sizeof title, given ? given : hint);
    const size_t size = strlen(title);
    if (nullable && size > sizeof suffix && strcmp(title + size - (sizeof suffix - 1), suffix) == 0)
        title[size - (sizeof suffix - 1)] = '\0';
    return api_printf(api, "%s", title);
}

static struct api_object *schema_make_object(struct api *api, const cJSON *schema, const char *title,
                                             int depth)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(schema, "allOf"), *part;
    struct schema_name *names = NULL;
    size_t room = schema_count(schema);
    cJSON_ArrayForEach(part, all)
    {
        room += schema_count(schema_added(api, part));
    }
    room = schema_room(room);
    struct api_object *object = schema_take(api, 1, sizeof *object);
    struct api_member *members = object && room ? schema_take(api, room, sizeof *members) : NULL;
    if (!members)
        return NULL;
    *object = (struct api_object){.title = title, .members = members, .weight = 1};
    schema_add_members(api, object, room, &names, schema, schema, depth);
    cJSON_ArrayForEach(part, all)
    {
        schema_add_members(api, object, room, &names, schema_added(api, part), schema, depth);
    }
    HASH_CLEAR(hh, names);
    return object->count ? schema_share(api, object) : NULL;
}

/* Schemas are read once, so that references to them cost nothing, and none can contain itself. */
static struct api_type schema_read_object(struct api *api, const cJSON *schema, const char *hint,
                                          bool nullable, int depth)
{
    struct api_node *node;
    HASH_FIND_PTR(api->nodes, &schema, node);
    if (!node) {
        node = schema_take(api, 1, sizeof *node);
        if (!node)
            return schema_any;
        node->schema = schema;
        HASH_ADD_PTR(api->nodes, schema, node);
        if (!node->hh.tbl) {
            api->failed = true;
            return schema_any;
        }
        node->object = schema_make_object(api, schema, schema_title(api, schema, hint, nullable), depth);
        if (!node->object)
            return (struct api_type){.kind = API_MAP, .nullable = nullable};
    }
    if (!node->object)
        return schema_any;
    return (struct api_type){.kind = API_OBJECT, .nullable = nullable, .object = node->object};
}

/* ---- Types ---- */

static struct api_type schema_read_array(struct api *api, const cJSON *schema, const char *hint,
                                         bool nullable, int depth)
{
    struct api_type *item = schema_take(api, 1, sizeof *item);
    if (!item)
        return schema_any;
    *item = schema_read(api, cJSON_GetObjectItemCaseSensitive(schema, "items"), hint, depth + 1);
    return (struct api_type){.kind = API_ARRAY, .nullable = nullable, .types = item, .count = 1};
}

static struct api_type schema_read_union(struct api *api, const cJSON *list, const char *hint, int depth)
{
    enum { UNION_MAX = 64 };
    const size_t count = (size_t)cJSON_GetArraySize(list);
    struct api_type *types = count && count <= UNION_MAX ? schema_take(api, count, sizeof *types) : NULL;
    const cJSON *part;
    size_t i = 0;
    if (!types)
        return schema_any;
    cJSON_ArrayForEach(part, list)
    {
        types[i] = schema_read(api, part, hint, depth + 1);
        if (types[i++].kind != API_OBJECT)
            return schema_any;
    }
    return (struct api_type){.kind = API_UNION, .types = types, .count = count};
}

/* The one type that a schema names, and whether null will do, too. NULL: none, or several. */
static const char *schema_read_word(const cJSON *schema, bool *nullable)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(schema, "type"), *item;
    const char *word = NULL;
    *nullable = false;
    if (!cJSON_IsArray(type))
        return cJSON_GetStringValue(type);
    cJSON_ArrayForEach(item, type)
    {
        const char *name = cJSON_GetStringValue(item);
        if (name && strcmp(name, "null") == 0)
            *nullable = true;
        else if (!name || word)
            return NULL;
        else
            word = name;
    }
    return word;
}

static struct api_type schema_read(struct api *api, const cJSON *schema, const char *hint, int depth)
{
    static const struct {
        const char *word;
        enum api_kind kind;
    } words[] = {{"boolean", API_BOOL},  {"integer", API_INTEGER}, {"number", API_NUMBER},
                 {"string", API_STRING}, {"array", API_ARRAY},     {"object", API_OBJECT}};
    bool nullable;
    if (depth > API_DEPTH_MAX)
        return schema_any;
    if (api_string(schema, "$ref")) {
        schema = schema_follow(api, schema);
        if (!schema)
            return schema_any;
    }
    const cJSON *any = cJSON_GetObjectItemCaseSensitive(schema, "anyOf");
    if (cJSON_IsArray(any))
        return schema_read_union(api, any, hint, depth);
    const char *word = schema_read_word(schema, &nullable);
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i].word) != 0)
            continue;
        if (words[i].kind == API_STRING)
            return schema_read_string(api, schema, nullable);
        if (words[i].kind == API_ARRAY)
            return schema_read_array(api, schema, hint, nullable, depth);
        if (words[i].kind == API_OBJECT)
            return schema_read_object(api, schema, hint, nullable, depth);
        return (struct api_type){.kind = words[i].kind, .nullable = nullable};
    }
    return schema_any;
}

struct api_type api_read_type(struct api *api, const cJSON *schema, const char *hint)
{
    return schema_read(api, schema, hint, 0);
}

struct api_object *api_read_params(struct api *api, const cJSON *params, const char *title)
{
    const cJSON *param;
    struct schema_name *names = NULL;
    const size_t room = schema_room(cJSON_IsArray(params) ? (size_t)cJSON_GetArraySize(params) : 0);
    if (!room)
        return NULL;
    struct api_object *object = schema_take(api, 1, sizeof *object);
    struct api_member *members = schema_take(api, room, sizeof *members);
    if (!object || !members)
        return NULL;
    *object = (struct api_object){.title = title, .members = members, .weight = 1, .is_params = true};
    cJSON_ArrayForEach(param, params)
    {
        schema_add_member(api, object, room, &names, cJSON_GetObjectItemCaseSensitive(param, "schema"),
                          api_string(param, "name"),
                          cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(param, "required")), 0);
    }
    HASH_CLEAR(hh, names);
    return object->count ? schema_share(api, object) : NULL;
}

void api_forget_schemas(struct api *api)
{
    HASH_CLEAR(hh, api->nodes);
    HASH_CLEAR(hh, api->titles);
}
