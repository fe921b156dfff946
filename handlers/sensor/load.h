// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Loading the sensors from the database: when the module starts and, as long as that fails, again every few
 * seconds.
 *
 * Threads: the broker's thread only; the loading itself runs on a worker thread, but for load_start().
 *
 * Ownership: load_free() frees what is loaded, which is part of the module's state.
 *
 * Failure: is logged, and kept in the state for callers.
 */
#ifndef SENSOR_LOAD_H
#define SENSOR_LOAD_H

#include "sensors.h"

/* Loads the sensors at once, without a worker thread, for init. */
void load_start(struct sensors *sensors);

void load_free(struct loading *loading);

#endif
