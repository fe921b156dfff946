// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The commands of lamps: devices that can be switched, dimmed and made to blink. The plugin takes a command
 * to the lamp and checks its parameters and its result; the lamp carries it out.
 */
#include <mosquitto_rpc.h>

/* ---- The state of a lamp ---- */

struct light {
    bool on;
    int32_t brightness;
};

static const rpc_field light_fields[] = {
    RPC_BOOL(struct light, on, .doc = "whether the lamp is on"),
    RPC_INT32(struct light, brightness, .doc = "how bright it is when it is on", .unit = "percent",
              .default_json = "100", .range = {0, 100}),
};

static const rpc_shape light_shape = RPC_OBJECT_SHAPE(struct light, light_fields);

static const rpc_field state_fields[] = {
    RPC_BOOL(struct light, on, .doc = "whether the lamp is on"),
    RPC_INT32(struct light, brightness, .doc = "how bright it is when it is on", .unit = "percent",
              .range = {0, 100}),
};

static const rpc_shape state_shape = RPC_OBJECT_SHAPE(struct light, state_fields);

/* ---- Blinking ---- */

struct blinking {
    int32_t times, interval, done;
};

static const rpc_field blink_fields[] = {
    RPC_INT32(struct blinking, times, .doc = "how often it blinks", .range = {1, 100}),
    RPC_INT32(struct blinking, interval, .doc = "the time from one blink to the next", .unit = "ms",
              .default_json = "500", .range = {20, 10000}),
};

static const rpc_shape blink_shape = RPC_OBJECT_SHAPE(struct blinking, blink_fields);

static const rpc_field progress_fields[] = {
    RPC_INT32(struct blinking, done, .doc = "how often it has blinked so far", .range = {0, 100}),
    RPC_INT32(struct blinking, times, .doc = "how often it blinks in all", .range = {1, 100}),
};

static const rpc_shape progress_shape = RPC_OBJECT_SHAPE(struct blinking, progress_fields);

static const rpc_field blinked_fields[] = {
    RPC_INT32(struct blinking, times, .doc = "how often it has blinked", .range = {1, 100}),
};

static const rpc_shape blinked_shape = RPC_OBJECT_SHAPE(struct blinking, blinked_fields);

/* ---- The commands ---- */

enum { BLINK_TIMEOUT = 1010000 /* ms: 100 times 10 s, and some to spare */ };

static const rpc_command commands[] = {
    {
        .name = "light",
        .doc = "Switches the lamp on or off.",
        .params = &light_shape,
        .result = &state_shape,
        .idempotent = true,
    },
    {
        .name = "blink",
        .doc = "Makes the lamp blink. Its state is then as before.",
        .params = &blink_shape,
        .result = &blinked_shape,
        .progress = &progress_shape,
        .timeout = BLINK_TIMEOUT,
    },
    {
        .name = "getStatus",
        .doc = "Returns whether the lamp is on, and how bright it is.",
        .result = &state_shape,
        .read_only = true,
    },
};

RPC_MODULE(lamp, .doc = "Lamps that can be switched, dimmed and made to blink.",
           .commands = RPC_TABLE(commands));
