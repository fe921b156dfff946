// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Deleting old readings, and sensors that have none left.
 *
 * Threads: the broker's thread only; the deleting itself runs on a worker thread.
 *
 * Ownership: what a job notes is part of the module's state.
 *
 * Failure: is logged; the next time tries again.
 */
#ifndef SENSOR_PRUNE_H
#define SENSOR_PRUNE_H

#include "sensors.h"

/* Seconds between two calls of prune_begin(). */
uint32_t prune_seconds(const struct sensors *sensors);

/* A timer's: lets the readings grow older, and starts deleting. */
void prune_begin(rpc_instance *instance, void *state, void *data);

#endif
