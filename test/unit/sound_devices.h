// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Whether the commands of the module device are sound, which holds between any two steps of its engine.
 *
 * Threads: the test's thread only.
 *
 * Ownership: the module is borrowed.
 *
 * Failure: what is not sound fails the test.
 */
#ifndef SOUND_DEVICES_H
#define SOUND_DEVICES_H

struct device_module;

/* The lists of each device and the sums over all; each command is waited for by something. */
void sound_devices(const struct device_module *module);

#endif
