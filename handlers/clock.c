// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* getTime returns the time of day, for devices without a clock. */
#include <mosquitto_rpc.h>

#include <math.h>
#include <time.h>

struct now {
    double unix_time;
    const char *iso;
};

static const rpc_field now_fields[] = {
    RPC_DOUBLE(struct now, unix_time, .name = "unix", .doc = "Unix time, with fractions of a second",
               .unit = "s"),
    RPC_STRING(struct now, iso, .doc = "the same time in ISO 8601, in UTC, with milliseconds",
               .length = {24, 32}),
};

static const rpc_shape now_shape = RPC_OBJECT_SHAPE(struct now, now_fields);

/* Prints a time like 2026-01-31T12:00:00.000Z. NULL: no memory, or gmtime_r() has no date for it. */
static const char *clock_print_iso(rpc_call *call, double unix_time)
{
    const double milliseconds = floor(unix_time * 1000);
    const time_t seconds = (time_t)floor(milliseconds / 1000);
    struct tm utc;
    char date[32];
    if (!gmtime_r(&seconds, &utc) || !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc))
        return NULL;
    return rpc_printf(call, "%s.%03dZ", date, (int)(milliseconds - (double)seconds * 1000));
}

static rpc_status clock_get_time(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params;
    struct now *now = result;
    now->unix_time = rpc_call_time(call);
    now->iso = clock_print_iso(call, now->unix_time);
    return now->iso ? RPC_OK : RPC_INTERNAL_ERROR;
}

static const rpc_method methods[] = {
    {
        .name = "getTime",
        .doc = "Returns the broker's time of day.",
        .read_only = true,
        .result = &now_shape,
        .run = clock_get_time,
    },
};

RPC_MODULE(clock, .doc = "The time of day.", .methods = RPC_TABLE(methods));
