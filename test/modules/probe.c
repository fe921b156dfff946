// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * probe.c: a module for tests. Its methods show what a handler gets from the engine, and what the engine
 * makes of its result: every kind of field, errors with and without data, the client, raw bytes, large
 * results, results that break their own shape, announcements. It counts its runs, so that a test can check
 * that a call ran once or not at all.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "mosquitto_rpc.h"

#include <string.h>
#include <time.h>

#define BIG_MAX 4000000

struct probe {
    rpc_instance *instance;
    const struct probe_options *options;
    int32_t runs;
};

static const char *const colours[] = {"red", "green", "blue"};

/* ---- Options ------------------------------------------------------------------------------- */

struct probe_options {
    bool loud;
    bool fail;
    int32_t limit;
    int64_t period;
    int64_t room;
    double ratio;
    const char *label;
    int colour;
};

static const rpc_field options_fields[] = {
    RPC_BOOL(struct probe_options, loud, .doc = "A switch", .default_json = "false"),
    RPC_BOOL(struct probe_options, fail, .doc = "Makes init fail", .default_json = "false"),
    RPC_INT32(struct probe_options, limit, .doc = "A count", .default_json = "3", .range = {1, 100}),
    RPC_INT64(struct probe_options, period, .doc = "A duration", .unit = "ms", .default_json = "1500"),
    RPC_INT64(struct probe_options, room, .doc = "A size", .unit = "bytes", .default_json = "4096"),
    RPC_DOUBLE(struct probe_options, ratio, .doc = "A ratio", .default_json = "0.5", .range = {0, 1}),
    RPC_STRING(struct probe_options, label, .doc = "A word", .default_json = "\"none\"", .length = {1, 16}),
    RPC_CHOICE(struct probe_options, colour, .doc = "A colour", .default_json = "\"red\"",
               .choices = RPC_TABLE(colours)),
};
static const rpc_shape options_shape = RPC_OBJECT_SHAPE(struct probe_options, options_fields);

static rpc_status probe_options(rpc_call *call, void *state, const void *params, void *result)
{
    const struct probe *probe = state;
    (void)call;
    (void)params;
    *(struct probe_options *)result = *probe->options;
    return RPC_OK;
}

/* ---- Fields of every kind ------------------------------------------------------------------ */

struct probe_fields {
    const char *text;
    bool on, has_on;
    int32_t small;
    bool has_small;
    int64_t large;
    bool has_large;
    double ratio;
    bool has_ratio;
    int colour;
    int shade;
    bool has_shade;
    int32_t count;
    const char *note;
    rpc_json any;
    const char *type;
};

static const rpc_field fields_fields[] = {
    RPC_STRING(struct probe_fields, text, .doc = "The only required member", .length = {1, 8}),
    RPC_BOOL(struct probe_fields, on, .doc = "A truth", .optional = true,
             .flag = RPC_FLAG(struct probe_fields, has_on)),
    RPC_INT32(struct probe_fields, small, .doc = "An integer with a range", .optional = true,
              .range = {-100, 100}, .flag = RPC_FLAG(struct probe_fields, has_small)),
    RPC_INT64(struct probe_fields, large, .doc = "An exact integer", .optional = true,
              .flag = RPC_FLAG(struct probe_fields, has_large)),
    RPC_DOUBLE(struct probe_fields, ratio, .doc = "A number", .unit = "%", .optional = true,
               .flag = RPC_FLAG(struct probe_fields, has_ratio)),
    RPC_CHOICE(struct probe_fields, colour, .doc = "A choice with a default", .default_json = "\"green\"",
               .choices = RPC_TABLE(colours)),
    RPC_CHOICE(struct probe_fields, shade, .doc = "A choice without one", .optional = true,
               .choices = RPC_TABLE(colours), .flag = RPC_FLAG(struct probe_fields, has_shade)),
    RPC_INT32(struct probe_fields, count, .doc = "An integer with a default", .default_json = "7"),
    RPC_STRING(struct probe_fields, note, .doc = "An optional text", .optional = true, .length = {0, 64}),
    RPC_JSON(struct probe_fields, any, .doc = "Any value", .optional = true),
    RPC_STRING(struct probe_fields, type, .name = "class", .doc = "Named otherwise in C", .optional = true,
               .length = {0, 16}),
};
static const rpc_shape fields_shape = RPC_OBJECT_SHAPE(struct probe_fields, fields_fields);

