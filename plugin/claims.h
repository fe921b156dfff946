// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which prefixes the instances of this plugin in one broker serve. Where two of them serve the same prefix,
 * the one behind never gets a call, and the log should say so. Instances may come from copies of the plugin's
 * file, which share no memory; they share the process's environment, so the prefixes stand there.
 *
 * Threads: the broker's, while no other thread reads or writes the environment.
 *
 * Ownership: the prefixes are copied.
 *
 * Failure: without memory a prefix is not claimed, and a second instance on it is not found.
 */
#ifndef PLUGIN_CLAIMS_H
#define PLUGIN_CLAIMS_H

#include <stdbool.h>

/* Claims a prefix. Returns false if an instance in this process has claimed it before. */
bool claims_add(const char *prefix);

/* Drops the claims of this process: the broker ends its plugins together. */
void claims_clear(void);

#endif
