// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The method forgetSensor: see forget.h. */
#include "forget.h"

#include "sensors.h"

#include <string.h>

struct forgotten {
    const char *sensor_id;
    bool forgotten;
};

static const rpc_field forget_result_fields[] = {
    SENSOR_ID(struct forgotten),
    RPC_BOOL(struct forgotten, forgotten, .doc = "whether there was such a sensor"),
};

const rpc_shape forget_result = RPC_OBJECT_SHAPE(struct forgotten, forget_result_fields);

struct parting {
    struct store *store;
    struct store_forgetting forgetting;
    bool done;   /* the last part of the work has succeeded */
    bool hidden; /* the first one has */
    struct store_failure failure;
};

void forget_work(rpc_job *job, void *data)
{
    struct parting *parting = data;
    (void)job;
    parting->done = store_forget(parting->store, &parting->forgetting, &parting->failure);
}

/* Asks the database, and not the table, so that a sensor which could not be loaded can be forgotten, too. */
rpc_status forget_run(rpc_call *call, void *state, const void *params, void *result)
{
    const struct sensors *sensors = state;
    const struct which *given = params;
    struct parting *parting = rpc_alloc(call, sizeof *parting);
    (void)result;
    if (!parting)
        return RPC_INTERNAL_ERROR;
    parting->store = sensors->store;
    parting->forgetting = (struct store_forgetting){
        .sensor = given->sensor_id, .size = strlen(given->sensor_id), .rows = SENSORS_ROWS};
    return rpc_start(call, "writing", parting);
}

/* The broker may have retained the state of a sensor that is no more, if it ended before it was told to
 * forget it: that goes in any case. Deletes many readings in several jobs, so that other jobs of the lane can
 * run in between. What is left when the call times out is deleted by pruning. */
rpc_status forget_done(rpc_call *call, void *state, void *data, rpc_status outcome, void *result)
{
    struct sensors *sensors = state;
    struct parting *parting = data;
    const struct store_forgetting *forgetting = &parting->forgetting;
    const struct which which = {forgetting->sensor};
    if (parting->done && !parting->hidden) {
        parting->hidden = true;
        sensors_retract(sensors, forgetting->sensor);
        if (forgetting->found) {
            table_forget(&sensors->table, forgetting->sensor);
            rpc_announce(sensors->instance, call, "sensorForgotten", &which);
        }
    }
    if (!parting->done && parting->failure.why[0])
        sensors_note_failure(sensors, &parting->failure, "a sensor was not forgotten");
    else if (parting->done)
        sensors_note_success(sensors);
    if (outcome != RPC_OK)
        return outcome;
    if (!parting->done)
        return sensors_raise_failure(call, &parting->failure, "the sensor was not forgotten");
    parting->done = !forgetting->more;
    if (forgetting->more)
        return rpc_start(call, "writing", parting);
    *(struct forgotten *)result = (struct forgotten){forgetting->sensor, forgetting->found};
    return RPC_OK;
}