static rpc_status probe_fields(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call;
    (void)state;
    *(struct probe_fields *)result = *(const struct probe_fields *)params;
    return RPC_OK;
}

/* ---- Objects and arrays -------------------------------------------------------------------- */

struct probe_place {
    double lat, lon;
    const char *label;
};

static const rpc_field place_fields[] = {
    RPC_DOUBLE(struct probe_place, lat, .doc = "A number with a range", .range = {-90, 90}),
    RPC_DOUBLE(struct probe_place, lon, .doc = "A number with a default", .default_json = "0"),
    RPC_STRING(struct probe_place, label, .doc = "A text", .optional = true, .length = {1, 8}),
};
static const rpc_shape place_shape = RPC_OBJECT_SHAPE(struct probe_place, place_fields);

struct probe_reading {
    const char *name;
    double value;
    const int32_t *marks;
    size_t mark_count;
};

static const rpc_field reading_fields[] = {
    RPC_STRING(struct probe_reading, name, .doc = "A text", .length = {1, 8}),
    RPC_DOUBLE(struct probe_reading, value, .doc = "A number with a range", .range = {-273.15, 1000}),
    RPC_INT32_ARRAY(struct probe_reading, marks, mark_count, .doc = "An array within an array's object",
                    .default_json = "[]", .items = {0, 2}, .range = {0, 9}),
};
static const rpc_shape reading_shape = RPC_OBJECT_SHAPE(struct probe_reading, reading_fields);

struct probe_nested {
    struct probe_place place, spare;
    bool has_spare;
    const double *values;
    size_t value_count;
    const char *const *tags;
    size_t tag_count;
    const struct probe_reading *readings;
    size_t reading_count;
    const int *shades;
    size_t shade_count;
    double offset;
    bool has_offset;
    const char *note;
};

static const rpc_field nested_fields[] = {
    RPC_OBJECT(struct probe_nested, place, struct probe_place, .doc = "A required object",
               .shape = &place_shape),
    RPC_OBJECT(struct probe_nested, spare, struct probe_place, .doc = "An optional one", .optional = true,
               .shape = &place_shape, .flag = RPC_FLAG(struct probe_nested, has_spare)),
    RPC_DOUBLE_ARRAY(struct probe_nested, values, value_count, .doc = "Numbers with a range",
                     .items = {1, 100}, .range = {-90, 60}),
    RPC_STRING_ARRAY(struct probe_nested, tags, tag_count, .doc = "Texts", .items = {0, 3}, .length = {1, 8}),
    RPC_OBJECT_ARRAY(struct probe_nested, readings, reading_count, struct probe_reading, .doc = "Objects",
                     .optional = true, .items = {1, 4}, .shape = &reading_shape),
    RPC_CHOICE_ARRAY(struct probe_nested, shades, shade_count, .doc = "Choices", .optional = true,
                     .items = {2, 3}, .choices = RPC_TABLE(colours)),
    RPC_DOUBLE(struct probe_nested, offset, .doc = "A number or null, but one of them", .nullable = true,
               .flag = RPC_FLAG(struct probe_nested, has_offset)),
    RPC_STRING(struct probe_nested, note, .doc = "A text, null or nothing", .optional = true,
               .nullable = true, .length = {0, 16}),
};
static const rpc_shape nested_shape = RPC_OBJECT_SHAPE(struct probe_nested, nested_fields);

static rpc_status probe_nested(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call;
    (void)state;
    *(struct probe_nested *)result = *(const struct probe_nested *)params;
    return RPC_OK;
}

/* ---- One value ----------------------------------------------------------------------------- */

struct probe_value {
    int32_t value;
};

static const rpc_field value_fields[] = {
    RPC_INT32(struct probe_value, value, .doc = "The payload itself", .range = {0, 1000}),
};
static const rpc_shape value_shape = RPC_VALUE_SHAPE(struct probe_value, value_fields);

