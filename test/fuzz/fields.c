// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Field tables on any JSON. The input's first line has the name of a method, or of a command with its module
 * before it, and the rest is its parameters, an object or the elements of an array. What is decoded is
 * written, and what was written is decoded to the same.
 */
#include "fuzz.h"

#include "modules.h"
#include "shape/codec_json.h"
#include "shape/fields_check.h"
#include "shape/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT = 1 << 18, NAME = 200 };

/* The shape of parameters that has this name, or the first one of all; NULL: it has none. */
static const rpc_shape *find_shape(const char *name)
{
    char command[NAME];
    for (const rpc_module *const *module = rpc_modules; *module; module++) {
        for (size_t i = 0; i < (*module)->methods.count; i++) {
            if (strcmp((*module)->methods.rows[i].name, name) == 0)
                return (*module)->methods.rows[i].params;
        }
        for (size_t i = 0; i < (*module)->commands.count; i++) {
            snprintf(command, sizeof command, "%s/%s", (*module)->name, (*module)->commands.rows[i].name);
            if (strcmp(command, name) == 0)
                return (*module)->commands.rows[i].params;
        }
    }
    return NULL;
}

/* Decodes and writes; returns the size of what was written, 0: it does not fit the shape. */
static size_t convert(const struct fields *fields, const char *text, size_t size, bool is_positional,
                      char *out)
{
    struct arena arena;
    struct json_error error;
    char why[FIELDS_WHY] = "";
    void *decoded = NULL;
    struct writer writer = writer_make(&codec_json, out, OUT);
    arena_init(&arena);
    const cJSON *tree = json_parse(text, size, &arena, &error);
    rpc_status status = RPC_PARSE_ERROR;
    if (error.fault == JSON_FINE)
        status = is_positional ? fields_decode_positional(fields, tree, &arena, &decoded, why)
                               : fields_decode(fields, tree, &arena, &decoded, why);
    FUZZ_EXPECT(status == RPC_OK || status == RPC_PARSE_ERROR || (status == RPC_INVALID_PARAMS && why[0]));
    if (status == RPC_OK)
        FUZZ_EXPECT(fields_encode(fields->shape, decoded, &writer, why) == RPC_OK && !writer.full);
    arena_fini(&arena);
    return status == RPC_OK ? writer.used : 0;
}

static void check_shape(const rpc_shape *shape, const char *text, size_t size, bool is_strict)
{
    static char first[OUT + 1], second[OUT + 1];
    struct fields fields;
    char why[FIELDS_WHY] = "";
    FUZZ_EXPECT(fields_init(&fields, shape, why) == RPC_OK);
    if (is_strict)
        fields_set_strict(&fields);
    size_t used = convert(&fields, text, size, false, first);
    if (!used && text[0] == '[')
        used = convert(&fields, text, size, true, first);
    if (used) {
        first[used] = '\0';
        const size_t again = convert(&fields, first, used, false, second);
        FUZZ_EXPECT(again == used && memcmp(first, second, used) == 0);
    }
    fields_fini(&fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text;
    const char *name = fuzz_line(&rest);
    const size_t length = size - (size_t)(rest - text);
    const bool is_strict = name && *name == '!';
    const rpc_shape *shape = name ? find_shape(name + is_strict) : NULL;
    if (shape && shape->form != RPC_FORM_BYTES)
        check_shape(shape, rest, length, is_strict);
    free(text);
    return 0;
}
