// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The program mosquitto_rpc_worker: see worker.h. */
#include "worker.h"

#include "notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    PACKET_ROOM = 262144 /* bytes of a packet beside the payload, and of one that is too large */
};

/* How long the work of all engines may take to return at the end, nanoseconds. */
#define STOP_PATIENCE UINT64_C(5000000000)

void worker_log(rpc_log_level level, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    client_host_log(level, line);
}

/* ---- Messages ---- */

bool worker_receive(struct worker *worker, const struct host_message *message)
{
    struct engine_place place;
    struct engine *engine = service_find(worker->service, message->topic, &place);
    return engine && engine_receive(engine, message, &place) != ENGINE_PASS;
}

static bool worker_publish(void *context, const struct host_publication *publication)
{
    struct worker *worker = context;
    return worker->mode->publish(worker, publication);
}

static void worker_handled(void *context, const void *mark)
{
    struct worker *worker = context;
    worker->mode->handled(worker, mark);
}

/* ---- The connection's events ---- */

static void worker_on_connected(void *context)
{
    struct worker *worker = context;
    worker_log(RPC_LOG_NOTICE, "connected to %s as %s", worker->options->broker, worker->client_id);
    if (worker->state == WORKER_RUNS)
        worker->mode->connected(worker);
}

static void worker_on_lost(void *context, const char *why)
{
    (void)why; /* it has been logged */
    struct worker *worker = context;
    if (worker->mode->lost)
        worker->mode->lost(worker);
}

static void worker_on_message(void *context, const struct mosquitto_message *message,
                              const mosquitto_property *properties)
{
    struct worker *worker = context;
    worker->mode->message(worker, message, properties);
}

static void worker_on_subscribed(void *context, int mid, int reason)
{
    struct worker *worker = context;
    if (worker->mode->subscribed)
        worker->mode->subscribed(worker, mid, reason);
}

static void worker_on_log(void *context, rpc_log_level level, const char *line)
{
    (void)context;
    client_host_log(level, line);
}

void worker_ready(struct worker *worker)
{
    if (!worker->is_ready)
        notify_send("READY=1");
    worker->is_ready = true;
}

/* ---- The end ---- */

void worker_drain(struct worker *worker, int code)
{
    if (worker->state != WORKER_RUNS)
        return;
    notify_send("STOPPING=1");
    worker->state = WORKER_DRAINS;
    worker->code = code;
    worker->drained_at =
        client_host_now() +
        (uint64_t)((const struct worker_options *)worker->settings.current->host_options)->drain * 1000000;
    if (worker->mode->drain && worker->connection.state == CONNECTION_THERE)
        worker->mode->drain(worker);
}

void worker_fail(struct worker *worker)
{
    worker->code = EXIT_FAILURE;
    worker->state = WORKER_OVER;
}

/* Whether all calls have ended and all replies have arrived, or cannot. */
static bool worker_is_drained(const struct worker *worker, uint64_t now)
{
    if (now >= worker->drained_at)
        return true;
    return !service_has_pending(worker->service) &&
           (!worker->mode->is_idle || worker->mode->is_idle(worker)) &&
           (connection_is_idle(&worker->connection) || worker->connection.state != CONNECTION_THERE);
}

/* Goes on to end, as far as that is possible now. */
static void worker_go_on(struct worker *worker, uint64_t now)
{
    if (worker->state == WORKER_RUNS && connection_is_refused(&worker->connection)) {
        worker_log(RPC_LOG_ERROR, "broker %.300s: %s", worker->options->broker, worker->connection.why);
        worker_fail(worker);
    }
    if (worker->state == WORKER_DRAINS && worker_is_drained(worker, now)) {
        if (now >= worker->drained_at && service_has_pending(worker->service))
            worker_log(RPC_LOG_WARNING,
                       "calls are given up that have not ended in the time of the option drain");
        worker->state = WORKER_LEAVES;
        connection_leave(&worker->connection, now);
    }
    if (worker->state == WORKER_LEAVES && worker->connection.state == CONNECTION_OVER)
        worker->state = WORKER_OVER;
}

