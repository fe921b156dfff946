// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Field tables read from configuration lines: see options.h. */
#include "shape/options.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct suffix {
    const char *text;
    double factor;
};

/* Each ends with NULL. The largest first, so that printing finds the shortest form. */
static const struct suffix durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct suffix sizes[] = {{"m", 1048576}, {"k", 1024}, {"", 1}, {NULL, 0}};

/* How numbers of a unit are written. A new unit is a new row. */
static const struct unit {
    const char *name;
    const struct suffix *suffixes;
    double scale;            /* how many of the smallest suffix make one of the unit */
    const char *what, *such; /* a number of the unit, and examples, in words */
} units[] = {
    {"ms", durations, 1, "a duration", "500ms, 10s, 5m, 1h"},
    {"s", durations, 1000, "a duration", "10s, 5m, 1h"},
    {"bytes", sizes, 1, "a size in bytes", "1500, 64k, 16m"},
};

static const char options_words[] = "words";

/* The unit of a number; NULL: the field's values are written as JSON has them. */
static const struct unit *options_unit_of(const rpc_field *field)
{
    for (size_t i = 0; field->unit && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(field->unit, units[i].name) == 0)
            return &units[i];
    }
    return NULL;
}

/* ---- Reading ---- */

/* A number out of digits and a suffix. Returns false: the text is something else. */
static bool options_read_quantity(const char *text, const struct unit *unit, cJSON *item)
{
    const size_t digits = strspn(text, "0123456789");
    if (!digits || digits > 15)
        return false;
    const double number = strtod(text, NULL);
    *item = (cJSON){.type = cJSON_Number};
    if (number == 0 && !text[digits])
        return true;
    for (const struct suffix *suffix = unit->suffixes; suffix->text; suffix++) {
        item->valuedouble = number * suffix->factor / unit->scale;
        if (strcmp(text + digits, suffix->text) == 0)
            return true;
    }
    return false;
}

/*
 * The text, without the blanks that the broker leaves behind it, as the JSON value that it stands for.
 * Returns false: it stands for none, or no memory.
 */
static bool options_read_value(struct arena *arena, const rpc_field *field, const char *value, cJSON *item)
{
    size_t length = strlen(value);
    while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--;
    char *text = arena_copy(arena, value, length);
    if (!text)
        return false;
    const struct unit *unit = options_unit_of(field);
    if (unit)
        return options_read_quantity(text, unit, item);
    *item = (cJSON){.type = cJSON_String, .valuestring = text};
    if (field->kind == RPC_KIND_STRING || field->kind == RPC_KIND_CHOICE)
        return true;
    struct json_error error;
    const cJSON *tree = json_parse(text, length, arena, &error);
    if (tree)
        *item = *tree;
    return error.fault == JSON_FINE;
}

/* Whether a line's name is owner_field, or field where there is no owner. */
static bool options_is_named(const struct option_line *line, const char *owner, const rpc_field *field)
{
    const size_t length = strlen(owner);
    if (strncmp(line->name, owner, length) != 0 || (length && line->name[length] != '_'))
        return false;
    return strcmp(line->name + length + (length > 0), fields_name(field)) == 0;
}

const char *options_place(const struct option_lines *lines, const char *name, char *out, size_t capacity)
{
    const struct option_line *found = NULL;
    char safe_name[128], safe_file[200];
    for (size_t i = 0; i < lines->count && !(found && found->name == name); i++) {
        if (strcmp(lines->lines[i].name, name) == 0)
            found = &lines->lines[i];
    }
    text_printable(name, safe_name, sizeof safe_name);
    if (found && found->number)
        snprintf(out, capacity, "config_file %s, line %u: %s",
                 text_printable(lines->file, safe_file, sizeof safe_file), found->number, safe_name);
    else
        snprintf(out, capacity, "%s%s", lines->prefix, safe_name);
    return out;
}

bool options_refuse(const struct option_lines *lines, const char *name, const char *value,
                    const char *accepted, char why[OPTIONS_WHY])
{
    char place[400];
    char safe_value[128];
    snprintf(why, OPTIONS_WHY, "%s: '%s' is not accepted, %s",
             options_place(lines, name, place, sizeof place),
             text_printable(value, safe_value, sizeof safe_value), accepted);
    return false;
}