static rpc_status probe_value(rpc_call *call, void *state, const void *params, void *result)
{
    const struct probe_value *given = params;
    struct probe_value *next = result;
    (void)call;
    (void)state;
    next->value = given->value == 1000 ? 0 : given->value + 1;
    return RPC_OK;
}

/* ---- Errors -------------------------------------------------------------------------------- */

struct probe_raise {
    const char *code;
    const char *text;
    bool with_data;
};

struct probe_trouble {
    const char *detail;
    int32_t number;
};

static const rpc_field raise_fields[] = {
    RPC_STRING(struct probe_raise, code, .doc = "The code to raise", .length = {0, 64}),
    RPC_STRING(struct probe_raise, text, .doc = "The message", .default_json = "\"as you wish\"",
               .length = {0, 4096}),
    RPC_BOOL(struct probe_raise, with_data, .doc = "Whether to add members", .default_json = "false"),
};
static const rpc_shape raise_shape = RPC_OBJECT_SHAPE(struct probe_raise, raise_fields);

static const rpc_field trouble_fields[] = {
    RPC_STRING(struct probe_trouble, detail, .doc = "What is wrong", .length = {0, 64}),
    RPC_INT32(struct probe_trouble, number, .doc = "How wrong"),
};
static const rpc_shape trouble_shape = RPC_OBJECT_SHAPE(struct probe_trouble, trouble_fields);

static const rpc_error raise_errors[] = {
    {.code = "probe_trouble", .doc = "Has members of its own", .data = &trouble_shape},
    {.code = "probe_plain", .doc = "Has none"},
};

static rpc_status probe_raise(rpc_call *call, void *state, const void *params, void *result)
{
    const struct probe_raise *given = params;
    const struct probe_trouble trouble = {.detail = "the \"probe\"", .number = 42};
    (void)state;
    (void)result;
    if (given->with_data)
        return rpc_raise_with(call, given->code, &trouble, "%s", given->text);
    return rpc_raise(call, given->code, "%s", given->text);
}

static rpc_status probe_fail(rpc_call *call, void *state, const void *params, void *result)
{
    (void)call;
    (void)state;
    (void)params;
    (void)result;
    return RPC_INTERNAL_ERROR;
}

/* ---- The client ---------------------------------------------------------------------------- */

struct probe_caller {
    const char *id;
    const char *user;
    const char *address;
    int32_t version;
    const char *method;
    double time;
};

static const rpc_field caller_fields[] = {
    RPC_STRING(struct probe_caller, id, .doc = "The client id", .optional = true, .length = {0, 65535}),
    RPC_STRING(struct probe_caller, user, .doc = "The user name", .optional = true, .length = {0, 65535}),
    RPC_STRING(struct probe_caller, address, .doc = "The address", .optional = true, .length = {0, 256}),
    RPC_INT32(struct probe_caller, version, .doc = "The protocol's version"),
    RPC_STRING(struct probe_caller, method, .doc = "The method called", .length = {0, 128}),
    RPC_DOUBLE(struct probe_caller, time, .doc = "When the call arrived", .unit = "s"),
};
static const rpc_shape caller_shape = RPC_OBJECT_SHAPE(struct probe_caller, caller_fields);

static rpc_status probe_caller(rpc_call *call, void *state, const void *params, void *result)
{
    struct probe_caller *caller = result;
    (void)state;
    (void)params;
    caller->id = rpc_caller_id(call);
    caller->user = rpc_caller_user(call);
    caller->address = rpc_caller_address(call);
    caller->version = rpc_caller_version(call);
    caller->method = rpc_call_method(call);
    caller->time = rpc_call_time(call);
    return RPC_OK;
}

/* ---- Payloads ------------------------------------------------------------------------------ */

static const rpc_shape bytes_shape = RPC_BYTES_SHAPE;

struct probe_size {
    int32_t size;
};

static const rpc_field size_fields[] = {
    RPC_INT32(struct probe_size, size, .doc = "How many bytes", .range = {0, BIG_MAX}),
};
static const rpc_shape size_shape = RPC_OBJECT_SHAPE(struct probe_size, size_fields);

