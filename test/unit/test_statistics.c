// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* core/stats/statistics.h: buckets, outcomes and the last error; and that the engine counts each call of a
 * registered method once. */
#include "lab.h"
#include "unit.h"

#include "call/engine_parts.h"
#include "stats/statistics.h"

#include <string.h>

enum { WAIT = 3000000 /* ns */ };

static const rpc_error errors[] = {{.code = "first", .doc = "one"}, {.code = "second", .doc = "another"}};
static const rpc_method method = {.name = "act", .errors = RPC_TABLE(errors)};

static struct statistics statistics;
static struct rig rig;
static struct lab_options options;

static void make_statistics(void)
{
    memset(&statistics, 0, sizeof statistics);
    ck_assert(statistics_init(&statistics, method.errors.count));
}

static void free_statistics(void)
{
    statistics_fini(&statistics);
}

/* A bound belongs to the bucket that it ends. */
START_TEST(durations_have_buckets)
{
    static const uint64_t bounds[] = {100000,     250000,     500000,     1000000,    2500000,   5000000,
                                      10000000,   25000000,   50000000,   100000000,  250000000, 500000000,
                                      1000000000, 2500000000, 5000000000, 10000000000};
    statistics_count(&statistics, RPC_OK, bounds[_i]);
    ck_assert_uint_eq(statistics.buckets[_i], 1);
    statistics_count(&statistics, RPC_OK, bounds[_i] + 1);
    ck_assert_uint_eq(statistics.buckets[_i + 1], 1);
    ck_assert_double_eq_tol(statistics_bounds[_i] * 1e9, (double)bounds[_i], 1e-3);
    ck_assert_uint_eq(statistics.calls, 2);
    ck_assert_uint_eq(statistics.sum, 2 * bounds[_i] + 1);
    ck_assert_uint_eq(statistics.max, bounds[_i] + 1);
    ck_assert(statistics.changed);
}
END_TEST

START_TEST(the_shortest_and_the_longest)
{
    statistics_count(&statistics, RPC_OK, 0);
    statistics_count(&statistics, RPC_OK, UINT64_MAX);
    ck_assert_uint_eq(statistics.buckets[0], 1);
    ck_assert_uint_eq(statistics.buckets[STATISTICS_BUCKETS - 1], 1);
}
END_TEST

START_TEST(errors_of_both_kinds)
{
    char message[2 * STATISTICS_MESSAGE];
    statistics_count(&statistics, RPC_RAISED, 1);
    statistics_note_error(&statistics, &method, errors[1].code, "why", 12.5);
    ck_assert_uint_eq(statistics.raised[0], 0);
    ck_assert_uint_eq(statistics.raised[1], 1);
    ck_assert_uint_eq(statistics.statuses[RPC_RAISED], 1);
    ck_assert_str_eq(statistics.last.code, "second");
    ck_assert_str_eq(statistics.last.message, "why");
    ck_assert_double_eq(statistics.last.at, 12.5);
    /* A message is cut where no character is cut in two: each of these has two bytes. */
    for (size_t i = 0; i + 2 < sizeof message; i += 2)
        memcpy(message + i, "é", 3);
    statistics_count(&statistics, RPC_TIMEOUT, 1);
    statistics_note_error(&statistics, &method, "timeout", message, 13);
    ck_assert_uint_eq(statistics.statuses[RPC_TIMEOUT], 1);
    ck_assert_uint_eq(statistics.raised[0] + statistics.raised[1], 1);
    ck_assert_uint_eq(strlen(statistics.last.message), STATISTICS_MESSAGE - 2);
}
END_TEST

/* ---- In an engine ---- */

static rpc_status wait_and_fail(rpc_call *call, void *state, const void *params, void *result)
{
    (void)state, (void)params, (void)result;
    rig.host.monotonic += WAIT;
    return rpc_raise(call, "plain", "no");
}

START_TEST(calls_of_registered_methods)
{
    rig_init(&rig);
    lab_start(&rig, &options, wait_and_fail);
    rig_send(&rig, "rpc/call/act", "{}", RIG_REPLY, NULL);
    rig_send(&rig, "rpc/call/act", "{\"text\":7", RIG_REPLY, NULL);
    rig_send(&rig, "rpc/batch/act", "[{},{}]", RIG_REPLY, NULL);
    rig_send(&rig, "rpc/call/none", "{}", RIG_REPLY, NULL);
    const struct statistics *counted =
        &registry_find_exactly(&rig.engine->registry, "act", strlen("act"))->statistics;
    ck_assert_uint_eq(counted->calls, 4);
    ck_assert_uint_eq(counted->calls, engine_counters(rig.engine)->calls);
    ck_assert_uint_eq(counted->statuses[RPC_RAISED], 3);
    ck_assert_uint_eq(counted->statuses[RPC_PARSE_ERROR], 1);
    ck_assert_uint_ge(counted->sum, 4 * WAIT); /* the second call of a batch waits for the first */
    ck_assert_str_eq(counted->last.code, "plain");
    ck_assert_str_eq(counted->last.message, "no");
    rig_close(&rig);
}
END_TEST

UNIT_MAIN("statistics", make_statistics, free_statistics, {durations_have_buckets, STATISTICS_BUCKETS - 1},
          {the_shortest_and_the_longest, 0}, {errors_of_both_kinds, 0}, {calls_of_registered_methods, 0})