/* What stands between words, or around them, in files of other kinds and in texts that were copied from a
 * page: no name that is meant has it. */
static const char *const options_marks[] = {"\"", ",",  ";",  "“",  "”",      "„",     "«",
                                            "»",  "，", "、", "；", "\u00A0", "\u3000"};
static const char *const options_quotes[] = {"\"", "'", "“", "”", "„", "«", "»", "‘", "’"};

static bool options_has_mark(const char *value)
{
    for (size_t i = 0; i < sizeof options_marks / sizeof *options_marks; i++) {
        if (strstr(value, options_marks[i]))
            return true;
    }
    return false;
}

/* Whether one of the words begins with a quotation mark, or the text ends with one. */
static bool options_is_quoted(const char *value, bool is_list)
{
    const size_t length = strlen(value);
    for (size_t i = 0; i < sizeof options_quotes / sizeof *options_quotes; i++) {
        const char *quote = options_quotes[i];
        const size_t size = strlen(quote);
        if (strncmp(value, quote, size) == 0 || (length >= size && strcmp(value + length - size, quote) == 0))
            return true;
        for (const char *at = value; is_list && (at = strstr(at, quote)); at += size) {
            if (at[-1] == ' ')
                return true;
        }
    }
    return false;
}

/*
 * Checks that a string is written as configurations have it: quotation marks around it would be a part of it,
 * and so would what other files put between the words of a list. Returns what is accepted, or NULL: it is
 * fine.
 */
static const char *options_check_marks(const rpc_field *field, const char *value)
{
    const bool is_list = field->unit && strcmp(field->unit, options_words) == 0;
    const char *tab = strchr(value, '\t');
    if (field->kind != RPC_KIND_STRING || !*value)
        return NULL;
    if (is_list && (options_has_mark(value) || (tab && tab[strspn(tab, " \t")])))
        return "it takes words that are separated by spaces, without quotation marks, commas and semicolons";
    if (!options_is_quoted(value, is_list))
        return NULL;
    return is_list
               ? "it takes words that are separated by spaces, without quotation marks, commas and semicolons"
               : "it takes the text itself, without quotation marks around it";
}

static bool options_no_memory(char *why)
{
    snprintf(why, OPTIONS_WHY, "no memory for the options");
    return false;
}

/* Decodes one field at a time, so that a fault is that of its line. */
static bool options_read_field(const char *owner, const rpc_field *field, const cJSON *fallback,
                               struct option_lines *lines, char *out, struct fields_walk *walk, char *why)
{
    const struct option_line *found = NULL;
    for (size_t i = 0; i < lines->count; i++) {
        struct option_line *line = &lines->lines[i];
        if (!options_is_named(line, owner, field))
            continue;
        line->used = true;
        if (found)
            return options_refuse(lines, line->name, line->value, "the option is given twice", why);
        found = line;
    }
    if (found && found->number && !field->reloads && !lines->is_whole)
        return options_refuse(lines, found->name, found->value,
                              "it does not change while the broker runs: it belongs into the configuration "
                              "of the broker",
                              why);
    cJSON item;
    const char *marks = found ? options_check_marks(field, found->value) : NULL;
    if (marks)
        return options_refuse(lines, found->name, found->value, marks, why);
    if ((!found || options_read_value(walk->arena, field, found->value, &item)) &&
        fields_decode_member(field, found ? &item : NULL, fallback, out, walk) == RPC_OK)
        return true;
    if (!found)
        return options_no_memory(why);
    char what[FIELDS_WHY], accepted[FIELDS_WHY + 16];
    snprintf(accepted, sizeof accepted, "it takes %s", options_describe(field, what, sizeof what));
    return options_refuse(lines, found->name, found->value, accepted, why);
}

bool options_read(const char *owner, const struct fields *fields, struct option_lines *lines,
                  struct arena *arena, const void **out, char why[OPTIONS_WHY])
{
    char misfit[FIELDS_WHY];
    struct fields_walk walk = {.arena = arena, .why = misfit};
    struct fields_step step = fields_enter(&walk, fields);
    char *options = arena_alloc(arena, fields->shape->size);
    bool fine = options || options_no_memory(why);
    walk.step = &step;
    for (size_t i = 0; fine && i < fields->shape->count; i++) {
        step.field = &fields->shape->fields[i];
        fine = options_read_field(owner, step.field, fields->defaults[i], lines, options, &walk, why);
    }
    *out = options;
    return fine;
}