/* ---- Rounds ---- */

static void worker_read_signals(struct worker *worker)
{
    struct signalfd_siginfo got;
    while (read(worker->signals, &got, sizeof got) == sizeof got) {
        if (got.ssi_signo == SIGHUP) {
            settings_reload(&worker->settings, worker->service, &worker->host);
        } else if (worker->state == WORKER_RUNS) {
            worker_log(RPC_LOG_NOTICE,
                       "%s: calls that have begun are finished first; a second signal ends at once",
                       strsignal((int)got.ssi_signo));
            worker_drain(worker, EXIT_SUCCESS);
        } else {
            worker->state = WORKER_OVER;
        }
    }
}

static uint64_t worker_due(const struct worker *worker)
{
    uint64_t due = service_due(worker->service);
    const uint64_t connection = connection_due(&worker->connection);
    const uint64_t mode = worker->mode->due ? worker->mode->due(worker) : UINT64_MAX;
    const uint64_t end = worker->state == WORKER_DRAINS ? worker->drained_at : UINT64_MAX;
    due = connection < due ? connection : due;
    due = mode < due ? mode : due;
    return end < due ? end : due;
}

/* In milliseconds, rounded up, for poll(). */
static int worker_timeout(const struct worker *worker, uint64_t now)
{
    const uint64_t due = worker_due(worker);
    if (due <= now)
        return 0;
    return due - now > UINT64_C(1000000000) ? 1000 : (int)((due - now + 999999) / 1000000);
}

static void worker_round(struct worker *worker)
{
    struct pollfd polled[] = {
        {.fd = worker->client.wake, .events = POLLIN},
        {.fd = worker->signals, .events = POLLIN},
        {.fd = connection_socket(&worker->connection), .events = POLLIN | POLLRDHUP},
    };
    uint64_t wakes;
    if (polled[2].fd >= 0 && connection_wants_write(&worker->connection))
        polled[2].events |= POLLOUT;
    if (poll(polled, sizeof polled / sizeof *polled, worker_timeout(worker, client_host_now())) < 0)
        return; /* interrupted */
    if (polled[0].revents) {
        const ssize_t got = read(worker->client.wake, &wakes, sizeof wakes);
        (void)got;
    }
    if (polled[1].revents)
        worker_read_signals(worker);
    if (worker->state == WORKER_OVER)
        return;
    const uint64_t now = client_host_now();
    service_tick(worker->service);
    if (worker->mode->tick)
        worker->mode->tick(worker, now);
    connection_step(&worker->connection, polled[2].revents, now);
    worker_go_on(worker, now);
}

/* ---- The beginning ---- */

static void worker_choose_names(struct worker *worker)
{
    char machine[WORKER_NAME_MAX - 16] = "worker";
    uint32_t random = 0;
    gethostname(machine, sizeof machine - 1);
    for (char *at = machine; *at; at++) {
        const char letter[] = {*at, '\0'};
        *at = worker_is_name(letter) ? *at : '-';
    }
    if (worker->options->name)
        snprintf(worker->name, sizeof worker->name, "%s", worker->options->name);
    else
        snprintf(worker->name, sizeof worker->name, "%s-%ld", machine, (long)getpid());
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = (uint32_t)client_host_now();
    if (worker->options->client_id)
        snprintf(worker->client_id, sizeof worker->client_id, "%s", worker->options->client_id);
    else
        snprintf(worker->client_id, sizeof worker->client_id, "%s-%08x", worker->name, (unsigned)random);
}