static rpc_status probe_bytes(rpc_call *call, void *state, const void *params, void *result)
{
    const rpc_bytes *given = params;
    struct probe_size *size = result;
    (void)call;
    (void)state;
    size->size = given->data && !((const char *)given->data)[given->size] ? (int32_t)given->size : BIG_MAX;
    return RPC_OK;
}

struct probe_text {
    const char *text;
};

static const rpc_field big_fields[] = {
    RPC_STRING(struct probe_text, text, .doc = "A long text", .length = {0, BIG_MAX}),
};
static const rpc_shape big_shape = RPC_OBJECT_SHAPE(struct probe_text, big_fields);

static rpc_status probe_big(rpc_call *call, void *state, const void *params, void *result)
{
    const struct probe_size *wanted = params;
    struct probe_text *big = result;
    char *text = rpc_alloc(call, (size_t)wanted->size + 1);
    (void)state;
    if (!text)
        return RPC_INTERNAL_ERROR;
    memset(text, 'x', (size_t)wanted->size);
    big->text = text;
    return RPC_OK;
}

static const rpc_field short_fields[] = {
    RPC_STRING(struct probe_text, text, .doc = "At most three characters", .length = {0, 3}),
};
static const rpc_shape short_shape = RPC_OBJECT_SHAPE(struct probe_text, short_fields);

static rpc_status probe_bad_result(rpc_call *call, void *state, const void *params, void *result)
{
    struct probe_text *text = result;
    (void)call;
    (void)state;
    (void)params;
    text->text = "four";
    return RPC_OK;
}

/* ---- State, time, announcements ------------------------------------------------------------ */

struct probe_runs {
    int32_t runs;
};

static const rpc_field runs_fields[] = {
    RPC_INT32(struct probe_runs, runs, .doc = "How often it ran in this prefix, this time included"),
};
static const rpc_shape runs_shape = RPC_OBJECT_SHAPE(struct probe_runs, runs_fields);

static rpc_status probe_count(rpc_call *call, void *state, const void *params, void *result)
{
    struct probe *probe = state;
    struct probe_runs *runs = result;
    (void)call;
    (void)params;
    runs->runs = ++probe->runs;
    return RPC_OK;
}

/* The number of runs so far; this one does not count. */
static rpc_status probe_runs(rpc_call *call, void *state, const void *params, void *result)
{
    const struct probe *probe = state;
    struct probe_runs *runs = result;
    (void)call;
    (void)params;
    runs->runs = probe->runs;
    return RPC_OK;
}

struct probe_nap {
    int32_t ms;
};

static const rpc_field nap_fields[] = {
    RPC_INT32(struct probe_nap, ms, .doc = "How long to block", .unit = "ms", .range = {0, 10000}),
};
static const rpc_shape nap_shape = RPC_OBJECT_SHAPE(struct probe_nap, nap_fields);

static rpc_status probe_sleep(rpc_call *call, void *state, const void *params, void *result)
{
    const struct probe_nap *nap = params;
    struct timespec left = {.tv_sec = nap->ms / 1000, .tv_nsec = nap->ms % 1000 * 1000000L};
    (void)call;
    (void)state;
    (void)result;
    while (nanosleep(&left, &left))
        continue;
    return RPC_OK;
}

static const rpc_field note_fields[] = {
    RPC_STRING(struct probe_text, text, .doc = "What to announce", .length = {1, 4096}),
};
static const rpc_shape note_shape = RPC_OBJECT_SHAPE(struct probe_text, note_fields);

static rpc_status probe_announce(rpc_call *call, void *state, const void *params, void *result)
{
    rpc_instance *instance = rpc_call_instance(call);
    const rpc_status first = rpc_announce(instance, call, "probeNoted", params);
    const rpc_status second = rpc_announce(instance, call, "probe/last", params);
    (void)state;
    (void)result;
    return first != RPC_OK ? first : second;
}

static rpc_status probe_log(rpc_call *call, void *state, const void *params, void *result)
{
    const struct probe_text *line = params;
    (void)state;
    (void)result;
    rpc_log(rpc_call_instance(call), RPC_LOG_NOTICE, "probe says %s", line->text);
    return RPC_OK;
}

