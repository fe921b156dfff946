// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The method sensorHistory: see history.h. */
#include "history.h"

#include "sensors.h"

#include <math.h>
#include <string.h>

enum { HISTORY_MAX = 1000 }; /* max readings in one result */

/* ---- Shapes ---- */

struct history_asked {
    const char *sensor_id;
    double from, to;
    int32_t limit;
    int64_t after;
    bool has_from, has_to, has_after;
};

static const rpc_field history_param_fields[] = {
    SENSOR_ID(struct history_asked),
    RPC_DOUBLE(struct history_asked, from,
               .doc = "the start of the time range, Unix time; without it, the range is open", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct history_asked, has_from)),
    RPC_DOUBLE(struct history_asked, to,
               .doc = "the end of the time range, Unix time; without it, the range is open", .unit = "s",
               .optional = true, .flag = RPC_FLAG(struct history_asked, has_to)),
    RPC_INT32(struct history_asked, limit,
              .doc = "largest number of readings in the result, those of the range that were stored last",
              .default_json = "100", .range = {1, HISTORY_MAX}),
    RPC_INT64(struct history_asked, after, .doc = "the `next` of the last page, for the readings before it",
              .optional = true, .nullable = true, .flag = RPC_FLAG(struct history_asked, has_after),
              .range = {1, INFINITY}),
};

const rpc_shape history_params = RPC_OBJECT_SHAPE(struct history_asked, history_param_fields);

struct point {
    double time, value;
    enum unit unit;
};

static const rpc_field history_point_fields[] = {
    RPC_DOUBLE(struct point, time,
               .doc = "when it was taken or, if the call did not say, reported, Unix time", .unit = "s"),
    RPC_DOUBLE(struct point, value, .doc = "the temperature"),
    RPC_CHOICE(struct point, unit, .doc = "Celsius, Fahrenheit or Kelvin",
               .choices = RPC_TABLE(sensors_units)),
};

static const rpc_shape history_point_shape = RPC_OBJECT_SHAPE(struct point, history_point_fields);

struct history {
    const char *sensor_id;
    const struct point *readings;
    size_t count;
    bool more, has_next;
    int64_t next;
};

static const rpc_field history_result_fields[] = {
    SENSOR_ID(struct history),
    RPC_OBJECT_ARRAY(struct history, readings, count, struct point,
                     .doc = "the readings of the range, in the order in which they were stored",
                     .items = {0, HISTORY_MAX}, .shape = &history_point_shape),
    RPC_BOOL(struct history, more, .doc = "whether the range has earlier readings, which are over the limit"),
    RPC_INT64(struct history, next, .doc = "the `after` of the page with these; null: there are none",
              .nullable = true, .flag = RPC_FLAG(struct history, has_next)),
};

const rpc_shape history_result = RPC_OBJECT_SHAPE(struct history, history_result_fields);

/* ---- The method ---- */

struct question {
    struct store *store;
    struct store_query query;
    struct store_answer answer;
    bool answered;
    struct store_failure failure;
};

void history_work(rpc_job *job, void *data)
{
    struct question *question = data;
    if (rpc_is_wanted(job))
        question->answered =
            store_history(question->store, &question->query, &question->answer, &question->failure);
}

rpc_status history_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct history_asked *given = params;
    (void)result;
    if (!table_find(&sensors->table, given->sensor_id))
        return sensors_raise_unknown(call, sensors, given->sensor_id);
    struct question *question = rpc_alloc(call, sizeof *question);
    struct store_point *points = rpc_alloc(call, (size_t)given->limit * sizeof *points);
    if (!question || !points)
        return RPC_INTERNAL_ERROR;
    question->store = sensors->history;
    question->query = (struct store_query){
        .sensor = given->sensor_id,
        .size = strlen(given->sensor_id),
        .from = given->has_from ? given->from : -INFINITY,
        .to = given->has_to ? given->to : INFINITY,
        .limit = (size_t)given->limit,
        .before = given->has_after ? given->after : 0,
    };
    question->answer.points = points;
    return rpc_start(call, sensors->history == sensors->store ? "writing" : "reading", question);
}

rpc_status history_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    const struct question *question = data;
    struct history *history = result;
    if (outcome != RPC_OK)
        return outcome;
    if (!question->answered) {
        sensors_note_failure(state, &question->failure, "readings could not be looked up");
        return sensors_raise_failure(call, &question->failure, "the readings could not be looked up");
    }
    sensors_note_success(state);
    struct point *points = rpc_alloc(call, question->answer.count * sizeof *points);
    if (!points)
        return RPC_INTERNAL_ERROR;
    const struct store_answer *answer = &question->answer;
    for (size_t i = 0; i < answer->count; i++) {
        const struct reading reading = sensors_reading_of_point(NULL, &answer->points[i]);
        points[i] = (struct point){reading.time, reading.value, reading.unit};
    }
    *history = (struct history){question->query.sensor, points,       answer->count,
                                answer->more,           answer->more, answer->first};
    return RPC_OK;
}
