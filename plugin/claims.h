// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Which prefixes the instances of this plugin in one broker serve. Where two of them serve the same prefix
 * the one behind never sees a call, and its owner should be told. Instances may come from copies of the
 * file, which share no memory; what they share is the process's environment, so that is where it is noted.
 */
#ifndef PLUGIN_CLAIMS_H
#define PLUGIN_CLAIMS_H

#include <stdbool.h>

/* Notes a prefix. Returns false if an instance in this process has noted it before. */
bool claims_add(const char *prefix);

/* Forgets all prefixes of this process: the broker ends its plugins together. */
void claims_clear(void);

#endif