/* ---- The module ---------------------------------------------------------------------------- */

static const rpc_event events[] = {
    {.name = "probeCounted", .doc = "Follows every run of probe.count"},
    {.name = "probeNamed", .doc = "Follows a run of probe/deep/name that asked for no reply"},
    {.name = "probeFailed", .doc = "probe.raise failed, and its caller asked for no reply"},
    {.name = "probeNoted", .doc = "What probe.announce was given", .data = &note_shape},
    {.name = "probe/last", .doc = "The same, retained", .data = &note_shape, .retained = true},
};

static const rpc_method methods[] = {
    {.name = "probe.options", .doc = "The module's options", .result = &options_shape, .run = probe_options},
    {.name = "probe.fields",
     .doc = "Returns its parameters: every kind of field",
     .params = &fields_shape,
     .result = &fields_shape,
     .run = probe_fields},
    {.name = "probe.nested",
     .doc = "Returns its parameters: objects and arrays",
     .read_only = true,
     .params = &nested_shape,
     .result = &nested_shape,
     .run = probe_nested},
    {.name = "probe.value",
     .doc = "Adds one to a number",
     .params = &value_shape,
     .result = &value_shape,
     .run = probe_value},
    {.name = "probe.raise",
     .doc = "Raises an error",
     .params = &raise_shape,
     .errors = RPC_TABLE(raise_errors),
     .error_event = "probeFailed",
     .run = probe_raise},
    {.name = "probe.raise_common",
     .doc = "Raises an error, without an event of its own",
     .params = &raise_shape,
     .errors = RPC_TABLE(raise_errors),
     .run = probe_raise},
    {.name = "probe.fail",
     .doc = "Fails without raising an error",
     .error_event = "probeFailed",
     .run = probe_fail},
    {.name = "probe.caller",
     .doc = "Returns the client that calls",
     .result = &caller_shape,
     .run = probe_caller},
    {.name = "probe.bytes",
     .doc = "The size of any payload",
     .params = &bytes_shape,
     .result = &size_shape,
     .run = probe_bytes},
    {.name = "probe.big",
     .doc = "A result of any size",
     .params = &size_shape,
     .result = &big_shape,
     .run = probe_big},
    {.name = "probe.bad_result",
     .doc = "A result that breaks its own shape",
     .result = &short_shape,
     .run = probe_bad_result},
    {.name = "probe.count",
     .doc = "Counts its runs",
     .result = &runs_shape,
     .event = "probeCounted",
     .run = probe_count},
    {.name = "probe.recount",
     .doc = "Counts its runs with those of probe.count, and claims to change nothing",
     .read_only = true,
     .result = &runs_shape,
     .run = probe_count},
    {.name = "probe.runs",
     .doc = "How often the two ran",
     .read_only = true,
     .result = &runs_shape,
     .run = probe_runs},
    {.name = "probe.sleep", .doc = "Blocks the broker", .params = &nap_shape, .run = probe_sleep},
    {.name = "probe.announce", .doc = "Announces two events", .params = &note_shape, .run = probe_announce},
    {.name = "probe.log", .doc = "Writes to the log", .params = &note_shape, .run = probe_log},
    {.name = "probe/deep/name",
     .doc = "Has a name of three levels",
     .result = &caller_shape,
     .event = "probeNamed",
     .announce = RPC_ANNOUNCE_UNANSWERED,
     .run = probe_caller},
};

static rpc_status init(rpc_instance *instance, void *state, const void *options)
{
    struct probe *probe = state;
    probe->instance = instance;
    probe->options = options;
    if (!probe->options->fail)
        return RPC_OK;
    rpc_log(instance, RPC_LOG_ERROR, "failing as configured");
    return RPC_INTERNAL_ERROR;
}

RPC_MODULE(probe, .doc = "The engine as handlers see it, for tests", .state_size = sizeof(struct probe),
           .options = &options_shape, .methods = RPC_TABLE(methods), .events = RPC_TABLE(events),
           .init = init);
