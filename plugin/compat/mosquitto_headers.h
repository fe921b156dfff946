// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * Mosquitto's headers, all that a plugin needs of them: the one place that knows which they are. From 2.1 on
 * <mosquitto.h> includes all others, and those that 2.0 needs beside it warn of their use.
 *
 * Needed by Mosquitto 2.0. To be deleted when the plugin no longer supports its headers: then every file
 * includes <mosquitto.h>.
 *
 * Threads, ownership, failure: none of its own.
 */
#ifndef PLUGIN_COMPAT_MOSQUITTO_HEADERS_H
#define PLUGIN_COMPAT_MOSQUITTO_HEADERS_H

#include <mosquitto.h>

#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#endif

#endif