/* Blocks the signals that the loop reads, before there are other threads. */
static bool worker_take_signals(struct worker *worker)
{
    sigset_t taken;
    sigemptyset(&taken);
    sigaddset(&taken, SIGTERM);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGHUP);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to connections that are no more */
    worker->signals =
        sigprocmask(SIG_BLOCK, &taken, NULL) == 0 ? signalfd(-1, &taken, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
    return worker->signals >= 0 && client_host_open(&worker->client);
}

static bool worker_start_service(struct worker *worker, char why[SERVICE_WHY])
{
    const struct config *config = worker->settings.first;
    snprintf(why, SERVICE_WHY, "no memory for the service");
    worker->client.connection = &worker->connection;
    worker->client.knows_caller = worker->mode->knows_caller;
    worker->client.dispatched = worker->mode->dispatched;
    worker->client.publish = worker->mode->publish ? worker_publish : NULL;
    worker->client.user_property = worker->mode->user_property;
    worker->client.handled = worker_handled;
    worker->client.context = worker;
    worker->host = client_host_functions(&worker->client);
    worker->service = service_create(config, &worker->host);
    if (!worker->service)
        return false;
    if (worker->settings.status.file)
        service_show_reload(worker->service, &worker->settings.status);
    return service_start(worker->service, why);
}

static bool worker_open_connection(struct worker *worker, char why[SERVICE_WHY])
{
    const struct config *config = worker->settings.first;
    const struct connection_settings settings = {
        .options = worker->options,
        .client_id = worker->client_id,
        .max_packet = (uint32_t)config->engine.max_payload + PACKET_ROOM,
        .max_waiting = (size_t)config->engine.max_pending_bytes,
        .forgets = worker->mode->forgets,
        .will = worker->will,
    };
    const struct connection_events events = {
        .context = worker,
        .connected = worker_on_connected,
        .lost = worker_on_lost,
        .message = worker_on_message,
        .subscribed = worker_on_subscribed,
        .log = worker_on_log,
    };
    if (connection_open(&worker->connection, &settings, &events, client_host_now()))
        return true;
    snprintf(why, SERVICE_WHY, "%s", worker->connection.why);
    return false;
}

bool worker_start(struct worker *worker, const struct worker_mode *mode, char why[SERVICE_WHY])
{
    worker->options = worker->settings.first->host_options;
    worker_choose_names(worker);
    worker->mode = mode;
    if (!worker_take_signals(worker)) {
        snprintf(why, SERVICE_WHY, "%s", strerror(errno));
        return false;
    }
    if ((worker->mode->init && !worker->mode->init(worker, why)) || !worker_open_connection(worker, why))
        return false;
    /* What modules publish when they start waits for the connection. Before the first attempt to connect,
     * libmosquitto takes the retain flag away. */
    connection_step(&worker->connection, 0, client_host_now());
    return worker_start_service(worker, why);
}

static void worker_log_start(const struct worker *worker)
{
    char *text = config_describe(worker->settings.first);
    if (text)
        worker_log(RPC_LOG_NOTICE, "version " RPC_VERSION ", worker %s: %s", worker->name, text);
    free(text);
    if (worker->settings.status.file)
        settings_log(&worker->settings, &worker->host, 0);
    if (!worker->mode->knows_caller)
        worker_log(RPC_LOG_NOTICE,
                   "callers are not known: rate limits and guards are off, and equal calls with "
                   "the same Response Topic count as one");
}

int worker_run(struct worker *worker)
{
    worker_log_start(worker);
    while (worker->state != WORKER_OVER)
        worker_round(worker);
    return worker->code;
}

/* Work that does not return goes on with what it uses until the process ends. */
void worker_stop(struct worker *worker)
{
    const bool ended = !worker->service || service_stop(worker->service, STOP_PATIENCE);
    service_destroy(worker->service);
    if (worker->mode && worker->mode->fini)
        worker->mode->fini(worker);
    connection_close(&worker->connection);
    if (ended)
        client_host_close(&worker->client);
    settings_fini(&worker->settings, ended);
}