const char *options_check_shape(const rpc_shape *shape)
{
    if (shape->form != RPC_FORM_OBJECT)
        return "options are an object";
    for (size_t i = 0; i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        if (!fields_may_miss(field))
            return "an option is optional or has a default";
        if (field->kind == RPC_KIND_JSON)
            return "an option cannot be JSON";
        if (field->kind == RPC_KIND_OBJECT || field->counter)
            return "an option cannot be an object or an array";
        if (field->nullable)
            return "an option cannot be null";
    }
    return NULL;
}

/* ---- Options that change while the service runs ---- */

static bool options_is_given(const rpc_field *field, const char *options)
{
    return !field->flag || *(const bool *)(options + field->flag - 1);
}

static bool options_differ(const rpc_field *field, const char *one, const char *other)
{
    const bool is_given = options_is_given(field, one);
    if (!is_given || !options_is_given(field, other))
        return is_given != options_is_given(field, other);
    if (field->kind != RPC_KIND_STRING)
        return memcmp(one + field->offset, other + field->offset, field->size) != 0;
    const char *text, *other_text;
    memcpy(&text, one + field->offset, sizeof text);
    memcpy(&other_text, other + field->offset, sizeof other_text);
    return text && other_text ? strcmp(text, other_text) != 0 : text != other_text;
}

size_t options_count_changes(const rpc_shape *shape, const void *one, const void *other)
{
    size_t changes = 0;
    for (size_t i = 0; i < shape->count; i++)
        changes += shape->fields[i].reloads && options_differ(&shape->fields[i], one, other);
    return changes;
}

const rpc_field *options_find_fixed_change(const rpc_shape *shape, const void *one, const void *other)
{
    for (size_t i = 0; i < shape->count; i++) {
        if (!shape->fields[i].reloads && options_differ(&shape->fields[i], one, other))
            return &shape->fields[i];
    }
    return NULL;
}

void options_take(const rpc_shape *shape, void *to, const void *from)
{
    for (size_t i = 0; i < shape->count; i++) {
        const rpc_field *field = &shape->fields[i];
        if (!field->reloads)
            continue;
        memcpy((char *)to + field->offset, (const char *)from + field->offset, field->size);
        if (field->flag)
            memcpy((char *)to + field->flag - 1, (const char *)from + field->flag - 1, sizeof(bool));
    }
}

/* ---- Words ---- */

static void options_print_quantity(const struct unit *unit, double number, char *out, size_t capacity)
{
    const struct suffix *suffix = unit->suffixes;
    number *= unit->scale;
    while (suffix[1].text && (number == 0 ? suffix->factor > 1000 : fmod(number, suffix->factor) != 0))
        suffix++;
    snprintf(out, capacity, "%.15g%s", number / suffix->factor, number == 0 ? "" : suffix->text);
}

const char *options_describe(const rpc_field *field, char *out, size_t capacity)
{
    const struct unit *unit = options_unit_of(field);
    char min[32], max[32], range[80] = "";
    if (!unit)
        return fields_describe(field, out, capacity);
    if (fields_has_range(field)) {
        options_print_quantity(unit, field->range.min, min, sizeof min);
        options_print_quantity(unit, field->range.max, max, sizeof max);
        if (isinf(field->range.max))
            snprintf(range, sizeof range, " of at least %s", min);
        else
            snprintf(range, sizeof range, " from %s to %s", min, max);
    }
    snprintf(out, capacity, "%s%s, such as %s", unit->what, range, unit->such);
    return out;
}

const char *options_print_default(const rpc_field *field, char *out, size_t capacity)
{
    const struct unit *unit = options_unit_of(field);
    const char *text = field->default_json ? field->default_json : "";
    const int quotes = *text == '"';
    if (unit && *text)
        options_print_quantity(unit, strtod(text, NULL), out, capacity);
    else
        snprintf(out, capacity, "%.*s", (int)strlen(text) - 2 * quotes, text + quotes);
    return out;
}
