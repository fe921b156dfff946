// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Options: field tables that are read from the lines of a configuration file instead of from JSON. The text
 * of a value becomes a JSON value by the field's kind and unit, which is decoded as parameters are; so an
 * option's range, default, choices and words are declared like a parameter's.
 *
 * A number with the unit "ms" or "s" is a duration (500ms, 10s, 5m, 1h), one with the unit "bytes" a size
 * (1500, 64k, 16m), a string with the unit "words" a list of words with spaces between them. No value stands
 * in quotation marks, which the broker does not take away.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: options that were read are memory of the arena, and live as long as the arena and the fields do.
 *
 * Failure: a function that can fail says why in one line of printable ASCII.
 */
#ifndef CORE_SHAPE_OPTIONS_H
#define CORE_SHAPE_OPTIONS_H

#include "shape/fields.h"

enum { OPTIONS_WHY = 640 };

/* One line of the configuration, or of its config_file. */
struct option_line {
    const char *name; /* without the prefix of the lines */
    const char *value;
    bool used;       /* some table has an option of this name */
    unsigned number; /* of a line of the config_file, which may only set options that reload; 0: of the
                        configuration itself */
};

struct option_lines {
    const char *prefix; /* stands before each name in the configuration, and in messages */
    struct option_line *lines;
    size_t count;
    const char *file; /* the config_file, for messages; NULL: no line has a number */
    bool is_whole;    /* the file is the whole configuration: any option may stand in it */
};

/*
 * Reads the options of one table. An option's name is owner, "_" and the field's; owner "" stands for no
 * owner. Returns true: *out is a struct of the shape; false: why names the option, its value and what is
 * accepted. Lines that belong to the table are marked as used, faulty ones too.
 */
bool options_read(const char *owner, const struct fields *fields, struct option_lines *lines,
                  struct arena *arena, const void **out, char why[OPTIONS_WHY]);

/*
 * Checks that a shape can be that of options: an object whose fields may all be left out, none of them JSON.
 * Returns NULL if so, else what is wrong.
 */
const char *options_check_shape(const rpc_shape *shape);

/* Writes where an option was set, and its name: with the file and the line, or with the prefix. Of several
 * lines with this name the one counts whose name this is, else the last. Returns out. */
const char *options_place(const struct option_lines *lines, const char *name, char *out, size_t capacity);

/* Writes why the option `name` is not accepted, in words that follow a comma. Returns false, to be returned.
 */
bool options_refuse(const struct option_lines *lines, const char *name, const char *value,
                    const char *accepted, char why[OPTIONS_WHY]);

/* ---- Options that change while the service runs ---- */

/* How many options of a shape that reload differ in two structs of the shape. */
size_t options_count_changes(const rpc_shape *shape, const void *one, const void *other);

/* The first option of a shape that does not reload and differs in two structs of the shape; NULL: none. */
const rpc_field *options_find_fixed_change(const rpc_shape *shape, const void *one, const void *other);

/* Copies the options that reload; their texts are still those of `from`. */
void options_take(const rpc_shape *shape, void *to, const void *from);

/* ---- Words ---- */

/* What an option takes, in words. Returns out. */
const char *options_describe(const rpc_field *field, char *out, size_t capacity);

/* An option's default as it would be written in the configuration; "" if it has none. Returns out. */
const char *options_print_default(const rpc_field *field, char *out, size_t capacity);

#endif
