// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * work.h: what the benchmark's references do with one call of report.
 *
 * The responder (an ordinary client) and the bare plugin are measured against the product's own method
 * of that name. Both link this one function, so that they differ in nothing but where they run.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "compat/mosquitto_headers.h"

#include <stddef.h>

/* Where the references announce a success, as the product announces rpc/event/reported. */
#define WORK_EVENT_TOPIC "bench/event/reported"

/*
 * Answers {"sensor_id":"temp1","value":25.5} with {"sensor_id":"temp1","value":25.5,"ok":true}.
 * payload need not end with a NUL; NULL if size is 0. Returns text that the caller gives back with
 * cJSON_free(); NULL if the payload is not such an object or there is no memory.
 */
char *work_answer(const void *payload, size_t size);

/*
 * The properties of a reply: the Correlation Data of the call's. Returns NULL if there is none, or no memory;
 * the list belongs to the caller.
 */
mosquitto_property *work_properties(const mosquitto_property *call);

#endif
