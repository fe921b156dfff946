// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Finding out about the broker: see broker.h. */
#include "broker.h"

#include <dlfcn.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <stdlib.h>

struct broker broker_detect(void)
{
    struct broker broker;
    broker.is_2_1 = dlsym(RTLD_DEFAULT, "mosquitto_plugin_set_info") != NULL;
    broker.cuts_mount_point = true;
    return broker;
}

void broker_free_read(const struct broker *broker, void *memory)
{
    if (broker->is_2_1)
        mosquitto_free(memory);
    else
        free(memory);
}

/*
 * 2.1 exits when a plugin answers anything but success. 2.0 takes success for "all is done", and neither
 * tells the plugins behind this one nor loads the password and ACL files again.
 */
int broker_reload_result(const struct broker *broker)
{
    return broker->is_2_1 ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
}
