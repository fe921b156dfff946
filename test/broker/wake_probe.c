// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/*
 * wake_probe.c: a plugin that has nothing but plugin/wake.c, for tests of how fast and how reliably it wakes
 * the broker. Its threads have results at random moments; what is collected is published with both times
 * (CLOCK_MONOTONIC, ns), so that a client can add the one at which it has received the message.
 *
 *     wake/run       COUNT PAUSE      a thread that has COUNT results, each up to PAUSE us after the one
 *                                     before was collected; each is published as wake/result: MADE COLLECTED
 *     wake/alarm     DELAY            an alarm in DELAY us, published as wake/alarmed: DUE COLLECTED
 *
 *     plugin_opt_alarm DELAY          the same from the beginning, logged as well
 *     plugin_opt_websockets true      the clients are WebSockets clients, which take a round longer on 2.0
 */
#include "compat/mosquitto_headers.h"
#include "wake.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 32, PAYLOAD = 64, US = 1000 };

struct runner {
    struct probe *probe;
    pthread_t thread;
    unsigned count, pause, seed;
    _Atomic uint64_t made; /* a result that waits; 0: none */
};

struct probe {
    struct wake wake;
    mosquitto_plugin_id_t *identifier;
    bool is_2_1, websockets, ticks;
    atomic_bool stop;
    struct runner runners[THREADS];
    size_t runner_count;
    uint64_t due; /* UINT64_MAX: no alarm */
};

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

/* ---- The threads ---- */

static void sleep_us(unsigned us)
{
    const struct timespec time = {us / 1000000, (long)(us % 1000000) * US};
    nanosleep(&time, NULL);
}

static void *run(void *context)
{
    struct runner *runner = context;
    for (unsigned i = 0; i < runner->count && !atomic_load(&runner->probe->stop); i++) {
        sleep_us((unsigned)rand_r(&runner->seed) % (runner->pause + 1));
        atomic_store(&runner->made, now());
        wake_request(&runner->probe->wake);
        while (atomic_load(&runner->made) && !atomic_load(&runner->probe->stop))
            sleep_us(50);
    }
    return NULL;
}

static void start_thread(struct probe *probe, unsigned count, unsigned pause)
{
    if (probe->runner_count == THREADS)
        return;
    struct runner *runner = &probe->runners[probe->runner_count];
    *runner = (struct runner){.probe = probe, .count = count, .pause = pause, .seed = (unsigned)now()};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&runner->thread, NULL, run, runner) == 0)
        probe->runner_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- The loop ---- */

static void publish(struct probe *probe, const char *topic, uint64_t first, uint64_t second)
{
    char *payload = mosquitto_malloc(PAYLOAD);
    const int size = snprintf(payload, PAYLOAD, "%" PRIu64 " %" PRIu64, first, second);
    if (mosquitto_broker_publish(NULL, topic, size, payload, 0, false, NULL) != MOSQ_ERR_SUCCESS)
        mosquitto_free(payload);
    if (probe->is_2_1 || probe->websockets)
        wake_request(&probe->wake);
}

static void collect_alarm(struct probe *probe)
{
    const uint64_t time = now();
    if (time < probe->due)
        return;
    publish(probe, "wake/alarmed", probe->due, time);
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "probe: alarm after %" PRIu64 " us", (time - probe->due) / US);
    probe->due = UINT64_MAX;
}

static void collect(void *context)
{
    struct probe *probe = context;
    for (size_t i = 0; i < probe->runner_count; i++) {
        const uint64_t made = atomic_exchange(&probe->runners[i].made, 0);
        if (made)
            publish(probe, "wake/result", made, now());
    }
    collect_alarm(probe);
    wake_at(&probe->wake, probe->due);
}

static int on_tick(int event, void *event_data, void *userdata)
{
    (void)event, (void)event_data;
    struct probe *probe = userdata;
    probe->ticks = true;
    wake_tick(&probe->wake);
    collect(probe);
    return MOSQ_ERR_SUCCESS;
}

static void set_alarm(struct probe *probe, unsigned delay)
{
    probe->due = now() + (uint64_t)delay * US;
    wake_at(&probe->wake, probe->due);
}

static int on_message(int event, void *event_data, void *userdata)
{
    (void)event;
    struct probe *probe = userdata;
    const struct mosquitto_evt_message *message = event_data;
    const char *payload = message->payload;
    char *rest;
    const unsigned long first = payload ? strtoul(payload, &rest, 10) : 0;
    if (!strcmp(message->topic, "wake/run") && first)
        start_thread(probe, (unsigned)first, (unsigned)strtoul(rest, NULL, 10));
    else if (!strcmp(message->topic, "wake/alarm") && first)
        set_alarm(probe, (unsigned)first);
    if (!probe->ticks)
        collect(probe);
    return MOSQ_ERR_SUCCESS;
}

/* ---- Beginning and end ---- */

__attribute__((visibility("default"))) int mosquitto_plugin_version(int count, const int *versions)
{
    (void)count, (void)versions;
    return 5;
}

__attribute__((visibility("default"))) int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata,
                                                                 struct mosquitto_opt *options, int count)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (!probe || !wake_start(&probe->wake, true, collect, probe))
        return MOSQ_ERR_UNKNOWN;
    *userdata = probe;
    probe->identifier = id;
    probe->due = UINT64_MAX;
    probe->is_2_1 = dlsym(RTLD_DEFAULT, "mosquitto_plugin_set_info") != NULL;
    for (int i = 0; i < count; i++) {
        if (!strcmp(options[i].key, "alarm"))
            set_alarm(probe, (unsigned)atoi(options[i].value));
        else if (!strcmp(options[i].key, "websockets"))
            probe->websockets = true;
    }
    mosquitto_callback_register(id, MOSQ_EVT_TICK, on_tick, NULL, probe);
    return mosquitto_callback_register(id, MOSQ_EVT_MESSAGE, on_message, NULL, probe);
}

static void log_signal(int number)
{
    struct sigaction action;
    const bool restored = sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_DFL;
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "probe: signal %d is %s", number,
                         restored ? "as before" : "still taken");
}

__attribute__((visibility("default"))) int mosquitto_plugin_cleanup(void *userdata,
                                                                    struct mosquitto_opt *options, int count)
{
    (void)options, (void)count;
    struct probe *probe = userdata;
    if (!probe)
        return MOSQ_ERR_SUCCESS;
    mosquitto_callback_unregister(probe->identifier, MOSQ_EVT_TICK, on_tick, NULL);
    mosquitto_callback_unregister(probe->identifier, MOSQ_EVT_MESSAGE, on_message, NULL);
    atomic_store(&probe->stop, true);
    for (size_t i = 0; i < probe->runner_count; i++)
        pthread_join(probe->runners[i].thread, NULL);
    wake_stop(&probe->wake);
    log_signal(probe->wake.signal);
    free(probe);
    return MOSQ_ERR_SUCCESS;
}
