// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What the service manager is told, as sd_notify(3) does it: a datagram to the socket that $NOTIFY_SOCKET
 * names.
 *
 * Threads: any.
 *
 * Ownership: none.
 *
 * Failure: without a socket, or if the message cannot be sent, nothing happens.
 */
#ifndef WORKER_NOTIFY_H
#define WORKER_NOTIFY_H

/* Sends a state, such as "READY=1". */
void notify_send(const char *state);

#endif
