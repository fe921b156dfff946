// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * A kind of devices whose commands have what those of lamp have not: a name that another kind has, too, a
 * value as parameters, objects and arrays in them, errors, no result, and none of the members that may be
 * left out.
 */
#include <mosquitto_rpc.h>

#include <math.h>

struct level {
    int32_t level;
};

static const rpc_field level_fields[] = {
    RPC_INT32(struct level, level, .doc = "how bright", .range = {1, 10})};
static const rpc_shape level_shape = RPC_OBJECT_SHAPE(struct level, level_fields);
static const rpc_shape bare_level_shape = RPC_VALUE_SHAPE(struct level, level_fields);

struct burnt {
    int64_t hours;
};

static const rpc_field burnt_fields[] = {
    RPC_INT64(struct burnt, hours, .doc = "for how long it has burnt", .unit = "h", .range = {0, INFINITY})};
static const rpc_shape burnt_shape = RPC_OBJECT_SHAPE(struct burnt, burnt_fields);

static const rpc_error errors[] = {
    {.code = "burnt_out", .doc = "the bulb is broken", .data = &burnt_shape},
    {.code = "hot", .doc = "the bulb must cool down first"},
};

static const char *const colour_names[] = {"red", "green", "blue"};

struct step {
    int colour;
    double seconds;
    bool has_seconds;
};

static const rpc_field step_fields[] = {
    RPC_CHOICE(struct step, colour, .doc = "the colour", .choices = RPC_TABLE(colour_names)),
    RPC_DOUBLE(struct step, seconds, .doc = "how long it stays; null: until it is switched off", .unit = "s",
               .optional = true, .nullable = true, .range = {0, 3600},
               .flag = RPC_FLAG(struct step, has_seconds)),
};
static const rpc_shape step_shape = RPC_OBJECT_SHAPE(struct step, step_fields);

struct show {
    const struct step *steps;
    size_t count;
    const char *name;
    rpc_json note;
    struct step last;
};

static const rpc_field show_fields[] = {
    RPC_OBJECT_ARRAY(struct show, steps, count, struct step, .doc = "the steps", .items = {1, 4},
                     .shape = &step_shape),
    RPC_STRING(struct show, name, .doc = "a name", .nullable = true, .length = {1, 8}),
    RPC_JSON(struct show, note, .doc = "anything", .optional = true),
    RPC_OBJECT(struct show, last, struct step, .doc = "the last step",
               .default_json = "{\"colour\":\"blue\"}", .shape = &step_shape),
};
static const rpc_shape show_shape = RPC_OBJECT_SHAPE(struct show, show_fields);

static const rpc_command commands[] = {
    {
        .name = "light",
        .doc = "Makes it as bright as that.",
        .params = &level_shape,
        .result = &bare_level_shape,
        .errors = RPC_TABLE(errors),
        .strict = true,
    },
    {
        .name = "dim.to_a-level",
        .doc = "Makes it as bright as the value.",
        .params = &bare_level_shape,
        .progress = &bare_level_shape,
        .timeout = 86400000,
    },
    {.name = "off", .doc = "Switches it off.", .strict = true},
    {.name = "show",
     .doc = "Shows colours.",
     .params = &show_shape,
     .result = &show_shape,
     .read_only = true},
};

RPC_MODULE(bulb, .doc = "Bulbs, which exist in tests only.", .commands = RPC_TABLE(commands));
