// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What differs between the brokers that one build of the plugin runs in, found out at run time: the plugin
 * interface has had the same number since 2.0, and says nothing of these.
 */
#ifndef PLUGIN_BROKER_H
#define PLUGIN_BROKER_H

#include <stdbool.h>

struct broker {
    bool is_2_1;           /* 2.1 or later */
    bool cuts_mount_point; /* takes a listener's mount_point off outgoing topics: 2.0.12 and later */
};

/* Looks at the broker that this code is loaded into. */
struct broker broker_detect(void);

/* Frees what a mosquitto_property_read_ function has returned; accepts NULL. */
void broker_free_read(const struct broker *broker, void *memory);

/* What the RELOAD callback must return to leave the broker and the plugins behind this one alone. */
int broker_reload_result(const struct broker *broker);

#endif
