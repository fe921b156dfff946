// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * What differs between the brokers that one build of the plugin runs in, found out at run time: the plugin
 * interface has had the same number since Mosquitto 2.0, and says nothing of these.
 *
 * Needed by Mosquitto 2.0: cuts_mount_point and the scan of the program for its version by 2.0.0 to 2.0.11
 * (Debian 12), the rest by all of 2.0. Each part is to be deleted when the plugin no
 * longer supports these brokers; without 2.0 all of it is but the name, since no function tells a version.
 *
 * Threads: the broker's.
 *
 * Ownership: struct broker is plain data.
 *
 * Failure: none; a broker that does not show its version is taken for one after 2.0.11.
 */
#ifndef PLUGIN_COMPAT_BROKER_H
#define PLUGIN_COMPAT_BROKER_H

#include <stdbool.h>

enum { BROKER_VERSION = 16 }; /* bytes that hold a version, with its NUL */

struct broker {
    bool is_2_1;           /* 2.1 or later */
    bool cuts_mount_point; /* takes a listener's mount_point off outgoing topics: 2.0.12 and later */
    void (*free_read)(
        void *memory); /* frees what a mosquitto_property_read_ function has returned, or NULL */
    char name[sizeof "mosquitto " + BROKER_VERSION]; /* with its version, as far as it shows it; for people */
};

/* Looks at the broker that this code is loaded into. */
struct broker broker_detect(void);

/* What the RELOAD callback must return to leave the broker and the plugins behind this one alone. */
int broker_reload_result(const struct broker *broker);

#endif
