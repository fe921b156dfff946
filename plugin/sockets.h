// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Whether the broker lets TCP delay what it sends. Plugins do not see the broker's configuration, but its
 * sockets are those of the process.
 *
 * Threads: any.
 *
 * Ownership: nothing is kept.
 *
 * Failure: where the sockets cannot be asked, nothing seems to be delayed.
 */
#ifndef PLUGIN_SOCKETS_H
#define PLUGIN_SOCKETS_H

#include <stdbool.h>

/*
 * Whether some listener of this process has accepted a connection from this address, as text, without setting
 * TCP_NODELAY. Asks the first 1,024 file descriptors, which takes some 0.2 ms.
 */
bool sockets_delay(const char *address);

#endif
