// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * The properties of MQTT 5 as the hosts have them, inside a broker and as its client: what struct
 * host_message and struct host_publication (core/host.h) say of them, with the functions that brokers and
 * libmosquitto have in common.
 *
 * Threads: any. These functions touch nothing but their arguments.
 *
 * Ownership: what was read is freed with properties_free_reply().
 *
 * Failure: properties_add() returns an error of Mosquitto. What cannot be read for want of memory seems to be
 * missing.
 */
#ifndef MQTT_PROPERTIES_H
#define MQTT_PROPERTIES_H

#include "host.h"

#include <mosquitto.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
#include <mqtt_protocol.h> /* from 2.1 on a part of mosquitto.h */
#endif

/* Reads what a reply needs into the message, and looks for its first user property. The two pointers keep
 * the memory. */
void properties_read(struct host_message *message, const mosquitto_property *properties,
                     char **response_topic, void **correlation);

/* Copies the value of the first user property of this name, as user_property() of struct host wants it.
 * release: frees what the functions of Mosquitto have allocated. */
bool properties_find(const mosquitto_property *properties, const char *name, char *value, size_t size,
                     void (*release)(void *memory));

/* Adds all properties of a message but its expiry. */
int properties_add(mosquitto_property **properties, const struct host_publication *message);

#endif
