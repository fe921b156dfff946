// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What completion has asked a broker a moment ago, so that each press of the tab key needs no connection. The
 * cache is CACHE_PLACES files of at most CACHE_SIZE bytes in $XDG_CACHE_HOME/mosquitto_rpc or
 * ~/.cache/mosquitto_rpc, which the user alone may read. A key has one place, and another key of the same
 * place takes it over.
 *
 * Threads: any; several processes may use the cache at once.
 *
 * Ownership: the caller frees what cache_get() returns.
 *
 * Failure: what cannot be kept or read is as if it had never been kept.
 */
#ifndef TOOL_CACHE_H
#define TOOL_CACHE_H

enum { CACHE_PLACES = 64, CACHE_SIZE = 256 * 1024 };

/* The text that was kept under this key within so many seconds; NULL: there is none. A key has no newline. */
char *cache_get(const char *key, int seconds);

void cache_put(const char *key, const char *text);

#endif
