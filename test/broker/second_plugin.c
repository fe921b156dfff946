// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * second_plugin.c: another plugin in the same broker, for tests. It logs what reaches it, so that a test
 * sees whether the plugin under test hides anything from others: RELOAD at a SIGHUP, MESSAGE for every
 * publication. `plugin_opt_fail true` makes its init fail; `plugin_opt_kick true` ends the connection
 * of a client while it handles a message of that client.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "compat/mosquitto_headers.h"

#include <dlfcn.h>
#include <string.h>

static mosquitto_plugin_id_t *identifier;

/* Brokers from 2.1 on export a function that older ones lack, and want the opposite answer to RELOAD. */
static int reload_answer(void)
{
    return dlsym(RTLD_DEFAULT, "mosquitto_plugin_set_info") ? MOSQ_ERR_SUCCESS : MOSQ_ERR_PLUGIN_DEFER;
}

static int on_reload(int event, void *event_data, void *userdata)
{
    (void)event;
    (void)event_data;
    (void)userdata;
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "second: RELOAD");
    return reload_answer();
}

static int on_message(int event, void *event_data, void *userdata)
{
    const struct mosquitto_evt_message *message = event_data;
    (void)event;
    if (userdata)
        mosquitto_kick_client_by_clientid(mosquitto_client_id(message->client), false);
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "second: MESSAGE of %zu bytes of topic", strlen(message->topic));
    return MOSQ_ERR_SUCCESS;
}

__attribute__((visibility("default"))) int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; i++)
        if (versions[i] == 5)
            return 5;
    return -1;
}

__attribute__((visibility("default"))) int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata,
                                                                 struct mosquitto_opt *options, int count)
{
    (void)userdata;
    for (int i = 0; i < count; i++)
        if (!strcmp(options[i].key, "fail"))
            return MOSQ_ERR_UNKNOWN;
    identifier = id;
    void *kick = count > 0 && !strcmp(options[0].key, "kick") ? &identifier : NULL;
    int rc = mosquitto_callback_register(id, MOSQ_EVT_RELOAD, on_reload, NULL, NULL);
    return rc ? rc : mosquitto_callback_register(id, MOSQ_EVT_MESSAGE, on_message, NULL, kick);
}

__attribute__((visibility("default"))) int mosquitto_plugin_cleanup(void *userdata,
                                                                    struct mosquitto_opt *options, int count)
{
    (void)userdata;
    (void)options;
    (void)count;
    if (identifier) {
        mosquitto_callback_unregister(identifier, MOSQ_EVT_RELOAD, on_reload, NULL);
        mosquitto_callback_unregister(identifier, MOSQ_EVT_MESSAGE, on_message, NULL);
    }
    identifier = NULL;
    return MOSQ_ERR_SUCCESS;
}
